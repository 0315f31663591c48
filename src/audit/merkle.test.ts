import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ARGON_2020, CONSISTENCY, INCLUSION, LEAVES, ROOTS } from "../../test/world/rfc6962.ts";
import { SqliteStore, type Transaction } from "../store/index.ts";
import { EMPTY_ROOT, GrowingRoot, verifyConsistency, verifyInclusion } from "./merkle.ts";
import { AUDIT_MIGRATIONS } from "./schema.ts";
import { growTree, StoredTree, SubtreeCache } from "./tree.ts";

const sha = (...parts: Uint8Array[]): Buffer => parts.reduce((digest, part) => digest.update(part), createHash("sha256")).digest();
const leafOf = (content: Uint8Array): Buffer => sha(Buffer.from([0]), content);
const hex = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text, "hex"));

/** RFC 6962, 2.1, as it is written. */
function naiveRoot(leaves: readonly Buffer[]): Buffer {
  const [only] = leaves;
  if (only === undefined) return sha();
  if (leaves.length === 1) return only;
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return sha(Buffer.from([1]), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

/** RFC 6962, 2.1.1. */
function naivePath(m: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return m < k ? [...naivePath(m, leaves.slice(0, k)), naiveRoot(leaves.slice(k))] : [...naivePath(m - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))];
}

/** RFC 6962, 2.1.2. */
function naiveSubproof(m: number, leaves: readonly Buffer[], known: boolean): Buffer[] {
  if (m === leaves.length) return known ? [] : [naiveRoot(leaves)];
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  if (m <= k) return [...naiveSubproof(m, leaves.slice(0, k), known), naiveRoot(leaves.slice(k))];
  return [...naiveSubproof(m - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))];
}

/** Every proof with one thing wrong with it. */
function spoiled(proof: readonly Buffer[], root: Buffer): Buffer[][] {
  const flipped = proof.map((_, at) => proof.map((one, i) => (i === at ? Buffer.from(one.map((byte, j) => (j === 5 ? byte ^ 8 : byte))) : one)));
  const shorter = proof.length === 0 ? [] : [proof.slice(1), proof.slice(0, -1)];
  return [...flipped, ...shorter, [...proof, root], [root, ...proof], [...proof, Buffer.alloc(0)], [...proof, Buffer.alloc(33)]];
}

async function withTree(leaves: readonly Buffer[], batches: readonly number[], work: (tree: StoredTree, tx: Transaction) => Promise<void>): Promise<void> {
  await using store = new SqliteStore();
  await store.migrate("audit", AUDIT_MIGRATIONS);
  let size = 0;
  for (const batch of [...batches, leaves.length]) {
    const taken = leaves.slice(size, size + batch);
    await store.write(async (tx) => {
      const timed = taken.map((hash, i) => ({ hash, low: `t${(size + i) % 7}`, high: `t${(size + i) % 7}` }));
      for (const [i, { hash, low }] of timed.entries())
        await tx.run("INSERT INTO audit_events (seq, body, leaf, hash) VALUES (?, ?, ?, ?)", [
          size + i + 1,
          JSON.stringify({ id: `e${size + i}`, timestamp: low }),
          hash,
          hash,
        ]);
      await growTree(tx, size, timed);
    });
    size += taken.length;
  }
  await store.read((tx) => work(new StoredTree(tx), tx));
}

