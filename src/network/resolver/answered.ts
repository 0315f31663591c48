/**
 * Which names led to an address in what the job was told: on ports where no name is spoken, this is what an address stands for,
 * as long as the answer counts and a while longer. Bounded; the oldest go first, which closes, never opens.
 */
import type { Clock } from "../../foundation/index.ts";
import { type Address, formatAddress } from "../rules/index.ts";

/** Seconds that an address stays open after its answer ran out: clients keep addresses a little longer than they should. */
const GRACE = 60;
const MAX_ADDRESSES = 5000;
const MAX_NAMES = 32;

export class AnsweredAddresses {
  readonly #clock: Clock;
  readonly #names = new Map<string, Map<string, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param ttl seconds. */
  answered(name: string, addresses: readonly Address[], ttl: number): void {
    const until = this.#clock.monotonic() + (ttl + GRACE) * 1000;
    for (const address of addresses) {
      const key = formatAddress(address);
      const names = this.#names.get(key) ?? new Map<string, number>();
      this.#names.delete(key);
      this.#names.set(key, names);
      names.delete(name);
      names.set(name, until);
      dropOldest(names, MAX_NAMES);
    }
    dropOldest(this.#names, MAX_ADDRESSES);
  }

  /** The newest first. */
  namesAt(address: Address): readonly string[] {
    const now = this.#clock.monotonic();
    const names = this.#names.get(formatAddress(address)) ?? new Map<string, number>();
    return [...names].flatMap(([name, until]) => (until > now ? [name] : [])).reverse();
  }
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
