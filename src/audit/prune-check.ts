/** Texts that are gone, against the events that say why: each pruning names how many it took and one hash over their leaves. */
import { z } from "zod";
import { type CheckedEvent, prunedDigest } from "./event-check.ts";
import type { AuditFault } from "./faults.ts";

/** Action of the event that a pruning leaves. */
export const PRUNED = "retention_pruned";

interface Said {
  readonly count: number;
  /** Hex. */
  readonly digest: string;
}

export interface PruneTally extends Said {
  /** Sequence number of the first of them. */
  readonly first: number;
}

const detailsSchema: z.ZodType<Said> = z.looseObject({ count: z.int().min(1), digest: z.string().regex(/^[0-9a-f]{64}$/) });

export class PruneCheck {
  readonly #found: Map<number, PruneTally>;

  /** @param found by an earlier verification that this one goes on from, by the sequence number of the pruning's event. */
  constructor(found: ReadonlyMap<number, PruneTally>) {
    this.#found = new Map(found);
  }

  /** Texts that are gone, and whose pruning has not come yet. */
  get open(): ReadonlyMap<number, PruneTally> {
    return this.#found;
  }

  add({ seq, leaf, body, pruned }: CheckedEvent): AuditFault[] {
    if (pruned !== undefined) {
      const before = this.#found.get(pruned);
      const digest = prunedDigest(before === undefined ? undefined : Buffer.from(before.digest, "hex"), leaf).toString("hex");
      this.#found.set(pruned, { first: before?.first ?? seq, count: (before?.count ?? 0) + 1, digest });
      return pruned > seq ? [] : [{ seq, kind: "content", detail: `its text is gone, and event ${pruned}, which should say why, is older` }];
    }
    if (body?.category !== "audit" || body.action !== PRUNED) return [];
    const said = detailsSchema.safeParse(body.details);
    const found = this.#found.get(seq);
    this.#found.delete(seq);
    if (said.success && said.data.count === found?.count && said.data.digest === found.digest) return [];
    const told = said.success ? `${said.data.count} texts` : "something unreadable";
    const detail = `event ${seq} says that ${told} were pruned; gone in its name are ${found?.count ?? 0}, or others`;
    return [{ seq: found?.first ?? seq, kind: "content", detail }];
  }

  /** Texts that are gone in the name of an event that is not there, or is no pruning. */
  end(): AuditFault[] {
    return [...this.#found].map(([seq, { count, first }]) => ({
      seq: first,
      kind: "content",
      detail: `${count} texts are gone in the name of event ${seq}, which prunes nothing`,
    }));
  }
}
