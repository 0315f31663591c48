/** Bundles: what a third party checks without the log. Every bundle here is tampered with as text, as its holder could. */
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { boundedLines, MAX_LINE_BYTES } from "./bounded-lines.ts";
import { type BundleReport, verifyBundle } from "./bundle-check.ts";
import { checkpointText, openCheckpoint } from "./checkpoint.ts";
import { AuditLogger } from "./index.ts";
import { parseVerifierKey, rawPublicKey, signatureLine, verifierKey } from "./note.ts";

let state: string;
let audit: AuditLogger;
beforeEach(async () => {
  state = mkdtempSync(join(tmpdir(), "cofferdam-bundle-"));
  audit = new AuditLogger({ storage: { directory: state }, checkpoint: { events: 1_000_000, interval: 1e12 } });
  await audit.initialize();
  for (let i = 1; i <= 40; i++) await audit.log({ category: "c", action: i % 5 === 0 ? "rare" : "often", result: "success", details: { i } });
});
afterEach(async () => {
  await audit.close();
  rmSync(state, { recursive: true });
});

async function check(text: string, ...keys: string[]): Promise<BundleReport> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    // Small and odd pieces: a line may come in many of them.
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 701) yield bytes.subarray(at, at + 701);
  }
  const pinned = keys.length === 0 ? [await audit.verifierKey()] : keys;
  return await verifyBundle(boundedLines(chunks()), { keys: pinned.map(parseVerifierKey) });
}

describe.each([
  ["all", {}],
  ["some", { action: "rare" }],
] as const)("mode %s", (mode, query) => {
  test("verifies with the key and nothing else, also after the log has gone on", async () => {
    const text = await audit.export(query, "bundle");
    await audit.log({ category: "c", action: "later", result: "success" });
    const report = await check(text);
    expect(report).toMatchObject({
      mode,
      verified: mode === "all" ? 40 : 8,
      failed: 0,
      size: 40,
      signed: [expect.stringMatching(/^cofferdam\/log_/)],
      anchored: false,
    });
  });

  const lineWith = (text: string, part: string): number => text.split("\n").findIndex((line) => line.includes(part));
  const edit = (change: (lines: string[], at: number) => void): ((text: string) => string) => {
    return (text) => {
      const lines = text.split("\n");
      change(lines, lineWith(text, '"i":20}'));
      return lines.join("\n");
    };
  };
  const step = mode === "all" ? 1 : 2;
  test.each<[string, (text: string) => string, string]>([
    ["an edited event", edit((lines, at) => lines.splice(at, 1, (lines[at] ?? "").replace('"i":20', '"i":21'))), mode === "all" ? "fork" : "content"],
    ["an event taken out", edit((lines, at) => lines.splice(at, step)), mode === "all" ? "gap" : "size"],
    ["an event twice", edit((lines, at) => lines.splice(at, 0, ...lines.slice(at, at + step))), "order"],
    ["two events swapped", edit((lines, at) => lines.splice(at, 2 * step, ...lines.slice(at + step, at + 2 * step), ...lines.slice(at, at + step))), "order"],
    ["the end cut off", edit((lines) => lines.splice(-4)), "size"],
    ["a count of events that is not so", (text) => text.replace(/\{"events":\d+\}/, '{"events":7}'), "size"],
    ["a line that is no event", edit((lines, at) => lines.splice(at, 1, "{}")), "content"],
    [
      "the root replaced",
      (text) => text.replace(/\\n40\\n[^\\]{44}/, `\\n40\\n${Buffer.alloc(32, 1).toString("base64")}`),
      mode === "all" ? "fork" : "content",
    ],
    ["another size", (text) => text.replace("\\n40\\n", "\\n41\\n"), mode === "all" ? "size" : "content"],
    ["another origin", (text) => text.replace(/"origin":"cofferdam\/log_./, (found) => `${found.slice(0, -1)}!`), "content"],
  ])("%s", async (_name, tamper, kind) => {
    const text = await audit.export(query, "bundle");
    const changed = tamper(text);
    expect(changed).not.toBe(text);
    const report = await check(changed);
    expect(report.failed).toBeGreaterThan(0);
    expect(report.errors.map((fault) => fault.kind)).toContain(kind);
    expect(report.anchored).toBe(false);
  });

  test("another key, and a checkpoint signed by it", async () => {
    const text = await audit.export(query, "bundle");
    const { privateKey } = generateKeyPairSync("ed25519");
    const { origin, size, root } = await audit.checkpoint();
    const stranger = verifierKey(origin, 1, rawPublicKey(privateKey));
    expect((await check(text, `${stranger.name}+${stranger.id}+${Buffer.concat([Buffer.from([1]), stranger.raw]).toString("base64")}`)).errors).toMatchObject([
      { kind: "signature" },
    ]);
    const signed = `${checkpointText({ origin, size, root })}\n${signatureLine(checkpointText({ origin, size, root }), origin, privateKey)}`;
    const forged = text.replace(/"checkpoint":"[^"]*"/, `"checkpoint":${JSON.stringify(signed)}`);
    expect((await check(forged)).errors).toMatchObject([{ kind: "signature" }]);
  });

  test("after a rotation, who pinned the first key still verifies: the handing over is in the bundle", async () => {
    const first = await audit.verifierKey();
    await audit.rotateKey(0);
    await audit.log({ category: "c", action: "often", result: "success" });
    const text = await audit.export(query, "bundle");
    expect(await check(text, first)).toMatchObject({ failed: 0, size: 42 });
    expect(text).toContain("key_rotated");
  });
});

test("held against a checkpoint from outside: an earlier one anchors, a contradicting one is a fork", async () => {
  const old = await audit.checkpoint();
  await audit.log({ category: "c", action: "a", result: "success" });
  const text = await audit.export({}, "bundle");
  const keys = [parseVerifierKey(await audit.verifierKey())];
  const against = async (note: string): Promise<BundleReport> => {
    async function* lines(): AsyncGenerator<string> {
      yield* text.trimEnd().split("\n");
    }
    return await verifyBundle(lines(), { keys, outside: [openCheckpoint(note, keys)] });
  };
  expect(await against(old.note)).toMatchObject({ failed: 0, anchored: true });
  const sign = (body: string): string => `${body}\n${signatureLine(body, old.origin, createPrivateKey(readFileSync(join(state, "keys", "audit.pem"))))}`;
  expect(await against(sign(checkpointText({ ...old, root: Buffer.alloc(32, 2) })))).toMatchObject({ anchored: false, errors: [{ kind: "fork", seq: 40 }] });
  expect(await against(sign(checkpointText({ ...old, size: 99 })))).toMatchObject({ anchored: false, errors: [{ kind: "size", seq: 99 }] });
});

test("what is no bundle, has no end, or is not text", async () => {
  for (const text of ["", "{}\n", "x\n", '{"schema":"cofferdam/audit-bundle/v2"}\n', "[".repeat(100_000)])
    await expect(check(text)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(check(`${"x".repeat(MAX_LINE_BYTES + 1)}`)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  const bytes = Buffer.from([0xff, 0xfe, 10]);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  await expect(verifyBundle(boundedLines(chunks()), { keys: [] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(check(`${await audit.export({}, "bundle")}{}\n`)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("a log without events has nothing to prove", async () => {
  await using empty = new AuditLogger();
  await empty.initialize();
  await expect(empty.export({}, "bundle")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
});
