/** Patterns of rules as numbers, and sets of them as bits. What is asked for meets at most four patterns, however many there are. */
import { parsePermission } from "../permission.ts";

/** One bit for each pattern. */
export type Bits = Uint32Array;

/** Numbers of the patterns that a permission meets; empty when no rule of any role speaks of it. */
export type Met = readonly number[];

/** Permissions whose patterns are kept. Whoever asks for more different ones pays for looking them up. */
const MAX_KEPT = 10_000;

export class Patterns {
  readonly #numbers = new Map<string, number>();
  readonly #met = new Map<string, Met>();

  /** The number of a well-formed pattern; a new one when it has none yet. */
  add(pattern: string): number {
    const known = this.#numbers.get(pattern);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(pattern, number);
    return number;
  }

  get size(): number {
    return this.#numbers.size;
  }

  /** What a permission meets, or undefined for what is no permission. */
  met(permission: string): Met | undefined {
    const kept = this.#met.get(permission);
    if (kept !== undefined) return kept;
    const parts = parsePermission(permission);
    if (parts === undefined) return undefined;
    const { resource, verb } = parts;
    const met = [permission, `${resource}:*`, `*:${verb}`, "*:*"].flatMap((pattern) => this.#numbers.get(pattern) ?? []);
    if (this.#met.size >= MAX_KEPT) this.#met.clear();
    this.#met.set(permission, met);
    return met;
  }
}

/** A set with room for `size` patterns. */
export function emptyBits(size: number): Bits {
  return new Uint32Array(Math.ceil(size / 32));
}

export function setBit(bits: Bits, number: number): void {
  bits[number >>> 5] = (bits[number >>> 5] ?? 0) | (1 << (number & 31));
}

export function addBits(bits: Bits, more: Bits): void {
  for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) | (more[i] ?? 0);
}

export function meets(bits: Bits, met: Met): boolean {
  for (const number of met) if ((((bits[number >>> 5] ?? 0) >>> (number & 31)) & 1) === 1) return true;
  return false;
}
