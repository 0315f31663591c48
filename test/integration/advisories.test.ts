/** Advisories in the guarded install: real npm, a registry that counts what it is asked for, the built command line. */
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fillAdvisories } from "../world/advisories.ts";
import { requires } from "../world/needs.ts";
import { record, type TestRecord } from "../world/osv.ts";
import { TestProject } from "../world/project.ts";
import { TestRegistry } from "../world/registry.ts";

const CRITICAL = { database_specific: { severity: "CRITICAL" } } as const;
const EVIL = record("MAL-2026-1", "evil", [], { affected: [{ package: { ecosystem: "npm", name: "evil" }, versions: ["1.0.1"] }], summary: "steals tokens" });
const WEAK = record("GHSA-xvch-5gv4-984h", "weak", [{ introduced: "0" }, { fixed: "1.2.0" }], { summary: "Prototype Pollution", ...CRITICAL });

async function world(
  dependencies: Readonly<Record<string, string>>,
  records: readonly TestRecord[],
): Promise<{ registry: TestRegistry; project: TestProject }> {
  const registry = await TestRegistry.start();
  for (const [name, version] of [
    ["evil", "1.0.0"],
    ["evil", "1.0.1"],
    ["weak", "1.1.0"],
    ["weak", "1.2.0"],
    ["fine", "1.0.0"],
  ] as const)
    registry.publish({ name, version });
  registry.publish({ name: "carrier", version: "1.0.0", manifest: { dependencies: { weak: "1.1.0" } } });
  const project = new TestProject(registry.url, { dependencies });
  await fillAdvisories(join(project.state, "advisories"), records);
  return { registry, project };
}

const git = (project: TestProject, ...args: string[]): string =>
  execFileSync("git", ["-C", project.root, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", ...args], {
    encoding: "utf8",
    env: { ...project.env, GIT_CONFIG_GLOBAL: "/dev/null" },
  });

describe("npm ci", () => {
  test("malware ends the run before the client starts: nothing asked of the registry, node_modules untouched", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ evil: "1.0.1" }, [EVIL]);
    await using _r = registry;
    using _p = project;
    await project.lock();
    const before = registry.requests.length;
    const { exit, stderr } = await project.cli(["npm", "ci"]);
    expect(exit).toBe(3);
    expect(stderr).toContain("STOPPED before npm started: nothing downloaded, node_modules untouched");
    expect(stderr).toMatch(/denied {3}evil@1\.0\.1: malware \(MAL-2026-1\): steals tokens, package-lock\.json:\d+/);
    expect(stderr).toMatch(/fix: npm uninstall evil/);
    expect(registry.requests.length).toBe(before);
    expect(project.has("node_modules")).toBe(false);
    for (const env of [{ COFFERDAM_MODE: "observe" }, { COFFERDAM_LEVEL: "low" }]) expect((await project.cli(["npm", "ci"], { env })).exit).toBe(3);
  });

  test("what the branch brings is denied with its way and fix; what main had is counted", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ carrier: "1.0.0" }, [WEAK]);
    await using _r = registry;
    using _p = project;
    git(project, "init", "-q", "-b", "main");
    writeFileSync(join(project.root, ".gitignore"), "node_modules\n");
    git(project, "add", "package.json", ".gitignore");
    git(project, "commit", "-q", "-m", "main");
    git(project, "checkout", "-q", "-b", "feature");
    await project.lock();
    const denied = await project.cli(["npm", "ci"]);
    expect(denied.exit).toBe(3);
    expect(denied.stderr).toMatch(
      /denied {3}weak@1\.1\.0: critical with a fix, .*\(GHSA-xvch-5gv4-984h\): Prototype Pollution, by carrier@1\.0\.0, package-lock\.json:\d+/,
    );
    expect(denied.stderr).toMatch(/fix: 1\.2\.0, carrier@1\.0\.0 asks for 1\.1\.0/);
    git(project, "checkout", "-q", "main");
    git(project, "add", "package-lock.json");
    git(project, "commit", "-q", "-m", "locked");
    const had = await project.installJson("--", "npm", "ci");
    expect(had).toMatchObject({ exit: 0, document: { decision: "allowed", advisories: { findings: [{ id: "GHSA-xvch-5gv4-984h", verdict: "had" }] } } });
    expect((await project.cli(["npm", "ci"])).stderr).toMatch(/known {4}packages with advisories: 1 that [0-9a-f]+ had already, only reported until \d{4}-/);
  });

  test("an exception of a trusted policy lets it through, and is on record with its reason", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ weak: "1.1.0" }, [WEAK]);
    await using _r = registry;
    using _p = project;
    await project.lock();
    expect((await project.cli(["npm", "ci"])).exit).toBe(3);
    project.write("cofferdam.yaml", "version: 1\npackages: {allow: [{what: GHSA-xvch-5gv4-984h weak@1.1.0, reason: not reachable}]}\n");
    // The repository's own word is not enough.
    expect((await project.cli(["npm", "ci"])).exit).toBe(3);
    await project.cli(["policy", "trust"]);
    expect((await project.cli(["npm", "ci"])).exit).toBe(0);
    const { events } = JSON.parse((await project.cli(["audit", "search", "--json", "--action", "VulnerabilityScan", "--result", "success"])).stdout);
    expect(events[0].details.findings).toMatchObject([{ id: "GHSA-xvch-5gv4-984h", verdict: "accepted", exception: { reason: "not reachable" } }]);
  });

  test("no data: SCAN_STALE, exit 8; low goes on and says that it was not checked", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ fine: "1.0.0" }, []);
    await using _r = registry;
    using _p = project;
    await project.lock();
    rmSync(join(project.state, "advisories"), { recursive: true });
    const refused = await project.cli(["npm", "ci"]);
    expect(refused.exit).toBe(8);
    expect(refused.stderr).toMatch(/stopped {2}not scanned: no data on npm advisories.*\n {9}fix: cofferdam db update/);
    expect(refused.stderr).toContain("cofferdam: stopped SCAN_STALE");
    const low = await project.cli(["npm", "ci"], { env: { COFFERDAM_LEVEL: "low" } });
    expect(low.exit).toBe(0);
    expect(low.stderr).toMatch(/not checked: advisories, signatures/);
  });
});

