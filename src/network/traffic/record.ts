/**
 * What a job's network did, by destination: bounded, whatever the job does. When a list is full, what is new in it is counted
 * in one row for all the rest, so that bytes and tries still add up, and {@link TrafficSnapshot.coalesced} says how often.
 */
import { EventEmitter } from "node:events";
import type { NetworkViolation, TrafficConnection, TrafficEvents, TrafficLookup, TrafficSnapshot } from "../contract.ts";

export interface RecordLimits {
  /** Rows of connections and of lookups, each. */
  readonly rows: number;
  readonly violations: number;
}

const LIMITS: RecordLimits = { rows: 2000, violations: 500 };
const MAX_ANSWERS = 16;
const MAX_REQUESTS = 20;
const MAX_PATH = 200;
/** In the place of a destination or a name: all that had no row of their own. */
export const THE_REST = "(others)";

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type ConnectionRow = Writable<Omit<TrafficConnection, "requests">> & { readonly requests: Set<string> };
type LookupRow = Writable<Omit<TrafficLookup, "answers">> & { readonly answers: Set<string> };

/** An attempt, before anything is counted. */
export type Attempt = Pick<TrafficConnection, "proto" | "dst" | "port" | "domain" | "verdict" | "rule" | "source">;
export type LookupAttempt = Pick<TrafficLookup, "name" | "type" | "answers" | "verdict">;
export type ViolationFacts = Omit<NetworkViolation, "at">;

/** Adds to the row of one connection. */
export interface ByteCounter {
  sent(bytes: number): void;
  received(bytes: number): void;
  /** @param target of the request line; its query is left out. */
  request(method: string, target: string): void;
}

export class TrafficRecord {
  readonly events: EventEmitter<TrafficEvents> = new EventEmitter<TrafficEvents>();
  readonly #limits: RecordLimits;
  readonly #now: () => number;
  readonly #connections = new Map<string, ConnectionRow>();
  readonly #lookups = new Map<string, LookupRow>();
  readonly #violations = new Map<string, NetworkViolation>();
  #coalesced = 0;

  constructor(now: () => number, limits: RecordLimits = LIMITS) {
    this.#now = now;
    this.#limits = limits;
  }

  /** One more try at a destination. Names beat addresses as its key: what is behind a name moves. */
  connection(attempt: Attempt): ByteCounter {
    const row = this.#connectionRow(attempt);
    row.tries++;
    row.dst = row.dst === THE_REST ? row.dst : attempt.dst;
    row.last = this.#now();
    const count =
      (key: "sent" | "received") =>
      (bytes: number): void => {
        row[key] += bytes;
        row.last = this.#now();
      };
    const request = (method: string, target: string): void => {
      if (row.requests.size < MAX_REQUESTS && row.dst !== THE_REST) row.requests.add(`${method} ${target.replace(/\?.*$/s, "").slice(0, MAX_PATH)}`);
    };
    return { sent: count("sent"), received: count("received"), request };
  }

  lookup({ name, type, answers, verdict }: LookupAttempt): void {
    const full = (): LookupRow =>
      this.#row(this.#lookups, `${THE_REST} ${verdict}`, () => ({ name: THE_REST, type: "", verdict, answers: new Set(), tries: 0 }));
    const key = `${name} ${type} ${verdict}`;
    const row = this.#room(this.#lookups, key) ? this.#row(this.#lookups, key, () => ({ name, type, verdict, answers: new Set<string>(), tries: 0 })) : full();
    row.tries++;
    if (row.name === THE_REST) return;
    for (const answer of answers) if (row.answers.size < MAX_ANSWERS) row.answers.add(answer);
  }

  /** Tells listeners of the first of a kind: one reason at one destination. */
  violation(facts: ViolationFacts): void {
    const key = `${facts.reason} ${facts.proto} ${facts.domain ?? facts.dst} ${facts.port}`;
    if (this.#violations.has(key)) return;
    if (this.#violations.size >= this.#limits.violations) {
      this.#coalesced++;
      return;
    }
    const violation: NetworkViolation = { at: this.#now(), ...facts };
    this.#violations.set(key, violation);
    for (const listener of this.events.rawListeners("networkViolation")) {
      try {
        Promise.resolve(Reflect.apply(listener, this.events, [violation])).catch(() => undefined);
      } catch {
        // A listener's failure, here or in its promise, is its own.
      }
    }
  }

  snapshot(): TrafficSnapshot {
    return {
      connections: [...this.#connections.values()].map(({ requests, ...row }) => ({ ...row, ...(requests.size === 0 ? {} : { requests: [...requests] }) })),
      dns: [...this.#lookups.values()].map((row) => ({ ...row, answers: [...row.answers] })),
      violations: [...this.#violations.values()],
      coalesced: this.#coalesced,
    };
  }

  #connectionRow(attempt: Attempt): ConnectionRow {
    const { proto, dst, port, domain, verdict, rule, source } = attempt;
    const key = `${proto} ${domain ?? dst} ${port} ${verdict} ${rule}`;
    const fresh = (place: Pick<ConnectionRow, "dst" | "port" | "domain" | "rule" | "source">): ConnectionRow => {
      const first = this.#now();
      return { proto, verdict, ...place, sent: 0, received: 0, tries: 0, requests: new Set(), first, last: first };
    };
    if (this.#room(this.#connections, key)) return this.#row(this.#connections, key, () => fresh({ dst, port, domain, rule, source }));
    return this.#row(this.#connections, `${THE_REST} ${proto} ${verdict}`, () =>
      fresh({ dst: THE_REST, port: undefined, domain: undefined, rule: THE_REST, source: undefined }),
    );
  }

  #room(rows: ReadonlyMap<string, unknown>, key: string): boolean {
    if (rows.has(key) || rows.size < this.#limits.rows) return true;
    this.#coalesced++;
    return false;
  }

  #row<T>(rows: Map<string, T>, key: string, make: () => T): T {
    const known = rows.get(key);
    if (known !== undefined) return known;
    const row = make();
    rows.set(key, row);
    return row;
  }
}
