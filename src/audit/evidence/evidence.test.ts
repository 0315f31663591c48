/** Folders of evidence: made again from the same log they are the same; whoever changes one is found out; a failure leaves nothing. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type AuditEventInput,
  AuditLogger,
  checkEvidence,
  type EvidenceCheck,
  formatProof,
  openCheckpoint,
  parseVerifierKey,
  type VerifierKey,
} from "../index.ts";
import { escapeHtml } from "./html.ts";

const HOSTILE = "</script><img src=x onerror=alert(1)>=cmd()'\"&\u202e\u0000\nnext";
let base: string;
let state: string;
let folder: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-evidence-"));
  state = join(base, "state");
  folder = join(base, "evidence");
});
afterEach(() => rmSync(base, { recursive: true }));

async function opened(directory = state): Promise<AuditLogger> {
  const audit = new AuditLogger({ storage: { directory } });
  await audit.initialize();
  return audit;
}

function inputs(count: number): AuditEventInput[] {
  const actions = ["PackageInstall", "VulnerabilityScan", "RuntimeProtection", "ConfigurationChange", "IntegrityCheck"] as const;
  return Array.from({ length: count }, (_, i) => ({
    category: "packages",
    action: actions[i % actions.length] ?? "",
    result: i % 7 === 0 ? "failure" : "success",
    resourceType: "project",
    resourceId: `/srv/${HOSTILE}`,
    userId: i % 2 === 0 ? HOSTILE : undefined,
    details: {
      i,
      policy: "sha256:abc",
      package: HOSTILE,
      findings: [{ id: "GHSA-1", subject: "a@1", verdict: "allow", exception: { reason: HOSTILE, until: "2027-01-31" } }],
      ...(i % 50 === 0 ? { large: "x".repeat(60_000) } : {}),
    },
  }));
}

async function fill(audit: AuditLogger, count: number): Promise<void> {
  await Promise.all(inputs(count).map((input) => audit.log(input)));
}

const keyOf = async (audit: AuditLogger): Promise<VerifierKey[]> => [parseVerifierKey(await audit.verifierKey())];
const file = (name: string): string => join(folder, name);
const text = (name: string): string => readFileSync(file(name), "utf8");
const all = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(directory, name)).isFile());
const faultsOf = ({ failed, faults }: EvidenceCheck): string[] => {
  expect(failed).toBeGreaterThan(0);
  return faults.map((fault) => fault.file);
};

/** What somebody does who changes a file and hopes that nobody looks further than the digests. */
function changed(name: string, edit: (before: string) => string): void {
  writeFileSync(file(name), edit(text(name)));
  sealAgain();
}
function sealAgain(): void {
  const names = all(folder).filter((one) => one !== "SHA256SUMS");
  const sums = names.map(
    (one) =>
      `${createHash("sha256")
        .update(readFileSync(file(one)))
        .digest("hex")}  ${one}\n`,
  );
  writeFileSync(file("SHA256SUMS"), sums.join(""));
}

test("a period of a log: what is in the folder, and that all of it holds with the key alone", async () => {
  await using audit = await opened();
  await fill(audit, 120);
  const report = await audit.evidence(folder, { startDate: "2020-01-01" });
  const check = await checkEvidence(folder, await keyOf(audit));
  expect(check).toMatchObject({ failed: 0, events: 120, samples: report.samples, files: report.files, bundle: { mode: "some", anchored: false } });
  // 24 events of each of five kinds, and at most 25 samples of a kind.
  expect(report).toMatchObject({ events: 120, samples: 120 });
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(new Set(all(folder).map((name) => statSync(file(name)).mode & 0o777))).toEqual(new Set([0o600]));
  expect(readdirSync(base).sort()).toEqual(["evidence", "state"]);
  // One row an event, in order, with who allowed what.
  const rows = text("population.csv").split(/\r\n/);
  expect(rows.filter((row) => /^\d+,evt_/.test(row)).map((row) => Number(row.split(",")[0]))).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
  expect(text("population.csv")).toContain("sha256:abc,");
  expect(text("population.csv")).toContain("(until 2027-01-31)");
  expect(text("population.csv")).not.toMatch(/[\0\u202e]/);
  // The exact text of a sampled event is what was hashed.
  const [event] = await audit.search({ limit: 1 });
  expect(JSON.parse(text("samples/1.json"))).toEqual({ ...event, integrity: undefined });
  const page = text("index.html");
  expect(page).not.toContain("<script");
  expect(page).not.toContain("<img");
  expect(page).not.toMatch(/[\0\u202e]/);
  expect(page).toContain("not anchored");
  expect((await audit.search({ action: "exported" })).map(({ details }) => details?.["sha256"])).toEqual([
    createHash("sha256")
      .update(readFileSync(file("SHA256SUMS")))
      .digest("hex"),
  ]);
});

