/** The fixes that a scan prints, pasted: real npm, a registry on loopback, and the lockfile afterwards. */
import { satisfies } from "semver";
import { expect, test } from "vitest";
import { type Asking, type FixRequest, smallestFix } from "../../src/packages/scan/fix.ts";
import { TestProject } from "../world/project.ts";
import { TestRegistry } from "../world/registry.ts";

type Deps = Readonly<Record<string, string>>;

/** A project whose `b` was locked at 1.1.0, and a registry that has had fixes since. */
async function world(
  manifest: Readonly<Record<string, unknown>>,
  a: Deps,
  more: Readonly<Record<string, string>> = {},
): Promise<{ registry: TestRegistry; project: TestProject }> {
  const registry = await TestRegistry.start();
  registry.publish({ name: "a", version: "1.0.0", manifest: { dependencies: a } });
  registry.publish({ name: "b", version: "1.0.9" });
  registry.publish({ name: "b", version: "1.1.0" });
  const project = new TestProject(registry.url, manifest);
  for (const [path, text] of Object.entries(more)) project.write(path, text);
  await project.lock();
  for (const version of ["1.2.4", "2.0.1"]) registry.publish({ name: "b", version });
  return { registry, project };
}

const fixOf = (dependents: readonly Asking[], more: Partial<FixRequest> = {}): ReturnType<typeof smallestFix> =>
  smallestFix({
    ...{ name: "b", version: "1.1.0", findings: [{ malware: false, fixed: ["1.2.4", "2.0.1"] }], dependents, dev: false },
    isAffected: (version) => satisfies(version, "<1.2.4 || >=2.0.0 <2.0.1"),
    ...more,
  });
const byA = (range: string): Asking => ({ by: "a@1.0.0", path: "node_modules/a", range, direct: false });
const byProject = (range: string): Asking => ({ by: "project", path: "", range, direct: true });

/** Every place of `b` in the lockfile with its version. */
function locked(project: TestProject): Record<string, unknown> {
  const { packages } = JSON.parse(project.read("package-lock.json"));
  return Object.fromEntries(
    Object.entries<{ version?: string }>(packages).flatMap(([path, one]) => (path.endsWith("node_modules/b") ? [[path, one.version]] : [])),
  );
}

async function paste(project: TestProject, command: string | undefined): Promise<void> {
  const result = await project.run("/bin/sh", ["-c", command ?? "false"]);
  expect(result.exit, result.stderr).toBe(0);
}

test("transitive: the update", async () => {
  const { registry, project } = await world({ dependencies: { a: "1.0.0" } }, { b: "^1.1.0" });
  await using _registry = registry;
  using _project = project;
  expect(locked(project)).toEqual({ "node_modules/b": "1.1.0" });
  await paste(project, fixOf([byA("^1.1.0")]).command);
  expect(locked(project)).toEqual({ "node_modules/b": "1.2.4" });
  expect(project.has("node_modules")).toBe(false);
});

test("direct: that version, in the section where it stood", async () => {
  const { registry, project } = await world({ devDependencies: { b: "~1.1.0" } }, {});
  await using _registry = registry;
  using _project = project;
  await paste(project, fixOf([byProject("~1.1.0")], { dev: true }).command);
  expect(locked(project)).toEqual({ "node_modules/b": "1.2.4" });
  expect(JSON.parse(project.read("package.json")).devDependencies).toEqual({ b: "^1.2.4" });
});

test("direct, of a workspace and of the project", async () => {
  const web = JSON.stringify({ name: "web", version: "1.0.0", dependencies: { b: "1.1.0" } });
  const { registry, project } = await world({ workspaces: ["packages/*"], dependencies: { b: "1.1.0" } }, {}, { "packages/web/package.json": web });
  await using _registry = registry;
  using _project = project;
  await paste(project, fixOf([byProject("1.1.0"), { by: "web@1.0.0", path: "packages/web", range: "1.1.0", direct: true }]).command);
  expect(locked(project)).toEqual({ "node_modules/b": "1.2.4" });
  for (const path of ["package.json", "packages/web/package.json"]) expect(JSON.parse(project.read(path)).dependencies).toEqual({ b: "^1.2.4" });
});

test("a range in the way: the override, as printed, moves that copy and no other major", async () => {
  const { registry, project } = await world({ dependencies: { a: "1.0.0" } }, { b: "~1.1.0" });
  await using _registry = registry;
  using _project = project;
  const fix = fixOf([byA("~1.1.0")]);
  expect(fix.command).toBeUndefined();
  const overrides = /"overrides": (\{.*\})$/.exec(fix.note ?? "")?.[1];
  const manifest = JSON.parse(project.read("package.json"));
  project.write("package.json", JSON.stringify({ ...manifest, dependencies: { a: "1.0.0", c: "npm:b@2.0.1" }, overrides: JSON.parse(overrides ?? "") }));
  await project.lock();
  expect(locked(project)).toEqual({ "node_modules/b": "1.2.4" });
  expect(JSON.parse(project.read("package-lock.json")).packages["node_modules/c"]).toMatchObject({ name: "b", version: "2.0.1" });
});

test("malware: back to what is known, and no range that admits it again; or out", async () => {
  const { registry, project } = await world({ dependencies: { b: "^1.0.0" } }, {});
  await using _registry = registry;
  using _project = project;
  const bad = { findings: [{ malware: true, fixed: [] }], isAffected: (version: string): boolean => version !== "1.0.9" };
  await paste(project, fixOf([byProject("^1.0.0")], { ...bad, known: ["1.0.9"] }).command);
  expect(locked(project)).toEqual({ "node_modules/b": "1.0.9" });
  expect(JSON.parse(project.read("package.json")).dependencies).toEqual({ b: "1.0.9" });
  await paste(project, fixOf([byProject("1.0.9")], bad).command);
  expect(locked(project)).toEqual({});
});
