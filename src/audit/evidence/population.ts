/**
 * population.csv: every event of a period as one row, and the samples that are drawn from it, a number of each kind. Made from
 * the exact texts of the events and nothing else, so that whoever has those texts comes to the same file.
 */
import type { EventBody } from "../body.ts";
import { leafHash } from "../chain.ts";
import { csvRow } from "../exporters/csv-row.ts";
import { type EventFacts, type EventKind, factsOf, textOf } from "../facts.ts";
import { Sample } from "../sample.ts";

export const POPULATION_HEADER: string = csvRow([
  ...["seq", "id", "timestamp", "kind", "category", "action", "result", "what", "project", "session", "user"],
  ...["decision", "basis", "level", "mode", "policy", "exceptions", "findings", "denied", "refused", "events", "leaf"],
]);

export interface KindSample {
  readonly kind: EventKind;
  /** Events of this kind. */
  readonly of: number;
  readonly seqs: readonly number[];
}

export class Population {
  readonly #seed: string;
  readonly #perKind: number;
  readonly #samples = new Map<EventKind, Sample>();
  #count = 0;
  #first = 0;
  #last = 0;

  constructor(seed: string, perKind: number) {
    this.#seed = seed;
    this.#perKind = perKind;
  }

  /** @param text of the event, exactly. @returns its row. */
  add(text: string, event: EventBody): string {
    const facts = factsOf(event);
    const sample = this.#samples.get(facts.kind) ?? new Sample(this.#seed, this.#perKind);
    this.#samples.set(facts.kind, sample);
    sample.add(event.seq);
    if (this.#count === 0) this.#first = event.seq;
    this.#last = event.seq;
    this.#count += 1;
    return rowOf(text, event, facts);
  }

  /** `absent`: numbers between the first and the last that are not here, for retention took their texts, or their own time is outside of the period. */
  get extent(): { readonly events: number; readonly first: number; readonly last: number; readonly absent: number } {
    const absent = this.#count === 0 ? 0 : this.#last - this.#first + 1 - this.#count;
    return { events: this.#count, first: this.#first, last: this.#last, absent };
  }

  /** By the name of the kind. */
  get samples(): readonly KindSample[] {
    return [...this.#samples].map(([kind, sample]) => ({ kind, of: sample.of, seqs: sample.seqs })).sort((a, b) => (a.kind < b.kind ? -1 : 1));
  }
}

function rowOf(text: string, event: EventBody, facts: EventFacts): string {
  const { findings } = facts;
  return csvRow([
    ...[event.seq, event.id, event.timestamp, facts.kind, event.category, event.action, event.result],
    ...[facts.what, facts.project, event.sessionId, event.userId],
    ...[facts.decision, facts.basis ?? textOf(facts.details["why"]), facts.level, facts.mode, facts.policy],
    findings.flatMap(exceptionText).join(" | "),
    findings.length === 0 ? undefined : findings.length,
    findings.length === 0 ? undefined : findings.filter(({ verdict }) => verdict === "deny").length,
    facts.refused.length === 0 ? undefined : facts.refused.length,
    ...[facts.count, leafHash(text).toString("hex")],
  ]);
}

/** Who accepted what, as far as the event knows: reason and end. The author stands in the history of the policy file. */
function exceptionText({ id, subject, exception }: EventFacts["findings"][number]): string[] {
  if (exception === undefined) return [];
  return [`${id} ${subject}: ${exception.reason ?? "no reason given"} (${exception.until === undefined ? "no end" : `until ${exception.until}`})`];
}
