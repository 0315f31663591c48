import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { jobFacts } from "../../../test/world/job-facts.ts";
import { systemClock } from "../../foundation/index.ts";
import { buildReport, type JobReport } from "../../jobs/index.ts";
import { JobStore } from "../../jobs/job-store.ts";
import { SqliteStore } from "../../store/index.ts";
import type { Output } from "./output.ts";
import { policyCommands } from "./policy.ts";
import { unifiedDiff } from "./unified-diff.ts";

type Connection = NonNullable<JobReport["network"]["connections"]>[number];

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "cofferdam-learn-")));
  mkdirSync(join(base, "repo", ".git"), { recursive: true });
});
afterEach(() => rmSync(base, { recursive: true }));

const file = (): string => join(base, "repo", "cofferdam.yaml");
const to = (domain: string, more: Partial<Connection> = {}): Connection => ({
  ...{
    proto: "tcp",
    dst: "203.0.113.7",
    port: 443,
    domain,
    verdict: "allowed",
    rule: "mode relaxed",
    sent: 100,
    received: 412_000,
    tries: 1,
    first: 1,
    last: 2,
  },
  ...more,
});

/** Jobs in the book, as runs leave them. */
async function remember(jobs: Readonly<Record<string, readonly Connection[]>>): Promise<void> {
  await using store = new SqliteStore({ path: join(base, "cofferdam.db") });
  const book = new JobStore(store, systemClock);
  await book.initialize();
  for (const [jobId, connections] of Object.entries(jobs)) {
    await book.create({ jobId, repository: "acme/web", level: "low", command: ["true"], image: "node", owner: "{}" });
    const report = buildReport(
      jobFacts({ jobId, network: { mode: "relaxed", subnet: "198.18.0.0/28", sent: 1, received: 1, connections, dns: [], coalesced: 0 } }),
    );
    await book.end(jobId, "finished", JSON.parse(JSON.stringify(report)));
  }
}

interface Said {
  readonly exit: number;
  readonly data: string;
  readonly notes: string;
}

async function policy(name: string, args: readonly string[], values: Readonly<Record<string, string | boolean>> = {}, json = false): Promise<Said> {
  const said = { data: "", notes: "" };
  const note = (text: string): void => {
    said.notes += `${text}\n`;
  };
  const data = (text: string): void => {
    said.data += text;
  };
  const out: Output = { data, json: (document) => data(JSON.stringify(document)), note, fault: note, progress: () => undefined };
  const globals = { json, quiet: false, state: base, config: undefined, level: undefined };
  const env = { PATH: process.env["PATH"], HOME: base, XDG_CONFIG_HOME: join(base, "config") };
  const command = policyCommands.commands.find((one) => one.name === name) ?? expect.fail(name);
  const exit = await command.run({ args, values, globals, out, env, cwd: join(base, "repo"), signal: new AbortController().signal });
  return { exit, ...said };
}

test("learn: a diff that git applies, with how many jobs needed it; blocked and unused ones are told, not proposed", async () => {
  writeFileSync(file(), "version: 1\n# what our jobs need\njobs:\n  egress:\n    - listed.example\n    - unused.example:8443\naudit: {}\n");
  await remember({
    one: [to("packages.example"), to("listed.example"), to("telemetry.example", { verdict: "refused", rule: "not-allowed", received: 0 })],
    two: [to("packages.example", { requests: ["GET /a"] }), to("db.example", { port: 5432 })],
  });
  const { exit, data, notes } = await policy("learn", [], { repo: "acme/web" });
  expect(exit).toBe(0);
  expect(data).toBe(
    [
      "--- a/cofferdam.yaml",
      "+++ b/cofferdam.yaml",
      "@@ -4,4 +4,6 @@",
      "   egress:",
      "     - listed.example",
      "     - unused.example:8443",
      "+    - packages.example:443 # 2 of 2 jobs, 824 kB",
      "+    - db.example:5432 # 1 of 2 jobs, 412 kB",
      " audit: {}",
      "",
    ].join("\n"),
  );
  expect(notes).toBe(
    [
      "blocked  telemetry.example:443, 1 of 2 jobs, 0 B: not proposed; whether the job needed it is yours to say",
      "unused   unused.example:8443: in jobs.egress, and none of 2 jobs went there",
      "requests packages.example:443: GET /a",
      "",
    ].join("\n"),
  );
  expect(readFileSync(file(), "utf8")).not.toContain("packages.example");
  const repository = join(base, "repo");
  rmSync(join(repository, ".git"), { recursive: true });
  execFileSync("git", ["apply", "-"], { cwd: repository, input: data, env: { PATH: process.env["PATH"], GIT_CEILING_DIRECTORIES: base } });
  expect(readFileSync(file(), "utf8")).toContain("    - packages.example:443 # 2 of 2 jobs, 824 kB\n");
});

