/** `cofferdam where`, after real guarded installs: the built command line, real npm, a registry on loopback, real jails. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { ScriptWorld } from "../world/script-world.ts";

beforeEach((context) => requires(context, "jail"));

interface Where {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const where = async (world: ScriptWorld, ...args: string[]): Promise<Where> => await world.project.cli(["where", ...args]);

async function installsOf(world: ScriptWorld, ...args: string[]): Promise<readonly Record<string, unknown>[]> {
  const { exit, stdout } = await where(world, ...args, "--json");
  expect(exit).toBe(0);
  const document: { readonly schema: string; readonly installs: readonly Record<string, unknown>[] } = JSON.parse(stdout);
  expect(document.schema).toBe("cofferdam/where/v1");
  return document.installs;
}

test("what ran, what it was refused, and where it stands in the trail; a later install without it does not count", async () => {
  const dial = `node -e "require('net').connect(443, 'telemetry.example').on('error', () => {})"`;
  await using world = await ScriptWorld.make([
    { name: "talker", scripts: { postinstall: dial } },
    { name: "@s/quiet", scripts: { install: "true" } },
    { name: "plain" },
    { name: "elsewhere", optional: true, manifest: { os: ["no-such-system"] } },
  ]);
  const { project } = world;
  project.editLock((lock) => Object.assign(lock.packages["node_modules/elsewhere"] ?? {}, { os: ["no-such-system"] }));
  const first = await world.install("--", "npm", "ci");
  expect(first.exit).toBe(0);

  const [found, ...more] = await installsOf(world, "talker@1.0.0");
  expect(more).toEqual([]);
  expect(found).toMatchObject({
    project: project.root,
    command: "npm ci",
    decision: "allowed",
    level: "medium",
    installed: true,
    policy: first.document["policyDigest"] ?? expect.any(String),
    versions: [{ name: "talker", version: "1.0.0", integrity: expect.stringMatching(/^sha512-/) }],
    scripts: [{ event: "postinstall", ran: true, exit: 0, refusedCount: 1, refused: [expect.stringMatching(/^network telemetry\.example/)] }],
    auditRange: first.document["auditRange"],
  });
  const text = await where(world, "talker");
  expect(text.stdout).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\dZ {2}allowed {2}talker@1\.0\.0 in \S+\/project: npm ci, records \d+-\d+\n {9}postinstall exited 0, reached nothing\n {11}refused network telemetry\.example/,
  );
  expect(text.stderr).toBe("cofferdam: talker: 1 install in 1 project\n");

  expect(await installsOf(world, "pkg:npm/%40s/quiet@1.0.0")).toMatchObject([{ scripts: [{ event: "install", ran: true, exit: 0, refusedCount: 0 }] }]);
  expect((await where(world, "plain")).stdout).toMatch(/\n {9}no script of it ran\n$/);
  // In the lockfile, and not on the disk.
  for (const none of ["elsewhere", "talker@2.0.0", "pkg:npm/nothing@1.0.0"]) {
    const nothing = await where(world, none);
    expect([nothing.exit, nothing.stdout, nothing.stderr]).toEqual([0, "", `cofferdam: no recorded install had ${none.replace("pkg:npm/", "")}\n`]);
  }

  expect((await project.cli(["npm", "uninstall", "talker"])).exit).toBe(0);
  expect(await installsOf(world, "talker")).toHaveLength(1);
  expect((await installsOf(world, "plain")).map(({ command }) => command)).toEqual(["npm uninstall", "npm ci"]);
  expect(await installsOf(world, "plain", "--limit", "1")).toHaveLength(1);
}, 120_000);

test("a script that was skipped; an install that was stopped before anything was there; two projects on one state directory", async () => {
  await using world = await ScriptWorld.make([{ name: "builder", scripts: { postinstall: "true" } }]);
  const { project } = world;
  expect((await project.cli(["npm", "ci", "--ignore-scripts"])).exit).toBe(0);
  const other = join(project.base, "other");
  mkdirSync(other);
  project.write("../other/package.json", project.read("package.json"));
  project.write("../other/package-lock.json", project.read("package-lock.json").replace(/"sha512-[^"]{8}/, '"sha512-AAAAAAAA'));
  world.registry.requests.length = 0;
  expect((await project.cli(["npm", "ci"], { cwd: other })).exit).not.toBe(0);

  expect(await installsOf(world, "builder")).toMatchObject([
    { project: other, decision: "stopped", code: "INTEGRITY_FAILURE", installed: false, scripts: [] },
    { project: project.root, decision: "allowed", installed: true, scripts: [{ ran: false, why: "ignore-scripts is set", exit: null }] },
  ]);
  const { stdout, stderr } = await where(world, "builder@1.0.0");
  expect(stdout).toMatch(/stopped {2}builder@1\.0\.0 in \S+\/other: npm ci, not installed \(INTEGRITY_FAILURE\), record/);
  expect(stdout).toMatch(/\n {9}postinstall skipped: ignore-scripts is set\n/);
  expect(stderr).toBe("cofferdam: builder@1.0.0: 2 installs in 2 projects, 1 of them stopped before it was installed\n");
}, 120_000);

test("what is no question is refused", async () => {
  await using world = await ScriptWorld.make([]);
  for (const args of [[], ["a", "b"], ["pkg:pypi/x"], ["a@"], ["a", "--limit", "0"], ["a", "--limit", "x"], ["a", "--after", "x"]])
    expect((await where(world, ...args)).exit, args.join(" ")).toBe(2);
  expect((await where(world, "--help")).stdout).toMatch(/cofferdam where axios@1\.14\.1/);
}, 60_000);
