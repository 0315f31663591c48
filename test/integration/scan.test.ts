/** `cofferdam scan` end to end: the built command line, real lockfiles, real git repositories, a database on the disk. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fillAdvisories } from "../world/advisories.ts";
import { record, type TestRecord } from "../world/osv.ts";
import { type CliResult, TestProject } from "../world/project.ts";

const CRITICAL = { database_specific: { severity: "CRITICAL" } } as const;
const fixedIn = (version: string) => [{ introduced: "0" }, { fixed: version }];
const MINIMIST = record("GHSA-xvch-5gv4-984h", "minimist", fixedIn("1.2.6"), {
  aliases: ["CVE-2021-44906"],
  summary: "Prototype Pollution in minimist",
  ...CRITICAL,
});
const FORM_DATA = record("GHSA-fjxv-7rqg-78g4", "form-data", fixedIn("4.0.4"), { aliases: ["CVE-2025-7783"], ...CRITICAL });
const LODASH = record("GHSA-35jh-r3h4-6jhm", "lodash", fixedIn("4.17.21"), { database_specific: { severity: "HIGH" } });
const EVIL = record("MAL-2026-1", "evil", [{ introduced: "0" }], { details: "steals tokens" });

interface Locked {
  readonly [path: string]: { readonly version?: string; readonly dependencies?: Readonly<Record<string, string>>; readonly dev?: boolean };
}

/** @param root what the project asks for. */
function lockfile(root: Readonly<Record<string, string>>, packages: Locked): string {
  const entries = Object.fromEntries(Object.entries(packages).map(([path, entry]) => [`node_modules/${path}`, entry]));
  return JSON.stringify(
    { name: "app", version: "1.0.0", lockfileVersion: 3, requires: true, packages: { "": { name: "app", dependencies: root }, ...entries } },
    null,
    2,
  );
}

async function scanned(records: readonly TestRecord[]): Promise<TestProject> {
  const project = new TestProject("http://127.0.0.1:9/", {});
  await fillAdvisories(join(project.state, "advisories"), records);
  return project;
}

const scan = (project: TestProject, ...args: string[]): Promise<CliResult> => project.cli(["scan", ...args]);

async function document(
  project: TestProject,
  ...args: string[]
): Promise<{ exit: number; result: { findings: { id: string; verdict: string; reason: string }[]; decision: string } & Record<string, unknown> }> {
  const { exit, stdout } = await scan(project, "--json", ...args);
  return { exit, result: JSON.parse(stdout) };
}

function git(project: TestProject, ...args: string[]): string {
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
  return execFileSync("git", ["-C", project.root, ...identity, ...args], { encoding: "utf8", env: { ...project.env, GIT_CONFIG_GLOBAL: "/dev/null" } }).trim();
}

function commit(project: TestProject, branch: string): void {
  git(project, "checkout", "-q", "-B", branch);
  git(project, "add", "-A");
  git(project, "commit", "-q", "-m", branch);
}

