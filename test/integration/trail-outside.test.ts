/** Level high asks for a checkpoint outside of this host before anything guarded starts: every door, as the user meets it. */
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { TestProject } from "../world/project.ts";
import { ScriptWorld } from "../world/script-world.ts";
import { ShellWorld } from "../world/shell-world.ts";

const REFUSED = /level high needs checkpoints of the audit trail outside of this host, and no place for them is configured/;
const YAML = /audit: \{copy: "git@git\.example\.com:security\/checkpoints\.git"\}/;

beforeEach((context) => requires(context, "jail"));

/** What `COFFERDAM_STATE` has of a place that fell away: the last success is of long ago. */
function away(project: TestProject, copies: string): void {
  renameSync(copies, `${copies}.away`);
  project.userPolicy(`version: 1\naudit: {copy: ${copies}, copy-within: 1ms}\n`);
}

test("install: refused before npm starts and on record; with a copy it goes on; when the copy is away, AUDIT_UNAVAILABLE", async (context) => {
  requires(context, "bwrap");
  await using world = await ScriptWorld.make([{ name: "a" }]);
  const { project } = world;
  const bare = await project.cli(["install", "--level", "high", "--", "npm", "ci"]);
  expect([bare.exit, bare.stderr], bare.stderr).toEqual([2, expect.stringMatching(/^STOPPED before npm started: nothing downloaded/)]);
  expect(bare.stderr).toMatch(REFUSED);
  expect(bare.stderr).toMatch(YAML);
  expect(bare.stderr).toMatch(/cofferdam: stopped FAILED_PRECONDITION\n$/);
  expect(project.has("node_modules")).toBe(false);
  const events = JSON.parse((await project.cli(["audit", "search", "--action", "PackageInstall", "--json"])).stdout).events;
  expect(events).toMatchObject([{ result: "failure", details: { code: "FAILED_PRECONDITION", level: "high" } }]);

  project.userPolicy("version: 1\nmode: observe\n");
  expect((await project.cli(["install", "--level", "high", "--", "npm", "ci"])).stderr).toMatch(
    /warned {3}audit trail: level high needs .* \(would be refused\)/,
  );

  const copies = project.takeCopies();
  expect((await project.cli(["install", "--level", "high", "--", "npm", "ci"])).exit).toBe(0);
  expect(readdirSync(copies)).toHaveLength(1);

  away(project, copies);
  const gone = await project.installJson("--level", "high", "--", "npm", "ci");
  expect(gone.document["stoppedBy"]).toMatchObject({ code: "AUDIT_UNAVAILABLE", message: expect.stringContaining(`${copies}: the folder for copies`) });
  const said = await project.cli(["audit", "checkpoint", "--level", "high", "--output", "kept"]);
  expect([said.exit, said.stderr]).toEqual([
    8,
    expect.stringMatching(/ {2}\/.*copies: took \d+ events .* ago; failed .* ago: the folder for copies of checkpoints is not there\n/),
  ]);
  expect((await project.cli(["doctor", "--level", "high"])).stdout).toMatch(
    /^warn {2}checkpoints outside: \/.*copies: took .*; failed .*\n.*without it: .*\n.*fix: cofferdam audit checkpoint$/m,
  );
  renameSync(`${copies}.away`, copies);
  const back = JSON.parse((await project.cli(["audit", "checkpoint", "--json"])).stdout);
  expect(back.deliveries).toMatchObject([{ place: copies, last: "success", lastSuccess: { size: back.size } }]);
  expect((await project.cli(["doctor", "--level", "high"])).stdout).toMatch(/^ok {4}checkpoints outside: \/.*copies: took \d+ events \d+ m?s ago$/m);
});

test("sandbox run: the command does not start", async () => {
  using project = new TestProject("http://127.0.0.1:9/", {});
  const run = (): ReturnType<TestProject["cli"]> => project.cli(["sandbox", "run", "--level", "high", "--", "echo", "ran"]);
  const bare = await run();
  expect([bare.exit, bare.stdout]).toEqual([2, ""]);
  expect(bare.stderr).toMatch(REFUSED);
  expect(bare.stderr).toMatch(YAML);
  expect((await project.cli(["doctor", "--level", "high"])).stdout).toMatch(/^fail {2}checkpoints outside: level high asks for a copy or a witness/m);
  project.userPolicy("version: 1\nmode: observe\n");
  expect(await run()).toMatchObject({ stdout: "ran\n", stderr: expect.stringMatching(/^cofferdam: level high needs .* \(would be refused\)$/m) });
  const copies = project.takeCopies();
  expect(await run()).toMatchObject({ exit: 0, stdout: "ran\n" });
  away(project, copies);
  expect(await run()).toMatchObject({ exit: 6, stdout: "", stderr: expect.stringContaining("AUDIT_UNAVAILABLE") });
});

describe("script shell", () => {
  test("the script does not run; checkpoints go where the user's policy says, as often as it says", async () => {
    await using world = await ShellWorld.make("root", { scripts: { build: "touch ran" } });
    const { project } = world;
    const build = (env: NodeJS.ProcessEnv = {}): ReturnType<ShellWorld["npm"]> => world.npm(["run", "build"], env);
    const bare = await build({ COFFERDAM_LEVEL: "high" });
    expect([bare.exit, project.has("ran")], bare.stderr).toEqual([2, false]);
    expect(bare.stderr).toMatch(REFUSED);
    const copies = join(project.base, "copies");
    mkdirSync(copies);
    // At medium nothing is asked, and the settings count all the same.
    project.userPolicy(`version: 1\naudit: {copy: ${copies}, checkpoint: {events: 1}}\n`);
    const medium = await build();
    expect([medium.exit, project.has("ran")], medium.stderr).toEqual([0, true]);
    expect(readdirSync(join(copies, readdirSync(copies)[0] ?? "")).sort()).toEqual(["1", "checkpoint"]);
    const high = await build({ COFFERDAM_LEVEL: "high" });
    expect(high.exit, high.stderr).toBe(0);
    away(project, copies);
    expect(await build({ COFFERDAM_LEVEL: "high" })).toMatchObject({ exit: 6, stderr: expect.stringContaining("AUDIT_UNAVAILABLE") });
  });
});