test("learn --write: makes the file when there is none; a second time there is nothing to add", async () => {
  await remember({ one: [to("packages.example")] });
  const first = await policy("learn", ["one"], { write: true });
  expect(first.notes).toContain("1 added to jobs.egress\n");
  expect(readFileSync(file(), "utf8")).toBe("version: 1\njobs:\n  egress:\n    - packages.example:443 # 1 of 1 job, 412 kB\n");
  const again = await policy("learn", ["one"], { write: true }, true);
  expect(JSON.parse(again.data)).toMatchObject({ schema: "cofferdam/policy-learn/v1", jobs: 1, add: [], written: false, diff: "" });
  await expect(policy("learn", [])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(policy("learn", ["one"], { repo: "acme/web" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(policy("learn", ["nobody"])).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(policy("learn", [], { repo: "acme/web", runs: "0" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("check --repo: would have blocked N of M, which and why, and exit 3", async () => {
  writeFileSync(file(), 'version: 1\njobs: {egress: [packages.example, "api.example GET /x"]}\n');
  await policy("trust", []);
  await remember({ one: [to("packages.example")], two: [to("packages.example"), to("other.example")], three: [to("api.example")] });
  const { exit, data } = await policy("check", [], { repo: "acme/web" });
  expect([exit, data]).toEqual([
    3,
    "would have blocked 1 of 3\nblocked  two\n         other.example:443: not in the allow-list\nunknown  three: not all of it was checked, api.example:443: its requests were not seen\n",
  ]);
  writeFileSync(file(), "version: 1\njobs: {egress: [packages.example, other.example, api.example]}\n");
  await policy("trust", []);
  const fine = await policy("check", [], { repo: "acme/web", runs: "2" }, true);
  expect(fine.exit).toBe(0);
  expect(JSON.parse(fine.data)).toMatchObject({ ok: true, dryRun: { jobs: 2, blocked: [], untold: [] } });
});

test("allow HOST:PORT: into jobs.egress, the reason beside it; findings stay findings", async () => {
  writeFileSync(file(), "version: 1\njobs: {egress: [a.example]} # short\n");
  await policy("trust", []);
  for (const what of ["telemetry.example.com:443", "203.0.113.0/24:5432", "api.example POST /x", "npm"]) {
    const { exit, notes } = await policy("allow", [what], { reason: "our\n mirror" });
    expect([exit, notes]).toEqual([0, `${file()}: ${what} is allowed to jobs\n`]);
  }
  await policy("allow", ["a.example"], { reason: "twice" });
  const text = readFileSync(file(), "utf8");
  expect(text).toMatch(/telemetry\.example\.com:443, # our mirror\n[\s\S]*npm # our mirror\n/);
  expect(text.match(/a\.example\b/g)).toHaveLength(1);
  await policy("allow", ["missing-hash left-pad@1.3.0"], { reason: "vendored, SEC-12" });
  expect(readFileSync(file(), "utf8")).toContain("missing-hash left-pad@1.3.0");
  await using store = new SqliteStore({ path: join(base, "cofferdam.db") });
  const recorded = await store.read(async (tx) => await tx.all("SELECT body FROM audit_events", []));
  expect(recorded.filter((row) => String(row["body"]).includes("telemetry.example.com:443: our"))).toHaveLength(1);
  await expect(policy("allow", ["b.example:443"], { reason: "why", until: "2027-01-01" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("a diff of a new file, and of the same one", () => {
  expect(unifiedDiff("", "a\nb\n", "x")).toBe("--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
  expect(unifiedDiff("a\n", "a\n", "x")).toBe("");
  expect(unifiedDiff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\n6\n7\n8\n9\n", "x")).toBe(
    "--- a/x\n+++ b/x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n",
  );
});
