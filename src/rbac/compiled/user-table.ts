/**
 * Users and what was assigned to them. A table never changes: a change makes another one that shares all shards but those it
 * touches, so that it costs the same for ten users and for a hundred thousand.
 */
import type { Scope } from "../contract.ts";

export interface CompiledAssignment {
  /** Number of the role in its table. */
  readonly role: number;
  readonly scope: Scope | undefined;
  /** ms since the Unix epoch. */
  readonly expiresAt: number;
}

export type UserEntry = readonly CompiledAssignment[];

/** Of a user who is disabled. */
export const DISABLED: UserEntry = Object.freeze([]);
/** Of a user without roles. */
export const NO_ROLES: UserEntry = Object.freeze([]);

const SHARDS = 1024;

export class UserTable {
  readonly #shards: readonly ReadonlyMap<string, UserEntry>[];

  private constructor(shards: readonly ReadonlyMap<string, UserEntry>[]) {
    this.#shards = shards;
  }

  /** @param entries undefined takes a user out. */
  static of(entries: Iterable<readonly [string, UserEntry | undefined]>): UserTable {
    return new UserTable(Array.from({ length: SHARDS }, () => EMPTY)).with(entries);
  }

  with(entries: Iterable<readonly [string, UserEntry | undefined]>): UserTable {
    const shards = [...this.#shards];
    const copied = new Map<number, Map<string, UserEntry>>();
    for (const [id, entry] of entries) {
      const at = shardOf(id);
      let shard = copied.get(at);
      if (shard === undefined) {
        shard = new Map(shards[at]);
        copied.set(at, shard);
        shards[at] = shard;
      }
      if (entry === undefined) shard.delete(id);
      else shard.set(id, entry);
    }
    return new UserTable(shards);
  }

  get(id: string): UserEntry | undefined {
    return this.#shards[shardOf(id)]?.get(id);
  }

  /** Of everybody. */
  ids(): IteratorObject<string> {
    return Iterator.from(this.#shards).flatMap((shard) => shard.keys());
  }

  get size(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.size, 0);
  }
}

const EMPTY: ReadonlyMap<string, UserEntry> = new Map();

/** By the end of the id: that is where ids differ. */
function shardOf(id: string): number {
  const { length } = id;
  return ((id.charCodeAt(length - 1) * 31 + id.charCodeAt(length - 2)) * 31 + id.charCodeAt(length - 3)) & (SHARDS - 1);
}
