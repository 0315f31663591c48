import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { additionalData, type Purpose } from "./additional-data.ts";
import { OVERHEAD, openBox, sealBox } from "./box.ts";
import { type Envelope, openValue, type Place, rewrap, sealValue } from "./envelope.ts";
import { type MasterKey, masterKeyId, newMasterKey } from "./master-key.ts";

const master = newMasterKey();
const place: Place = { storeId: "sec_1", secretId: "npm/publish", version: 3 };
const said = Buffer.from("digest of what was said");
const value = fc.uint8Array({ maxLength: 200 });

/** The one text of every refusal. */
function refusalOf(open: () => unknown): string {
  try {
    open();
  } catch (error) {
    if (error instanceof Error) return `${"code" in error ? String(error.code) : ""} ${error.message}`;
  }
  throw new Error("it opened");
}

const REFUSAL = refusalOf(() => openBox(Buffer.alloc(32), Buffer.alloc(OVERHEAD), Buffer.alloc(0)));

test("property: what was sealed opens again, is never the same twice, and has no trace of the value", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 200 }), (bytes) => {
      const [one, other] = [sealValue(master, place, said, bytes), sealValue(master, place, said, bytes)];
      expect(Buffer.from(openValue(master, place, said, one))).toEqual(Buffer.from(bytes));
      expect(one.wrapped).not.toEqual(other.wrapped);
      expect(one.sealed).not.toEqual(other.sealed);
      expect(Buffer.from(one.sealed).includes(bytes)).toBe(false);
    }),
  );
});

test("property: a flipped bit anywhere is refused, in one text", () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.boolean(), (bytes, at, inKey) => {
      const { keyId, wrapped, sealed } = sealValue(master, place, said, bytes);
      const changed = Buffer.from(inKey ? wrapped : sealed);
      const bit = at % (8 * changed.length);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const envelope: Envelope = inKey ? { keyId, wrapped: changed, sealed } : { keyId, wrapped, sealed: changed };
      expect(refusalOf(() => openValue(master, place, said, envelope))).toBe(REFUSAL);
    }),
  );
});

describe("moved, or under something else: refused, in one text", () => {
  const envelope = sealValue(master, place, said, Buffer.from("hunter2"));
  const other = sealValue(master, { ...place, version: 4 }, said, Buffer.from("hunter3"));
  const cases: Readonly<Record<string, [MasterKey, Place, Uint8Array, Envelope]>> = {
    "another store": [master, { ...place, storeId: "sec_2" }, said, envelope],
    "another secret": [master, { ...place, secretId: "npm/read" }, said, envelope],
    "another version": [master, { ...place, version: 4 }, said, envelope],
    "other words about it": [master, place, Buffer.from("another digest"), envelope],
    "another key": [newMasterKey(), place, said, envelope],
    "the same key by another name": [{ id: "mk_0", key: master.key }, place, said, envelope],
    "the value of another version": [master, place, said, { ...envelope, sealed: other.sealed }],
    "the key of another version": [master, place, said, { ...envelope, wrapped: other.wrapped }],
    "cut short": [master, place, said, { ...envelope, sealed: envelope.sealed.subarray(0, OVERHEAD - 1) }],
    nothing: [master, place, said, { ...envelope, sealed: new Uint8Array() }],
  };
  test.each(Object.keys(cases))("%s", (name) => {
    const found = cases[name];
    if (found === undefined) throw new Error("no case");
    expect(refusalOf(() => openValue(...found))).toBe(REFUSAL);
  });
});

test("under another master key the value is the same, and the old one does not open it any more", () => {
  const next = newMasterKey();
  const before = sealValue(master, place, said, Buffer.from("hunter2"));
  const after = { keyId: next.id, wrapped: rewrap(master, next, place, before.wrapped), sealed: before.sealed };
  expect(openValue(next, place, said, after).toString()).toBe("hunter2");
  expect(refusalOf(() => openValue(master, place, said, after))).toBe(REFUSAL);
  expect(refusalOf(() => rewrap(next, master, place, before.wrapped))).toBe(REFUSAL);
  for (const elsewhere of [
    { ...place, version: 4 },
    { ...place, secretId: "npm/read" },
    { ...place, storeId: "sec_2" },
  ])
    expect(refusalOf(() => rewrap(master, next, elsewhere, before.wrapped))).toBe(REFUSAL);
});

test("a box of one purpose is none of another", () => {
  const key = newMasterKey().key;
  const sealed = sealBox(key, Buffer.from("x"), additionalData("value", "a"));
  expect(refusalOf(() => openBox(key, sealed, additionalData("backup", "a")))).toBe(REFUSAL);
});

test("property: two lists of parts never give the same bytes", () => {
  const purpose = fc.constantFrom<Purpose>("value", "data-key", "record");
  const parts = fc.array(fc.oneof(fc.string({ maxLength: 6 }), fc.nat(99)), { maxLength: 4 });
  fc.assert(
    fc.property(purpose, parts, purpose, parts, (one, ofOne, other, ofOther) => {
      const same = one === other && JSON.stringify(ofOne.map(String)) === JSON.stringify(ofOther.map(String));
      expect(additionalData(one, ...ofOne).equals(additionalData(other, ...ofOther))).toBe(same);
    }),
    { numRuns: 2000 },
  );
});

test("a master key is named by its own bytes", () => {
  const { id, key } = newMasterKey();
  expect(id).toMatch(/^mk_[0-9a-f]{32}$/);
  expect(masterKeyId(key)).toBe(id);
  expect(masterKeyId(Buffer.from(key).fill(1, 0, 1))).not.toBe(id);
});
