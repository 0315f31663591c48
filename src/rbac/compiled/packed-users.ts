/**
 * Many users in a few arrays outside of the heap: a hundred thousand take some megabytes, and nothing for the garbage collector
 * to walk through. A hash table leads from an id to its number; ids themselves are compared, so a collision is only slower.
 */
import { randomInt } from "node:crypto";
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

/** What is to be packed. */
export interface PackedSize {
  readonly users: number;
  /** Characters of all ids; they are ASCII. */
  readonly characters: number;
  readonly assignments: number;
}

/** In the place of a list: the user is disabled. */
const NOBODY = 0xffff_ffff;

export class PackedUsers {
  readonly #ids: Uint8Array;
  /** Where the id of each ends, and where the list of each ends. */
  readonly #idEnds: Uint32Array;
  readonly #listEnds: Uint32Array;
  /** Numbers of assignments, list after list. */
  readonly #lists: Uint32Array;
  /** Numbers of users from 1, by hash; 0 is free. */
  readonly #slots: Uint32Array;
  readonly #shift: number;
  readonly #seed: number;
  /** Equal ones are one, whoever has them. */
  readonly #assignments: CompiledAssignment[] = [];
  readonly #numbers = new Map<CompiledAssignment, number>();
  #users = 0;

  constructor({ users, characters, assignments }: PackedSize) {
    this.#ids = new Uint8Array(characters);
    this.#idEnds = new Uint32Array(users);
    this.#listEnds = new Uint32Array(users);
    this.#lists = new Uint32Array(assignments + users);
    const bits = Math.ceil(Math.log2(2 * users + 1));
    this.#slots = new Uint32Array(2 ** bits);
    this.#shift = 32 - bits;
    this.#seed = randomInt(2 ** 32);
  }

  get size(): number {
    return this.#users;
  }

  /** A user who is not in it yet. Throws RangeError for more than there was said to be. */
  add(id: string, entry: UserEntry): void {
    const user = this.#users;
    if (user === this.#idEnds.length) throw new RangeError("more users than there is room for");
    const from = this.#idEnds[user - 1] ?? 0;
    for (let i = 0; i < id.length; i++) this.#ids[from + i] = id.charCodeAt(i);
    this.#idEnds[user] = from + id.length;
    let end = this.#listEnds[user - 1] ?? 0;
    if (entry === DISABLED) this.#lists[end++] = NOBODY;
    else for (const assignment of entry) this.#lists[end++] = this.#numberOf(assignment);
    this.#listEnds[user] = end;
    let slot = this.#slotOf(id);
    while (this.#slots[slot] !== 0) slot = this.#after(slot);
    this.#slots[slot] = user + 1;
    this.#users += 1;
  }

  get(id: string): UserEntry | undefined {
    for (let slot = this.#slotOf(id); ; slot = this.#after(slot)) {
      const user = (this.#slots[slot] ?? 0) - 1;
      if (user === -1) return undefined;
      if (this.#hasId(user, id)) return this.#entry(user);
    }
  }

  *ids(): Generator<string> {
    for (let user = 0; user < this.#users; user++) yield String.fromCharCode(...this.#ids.subarray(this.#idEnds[user - 1] ?? 0, this.#idEnds[user]));
  }

  #entry(user: number): UserEntry {
    const from = this.#listEnds[user - 1] ?? 0;
    const to = this.#listEnds[user] ?? from;
    if (from === to) return NO_ROLES;
    if (this.#lists[from] === NOBODY) return DISABLED;
    const entry: CompiledAssignment[] = [];
    for (let at = from; at < to; at++) {
      const assignment = this.#assignments[this.#lists[at] ?? NOBODY];
      if (assignment !== undefined) entry.push(assignment);
    }
    return entry;
  }

  #hasId(user: number, id: string): boolean {
    const from = this.#idEnds[user - 1] ?? 0;
    if ((this.#idEnds[user] ?? 0) - from !== id.length) return false;
    for (let i = 0; i < id.length; i++) if (this.#ids[from + i] !== id.charCodeAt(i)) return false;
    return true;
  }

  #numberOf(assignment: CompiledAssignment): number {
    const known = this.#numbers.get(assignment);
    if (known !== undefined) return known;
    const number = this.#assignments.push(assignment) - 1;
    this.#numbers.set(assignment, number);
    return number;
  }

  /** FNV-1a from a seed of this table's own, mixed once more: the last characters are in the upper bits only. */
  #slotOf(id: string): number {
    let hash = this.#seed;
    for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x0100_0193);
    hash ^= hash >>> 15;
    return Math.imul(hash, 0x2c1b_3c6d) >>> this.#shift;
  }

  #after(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }
}
