/** Exports as readers meet them: hostile content, other writers meanwhile, readers that are slow or go away, and memory. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AuditEventInput, AuditLogger, type AuditQuery, type ExportFormat } from "./index.ts";

const HOSTILE = [
  "a\nb",
  "a\r\nb,c",
  'a"b""c',
  "=cmd|' /C calc'!A0",
  "+1",
  "-1",
  "@SUM(A1)",
  "\t=1",
  "'=1",
  "''x",
  "\uff1d1+1",
  "</script><script>alert(1)</script>",
  "\u202egnp.exe\u2066",
  "a\0b",
  "\u007f\u0085",
  "\u{1f600}",
  ",",
  " ",
];
const event = (more: Partial<AuditEventInput> = {}): AuditEventInput => ({ category: "c", action: "a", result: "success", ...more });

async function memory(...events: readonly Partial<AuditEventInput>[]): Promise<AuditLogger> {
  const audit = new AuditLogger();
  await audit.initialize();
  await Promise.all(events.map((one) => audit.log(event(one))));
  return audit;
}

/** Records of RFC 4180, read by its grammar alone. */
function csvRecords(text: string): string[][] {
  const records: string[][] = [[]];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy;
  while (field.lastIndex < text.length) {
    const [, quoted, plain, end] = field.exec(text) ?? [];
    if (end === undefined) throw new Error(`not RFC 4180 at ${field.lastIndex}`);
    records.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === "\r\n") records.push([]);
  }
  return records.slice(0, -1);
}

describe("csv", () => {
  const recorded = (cell: string): string =>
    cell.replace(/^'('*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])/, "$1").replace(/\\u([0-9a-f]{4})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

  test("hostile texts come back from a strict reader, and none of them is a formula", async () => {
    await using audit = await memory(...HOSTILE.map((text) => ({ userId: text, resourceId: text, details: { [text]: text } })));
    const [header = [], ...records] = csvRecords(await audit.export({}, "csv"));
    expect(header).toEqual("seq,id,timestamp,category,action,result,userId,sessionId,resourceType,resourceId,details,compliance,hash,previousHash".split(","));
    const column = (name: string): string[] => records.map((record) => record[header.indexOf(name)] ?? "");
    expect(column("userId").map(recorded)).toEqual(HOSTILE);
    expect(column("resourceId").map(recorded)).toEqual(HOSTILE);
    // A column of JSON needs no undoing: its escapes are JSON's own.
    expect(column("details").map((cell) => JSON.parse(cell))).toEqual(HOSTILE.map((text) => ({ [text]: text })));
    for (const cell of records.flat()) {
      expect(cell).not.toMatch(/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/);
      expect(cell.replaceAll(/[\t\r\n]/g, "")).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    }
  });

  test("any text is one cell of one row", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 8 }), async (texts) => {
        await using audit = await memory(...texts.map((text) => ({ sessionId: text })));
        const records = csvRecords(await audit.export({}, "csv"));
        expect(records).toHaveLength(texts.length + 1);
        expect(records.every((record) => record.length === 14)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe("ndjson", () => {
  test("a line without its integrity is the hashed text, byte for byte", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cofferdam-exports-"));
    await using audit = new AuditLogger({ storage: { directory: folder } });
    await audit.initialize();
    for (const text of HOSTILE) await audit.log(event({ userId: text, details: { [text]: [text], n: 0.1, z: -0.5 } }));
    const lines = (await audit.export({}, "ndjson")).split("\n");
    expect(lines.pop()).toBe("");
    const db = new DatabaseSync(join(folder, "cofferdam.db"), { readOnly: true });
    const bodies = db.prepare("SELECT body FROM audit_events ORDER BY seq").all();
    db.close();
    expect(lines.map((line) => line.replace(/,"integrity":\{[^{}]*\}\}$/, "}"))).toEqual(bodies.map(({ body }) => body));
    expect(lines.map((line) => JSON.parse(line))).toEqual(await audit.search());
    rmSync(folder, { recursive: true });
  });

  test("a stored text that would be two lines is not passed on", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cofferdam-exports-"));
    await using audit = new AuditLogger({ storage: { directory: folder } });
    await audit.initialize();
    await audit.log(event());
    // After this one, none is being made in the background.
    await audit.checkpoint();
    const db = new DatabaseSync(join(folder, "cofferdam.db"));
    db.exec(`UPDATE audit_events SET body = replace(body, '","', '",' || char(10) || '"')`);
    db.close();
    await expect(audit.export({}, "ndjson")).rejects.toMatchObject({ code: "INTEGRITY_FAILURE", message: expect.stringContaining("event 1") });
    rmSync(folder, { recursive: true });
  });
});

