/**
 * The Merkle tree of the log as it is stored: leaves stand with the events, and the roots of perfect subtrees of 16, 256,
 * 4096... leaves in `audit_nodes`. A node is written once, when its last leaf is, and never changed; what lies between two
 * stored levels is computed again from at most 16 hashes. Besides its hash a node knows the earliest and the latest time below it.
 */
import { CofferdamError } from "../foundation/index.ts";
import type { Row, Transaction } from "../store/index.ts";
import { EMPTY_ROOT, nodeHash, splitOf } from "./merkle.ts";
import { bytesOf } from "./row.ts";

/** Children of a stored node. */
export const FANOUT = 16;
/** log2 of {@link FANOUT}. */
const HEIGHT = 4;

/** A leaf or a stored node: its hash, and the times of the events below it (ISO 8601). */
export interface TimedHash {
  readonly hash: Buffer;
  readonly low: string;
  readonly high: string;
}

/** Leaves below a node of this level. */
export function leavesOf(level: number): number {
  return FANOUT ** level;
}

/** The node above these {@link FANOUT} children. */
export function joined(children: readonly TimedHash[]): TimedHash {
  let low: string | undefined;
  let high: string | undefined;
  for (const child of children) {
    if (low === undefined || child.low < low) low = child.low;
    if (high === undefined || child.high > high) high = child.high;
  }
  return { hash: perfectRoot(children.map(({ hash }) => hash)), low: low ?? "", high: high ?? "" };
}

/** Stores the nodes that became whole. @param before size of the tree before `leaves` were appended to it. */
export async function growTree(tx: Transaction, before: number, leaves: readonly TimedHash[]): Promise<void> {
  let size = before;
  let fresh = leaves;
  for (let level = 1; ; level++) {
    const first = Math.floor(size / FANOUT);
    const end = Math.floor((size + fresh.length) / FANOUT);
    if (end === first) return;
    const left = await nodesAt(tx, level - 1, first * FANOUT, size - first * FANOUT);
    const children = [...left, ...fresh];
    const nodes: TimedHash[] = [];
    for (let index = first; index < end; index++) {
      const node = joined(children.slice((index - first) * FANOUT, (index - first + 1) * FANOUT));
      await tx.run("INSERT INTO audit_nodes (level, idx, hash, low, high) VALUES (?, ?, ?, ?, ?)", [level, index, node.hash, node.low, node.high]);
      nodes.push(node);
    }
    size = first;
    fresh = nodes;
  }
}

/**
 * Roots of large subtrees that were computed before. What a tree has below a place never changes, so neither do they; a
 * caller that hands out proofs verifies them against a root all the same.
 */
export class SubtreeCache {
  readonly #roots = new Map<string, Buffer>();

  get(start: number, size: number): Buffer | undefined {
    return this.#roots.get(`${start}+${size}`);
  }

  set(start: number, size: number, root: Buffer): void {
    if (size < SMALLEST_CACHED) return;
    if (this.#roots.size >= MOST_CACHED) this.#roots.clear();
    this.#roots.set(`${start}+${size}`, root);
  }
}

/** Leaves of the smallest subtree that is remembered: below it, computing costs little. */
const SMALLEST_CACHED = 1024;
const MOST_CACHED = 32_768;

/** Roots and proofs from the stored tree; holds what it read for as long as one question takes. */
export class StoredTree {
  readonly #tx: Transaction;
  readonly #cache: SubtreeCache;
  readonly #groups = new Map<string, readonly Buffer[]>();

  /** @param cache of the same log, to be shared by many questions. */
  constructor(tx: Transaction, cache: SubtreeCache = new SubtreeCache()) {
    this.#tx = tx;
    this.#cache = cache;
  }

  /** Root of the first `size` leaves. Throws INTEGRITY_FAILURE when the tree lacks some of them. */
  async root(size: number): Promise<Buffer> {
    return size === 0 ? EMPTY_ROOT : await this.#subtree(0, size);
  }

