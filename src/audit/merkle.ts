/**
 * RFC 6962 Merkle trees without storage: the hash of an inner node, roots that grow leaf by leaf, and the verification of
 * inclusion and consistency proofs. What a third party needs to check a log, and nothing else.
 */
import { CofferdamError } from "../foundation/index.ts";
import { sha256 } from "./sha256.ts";

/** Bytes of every hash here. */
export const HASH_BYTES = 32;
/** More hashes than any proof of a tree with at most 2^53 leaves has. */
export const MAX_PROOF = 63;
const NODE_PREFIX = Buffer.from([0x01]);
/** Root of the tree without leaves: SHA-256 of nothing (RFC 6962, 2.1). */
export const EMPTY_ROOT: Buffer = sha256("");

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return sha256(Buffer.concat([NODE_PREFIX, left, right]));
}

/** The largest power of two below `n`, for n >= 2: where RFC 6962 splits a tree. */
export function splitOf(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** True when `leaf` is leaf number `index` (from 0) of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2). */
export function verifyInclusion(leaf: Uint8Array, index: number, size: number, proof: readonly Uint8Array[], root: Uint8Array): boolean {
  if (!isSize(size) || !isSize(index) || index >= size || !areHashes([leaf, root, ...proof])) return false;
  let at = index;
  let last = size - 1;
  let found: Buffer = Buffer.from(leaf);
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(at) || at === last) {
      found = nodeHash(sibling, found);
      while (!isOdd(at) && at !== 0) {
        at = half(at);
        last = half(last);
      }
    } else found = nodeHash(found, sibling);
    at = half(at);
    last = half(last);
  }
  return last === 0 && found.equals(root);
}

/** True when the tree of `newSize` leaves begins with the tree of `oldSize` leaves (RFC 9162, 2.1.4.2). */
export function verifyConsistency(oldSize: number, oldRoot: Uint8Array, newSize: number, newRoot: Uint8Array, proof: readonly Uint8Array[]): boolean {
  if (!isSize(oldSize) || !isSize(newSize) || oldSize > newSize || !areHashes([oldRoot, newRoot, ...proof])) return false;
  if (oldSize === newSize) return proof.length === 0 && Buffer.from(oldRoot).equals(newRoot);
  if (oldSize === 0) return proof.length === 0 && EMPTY_ROOT.equals(oldRoot);
  // A perfect old tree is a node of the new one, so its own root opens the path.
  const path = isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let at = oldSize - 1;
  let last = newSize - 1;
  while (isOdd(at)) {
    at = half(at);
    last = half(last);
  }
  let old: Buffer = Buffer.from(first);
  let grown: Buffer = Buffer.from(first);
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(at) || at === last) {
      old = nodeHash(sibling, old);
      grown = nodeHash(sibling, grown);
      while (!isOdd(at) && at !== 0) {
        at = half(at);
        last = half(last);
      }
    } else grown = nodeHash(grown, sibling);
    at = half(at);
    last = half(last);
  }
  return last === 0 && old.equals(oldRoot) && grown.equals(newRoot);
}

/** A tree reduced to the roots of its perfect subtrees, largest first: at most 53 hashes, enough to go on from. */
export class GrowingRoot {
  readonly #subtrees: Buffer[];
  #size: number;

  /** @param subtrees as {@link subtrees} gave them for `size`. Throws INVALID_ARGUMENT when they do not fit. */
  constructor(size = 0, subtrees: readonly Uint8Array[] = []) {
    if (!isSize(size) || ones(size) !== subtrees.length || !areHashes(subtrees))
      throw new CofferdamError("INVALID_ARGUMENT", "these hashes are not the subtrees of a tree of that size");
    this.#size = size;
    this.#subtrees = subtrees.map((subtree) => Buffer.from(subtree));
  }

  get size(): number {
    return this.#size;
  }

  get subtrees(): readonly Buffer[] {
    return this.#subtrees;
  }

  /** @param whole is told the root of every perfect subtree that the leaf completes, from height 1 upwards. */
  add(leaf: Buffer, whole?: (height: number, root: Buffer) => void): void {
    let node = leaf;
    let height = 0;
    for (let rest = this.#size; isOdd(rest); rest = half(rest)) {
      const left = this.#subtrees.pop();
      if (left !== undefined) node = nodeHash(left, node);
      height += 1;
      whole?.(height, node);
    }
    this.#subtrees.push(node);
    this.#size += 1;
  }

  root(): Buffer {
    return this.#subtrees.reduceRight<Buffer | undefined>((right, left) => (right === undefined ? left : nodeHash(left, right)), undefined) ?? EMPTY_ROOT;
  }
}

function isSize(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function areHashes(values: readonly Uint8Array[]): boolean {
  return values.length <= MAX_PROOF + 2 && values.every((value) => value.length === HASH_BYTES);
}

// Bit operators of the language end at 32 bits; sizes do not.
function isOdd(n: number): boolean {
  return n % 2 === 1;
}

function half(n: number): number {
  return Math.floor(n / 2);
}

function isPowerOfTwo(n: number): boolean {
  return ones(n) === 1;
}

function ones(n: number): number {
  let count = 0;
  for (let rest = n; rest > 0; rest = half(rest)) count += rest % 2;
  return count;
}
