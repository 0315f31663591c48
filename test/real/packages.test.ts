/**
 * Packages as they are published, with the scripts that they have today, from the registry that npm is configured for. Not
 * part of the usual run, because it needs a network and what others publish changes: `./dev test --full`.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { TestProject } from "../world/project.ts";
import { type ScriptDocument, ScriptWorld } from "../world/script-world.ts";

beforeEach((context) => {
  if (process.env["COFFERDAM_TEST_FULL"] !== "1") context.skip("optional: ./dev test --full installs published packages");
  requires(context, "jail");
});

function world(manifest: Readonly<Record<string, unknown>>): TestProject {
  const registry = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  return new TestProject(registry, manifest);
}

/** How this machine reaches the registry. */
const WAY: NodeJS.ProcessEnv = Object.fromEntries(
  ["NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"].map((name) => [name, process.env[name]]),
);

interface Installed {
  readonly exit: number;
  readonly stderr: string;
  readonly scripts: readonly ScriptDocument[];
}

async function install(project: TestProject): Promise<Installed> {
  const { exit, stderr, stdout } = await project.cli(["install", "--json", "--", "npm", "install"], { env: WAY });
  const { scripts, stoppedBy } = JSON.parse(stdout);
  return { exit, scripts, stderr: stoppedBy === undefined ? stderr : `${stderr}${stoppedBy.message}` };
}

test("esbuild and core-js: nothing refused, and the program works", async () => {
  using project = world({ dependencies: { esbuild: "0.28.2", "core-js": "3.51.0" } });
  const { exit, stderr, scripts } = await install(project);
  expect(stderr).toBe("");
  expect(scripts.map((one) => `${one.package} ${one.script} ${one.exit} ${one.refused?.length}`)).toEqual([
    "core-js@3.51.0 postinstall 0 0",
    "esbuild@0.28.2 postinstall 0 0",
  ]);
  expect(exit).toBe(0);
  const ran = await project.run("node", ["-p", "require('esbuild').transformSync('let a: number = 1', { loader: 'ts' }).code"]);
  expect(ran).toMatchObject({ exit: 0, stdout: "let a = 1;\n\n" });
  // The exception for its hard link: the launcher is the program itself.
  expect(scripts[1]?.exceptions).toEqual(["esbuild"]);
  const [launcher, program] = ["esbuild/bin/esbuild", `@esbuild/linux-${process.arch}/bin/esbuild`].map((path) =>
    readFileSync(join(project.root, "node_modules", path)),
  );
  expect(program !== undefined && launcher?.equals(program)).toBe(true);
  expect((await project.run(join(project.root, "node_modules/.bin/esbuild"), ["--version"])).stdout).toBe("0.28.2\n");
  expect((await install(project)).scripts).toEqual([]);
});

test("a native addon: node-gyp builds it with the running Node's headers, without a network", async (context) => {
  for (const tool of ["python3", "make", "g++"]) if (!existsSync(`/usr/bin/${tool}`)) context.skip(`requires ${tool}`);
  const folder = fileURLToPath(new URL("../world/addon", import.meta.url));
  const files = Object.fromEntries(["binding.gyp", "addon.c"].map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  await using own = await ScriptWorld.make([{ name: "addon", files: { ...files, "index.js": "module.exports = require('./build/Release/addon.node');\n" } }]);
  const { exit, scripts } = await own.install("--", "npm", "ci");
  expect(scripts).toMatchObject([{ package: "addon@1.0.0", script: "install", exit: 0 }]);
  expect(scripts[0]?.refused?.filter(({ kind }) => kind === "network")).toEqual([]);
  expect(exit).toBe(0);
  expect((await own.project.run("node", ["-p", "require('addon').add(2, 40)"])).stdout).toBe("42\n");
  const again = await own.install("--", "npm", "install");
  expect(again.document).toMatchObject({ decision: "allowed", scripts: [] });
});

test("@prisma/client: the client that it generates beside itself", async () => {
  using project = world({ dependencies: { "@prisma/client": "6.19.3" } });
  const { exit, scripts } = await install(project);
  const own = scripts.find((one) => one.package === "@prisma/client@6.19.3");
  expect(own).toMatchObject({ exit: 0, exceptions: ["prisma"], leftOut: [] });
  expect(own?.written?.some((path) => path.startsWith("node_modules/.prisma/client/"))).toBe(true);
  expect(exit).toBe(0);
  const ran = await project.run("node", ["-e", "try { new (require('@prisma/client').PrismaClient)() } catch (error) { console.log(error.message) }"]);
  expect(ran.stdout).toMatch(/did not initialize yet/);
});

test("puppeteer: its download is refused with what would allow it and what does without", async () => {
  using project = world({ dependencies: { puppeteer: "25.16.0" } });
  const refused = await project.cli(["npm", "install"], { env: WAY });
  expect(refused.stderr).toMatch(/refused {2}puppeteer@25\.16\.0 postinstall: storage\.googleapis\.com .*: it has no network/);
  expect(refused.stderr).toContain("scripts: {grants: {puppeteer: {net: [storage.googleapis.com:443]}}}");
  expect(refused.stderr).toContain("or set PUPPETEER_SKIP_DOWNLOAD=1");
  // Its script goes on when it cannot download, and so does the install; the browser is missed when it is started.
  expect(refused.stderr).toContain("the script went on without, and exited 0");
  expect(refused.exit).toBe(0);
  const skipped = await project.cli(["npm", "ci"], { env: { ...WAY, PUPPETEER_SKIP_DOWNLOAD: "1" } });
  expect(skipped.stderr).toMatch(/^cofferdam: \d+ packages checked, 1 script jailed, nothing refused/m);
  expect(skipped.exit).toBe(0);
});

test("husky: git's hooks lead to its own", async () => {
  using project = world({ scripts: { prepare: "husky" }, devDependencies: { husky: "9.1.7" } });
  await project.run("git", ["init", "-q"]);
  const { exit, scripts } = await install(project);
  expect(scripts).toMatchObject([{ script: "prepare", exit: 0, exceptions: ["husky"], refused: [], leftOut: [] }]);
  expect(exit).toBe(0);
  expect((await project.run("git", ["config", "--local", "core.hooksPath"])).stdout).toBe(".husky/_\n");
  project.write(".husky/pre-commit", "exit 9\n");
  project.write("file", "x");
  await project.run("git", ["add", "file"]);
  const commit = await project.run("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-m", "x"]);
  expect(commit.exit).not.toBe(0);
  expect(commit.stderr).toMatch(/pre-commit script failed \(code 9\)/);
});