describe("published vectors", () => {
  const leaves = hex(LEAVES).map(leafOf);

  test("roots of Certificate Transparency's reference tests", () => {
    const growing = new GrowingRoot();
    expect(growing.root().toString("hex")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (const [i, leaf] of leaves.entries()) {
      growing.add(leaf);
      expect(growing.root().toString("hex")).toBe(ROOTS[i]);
    }
  });

  test("its inclusion and consistency proofs: made, verified, and refused with anything changed", async () => {
    await withTree(leaves, [], async (tree) => {
      for (const [index, size, texts] of INCLUSION) {
        const [proof, root, leaf] = [hex(texts), Buffer.from(ROOTS[size - 1] ?? "", "hex"), leaves[index] ?? EMPTY_ROOT];
        expect(await tree.inclusion(index, size)).toEqual(proof);
        expect(verifyInclusion(leaf, index, size, proof, root)).toBe(true);
        for (const bad of spoiled(proof, root)) expect(verifyInclusion(leaf, index, size, bad, root)).toBe(false);
        for (const [i, n] of [
          [index + 1, size],
          [index - 1, size],
          [index ^ 2, size],
          [index, size * 2],
          [index, Math.floor(size / 2)],
        ] as const)
          if (proof.length > 0) expect(verifyInclusion(leaf, i, n, proof, root), `${i} of ${n}`).toBe(false);
        expect(verifyInclusion(root, index, size, proof, EMPTY_ROOT)).toBe(false);
      }
      for (const [oldSize, newSize, texts] of CONSISTENCY) {
        const [proof, old, grown] = [hex(texts), Buffer.from(ROOTS[oldSize - 1] ?? "", "hex"), Buffer.from(ROOTS[newSize - 1] ?? "", "hex")];
        expect(await tree.consistency(oldSize, newSize)).toEqual(proof);
        expect(verifyConsistency(oldSize, old, newSize, grown, proof)).toBe(true);
        for (const bad of spoiled(proof, grown)) expect(verifyConsistency(oldSize, old, newSize, grown, bad)).toBe(false);
        if (oldSize !== newSize) expect(verifyConsistency(oldSize, grown, newSize, old, proof)).toBe(false);
        expect(verifyConsistency(oldSize, Buffer.alloc(32, 1), newSize, grown, proof)).toBe(false);
        expect(verifyConsistency(oldSize, old, newSize, Buffer.alloc(32, 1), proof)).toBe(false);
      }
    });
  });

  test("answers of the Argon 2020 log, as Go's tlog tests have them", () => {
    const base64 = (text: string): Buffer => Buffer.from(text, "base64");
    const { size, root, index, leaf, inclusion, oldSize, oldRoot, consistency } = ARGON_2020;
    expect(verifyInclusion(base64(leaf), index, size, inclusion.map(base64), base64(root))).toBe(true);
    expect(verifyInclusion(base64(leaf), index + 1, size, inclusion.map(base64), base64(root))).toBe(false);
    expect(verifyConsistency(oldSize, base64(oldRoot), size, base64(root), consistency.map(base64))).toBe(true);
    expect(verifyConsistency(oldSize + 1, base64(oldRoot), size, base64(root), consistency.map(base64))).toBe(false);
  });
});

test("sizes and hashes that make no sense are refused, not computed with", () => {
  const root = Buffer.alloc(32, 7);
  expect(verifyInclusion(root, 0, 0, [], root)).toBe(false);
  expect(verifyInclusion(root, -1, 1, [], root)).toBe(false);
  expect(verifyInclusion(root, 0.5, 1, [], root)).toBe(false);
  expect(verifyInclusion(root, 0, 2 ** 53, [], root)).toBe(false);
  expect(verifyInclusion(Buffer.alloc(31), 0, 1, [], Buffer.alloc(31))).toBe(false);
  expect(verifyConsistency(2, root, 1, root, [])).toBe(false);
  expect(verifyConsistency(0, root, 1, root, [])).toBe(false);
  expect(verifyConsistency(0, EMPTY_ROOT, 1, root, [])).toBe(true);
  expect(verifyConsistency(0, EMPTY_ROOT, 1, root, [root])).toBe(false);
  expect(verifyConsistency(1, root, 1, root, [root])).toBe(false);
  expect(() => new GrowingRoot(3, [root])).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

test("property: stored tree, growing root and proofs are those of the RFC's recursion, however the leaves came", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 700 }),
      fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 30 }),
      fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 6 }),
      async (count, batches, picks) => {
        const leaves = Array.from({ length: count }, (_, i) => leafOf(Buffer.from(`leaf ${i}`)));
        const growing = new GrowingRoot();
        for (const leaf of leaves) growing.add(leaf);
        expect(growing.root()).toEqual(naiveRoot(leaves));
        const again = new GrowingRoot(growing.size, growing.subtrees);
        expect(again.root()).toEqual(growing.root());
        await withTree(leaves, batches, async (tree) => {
          for (const [a, b] of picks) {
            const size = 1 + (a % count);
            const index = b % size;
            const [until, root] = [leaves.slice(0, size), naiveRoot(leaves.slice(0, size))];
            expect(await tree.root(size)).toEqual(root);
            const inclusion = await tree.inclusion(index, size);
            expect(inclusion).toEqual(naivePath(index, until));
            expect(verifyInclusion(leaves[index] ?? root, index, size, inclusion, root)).toBe(true);
            for (const bad of spoiled(inclusion, root)) expect(verifyInclusion(leaves[index] ?? root, index, size, bad, root)).toBe(false);
            const [oldSize, old] = [index + 1, naiveRoot(leaves.slice(0, index + 1))];
            const consistency = await tree.consistency(oldSize, size);
            expect(consistency).toEqual(naiveSubproof(oldSize, until, true));
            expect(verifyConsistency(oldSize, old, size, root, consistency)).toBe(true);
            for (const bad of spoiled(consistency, root)) expect(verifyConsistency(oldSize, old, size, root, bad)).toBe(false);
            expect(verifyConsistency(oldSize, Buffer.alloc(32, 1), size, root, consistency)).toBe(false);
          }
        });
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);

test("stored nodes are written once, and know the times below them", async () => {
  const leaves = Array.from({ length: 300 }, (_, i) => leafOf(Buffer.from(String(i))));
  await withTree(leaves, [1, 15, 16, 100], async (_tree, tx) => {
    const rows = await tx.all("SELECT level, idx, hash, low, high FROM audit_nodes ORDER BY level, idx");
    expect(rows.map(({ level, idx }) => `${String(level)}/${String(idx)}`)).toEqual([...Array.from({ length: 18 }, (_, i) => `1/${i}`), "2/0"]);
    expect(Buffer.from(rows[18]?.["hash"] instanceof Uint8Array ? rows[18]["hash"] : [])).toEqual(naiveRoot(leaves.slice(0, 256)));
    expect(rows[0]).toMatchObject({ low: "t0", high: "t6" });
  });
});

test("what a cache remembers of one question answers the next as the tree itself would", async () => {
  const leaves = Array.from({ length: 5000 }, (_, i) => leafOf(Buffer.from(String(i))));
  await withTree(leaves, [1024, 3000], async (_tree, tx) => {
    const cache = new SubtreeCache();
    for (const size of [5000, 4097, 2048, 1025, 5000, 4096, 3333]) {
      const root = naiveRoot(leaves.slice(0, size));
      expect(await new StoredTree(tx, cache).root(size)).toEqual(root);
      for (const index of [0, size - 1, 1024, 1023, size >> 1]) {
        const proof = await new StoredTree(tx, cache).inclusion(index, size);
        expect(proof).toEqual(await new StoredTree(tx).inclusion(index, size));
        expect(verifyInclusion(leaves[index] ?? root, index, size, proof, root)).toBe(true);
      }
    }
    expect(cache.get(0, 4096)).toEqual(naiveRoot(leaves.slice(0, 4096)));
  });
});