  /** Inclusion proof of leaf `index` (from 0) in the tree of `size` leaves, from the leaf's sibling upwards (RFC 6962, 2.1.1). */
  async inclusion(index: number, size: number): Promise<Buffer[]> {
    const proof: Buffer[] = [];
    let start = 0;
    for (let n = size; n > 1; ) {
      const k = splitOf(n);
      if (index < start + k) {
        proof.push(await this.#subtree(start + k, n - k));
        n = k;
      } else {
        proof.push(await this.#subtree(start, k));
        start += k;
        n -= k;
      }
    }
    return proof.reverse();
  }

  /** Consistency proof between the trees of two sizes (RFC 6962, 2.1.2). */
  async consistency(oldSize: number, newSize: number): Promise<Buffer[]> {
    if (oldSize === 0 || oldSize === newSize) return [];
    const proof: Buffer[] = [];
    let start = 0;
    let size = newSize;
    while (oldSize - start !== size) {
      const k = splitOf(size);
      if (oldSize - start <= k) {
        proof.push(await this.#subtree(start + k, size - k));
        size = k;
      } else {
        proof.push(await this.#subtree(start, k));
        start += k;
        size -= k;
      }
    }
    // At the left edge the verifier has this one already: it is the old root.
    if (start > 0) proof.push(await this.#subtree(start, size));
    return proof.reverse();
  }

  /** Root of `size` leaves from `start` on, which is where RFC 6962 cuts and so a multiple of the next power of two. */
  async #subtree(start: number, size: number): Promise<Buffer> {
    const known = this.#cache.get(start, size);
    if (known !== undefined) return known;
    const root = await this.#computed(start, size);
    this.#cache.set(start, size, root);
    return root;
  }

  async #computed(start: number, size: number): Promise<Buffer> {
    if (size === 1) return await this.#perfect(0, start);
    const k = splitOf(size);
    if (k * 2 === size) return await this.#perfect(Math.log2(size), start / size);
    return nodeHash(await this.#perfect(Math.log2(k), start / k), await this.#subtree(start + k, size - k));
  }

  async #perfect(height: number, index: number): Promise<Buffer> {
    const level = Math.floor(height / HEIGHT);
    const width = 2 ** (height % HEIGHT);
    const first = index * width;
    const group = await this.#group(level, Math.floor(first / FANOUT));
    const nodes = group.slice(first % FANOUT, (first % FANOUT) + width);
    if (nodes.length !== width) throw new CofferdamError("INTEGRITY_FAILURE", "the audit trail lacks part of its tree", { hint: "cofferdam audit verify" });
    return perfectRoot(nodes);
  }

  /** The (at most {@link FANOUT}) stored hashes that have one parent. */
  async #group(level: number, parent: number): Promise<readonly Buffer[]> {
    const key = `${level}/${parent}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const first = parent * FANOUT;
    const rows =
      level === 0
        ? await this.#tx.all("SELECT seq - 1 AS at, leaf AS hash FROM audit_events WHERE seq > ? AND seq <= ? ORDER BY seq", [first, first + FANOUT])
        : await this.#tx.all("SELECT idx AS at, hash FROM audit_nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx", [level, first, first + FANOUT]);
    const nodes = contiguous(rows, first).map((row) => bytesOf(row["hash"]));
    this.#groups.set(key, nodes);
    return nodes;
  }
}

/** Stored nodes (leaves at level 0) with their times from `first` on, up to the first that is not there; at most `count`. */
async function nodesAt(tx: Transaction, level: number, first: number, count: number): Promise<TimedHash[]> {
  if (count === 0) return [];
  const rows =
    level === 0
      ? await tx.all("SELECT seq - 1 AS at, leaf AS hash, timestamp AS low, timestamp AS high FROM audit_events WHERE seq > ? AND seq <= ? ORDER BY seq", [
          first,
          first + count,
        ])
      : await tx.all("SELECT idx AS at, hash, low, high FROM audit_nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx", [level, first, first + count]);
  return contiguous(rows, first).map((row) => ({ hash: bytesOf(row["hash"]), low: String(row["low"]), high: String(row["high"]) }));
}

/** The rows up to the first place that is empty. */
function contiguous(rows: readonly Row[], first: number): readonly Row[] {
  const gap = rows.findIndex((row, i) => Number(row["at"]) !== first + i);
  return gap < 0 ? rows : rows.slice(0, gap);
}

function perfectRoot(nodes: readonly Buffer[]): Buffer {
  let level = nodes;
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let i = 0; i + 1 < level.length; i += 2) above.push(nodeHash(level[i] ?? EMPTY_ROOT, level[i + 1] ?? EMPTY_ROOT));
    level = above;
  }
  return level[0] ?? EMPTY_ROOT;
}
