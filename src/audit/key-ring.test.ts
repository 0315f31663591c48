import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { EventBody } from "./body.ts";
import type { AuditEventInput } from "./event.ts";
import { KeyRing, pinned, replacementEvent, rotationEvent } from "./key-ring.ts";
import { rawPublicKey, type VerifierKey, verifierKey } from "./note.ts";

const make = (): { key: VerifierKey; privateKey: KeyObject } => {
  const { privateKey } = generateKeyPairSync("ed25519");
  return { key: verifierKey("cofferdam/log_1", 1, rawPublicKey(privateKey)), privateKey };
};
const [first, second, stranger] = [make(), make(), make()];
const body = ({ personal: _none, ...event }: AuditEventInput): EventBody => ({
  ...event,
  id: "evt_1",
  seq: 5,
  timestamp: "2026-01-01T00:00:00.000Z",
  logId: "log_1",
  schemaVersion: 1,
  salt: "",
});
const ring = (trustReplaced = false): KeyRing => new KeyRing([pinned(first.key)], { trustReplaced });

describe("a rotation", () => {
  test("the old key vouches for the new one, and signs until it is said to", () => {
    const keys = ring();
    expect(keys.learn(body(rotationEvent(first.key, first.privateKey, second.key, 100)))).toBeUndefined();
    expect(keys.keysFor(100)).toEqual([first.key, second.key]);
    expect(keys.keysFor(101)).toEqual([second.key]);
  });

  test.each<[string, AuditEventInput]>([
    ["signed by another key", rotationEvent(first.key, stranger.privateKey, second.key, 100)],
    ["with another end of the overlap than was signed", edited({ bothUntil: 1_000_000 })],
    ["to another key than was signed", edited({ to: rotationEvent(first.key, first.privateKey, stranger.key, 100).details?.["to"] })],
    ["with a signature that is none", edited({ signature: "AAAA" })],
    ["that cannot be read", edited({ more: 1 })],
    ["to a key of another name", rotationEvent(first.key, first.privateKey, verifierKey("cofferdam/log_2", 1, second.key.raw), 100)],
  ])("%s is not believed", (_name, event) => {
    const keys = ring();
    expect(keys.learn(body(event))).toMatch(/key rotation/);
    expect(keys.keysFor(1_000)).toEqual([first.key]);
  });

  test("of a key that is not known says nothing to a verifier with a pinned one, and is wrong in a log that is asked about itself", () => {
    const event = body(rotationEvent(stranger.key, stranger.privateKey, second.key, 100));
    expect([ring().learn(event), ring(true).learn(event)]).toEqual([undefined, expect.stringContaining("no known key")]);
  });

  test("in another category it is any event", () => {
    const keys = ring();
    expect(keys.learn(body({ ...rotationEvent(first.key, first.privateKey, second.key, 100), category: "other" }))).toBeUndefined();
    expect(keys.keysFor(1)).toEqual([first.key]);
  });
});

test("a key after a loss is believed only where nothing better is known", () => {
  const event = body(replacementEvent(second.key, "lost"));
  const [pinnedRing, own] = [ring(), ring(true)];
  expect([pinnedRing.learn(event), own.learn(event)]).toEqual([undefined, undefined]);
  expect([pinnedRing.replaced, own.replaced]).toEqual([false, true]);
  expect([pinnedRing.keysFor(9), own.keysFor(9)]).toEqual([[first.key], [first.key, second.key]]);
});

/** A rotation with something else in its place than what was signed. */
function edited(change: Readonly<Record<string, unknown>>): AuditEventInput {
  const event = rotationEvent(first.key, first.privateKey, second.key, 100);
  return { ...event, details: JSON.parse(JSON.stringify({ ...event.details, ...change })) };
}