test("nothing known: one line, exit 0, on record", async () => {
  using project = await scanned([MINIMIST]);
  project.write("package-lock.json", lockfile({ minimist: "^1.2.6" }, { minimist: { version: "1.2.6" } }));
  const { exit, stdout, stderr } = await scan(project);
  expect([exit, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^cofferdam: 1 package, none known bad; advisories .* old\n$/);
  const trail = JSON.parse((await project.cli(["audit", "search", "--json", "--action", "VulnerabilityScan"])).stdout);
  expect(trail.events).toMatchObject([
    {
      result: "success",
      details: {
        packages: 1,
        findingCount: 0,
        sources: [
          { name: "kev", status: "fresh" },
          { name: "osv:npm", status: "fresh" },
        ],
      },
    },
  ]);
});

test("what is known: grouped, with the way it came, the line, the fix and how to accept it", async () => {
  using project = await scanned([MINIMIST, LODASH]);
  const text = lockfile(
    { mkdirp: "^0.5.0", lodash: "4.17.20" },
    { mkdirp: { version: "0.5.5", dependencies: { minimist: "^1.2.5" } }, minimist: { version: "1.2.5" }, lodash: { version: "4.17.20" } },
  );
  project.write("package-lock.json", text);
  const line = text.split("\n").findIndex((one) => one.includes('"node_modules/minimist"')) + 1;
  const { exit, stdout } = await scan(project);
  expect(exit).toBe(3);
  expect(stdout).toContain(`denied   minimist@1.2.5, package-lock.json:${line}\n`);
  expect(stdout).toContain("path: app > mkdirp@0.5.5 > minimist@1.2.5\n         fix: npm update minimist --package-lock-only\n");
  expect(stdout).toContain("allow: cofferdam policy allow 'GHSA-xvch-5gv4-984h minimist@1.2.5' --reason TEXT");
  expect(stdout).toMatch(/warned {3}lodash@4\.17\.20.*\n.*GHSA-35jh-r3h4-6jhm high/);
  expect(stdout).toContain("fix: npm install lodash@4.17.21 --package-lock-only");
  expect(stdout).toMatch(/3 packages: 1 denied, 1 warned\. {2}exit 3 {2}record \d+\n$/);
});

describe("formats", () => {
  test("json, sarif at the line, cyclonedx with the tree; into a file", async () => {
    using project = await scanned([MINIMIST]);
    const text = lockfile({ minimist: "1.2.5" }, { minimist: { version: "1.2.5" } });
    project.write("sub/package-lock.json", text);
    git(project, "init", "-q");
    const line = text.split("\n").findIndex((one) => one.includes('"node_modules/minimist"')) + 1;
    expect((await document(project, "sub")).result).toMatchObject({
      schema: "cofferdam/scan/v1",
      packages: 1,
      decision: "denied",
      findings: [
        {
          id: "GHSA-xvch-5gv4-984h",
          aliases: ["CVE-2021-44906"],
          package: "minimist",
          severity: "critical",
          fixed: ["1.2.6"],
          path: ["app", "minimist@1.2.5"],
        },
      ],
    });
    const sarif = JSON.parse((await scan(project, "sub", "--format", "sarif")).stdout);
    expect(sarif.runs[0].results[0].locations[0].physicalLocation).toMatchObject({
      artifactLocation: { uri: "sub/package-lock.json" },
      region: { startLine: line },
    });
    const written = await scan(project, "sub/package-lock.json", "--format", "cyclonedx", "--output", "bom.json");
    expect([written.exit, written.stdout]).toEqual([3, ""]);
    expect(JSON.parse(project.read("bom.json"))).toMatchObject({
      components: [{ purl: "pkg:npm/minimist@1.2.5" }],
      dependencies: [{ ref: "project", dependsOn: ["pkg:npm/minimist@1.2.5"] }, {}],
    });
  });

  test.each([["--format", "xml"], ["a", "b"], ["--base"]])("%s %s is a mistake of the caller", async (...args) => {
    using project = await scanned([]);
    expect((await scan(project, ...args)).exit).toBe(2);
  });
});

describe("the ratchet", () => {
  const had = { minimist: { version: "1.2.5" } };

  test("what the merge base had is reported, what is new is denied; another vulnerable version is not new", async () => {
    using project = await scanned([MINIMIST, FORM_DATA]);
    git(project, "init", "-q");
    project.write("package-lock.json", lockfile({ minimist: "^1.2.0" }, { minimist: { version: "1.2.4" } }));
    commit(project, "main");
    const base = git(project, "rev-parse", "--short=10", "HEAD");
    project.write("package-lock.json", lockfile({ minimist: "^1.2.0", "form-data": "^4.0.0" }, { ...had, "form-data": { version: "4.0.0" } }));
    commit(project, "feature");
    const { exit, result } = await document(project);
    expect(exit).toBe(3);
    expect(result.findings).toMatchObject([
      { id: "GHSA-fjxv-7rqg-78g4", verdict: "deny", reason: `critical with a fix, new since ${base}` },
      { id: "GHSA-xvch-5gv4-984h", verdict: "had" },
    ]);
    project.write("package-lock.json", lockfile({ minimist: "^1.2.0" }, had));
    const report = await scan(project);
    expect(report.exit).toBe(0);
    expect(report.stdout).toMatch(/had {6}minimist@1\.2\.5/);
    // A level without the ratchet has none.
    expect((await scan(project, "--level", "high")).exit).toBe(3);
  });

  test("it runs out, counted from when it was first seen", async () => {
    using project = await scanned([MINIMIST]);
    git(project, "init", "-q");
    project.write("package-lock.json", lockfile({ minimist: "^1.2.0" }, had));
    commit(project, "main");
    expect((await scan(project)).exit).toBe(0);
    writeFileSync(join(project.home, ".policy.yaml"), "version: 1\nadvisories: {ratchet: 1ms}\n");
    const { exit, result } = await document(project, "--config", join(project.home, ".policy.yaml"));
    expect(exit).toBe(3);
    expect(result.findings[0]?.reason).toMatch(/had it already, which was accepted until \d{4}-/);
  });

  test("without a repository everything is new, and it says so", async () => {
    using project = await scanned([MINIMIST]);
    project.write("package-lock.json", lockfile({ minimist: "^1.2.0" }, had));
    const { exit, stdout } = await scan(project);
    expect(exit).toBe(3);
    expect(stdout).toMatch(/nothing to compare with/);
    expect(stdout).toMatch(/^base {5}no base: /m);
  });

  test("a workflow's variables name no base", async () => {
    using project = await scanned([MINIMIST]);
    git(project, "init", "-q");
    project.write("package-lock.json", lockfile({}, {}));
    commit(project, "main");
    project.write("package-lock.json", lockfile({ minimist: "^1.2.0" }, had));
    commit(project, "evil");
    expect((await project.cli(["scan"], { env: { GITHUB_BASE_REF: "evil", GITHUB_SHA: "evil" } })).exit).toBe(3);
    expect((await scan(project, "--base", "evil")).exit).toBe(0);
  });
});

describe("what is never accepted by itself", () => {
  test("malware, also when only observing, also when the base had it", async () => {
    using project = await scanned([EVIL]);
    git(project, "init", "-q");
    project.write("package-lock.json", lockfile({ evil: "*" }, { evil: { version: "1.0.0" } }));
    commit(project, "main");
    for (const level of ["low", "medium"]) expect((await scan(project, "--level", level)).exit).toBe(3);
    expect((await project.cli(["scan"], { env: { COFFERDAM_MODE: "observe" } })).exit).toBe(3);
  });

  test("an exception for it needs an end; other findings need none", async () => {
    using project = await scanned([EVIL, MINIMIST]);
    project.write("package-lock.json", lockfile({ evil: "*", minimist: "*" }, { evil: { version: "1.0.0" }, minimist: { version: "1.2.5" } }));
    const config = join(project.home, "policy.yaml");
    const allow = (...lines: string[]): void => writeFileSync(config, `version: 1\npackages: {allow: [${lines.join(", ")}]}\n`);
    allow("{what: MAL-2026-1 evil@1.0.0, reason: ours}", "{what: CVE-2021-44906 minimist@*, reason: not reachable}");
    const { result } = await document(project, "--config", config);
    expect(result.findings.map(({ id, verdict }) => [id, verdict])).toEqual([
      ["MAL-2026-1", "deny"],
      ["GHSA-xvch-5gv4-984h", "accepted"],
    ]);
    allow("{what: MAL-2026-1 evil@1.0.0, reason: ours, until: 2099-01-01}", "{what: GHSA-xvch-5gv4-984h minimist@1.2.5, reason: not reachable}");
    expect((await scan(project, "--config", config)).exit).toBe(0);
  });

  test("what is known to be exploited, whatever the base had", async () => {
    using project = await scanned([{ ...LODASH, aliases: ["CVE-1999-0001"] }]);
    git(project, "init", "-q");
    project.write("package-lock.json", lockfile({ lodash: "*" }, { lodash: { version: "4.17.20" } }));
    commit(project, "main");
    const { exit, result } = await document(project);
    expect([exit, result.findings[0]?.reason]).toEqual([3, "known to be exploited since 2024-01-01"]);
  });

  test("what cannot be judged, from medium on", async () => {
    using project = await scanned([record("GHSA-aaaa-aaaa-aaaa", "mongose", [{ introduced: "0-gt" }])]);
    project.write("package-lock.json", lockfile({ mongose: "*" }, { mongose: { version: "1.0.0" }, unnamed: {} }));
    const { exit, stdout } = await scan(project);
    expect(exit).toBe(3);
    expect(stdout).toMatch(/unjudged mongose@1\.0\.0.*"0-gt" is not a version of npm/);
    expect((await scan(project, "--level", "low")).exit).toBe(0);
  });
});

describe("data that is not there", () => {
  test("no data is never fine: exit 8, and low goes on saying so", async () => {
    using project = new TestProject("http://127.0.0.1:9/", {});
    rmSync(join(project.state, "advisories"), { recursive: true });
    project.write("package-lock.json", lockfile({}, { a: { version: "1.0.0" } }));
    const { exit, stdout } = await scan(project);
    expect(exit).toBe(8);
    expect(stdout).toMatch(/NOT SCANNED: no data on npm advisories/);
    expect(stdout).toContain("cofferdam db update");
    const low = await scan(project, "--level", "low");
    expect([low.exit, low.stdout]).toEqual([0, expect.stringMatching(/NOT SCANNED/)]);
  });

  test("old data: warned of, then refused, by the records' own time", async () => {
    const aged = async (days: number): Promise<TestProject> => {
      const project = new TestProject("http://127.0.0.1:9/", {});
      rmSync(join(project.state, "advisories"), { recursive: true });
      const modified = new Date(Date.now() - days * 86_400_000).toISOString();
      await fillAdvisories(join(project.state, "advisories"), [{ ...MINIMIST, modified }], modified);
      project.write("package-lock.json", lockfile({}, { a: { version: "1.0.0" } }));
      return project;
    };
    using old = await aged(3);
    expect(await scan(old)).toMatchObject({ exit: 0, stdout: expect.stringMatching(/3 days? old/) });
    using stale = await aged(8);
    expect(await scan(stale)).toMatchObject({ exit: 8, stdout: expect.stringMatching(/NOT SCANNED: the data on npm advisories is 8/) });
    expect((await project8(stale)).exit).toBe(0);
  });

  const project8 = (project: TestProject): Promise<CliResult> => project.cli(["scan"], { env: { COFFERDAM_MODE: "observe" } });

  test("a damaged index is made again from the records; damaged records are an error, not an empty list", async () => {
    using project = await scanned([MINIMIST]);
    project.write("package-lock.json", lockfile({ minimist: "*" }, { minimist: { version: "1.2.5" } }));
    const folder = join(project.state, "advisories");
    const index = (): string => join(folder, readdirSync(folder).find((name) => /^index-\d+\.bin$/.test(name)) ?? "");
    const bytes = readFileSync(index());
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 9] = (flipped[bytes.length - 9] ?? 0) ^ 1;
    for (const damage of [() => writeFileSync(index(), flipped), () => truncateSync(index(), 100), () => rmSync(index())]) {
      damage();
      expect((await scan(project)).exit).toBe(3);
    }
    writeFileSync(join(folder, "records.db"), "no database");
    for (const name of ["records.db-wal", "records.db-shm"]) rmSync(join(folder, name), { force: true });
    const broken = await scan(project);
    expect(broken).toMatchObject({ exit: 6, stderr: expect.stringMatching(/advisory database is damaged/) });
  });
});

