/** Limits of one event, each at the limit and one past. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { canonicalBytes, type JsonValue } from "../foundation/index.ts";
import { MAX_DETAILS_DEPTH, MAX_EVENT_BYTES } from "./event.ts";
import { type AuditEvent, type AuditEventInput, AuditLogger } from "./index.ts";

let audit: AuditLogger;
beforeEach(async () => {
  audit = new AuditLogger();
  await audit.initialize();
});
afterEach(() => audit.close());

const log = (more: Partial<AuditEventInput>): Promise<AuditEvent> => audit.log({ category: "c", action: "a", result: "success", ...more });
const nested = (depth: number): JsonValue => (depth === 0 ? 1 : { x: nested(depth - 1) });

test("64 KiB of canonical bytes, to the byte", async () => {
  // Room is kept for the longest sequence number, so that what fits today fits at any place in the log.
  const { integrity: _, ...body } = await log({ details: { x: "" } });
  const room = MAX_EVENT_BYTES - canonicalBytes({ ...body, seq: Number.MAX_SAFE_INTEGER }).length;
  expect(MAX_EVENT_BYTES).toBe(65_536);
  await expect(log({ details: { x: "y".repeat(room) } })).resolves.toMatchObject({ seq: 2 });
  await expect(log({ details: { x: "y".repeat(room + 1) } })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  // Bytes and not characters.
  await expect(log({ details: { x: "é".repeat(Math.floor(room / 2)) } })).resolves.toMatchObject({ seq: 3 });
  await expect(log({ details: { x: "é".repeat(Math.floor(room / 2) + 1) } })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
});

test("details are 32 deep at most", async () => {
  await expect(log({ details: { x: nested(MAX_DETAILS_DEPTH - 1) } })).resolves.toMatchObject({ seq: 1 });
  await expect(log({ details: { x: nested(MAX_DETAILS_DEPTH) } })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
});

test("many small values are refused before they are written out", async () => {
  await expect(log({ details: { x: Array.from({ length: 200_000 }, () => 1) } })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
});

describe("grammar", () => {
  test.each(["a", "A", "a1", "a_b.c:d-e", "z".repeat(64)])("%s is a category and an action", async (word) => {
    await expect(log({ category: word, action: word })).resolves.toMatchObject({ category: word, action: word });
  });
  test.each(["", "1a", "_a", "-a", "a b", "a/b", "é", "a\n", "z".repeat(65)])("%j is neither", async (word) => {
    await expect(log({ category: word })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(log({ action: word })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
  test("names of users and things: 1 to 1,024 characters of any kind", async () => {
    for (const member of ["userId", "sessionId", "resourceType", "resourceId"] as const) {
      await expect(log({ [member]: "ü/ \n".padEnd(1024, "x") })).resolves.toMatchObject({ category: "c" });
      for (const bad of ["", "x".repeat(1025)]) await expect(log({ [member]: bad })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });
  test.each(['{"result":"ok"}', '{"usrId":"u"}', '{"details":[]}', '{"details":"x"}', '{"seq":5}', '{"id":"evt_x"}', '{"timestamp":"2020-01-01T00:00:00Z"}'])(
    "%s is refused",
    async (bad) => {
      await expect(log(JSON.parse(bad))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    },
  );
});

test("what was given comes back, and later changes of the caller's object do not reach it", async () => {
  const details = { list: [1, { deep: "é" }], nothing: null, text: '\u2028 " \\ \u0000' };
  const given: AuditEventInput = {
    category: "authorization",
    action: "granted",
    result: "failure",
    userId: "u",
    sessionId: "s",
    resourceType: "t",
    resourceId: "r",
    details,
    compliance: { standards: ["SOC2"], dataClassification: "internal", retentionRequired: 365 },
  };
  const copy = structuredClone(given);
  const pending = audit.log(given);
  details.list.push(2);
  const logged = await pending;
  expect(logged).toMatchObject(copy);
  expect(await audit.search()).toEqual([logged]);
});
