/** `cofferdam db` as a user meets it: the built executable, and a server on loopback. */
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OsvServer } from "../../../test/world/osv-server.ts";
import { TestProject } from "../../../test/world/project.ts";
import { zip } from "../../../test/world/zips.ts";

const project = new TestProject("http://127.0.0.1:9/", {});
const cli = (...args: string[]): ReturnType<TestProject["cli"]> => project.cli(args);
let server: OsvServer;
beforeAll(async () => {
  server = await OsvServer.start();
  rmSync(join(project.state, "advisories"), { recursive: true });
  const policy = `version: 1\nadvisories:\n  osv: ${server.base.href}\n  kev: ${server.base.href}kev.json\n`;
  writeFileSync(join(project.base, "policy.yaml"), policy);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  project[Symbol.dispose]();
});

const NOW = new Date();
const ago = (minutes: number): string => new Date(NOW.getTime() - minutes * 60_000).toISOString();
const record = (id: string, modified: string): { id: string; modified: string; affected: unknown } => ({
  id,
  modified,
  affected: [{ package: { ecosystem: "npm", name: "p" }, ranges: [{ type: "SEMVER", events: [{ introduced: "0" }] }] }],
});
const kev = (released: string): Buffer =>
  Buffer.from(
    JSON.stringify({ title: "t", catalogVersion: "1", dateReleased: released, vulnerabilities: [{ cveID: "CVE-2026-11111", dateAdded: "2026-01-01" }] }),
  );
const update = (...more: string[]): ReturnType<TestProject["cli"]> => cli("db", "update", "--config", join(project.base, "policy.yaml"), ...more);
const minute = (time: string): string => `${time.slice(0, 16).replace("T", " ")} UTC`;

test("nothing is held, and that is said", async () => {
  expect(await cli("db", "status")).toEqual({ exit: 0, stdout: "", stderr: "cofferdam: no advisories; cofferdam db update, or cofferdam db import FILE\n" });
  expect((await cli("db", "export", "x.bundle")).exit).toBe(2);
});

describe("update", () => {
  test("both sources, a line each; then nothing new; then what changed", async () => {
    server.put(record("GHSA-1", ago(60)), record("GHSA-2", ago(50)));
    server.files.set("/kev.json", kev(ago(70)));
    const first = await update();
    expect(first.stderr).toBe(
      `cofferdam: osv:npm: 2 added, fresh as of ${minute(ago(50))}\ncofferdam: kev: 1 known to be exploited, fresh as of ${minute(ago(70))}\n`,
    );
    expect([first.exit, first.stdout]).toEqual([0, ""]);
    expect((await update()).stderr).toBe(`cofferdam: osv:npm: nothing new, fresh as of ${minute(ago(50))}\ncofferdam: kev: nothing new\n`);
    server.put(record("GHSA-2", ago(40)), record("GHSA-3", ago(30)));
    server.fault("GHSA-3.json", { status: 404 });
    const { stderr } = await update();
    expect(stderr).toContain("cofferdam: osv:npm: 1 changed, 1 not read, or in part, fresh as of");
    expect(stderr).toContain("unread   GHSA-3: listed as modified, but the server answers 404");
  });

  test("a source that cannot be had does not keep the other away; the exit is the failure's and the trail has it", async () => {
    server.put(record("GHSA-4", ago(20)));
    server.files.set("/kev.json", Buffer.from("<html>"));
    const { exit, stdout } = await update("--json");
    expect(exit).toBe(6);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      schema: "cofferdam/db-update/v1",
      sources: [
        { name: "osv:npm", mode: "increment", counts: { added: 2 } },
        { name: "kev", mode: "failed", error: { code: "INTEGRITY_FAILURE" } },
      ],
    });
    const trail = JSON.parse((await cli("audit", "search", "--category", "advisories", "--json")).stdout);
    expect(trail.events[0]).toMatchObject({ action: "AdvisoriesUpdate", result: "failure", resourceId: "kev" });
    expect(trail.events[1]).toMatchObject({ result: "success", resourceId: "osv:npm", details: { mode: "increment", added: 2 } });
  });

  test("what goes back is said, in quiet mode too", async () => {
    server.records.clear();
    server.put(record("GHSA-1", ago(60)));
    server.files.set("/kev.json", kev(ago(90)));
    const { exit, stderr } = await update("--quiet");
    expect([exit, stderr]).toEqual([
      0,
      "cofferdam: osv:npm: what was offered is older than what is held; nothing was taken\ncofferdam: kev: what was offered is older than what is held; nothing was taken\n",
    ]);
  });
});

