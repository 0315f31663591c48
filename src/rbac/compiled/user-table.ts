/**
 * Users and what was assigned to them. A table never changes: a change makes another one that shares all but what it touches, so
 * that it costs the same for ten users and for a hundred thousand.
 */
import { type PackedSize, PackedUsers, type UserEntry } from "./packed-users.ts";

/** What was changed since users were packed; undefined is a user who went away. */
type Shard = ReadonlyMap<string, UserEntry | undefined>;

const SHARDS = 1024;
const UNCHANGED: readonly Shard[] = Array.from({ length: SHARDS }, () => new Map());

export class UserTable {
  readonly #packed: PackedUsers;
  readonly #changed: readonly Shard[];

  /** @param packed is not added to any more. */
  constructor(packed: PackedUsers, changed: readonly Shard[] = UNCHANGED) {
    this.#packed = packed;
    this.#changed = changed;
  }

  static of(entries: readonly (readonly [string, UserEntry])[]): UserTable {
    const size: PackedSize = {
      users: entries.length,
      characters: entries.reduce((sum, [id]) => sum + id.length, 0),
      assignments: entries.reduce((sum, [, entry]) => sum + entry.length, 0),
    };
    const packed = new PackedUsers(size);
    for (const [id, entry] of entries) packed.add(id, entry);
    return new UserTable(packed);
  }

  /** @param entries undefined takes a user out. */
  with(entries: Iterable<readonly [string, UserEntry | undefined]>): UserTable {
    const changed = [...this.#changed];
    const copied = new Map<number, Map<string, UserEntry | undefined>>();
    for (const [id, entry] of entries) {
      const at = shardOf(id);
      const shard = copied.get(at) ?? new Map(changed[at]);
      copied.set(at, shard);
      changed[at] = shard;
      shard.set(id, entry);
    }
    return new UserTable(this.#packed, changed);
  }

  get(id: string): UserEntry | undefined {
    if (this.#changed === UNCHANGED) return this.#packed.get(id);
    const shard = this.#changed[shardOf(id)];
    return shard?.has(id) === true ? shard.get(id) : this.#packed.get(id);
  }

  /** Of everybody. */
  *ids(): Generator<string> {
    for (const id of this.#packed.ids()) if (this.get(id) !== undefined) yield id;
    for (const shard of this.#changed) for (const [id, entry] of shard) if (entry !== undefined && this.#packed.get(id) === undefined) yield id;
  }
}

/** By the end of the id: that is where ids differ. */
function shardOf(id: string): number {
  const { length } = id;
  return ((id.charCodeAt(length - 1) * 31 + id.charCodeAt(length - 2)) * 31 + id.charCodeAt(length - 3)) & (SHARDS - 1);
}