describe("from a log on the disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-exports-"));
  const COUNT = 100_000;
  let audit: AuditLogger;
  beforeAll(async () => {
    audit = new AuditLogger({ storage: { directory: folder } });
    await audit.initialize();
    for (let at = 0; at < COUNT; at += 5000)
      await Promise.all(
        Array.from({ length: 5000 }, (_, i) =>
          audit.log(event({ category: "packages", action: "IntegrityCheck", details: { i: at + i, pad: "x".repeat(400) } })),
        ),
      );
    // A few of almost the largest size among them.
    for (let i = 0; i < 20; i++) await audit.log(event({ details: { large: "é".repeat(30_000) } }));
  }, 120_000);
  afterAll(async () => {
    await audit.close();
    rmSync(folder, { recursive: true });
  });

  test("what is appended while a slow reader takes piece after piece is not in it, and is not held up", async () => {
    const pieces = audit.exportStream({}, "ndjson");
    const first = await pieces.next();
    const later = await audit.log(event({ action: "later" }));
    let count = first.done === true ? 0 : 1;
    let sawLater = false;
    for await (const piece of pieces) {
      count += 1;
      sawLater ||= piece.includes('"action":"later"');
    }
    expect([count, sawLater]).toEqual([later.seq - 1, false]);
  });

  test("a reader that leaves, or a signal, ends it at once; the signal's reason is what is thrown", async () => {
    for await (const _ of audit.exportStream({}, "csv")) break;
    const controller = new AbortController();
    const pieces = audit.exportStream({}, "json", { signal: controller.signal });
    await pieces.next();
    controller.abort(new Error("enough"));
    await expect(pieces.next().then(() => pieces.next())).rejects.toThrow("enough");
    await expect(audit.export({}, "json", { signal: AbortSignal.abort(new Error("never")) })).rejects.toThrow("never");
  });

  test("a limit is a limit, from either end", async () => {
    const size = (await audit.head())?.seq ?? 0;
    const seqs = async (query: AuditQuery): Promise<number[]> => JSON.parse(await audit.export(query, "json")).map(({ seq }: { seq: number }) => seq);
    expect(await seqs({ limit: 3 })).toEqual([1, 2, 3]);
    expect(await seqs({ limit: 2, newestFirst: true })).toEqual([size, size - 1]);
  });

  test("a query that finds nothing gives way to other work, and can be ended", async () => {
    let turns = 0;
    let looking = true;
    const other = (async () => {
      for (; looking; turns++) await turn();
    })();
    expect(await audit.export({ text: "nowhere" }, "ndjson")).toBe("");
    looking = false;
    await other;
    expect(turns).toBeGreaterThan(5);
    const controller = new AbortController();
    const ended = audit.export({ text: "nowhere" }, "ndjson", { signal: controller.signal });
    await turn();
    controller.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
  });

  test.for<ExportFormat>(["json", "ndjson", "csv", "ocsf", "compliance"])(
    "%s of 100,000 events needs no more memory than a few",
    { timeout: 180_000 },
    async (format) => {
      const peak = await peakOf(folder, format);
      // Node with this code loaded, and no events, is near 90 MB; the texts of these events alone are 70 MB.
      expect(peak.peak / 1024).toBeLessThan(170);
      if (format !== "compliance") expect(peak.bytes).toBeGreaterThan(50e6);
    },
  );
});

async function peakOf(directory: string, format: ExportFormat): Promise<{ bytes: number; peak: number }> {
  const script = fileURLToPath(new URL("../../test/world/export-process.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, directory, format]);
  return JSON.parse(stdout);
}