test("from the same log and options it is the same, but for when it was made", async () => {
  const audit = await opened();
  await fill(audit, 60);
  await audit.checkpoint();
  await audit.close();
  const made = await Promise.all(
    ["one", "two"].map(async (name) => {
      cpSync(state, join(base, name), { recursive: true });
      await using copy = await opened(join(base, name));
      await copy.evidence(join(base, `${name}.evidence`), {}, { by: { user: "auditor" }, perKind: 3 });
      return join(base, `${name}.evidence`);
    }),
  );
  const [one = "", two = ""] = made;
  const names = all(one).sort();
  expect(all(two).sort()).toEqual(names);
  const differing = names.filter((name) => !readFileSync(join(one, name)).equals(readFileSync(join(two, name))));
  expect(differing.filter((name) => !["index.html", "evidence.json", "SHA256SUMS"].includes(name))).toEqual([]);
  const timeless = (name: string, directory: string): string =>
    readFileSync(join(directory, name), "utf8").replace(/("at": "|Exported by <bdi>auditor<\/bdi> at )[\d:TZ.-]+/, "$1");
  for (const name of ["index.html", "evidence.json"]) expect(timeless(name, one)).toBe(timeless(name, two));
});

describe("a folder that somebody changed, sealed again or not", () => {
  let keys: VerifierKey[];
  /** Proofs of the first events in the tree as it was then. */
  let older: Map<string, string>;
  beforeEach(async () => {
    await using audit = await opened();
    await fill(audit, 30);
    older = new Map();
    for (let seq = 1; seq <= 30; seq++) older.set(`proofs/${seq}.tlog-proof`, formatProof(await audit.prove(seq)));
    await fill(audit, 10);
    keys = await keyOf(audit);
    await audit.evidence(folder, { startDate: "2020-01-01" }, { perKind: 3 });
  });
  const check = (): Promise<EvidenceCheck> => checkEvidence(folder, keys);
  const aProof = (): string =>
    all(folder)
      .filter((name) => name.startsWith("proofs/"))
      .sort()[0] ?? "";

  test("it holds before", async () => {
    expect(await check()).toMatchObject({ failed: 0, faults: [] });
  });

  test("any byte of any file, against the digests", async () => {
    for (const name of ["index.html", "VERIFY.md", "log.key"]) {
      const before = text(name);
      writeFileSync(file(name), `${before} `);
      expect(faultsOf(await check())).toEqual([name]);
      writeFileSync(file(name), before);
    }
  });

  test("a row of the population is changed, or left out", async () => {
    changed("population.csv", (csv) => csv.replace(",success,", ",failure,"));
    expect(faultsOf(await check())).toEqual(["population.csv"]);
  });

  test("an event is changed, left out, or said to be something else", async () => {
    const before = text("events.bundle");
    changed("events.bundle", (bundle) => bundle.replace('"result":"failure"', '"result":"success"'));
    expect(faultsOf(await check())).toContain("events.bundle");
    // Event and proof are taken out together and the count is put right: all that is left has a proof.
    changed("events.bundle", () => {
      const lines = before.split("\n");
      lines.splice(5, 2);
      return lines.join("\n").replace(/\{"events":\d+\}/, '{"events":39}');
    });
    expect(faultsOf(await check())).toContain("population.csv");
  });

  test("samples are chosen instead of drawn", async () => {
    changed("evidence.json", (json) => json.replace(/"seed": "[^"]+"/, '"seed": "a-better-one"'));
    expect(faultsOf(await check())).toContain("evidence.json");
  });

  test("a sample or its proof is another's", async () => {
    const proof = aProof();
    const sample = proof.replace("proofs/", "samples/").replace(".tlog-proof", ".json");
    changed(sample, (json) => json.replace('"success"', '"failure"').replace('"failure"', '"success"'));
    changed(sample, (json) => `${json} `);
    expect(faultsOf(await check())).toEqual([sample]);
    const other =
      all(folder)
        .filter((name) => name.startsWith("proofs/"))
        .sort()[1] ?? "";
    changed(proof, () => text(other));
    expect(faultsOf(await check())).toContain(proof);
  });

  test("a proof is of an older tree of the same log", async () => {
    const [proof = "", then = ""] = [...older].find(([name]) => existsSync(file(name))) ?? [];
    changed(proof, () => then);
    expect(faultsOf(await check())).toEqual([proof]);
  });

  test("the checkpoint is another, or the key is not the one that is known", async () => {
    const audit = await opened(join(base, "other"));
    await fill(audit, 40);
    const { note } = await audit.checkpoint();
    const others = await keyOf(audit);
    await audit.close();
    changed("checkpoint", () => note);
    expect(faultsOf(await check())).toEqual(["checkpoint"]);
    expect(faultsOf(await checkEvidence(folder, others))).toContain("events.bundle");
  });

  test("files are added, missing, links or no evidence at all", async () => {
    writeFileSync(file("more"), "");
    expect(faultsOf(await check())).toEqual(["more"]);
    rmSync(file("more"));
    renameSync(file("index.html"), join(base, "kept"));
    expect(faultsOf(await check())).toEqual(["index.html"]);
    symlinkSync(join(base, "kept"), file("index.html"));
    await expect(check()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(checkEvidence(base, keys)).rejects.toMatchObject({ code: "NOT_FOUND" });
    rmSync(file("index.html"));
    for (const line of ["x  ../../etc/passwd", `${"0".repeat(64)}  ../x`, `${"0".repeat(64)}  a/b/c`, `${"0".repeat(64)} x`]) {
      writeFileSync(file("SHA256SUMS"), `${line}\n`);
      await expect(check()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });
});

test("keys that follow the one that an auditor knows are followed; witnesses and checkpoints anchor", async () => {
  await using audit = await opened();
  await fill(audit, 20);
  const keys = await keyOf(audit);
  const { note } = await audit.checkpoint();
  await audit.rotateKey(0);
  await fill(audit, 20);
  const report = await audit.evidence(folder, {}, { checkpoints: [note] });
  expect(report.verification.anchored).toBe(true);
  const outside = [openCheckpoint(note, keys)];
  expect(await checkEvidence(folder, keys, outside)).toMatchObject({ failed: 0, bundle: { anchored: true, mode: "all" } });
  expect(text("VERIFY.md")).not.toContain("It is **not anchored**");
});

test("a period without events", async () => {
  await using audit = await opened();
  await fill(audit, 40);
  await audit.evidence(folder, { startDate: "2020-01-01", endDate: "2020-12-31" });
  expect(await checkEvidence(folder, await keyOf(audit))).toMatchObject({ failed: 0, events: 0, samples: 0 });
  expect(text("index.html")).toContain("0 events");
});

test("what retention took away is not there, and is counted; a hold keeps the rest", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using audit = new AuditLogger({ storage: { directory: state }, clock: { now: () => now, monotonic: () => performance.now() } });
  await audit.initialize();
  for (let day = 0; day < 64; day++) {
    now += 86_400_000;
    await audit.log({ category: day % 2 === 0 ? "packages" : "other", action: "PackageInstall", result: "success" });
  }
  await audit.placeHold({ category: "other" }, "case 7");
  const { pruned } = await audit.prune({ rules: { days: 20 } });
  expect(pruned).toBeGreaterThan(0);
  await audit.evidence(folder, {});
  expect(await checkEvidence(folder, await keyOf(audit))).toMatchObject({ failed: 0, bundle: { mode: "all", pruned } });
  const { population, holds, verification } = JSON.parse(text("evidence.json"));
  expect([population.absent + population.first - 1, verification.pruned, holds.active[0].reason]).toEqual([pruned, pruned, "case 7"]);
  expect(text("index.html")).toContain("case 7");
});

describe("a failure leaves no folder, and the log says that there was a try", () => {
  const tries = async (audit: AuditLogger): Promise<unknown[]> =>
    (await audit.search({ action: "exported", result: "failure" })).map(({ details }) => details?.["code"]);

  test("a name that is taken, by a folder, a file or a link to nowhere", async () => {
    await using audit = await opened();
    await fill(audit, 1);
    mkdirSync(folder);
    writeFileSync(join(base, "file"), "x");
    symlinkSync(join(base, "nowhere"), join(base, "link"));
    for (const name of ["evidence", "file", "link"]) await expect(audit.evidence(join(base, name))).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(existsSync(join(base, "nowhere"))).toBe(false);
    await expect(audit.evidence(join(base, "no", "such", "place"))).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    const narrowed: { startDate: string; category: string } = { startDate: "2020-01-01", category: "packages" };
    await expect(audit.evidence(join(base, "some"), narrowed)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await tries(audit)).toEqual([]);
  });

  test("an empty log, an abort, and events that cannot be read", async () => {
    await using audit = await opened();
    await expect(audit.evidence(folder)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await fill(audit, 30);
    const controller = new AbortController();
    const ended = audit.evidence(folder, {}, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
    await audit.checkpoint();
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    db.exec(`UPDATE audit_events SET body = '[]' WHERE seq = 7`);
    db.close();
    await expect(audit.evidence(folder)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
    expect(readdirSync(base)).toEqual(["state"]);
    expect(await tries(audit)).toEqual(["FAILED_PRECONDITION", "INTERNAL", "INTEGRITY_FAILURE"]);
  });
});

test("text in HTML is text", () => {
  expect(escapeHtml(`<a href="x" id='y'>&amp;\u202e\0\n`)).toBe("&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;\\u202e\\u0000\\u000a");
});
