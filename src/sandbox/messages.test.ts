import { expect, test } from "vitest";
import { readMessage } from "./messages.ts";

const ended = { ended: true, exit: 0, signal: 0, cpuMs: 1, maxRss: 2, leftovers: 0, killedBy: null };

test("each message as pid 1 sends it", () => {
  expect(readMessage({ ready: true, landlock: 6 })).toEqual({ kind: "ready", landlock: 6 });
  expect(readMessage({ refused: "read", what: "/x", why: "hidden", by: "sh > node" })).toEqual({
    kind: "refused",
    ...{ refused: "read", what: "/x", why: "hidden", by: "sh > node" },
  });
  expect(readMessage(ended)).toMatchObject({ kind: "ended", exit: 0, killedBy: null });
  expect(readMessage({ ...ended, killedBy: "memory" })).toMatchObject({ killedBy: "memory" });
  expect(readMessage({ overflow: true })).toEqual({ kind: "overflow" });
  expect(readMessage({ door: 5 })).toEqual({ kind: "door" });
});

test.each([
  [undefined],
  [null],
  ["ready"],
  [{}],
  [{ ready: true }],
  [{ ready: true, landlock: -1 }],
  [{ ready: true, landlock: 1, more: 1 }],
  [{ ready: true, landlock: 1, ended: true }],
  [{ refused: "delete", what: "", why: "", by: "" }],
  [{ refused: "read", what: "x".repeat(16_385), why: "", by: "" }],
  [{ ...ended, exit: "0" }],
  [{ ...ended, killedBy: "timeout" }],
  [{ ...ended, leftovers: 1.5 }],
])("%j is not a message", (raw) => expect(readMessage(raw)).toBeUndefined());

test("texts are bounded at 16 KiB", () => {
  expect(readMessage({ refused: "read", what: "x".repeat(16_384), why: "", by: "" })).toMatchObject({ kind: "refused" });
});
