/** Evidence and reports from the command line: VERIFY.md is run by a shell as it stands, with the folder, a pinned key, and no state directory. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, TestProject } from "../../../test/world/project.ts";
import { AuditLogger } from "../../audit/index.ts";

const project = new TestProject("http://127.0.0.1:9/", {});
afterAll(() => project[Symbol.dispose]());
const cli = (...args: string[]): Promise<CliResult> => project.cli(["audit", ...args]);
const file = (name: string): string => join(project.root, name);
let key = "";

beforeAll(async () => {
  await using audit = new AuditLogger({ storage: { directory: project.state } });
  await audit.initialize();
  for (let i = 0; i < 30; i++)
    await audit.log({
      category: "packages",
      action: i % 2 === 0 ? "PackageInstall" : "VulnerabilityScan",
      result: "success",
      details: { i, mode: i === 3 ? "observe" : "enforce", note: "</script>\n=1" },
    });
  key = await audit.verifierKey();
  // `cofferdam` as a shell finds it.
  const [node = "", ...words] = project.command();
  const bin = join(project.base, "bin", "cofferdam");
  writeFileSync(bin, `#!/bin/sh\nexec '${node}' ${words.map((word) => `'${word}'`).join(" ")} "$@"\n`);
  chmodSync(bin, 0o755);
});

describe("evidence", () => {
  const blocks = (guide: string): string[] => [...guide.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);
  /** The guide's commands in the folder; COFFERDAM_STATE names what is not there. */
  const follow = async (folder: string): Promise<CliResult[]> => {
    const guide = readFileSync(join(file(folder), "VERIFY.md"), "utf8");
    const results: CliResult[] = [];
    for (const block of blocks(guide)) {
      const script = `cd '${file(folder)}' && export PATH='${join(project.base, "bin")}':"$PATH" COFFERDAM_STATE='${join(project.base, "nothing")}' && KEY='${key}'\n${block}`;
      results.push(await project.run("/bin/sh", ["-ec", script]));
    }
    return results;
  };

  test("what VERIFY.md says, word for word", async () => {
    const { exit, stderr } = await cli("evidence", "--from", "2020-01-01", "--output", "q1");
    expect([exit, stderr]).toEqual([
      0,
      expect.stringMatching(/^audit: 30 events, 30 samples with proofs; not anchored: keep .*\n.*\/q1\n {2}to check it there: VERIFY.md\n$/),
    ]);
    const results = await follow("q1");
    expect(results.map((result) => result.exit)).toEqual([0, 0, 0, 0]);
    expect(results[1]?.stderr).toContain("bundle of 30 of 30 events, each with its proof verified");
    expect(results[3]?.stderr).toContain("evidence holds: 67 files, 30 events, 30 samples");
  });

  test("and each of its steps fails on what it is there for", async () => {
    expect((await cli("evidence", "--from", "2020-01-01", "--output", "bad")).exit).toBe(0);
    const proof = readFileSync(file("bad/proofs/3.tlog-proof"), "utf8");
    writeFileSync(file("bad/proofs/3.tlog-proof"), proof.replace("index 2", "index 3"));
    writeFileSync(file("bad/events.bundle"), readFileSync(file("bad/events.bundle"), "utf8").replace('"i":4,', '"i":5,'));
    expect((await follow("bad")).map(({ exit }) => exit)).toEqual([1, 6, 6, 6]);
  });

  test("as one JSON document; a folder is never written over", async () => {
    const made = JSON.parse((await cli("evidence", "--output", "json", "--sample", "2", "--seed", "s", "--json")).stdout);
    expect(made).toMatchObject({
      schema: "cofferdam/audit-evidence/v1",
      directory: file("json"),
      samples: expect.any(Number),
      sums: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const checked = JSON.parse((await cli("evidence", "--check", "json", "--key", key, "--json")).stdout);
    expect(checked).toMatchObject({ schema: "cofferdam/audit-evidence-check/v1", failed: 0, faults: [] });
    expect(await cli("evidence", "--output", "json")).toMatchObject({ exit: 2, stderr: expect.stringContaining("nothing is overwritten") });
  });

  test("anchored with a checkpoint from elsewhere", async () => {
    expect((await cli("checkpoint", "--output", "kept")).exit).toBe(0);
    const { exit, stderr } = await cli("evidence", "--checkpoint", "kept", "--output", "anchored");
    expect([exit, stderr]).toEqual([0, expect.stringContaining("proofs; anchored\n")]);
    expect((await cli("evidence", "--check", "anchored", "--key", key, "--checkpoint", "kept")).stderr).toMatch(/; anchored\n$/);
  });

  test("words that do not fit", async () => {
    expect((await cli("evidence", "--check", "q1")).stderr).toContain("which key?");
    expect((await cli("evidence", "--check", "q1", "--key", key, "--from", "2020-01-01")).stderr).toContain("no --from");
    expect((await cli("evidence", "--sample", "0", "--output", "none")).exit).toBe(2);
    expect((await cli("evidence", "--seed", "a'b", "--output", "none")).exit).toBe(2);
    expect((await cli("evidence", "--check", "nowhere", "--key", key)).exit).toBe(2);
  });
});

describe("export", () => {
  test("a report for one standard, to a file and in text; the last day of a period is part of it", async () => {
    const today = new Date().toISOString().slice(0, 10);
    expect((await cli("export", "--format", "compliance", "--standard", "soc2", "--until", today, "--output", "soc2.json")).exit).toBe(0);
    const report = JSON.parse(readFileSync(file("soc2.json"), "utf8"));
    expect([report.standards.length, report.period.events.count >= 30]).toEqual([1, true]);
    const { stdout } = await cli("export", "--format", "compliance-text", "--standard", "gdpr");
    expect(stdout).toContain("judged in observe mode");
  });

  test("lines for other programs", async () => {
    for (const format of ["ndjson", "ocsf"]) {
      const { stdout } = await cli("export", "--format", format, "--action", "PackageInstall");
      const lines = stdout.trimEnd().split("\n");
      expect([lines.length, new Set(lines.map((line) => typeof JSON.parse(line)))]).toEqual([15, new Set(["object"])]);
    }
  });

  test("options that belong to reports are not taken by others", async () => {
    expect((await cli("export", "--standard", "soc2")).stderr).toContain("--format compliance");
    expect((await cli("export", "--format", "compliance", "--standard", "soc3")).stderr).toContain("soc2, iso27001, pcidss, hipaa, gdpr");
    expect((await cli("export", "--format", "compliance", "--category", "packages")).exit).toBe(2);
  });

  test("half an export is not left behind", async () => {
    const { exit } = await cli("export", "--format", "compliance", "--category", "packages", "--output", "half.json");
    expect(exit).toBe(2);
    expect(project.has("half.json")).toBe(false);
    mkdirSync(file("there"));
    expect((await cli("export", "--output", "there")).exit).toBe(2);
    expect(project.has("there")).toBe(true);
  });

  test("a trail that does not hold: the report is written, and the exit code is 6", async () => {
    const db = new DatabaseSync(join(project.state, "cofferdam.db"));
    db.exec(`UPDATE audit_events SET body = replace(body, '"i":6,', '"i":7,') WHERE seq = 7`);
    db.close();
    const { exit, stderr } = await cli("export", "--format", "compliance", "--output", "broken.json");
    expect([exit, stderr]).toEqual([6, expect.stringContaining("BROKEN")]);
    expect(JSON.parse(readFileSync(file("broken.json"), "utf8")).verification.failed).toBeGreaterThan(0);
    rmSync(file("broken.json"));
  });
});
