/** Ctrl-C and kill -9 in each phase, full disks, odd places: the next run repairs, and nothing half-done passes as done. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { TestProject } from "../world/project.ts";
import { TestRegistry } from "../world/registry.ts";

async function world(): Promise<{ registry: TestRegistry; project: TestProject }> {
  const registry = await TestRegistry.start();
  registry.publish({ name: "a", version: "1.0.0", manifest: { dependencies: { b: "1.0.0" } } });
  // Large enough that the client is caught in the middle of unpacking it.
  registry.publish({ name: "b", version: "1.0.0", files: Object.fromEntries(Array.from({ length: 6000 }, (_, i) => [`f${i}.js`, `exports.n = ${i};\n`])) });
  const project = new TestProject(registry.url, { dependencies: { a: "1.0.0" } });
  await project.lock();
  return { registry, project };
}

async function until(what: () => boolean, ms = 15_000): Promise<void> {
  for (const end = Date.now() + ms; !what(); await new Promise((resolve) => setTimeout(resolve, 5))) if (Date.now() > end) throw new Error("it did not come");
}

async function whole(project: TestProject): Promise<void> {
  const verify = await project.cli(["audit", "verify", "--json"]);
  expect(JSON.parse(verify.stdout)).toMatchObject({ failed: 0 });
}

test("Ctrl-C while tarballs are fetched: exit 130, nothing touched, the next run is fine", async (context) => {
  requires(context, "bwrap");
  const { registry, project } = await world();
  await using _r = registry;
  using _p = project;
  registry.fault(registry.tarballPath("b", "1.0.0"), { stall: 60_000 });
  const before = registry.requests.length;
  const child = project.start(["npm", "ci"]);
  await until(() => registry.requests.slice(before).some((request) => request.path.includes("/b-")));
  child.kill("SIGINT");
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(130);
  expect(project.has("node_modules")).toBe(false);
  await whole(project);
  registry.fault(registry.tarballPath("b", "1.0.0"), undefined);
  expect((await project.cli(["npm", "ci"])).exit).toBe(0);
});

test.each(["SIGINT", "SIGKILL"] as const)("%s while npm unpacks: the box is gone, the next run rebuilds", async (signal) => {
  const { registry, project } = await world();
  await using _r = registry;
  using _p = project;
  const child = project.start(["npm", "ci"]);
  await until(() => project.has("node_modules/b/f100.js") || project.has("node_modules/b/f5999.js"));
  child.kill(signal);
  await new Promise((resolve) => child.once("close", resolve));
  await until(() => boxesOf(project) === 0);
  if (signal === "SIGINT") expect(project.has("node_modules")).toBe(false);
  const again = await project.cli(["install", "--", "npm", "install"]);
  expect(again.exit).toBe(0);
  if (signal === "SIGKILL") expect(again.stderr).toMatch(/repaired an earlier run was killed while node_modules was written/);
  expect(readdirSync(join(project.root, "node_modules", "b")).length).toBe(6001);
  expect(readdirSync(join(project.state, "runs"))).toEqual([]);
  await whole(project);
});

test("a time limit ends it with 124", async (context) => {
  requires(context, "bwrap");
  const { registry, project } = await world();
  await using _r = registry;
  using _p = project;
  registry.fault(registry.tarballPath("b", "1.0.0"), { stall: 60_000 });
  const result = await project.cli(["install", "--timeout", "700ms", "--", "npm", "ci"]);
  expect(result.exit).toBe(124);
  expect(result.stderr).toMatch(/not done within 700 ms/);
});

test("a full disk under the state directory: one clear message, and whole again afterwards", async (context) => {
  requires(context, "bwrap");
  requires(context, "root");
  const { registry, project } = await world();
  await using _r = registry;
  using _p = project;
  mkdirSync(project.state, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", project.state]);
  try {
    writeFileSync(join(project.state, "ballast"), Buffer.alloc(1_950_000));
    const full = await project.cli(["npm", "ci"]);
    expect([5, 6]).toContain(full.exit);
    expect(full.stderr).toMatch(/full|cannot take events/);
    expect(project.has("node_modules/b")).toBe(false);
    execFileSync("mount", ["-o", "remount,size=64m", project.state]);
    project.takeAdvisories();
    expect((await project.cli(["npm", "ci"])).exit).toBe(0);
    await whole(project);
  } finally {
    execFileSync("umount", [project.state]);
  }
});

test("node_modules that is part of the repository is refused", async () => {
  const { registry, project } = await world();
  await using _r = registry;
  using _p = project;
  project.write("node_modules/a/index.js", "evil\n");
  execFileSync("git", ["init", "-q"], { cwd: project.root });
  execFileSync("git", ["add", "-A"], { cwd: project.root });
  const result = await project.cli(["npm", "ci"]);
  expect(result.stderr).toMatch(/node_modules: is part of the repository/);
  expect(result.exit).toBe(3);
});

function boxesOf(project: TestProject): number {
  let count = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(project.base)) count += 1;
    } catch {
      // Gone meanwhile.
    }
  }
  return count;
}