test("status: by source, and what could not be read by name", async () => {
  writeFileSync(
    join(project.root, "npm.zip"),
    zip([
      { name: "a.json", body: JSON.stringify(record("OWN-1", ago(10))) },
      { name: "bad\u202e.json", body: "{" },
    ]),
  );
  expect((await cli("db", "import", "npm.zip", "--source", "acme")).stderr).toContain("cofferdam: acme: 1 added, 1 not read, or in part, fresh as of");
  const { stdout } = await cli("db", "status");
  expect(stdout).toMatch(/^acme {5,}1 {2}fresh as of .* UTC {2}1 not read, or in part\n {2}unread bad\\u202e\.json: .*\nkev /);
  expect(stdout).toMatch(/\nosv:npm {5,}4 {2}fresh as of .*\nindex [\d.]+ k?B\n$/);
  expect(JSON.parse((await cli("db", "status", "--json")).stdout)).toMatchObject({
    schema: "cofferdam/db-status/v1",
    sources: [{ name: "acme", advisories: 1, unparsable: 1, faults: [{ name: "bad\u202e.json" }] }, { name: "kev" }, { name: "osv:npm", advisories: 4 }],
    indexBytes: expect.any(Number),
  });
});

test("import: lines need a name, a catalogue has one, and what is damaged changes nothing", async () => {
  writeFileSync(join(project.root, "own.ndjson"), `${JSON.stringify(record("OWN-2", ago(5)))}\n`);
  expect(await cli("db", "import", "own.ndjson")).toMatchObject({ exit: 2, stderr: expect.stringContaining("Say --source NAME") });
  expect(await cli("db", "import", "own.ndjson", "--source", "kev")).toMatchObject({ exit: 2, stderr: expect.stringContaining("not a name") });
  expect((await cli("db", "import", "own.ndjson", "--source", "acme", "--full")).stderr).toContain("1 added, 1 removed");
  writeFileSync(join(project.root, "kev.json"), kev(ago(1)));
  expect((await cli("db", "import", "kev.json")).stderr).toContain("kev: 1 known to be exploited");
  const whole = readFileSync(join(project.root, "npm.zip"));
  writeFileSync(join(project.root, "cut.zip"), whole.subarray(0, -5));
  expect(await cli("db", "import", "cut.zip", "--full")).toMatchObject({ exit: 6, stderr: expect.stringContaining("INTEGRITY_FAILURE") });
  expect(await cli("db", "import", "none.zip")).toMatchObject({ exit: 2, stderr: expect.stringContaining("NOT_FOUND") });
  expect(JSON.parse((await cli("db", "status", "--json")).stdout).sources.at(-1)).toMatchObject({ name: "osv:npm", advisories: 4 });
});

test("export, and import on a machine that has nothing", async () => {
  const done = await cli("db", "export", "all.bundle", "--json");
  expect(done.exit).toBe(0);
  const { publicKey, sources } = JSON.parse(done.stdout);
  expect(sources).toMatchObject([{ name: "acme", records: 1 }, { name: "osv:npm" }]);
  expect(statSync(join(project.state, "keys", "advisories.pem")).mode & 0o777).toBe(0o600);
  using other = new TestProject("http://127.0.0.1:9/", {});
  rmSync(join(other.state, "advisories"), { recursive: true });
  const bundle = join(project.root, "all.bundle");
  expect(await other.cli(["db", "import", bundle])).toMatchObject({ exit: 2, stderr: expect.stringContaining("--key") });
  expect(await other.cli(["db", "import", bundle, "--key", `${"A".repeat(43)}=`])).toMatchObject({ exit: 6 });
  expect(await other.cli(["db", "import", bundle, "--key", publicKey])).toMatchObject({
    exit: 0,
    stderr: expect.stringMatching(/acme: 1 added.*\n.*osv:npm: 4 added.*\n.*kev: 1 known/),
  });
  const held = async (of: TestProject): Promise<unknown> => {
    const status = JSON.parse((await of.cli(["db", "status", "--json"])).stdout);
    return status.sources.map(({ name, advisories, freshAsOf }: Record<string, unknown>) => [name, advisories, freshAsOf]);
  };
  expect(await held(other)).toEqual(await held(project));
  // An older bundle over newer data says so.
  expect((await cli("db", "import", "own.ndjson", "--source", "acme")).exit).toBe(0);
  writeFileSync(join(other.root, "new.ndjson"), JSON.stringify(record("OWN-2", ago(1))));
  await other.cli(["db", "import", "new.ndjson", "--source", "acme"]);
  expect((await other.cli(["db", "import", bundle, "--key", publicKey])).stderr).toContain(
    "acme: older than what is held: only newer records were taken; 1 older than what is held",
  );
});