describe("npm install of something new", () => {
  test("malware does not pass the gate; the manifests are as they were", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ fine: "1.0.0" }, [EVIL]);
    await using _r = registry;
    using _p = project;
    await project.lock();
    const before = [project.read("package.json"), project.read("package-lock.json")];
    const { exit, stderr } = await project.cli(["npm", "install", "evil"]);
    expect(exit).toBe(3);
    expect(stderr).toMatch(/evil@1\.0\.1: malware \(MAL-2026-1\)/);
    const refused = JSON.parse((await project.cli(["audit", "search", "--action", "RequestRefused", "--json"])).stdout).events;
    expect(refused[0]).toMatchObject({ result: "failure", resourceId: expect.stringContaining("evil-1.0.1.tgz"), details: { code: "SECURITY_VIOLATION" } });
    expect(registry.requests.some(({ path }) => path.includes("evil-1.0.1.tgz"))).toBe(false);
    expect([project.read("package.json"), project.read("package-lock.json")]).toEqual(before);
    expect(project.has("node_modules/evil")).toBe(false);
    expect((await project.cli(["npm", "install", "evil@1.0.0"])).exit).toBe(0);
  });

  test("a new critical with a fix is found in the lockfile that npm wrote, and given back before scripts run", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ fine: "1.0.0" }, [WEAK]);
    await using _r = registry;
    using _p = project;
    await project.lock();
    const before = project.read("package-lock.json");
    const { exit, stderr } = await project.cli(["npm", "install", "carrier"]);
    expect(exit).toBe(3);
    expect(stderr).toMatch(/denied {3}weak@1\.1\.0: critical with a fix/);
    expect(project.read("package-lock.json")).toBe(before);
    expect(project.has("node_modules/carrier")).toBe(false);
  });
});

describe("what is known only afterwards", () => {
  test("an import holds it against what was installed, once for a project; what was known is not raised", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ weak: "1.1.0", fine: "1.0.0", evil: "1.0.1" }, []);
    await using _r = registry;
    using _p = project;
    await project.lock();
    const config = join(project.home, "policy.yaml");
    writeFileSync(config, "version: 1\npackages: {allow: [{what: GHSA-xvch-5gv4-984h weak@1.1.0, reason: not reachable}]}\n");
    const told = record("GHSA-5555-5555-5555", "fine", [{ introduced: "0" }], CRITICAL);
    await fillAdvisories(join(project.state, "advisories"), [told]);
    expect((await project.cli(["npm", "ci"])).exit).toBe(0);
    const file = join(project.home, "new.ndjson");
    const fixable = {
      ...record("GHSA-5555-5555-5555", "fine", [{ introduced: "0" }, { fixed: "1.0.1" }], CRITICAL),
      modified: new Date(Date.now() + 1000).toISOString(),
    };
    writeFileSync(file, [EVIL, WEAK, fixable].map((one) => JSON.stringify(one)).join("\n"));
    const accepted = await project.cli(["db", "import", file, "--source", "osv:npm", "--json", "--config", config]);
    expect(accepted.exit).toBe(0);
    expect(JSON.parse(accepted.stdout).exposed).toMatchObject([{ id: "MAL-2026-1", package: "evil", version: "1.0.1", project: project.root, installs: 1 }]);
    const again = await project.cli(["db", "import", file, "--source", "osv:npm"]);
    expect(again.stderr).toMatch(
      /exposed {2}weak@1\.1\.0: critical with a fix, new since the install \(GHSA-xvch-5gv4-984h\)\n {9}installed \d{4}-.* in .*project \(records \d+-\d+\)\n {9}look: cofferdam where weak@1\.1\.0/,
    );
    expect(again.stderr).not.toMatch(/evil|fine/);
    expect((await project.cli(["db", "import", file, "--source", "osv:npm"])).stderr).not.toContain("exposed");
    const { events } = JSON.parse((await project.cli(["audit", "search", "--json", "--action", "PackageExposed"])).stdout);
    expect(events.map((event: { details: { id: string } }) => event.details.id).sort()).toEqual(["GHSA-xvch-5gv4-984h", "MAL-2026-1"]);
    expect((await project.cli(["where", "evil@1.0.1"])).stdout).toContain(project.root);
  });
});