describe("targets", () => {
  test("what is no lockfile, is not there, or names too much", async () => {
    using project = await scanned([]);
    expect(await scan(project, "nowhere")).toMatchObject({ exit: 2, stderr: expect.stringMatching(/does not exist/) });
    project.write("package-lock.json", "{");
    expect(await scan(project)).toMatchObject({ exit: 2, stderr: expect.stringMatching(/package-lock\.json is not JSON/) });
    rmSync(join(project.root, "package-lock.json"));
    expect((await scan(project)).exit).toBe(2);
  });

  test("npm's own lockfiles of version 1 and 2, and a shrinkwrap before them", async () => {
    using project = await scanned([MINIMIST]);
    project.write("package.json", JSON.stringify({ name: "app", dependencies: { mkdirp: "0.5.5" } }));
    const dependencies = { mkdirp: { version: "0.5.5", requires: { minimist: "^1.2.5" } }, minimist: { version: "1.2.5" } };
    project.write("package-lock.json", JSON.stringify({ name: "app", lockfileVersion: 1, requires: true, dependencies }, null, 2));
    expect((await document(project)).result.findings).toMatchObject([{ path: ["app", "mkdirp@0.5.5", "minimist@1.2.5"] }]);
    project.write("npm-shrinkwrap.json", lockfile({}, { minimist: { version: "1.2.6" } }));
    expect((await scan(project)).exit).toBe(0);
  });

  test("an installed tree as it stands, where there is no lockfile or it is asked for", async () => {
    using project = await scanned([MINIMIST]);
    const install = (path: string, manifest: string): void => project.write(`node_modules/${path}/package.json`, manifest);
    install("mkdirp", JSON.stringify({ name: "mkdirp", version: "0.5.5", dependencies: { minimist: "*" } }));
    install("mkdirp/node_modules/minimist", JSON.stringify({ name: "minimist", version: "1.2.5" }));
    install("alias", JSON.stringify({ name: "minimist", version: "1.2.4" }));
    project.write("package.json", JSON.stringify({ name: "app", dependencies: { mkdirp: "*", alias: "npm:minimist@*" } }));
    const { exit, result } = await document(project);
    expect(exit).toBe(3);
    expect(result.findings).toMatchObject([
      { version: "1.2.4", path: ["app", "minimist@1.2.4"], places: [{ path: "node_modules/alias", file: "node_modules" }] },
      { version: "1.2.5", path: ["app", "mkdirp@0.5.5", "minimist@1.2.5"] },
    ]);
    // A lockfile that looks clean does not hide what is installed.
    project.write("package-lock.json", lockfile({}, {}));
    expect((await scan(project)).exit).toBe(0);
    expect((await scan(project, "node_modules")).exit).toBe(3);
    rmSync(join(project.root, "node_modules", "alias"), { recursive: true });
    rmSync(join(project.root, "node_modules", "mkdirp"), { recursive: true });
    install("broken", "{");
    expect(await scan(project, "node_modules")).toMatchObject({ exit: 3, stdout: expect.stringMatching(/unjudged broken/) });
  });

  test("one version by its package URL", async () => {
    using project = await scanned([MINIMIST]);
    expect(await scan(project, "pkg:npm/minimist@1.2.6")).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^cofferdam: 1 package, none known bad/) });
    for (const format of ["table", "json", "sarif", "cyclonedx"]) {
      const { exit, stdout } = await scan(project, "pkg:npm/minimist@1.2.5", "--format", format);
      expect([exit, stdout]).toEqual([3, expect.stringContaining("GHSA-xvch-5gv4-984h")]);
    }
    for (const bad of ["pkg:npm/minimist", "pkg:pypi/minimist@1.0.0", "pkg:"]) expect((await scan(project, bad)).exit).toBe(2);
  });

  test("50,000 packages in a circle", async () => {
    using project = await scanned([MINIMIST]);
    const packages: Record<string, object> = { minimist: { version: "1.2.5", dependencies: { p0: "*" } } };
    for (let i = 0; i < 50_000; i++) packages[`p${i}`] = { version: "1.0.0", dependencies: { [i === 49_999 ? "minimist" : `p${i + 1}`]: "*" } };
    project.write("package-lock.json", lockfile({ p0: "*" }, packages));
    const { exit, result } = await document(project);
    expect([exit, result["packages"], result.findings.length]).toEqual([3, 50_001, 1]);
  });
});
