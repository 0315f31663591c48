/** `cofferdam scripts` as a user meets it: the built executable, a project on the disk, no registry. */
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { TestProject } from "../../../test/world/project.ts";

const sri = (text: string): string => `sha512-${hash("sha512", text, "base64")}`;
const entry = (name: string, version: string, more: object = {}): object => ({
  version,
  resolved: `https://registry.example/${name}/-/${name}-${version}.tgz`,
  integrity: sri(name + version),
  hasInstallScript: true,
  ...more,
});

let project: TestProject;
beforeEach(() => {
  project = new TestProject("http://127.0.0.1:9/", { scripts: { prepare: "husky" }, allowScripts: { denied: false, "listed@1.0.0": true, "range@^1": true } });
  const lock = {
    lockfileVersion: 3,
    packages: {
      "": { name: "project" },
      "node_modules/alpha": entry("alpha", "1.0.0", { dependencies: { omega: "*" } }),
      "node_modules/denied": entry("denied", "1.0.0"),
      "node_modules/forged": { ...entry("evil", "1.0.0"), integrity: sri("forged") },
      "node_modules/listed": entry("listed", "1.0.0"),
      "node_modules/omega": entry("omega", "2.0.0"),
      "node_modules/plain": entry("plain", "1.0.0", { hasInstallScript: false }),
      "node_modules/puppeteer": entry("puppeteer", "24.0.0"),
      "node_modules/husky": entry("husky", "9.1.7", { hasInstallScript: false }),
    },
  };
  project.write("package-lock.json", JSON.stringify(lock, null, 2));
  const install = (name: string, scripts: object, files: Readonly<Record<string, string>> = {}): void => {
    project.write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: "1.0.0", scripts }));
    for (const [path, text] of Object.entries(files)) project.write(`node_modules/${name}/${path}`, text);
  };
  install(
    "alpha",
    { preinstall: "node ./lib/pre", postinstall: "node post.mjs && rm -rf \u001b[2K /tmp/x" },
    { "lib/pre.js": "pre()", "post.mjs": "post(\u001b[31m)" },
  );
  for (const name of ["denied", "forged", "listed", "omega", "puppeteer"]) install(name, { install: "node x.js" });
});
afterEach(() => project[Symbol.dispose]());

const cli = (...args: string[]): ReturnType<TestProject["cli"]> => project.cli(["scripts", ...args]);
interface Listed {
  readonly packages: readonly { readonly package: string; readonly run: string; readonly basis: string }[];
}
async function list(...args: string[]): Promise<Record<string, string>> {
  const document: Listed = JSON.parse((await cli("list", "--json", ...args)).stdout);
  return Object.fromEntries(document.packages.map((one) => [one.package, `${one.run} ${one.basis}`]));
}
const allowScripts = (): unknown => JSON.parse(project.read("package.json")).allowScripts;

describe("list", () => {
  test("what would happen, in order, by level (npm 11 runs what is not listed)", async () => {
    expect(Object.entries(await list())).toEqual([
      ["omega@2.0.0", "jailed unlisted"],
      ["alpha@1.0.0", "jailed unlisted"],
      ["denied@1.0.0", "skipped denied"],
      ["forged@1.0.0", "jailed unlisted"],
      ["listed@1.0.0", "jailed approved"],
      ["puppeteer@24.0.0", "jailed unlisted"],
      ["project@1.0.0", "jailed own"],
    ]);
    expect(new Set(Object.values(await list("--level", "paranoid")))).toEqual(new Set(["skipped level"]));
    expect(await list("--level", "high")).toMatchObject({ "listed@1.0.0": "skipped level", "project@1.0.0": "jailed own" });
  });

  test("in words: why, how to read, how to allow, what is let through", async () => {
    const { exit, stdout, stderr } = await cli("list", "--level", "high");
    expect(exit).toBe(0);
    expect(stdout).toContain(`review   alpha@1.0.0 preinstall, postinstall: not approved with its hash
         read: cofferdam scripts show alpha@1.0.0
         allow: cofferdam scripts approve alpha@1.0.0\n`);
    expect(stdout).toContain("skipped  denied@1.0.0 install: denied by denied in allowScripts of package.json\n");
    expect(stdout).toContain("downloads from storage.googleapis.com:443; PUPPETEER_SKIP_DOWNLOAD=1 skips it");
    expect(stdout).toContain("jailed   project@1.0.0 prepare: your own code\n         exception husky: ");
    expect(stderr).toContain('npm passes over "range@^1"');
    expect(stderr).toContain("esbuild on, husky on, prisma on");
  });

  test("a grant of your own policy shows, one of the repository does not count before it is trusted", async () => {
    project.write(
      "cofferdam.yaml",
      "version: 1\nscripts: {grants: {puppeteer: {net: ['storage.googleapis.com:443'], write: [out]}}, exceptions: {husky: off}}\n",
    );
    const before = (await cli("list")).stdout;
    expect(before).not.toContain("granted:");
    expect(before).not.toContain("exception husky");
    await project.cli(["policy", "trust"]);
    expect((await cli("list")).stdout).toContain("granted: storage.googleapis.com:443, out/ (scripts.grants puppeteer)");
  });
});

describe("show", () => {
  test("the scripts and the files that they start, with control characters made visible", async () => {
    const { exit, stdout } = await cli("show", "alpha@1.0.0");
    expect(exit).toBe(0);
    expect(stdout).toContain("alpha@1.0.0, from the folder node_modules/alpha, which nobody verified just now\npreinstall: node ./lib/pre\n");
    expect(stdout).toContain("--- lib/pre.js (5 bytes)\npre()");
    expect(stdout).toContain("--- post.mjs (11 bytes)\npost(\\u001b[31m)");
    expect(stdout).not.toContain("\u001b");
    const document = JSON.parse((await cli("show", "alpha", "--json")).stdout);
    expect(document).toMatchObject({ schema: "cofferdam/scripts-show/v1", packages: [{ package: "alpha@1.0.0", source: "folder" }] });
  });

  test("a file that is too long is cut, and a link out of the package is not followed", async () => {
    project.write("node_modules/omega/package.json", JSON.stringify({ name: "omega", scripts: { install: "node big.js ../alpha/post.mjs /etc/passwd" } }));
    project.write("node_modules/omega/big.js", "x".repeat(70_000));
    const { stdout } = await cli("show", "omega");
    expect(stdout).toContain("--- big.js (70000 bytes, only the beginning)");
    expect(stdout).not.toContain("post(");
    expect(stdout.length).toBeLessThan(67_000);
  });

  test.each([
    [["show", "alhpa"], /did you mean alpha\?/],
    [["show", "alpha@9.9.9"], /its versions there: 1\.0\.0/],
    [["show"], /which package\?/],
    [["approve"], /which package\?/],
    [["approve", "forged"], /forged is not in the lockfile/],
  ])("%j: exit 2 and the way out", async (args, words) => {
    const { exit, stderr } = await cli(...args);
    expect([exit, stderr]).toEqual([2, expect.stringMatching(words)]);
  });
});

describe("approve and deny", () => {
  test("write npm's own file, say what changed, and are on record", async () => {
    expect(await cli("approve", "alpha", "omega@2.0.0")).toEqual({
      exit: 0,
      stdout: "",
      stderr: 'added    "alpha@1.0.0": true in allowScripts of package.json\nadded    "omega@2.0.0": true in allowScripts of package.json\n',
    });
    expect(allowScripts()).toMatchObject({ "alpha@1.0.0": true, "omega@2.0.0": true, denied: false });
    expect(await list()).toMatchObject({ "alpha@1.0.0": "jailed approved" });
    expect((await cli("approve", "alpha")).stderr).toBe("alpha@1.0.0: approved already\n");
    expect(JSON.parse((await cli("deny", "alpha", "--json")).stdout)).toMatchObject({
      schema: "cofferdam/scripts-deny/v1",
      changes: [
        { entry: '"alpha@1.0.0": true', change: "removed" },
        { entry: '"alpha": false', change: "added" },
      ],
    });
    const events = (await project.cli(["audit", "search", "--json"])).stdout;
    expect(events.match(/ConfigurationChange/g)?.length).toBe(3);
    expect(existsSync(join(project.root, "cofferdam.yaml"))).toBe(false);
  });

  test("a denial is not taken back in passing, and the attempt is on record", async () => {
    const { exit, stderr } = await cli("approve", "denied");
    expect([exit, stderr]).toEqual([2, expect.stringContaining('remove "denied": false there first')]);
    const { events } = JSON.parse((await project.cli(["audit", "search", "--json"])).stdout);
    expect(events).toMatchObject([{ action: "ConfigurationChange", result: "failure", details: { command: "scripts approve", packages: ["denied@1.0.0"] } }]);
  });

  test("at level high with the hash, in a file that is trusted because it is ours", async () => {
    expect((await cli("approve", "alpha", "--level", "high")).stderr).toContain("approved with the hash\n");
    const key = `alpha@1.0.0#${sri("alpha1.0.0")}`;
    expect(parse(project.read("cofferdam.yaml"))).toEqual({ version: 1, scripts: { approved: [key] } });
    expect(await list("--level", "high")).toMatchObject({ "alpha@1.0.0": "jailed approved", "omega@2.0.0": "skipped level" });
    // Another tarball under the same version is another package.
    project.editLock((lock) => {
      const alpha = lock.packages["node_modules/alpha"];
      if (alpha !== undefined) alpha["integrity"] = sri("changed");
    });
    expect(await list("--level", "high")).toMatchObject({ "alpha@1.0.0": "skipped level" });
    await cli("deny", "alpha");
    expect(parse(project.read("cofferdam.yaml"))).toEqual({ version: 1, scripts: { approved: [] } });
  });

  test("a stranger's policy file does not become trusted by it; your own needs no trust", async () => {
    project.write("cofferdam.yaml", "version: 1 # theirs\n");
    expect((await cli("approve", "alpha", "--level", "high")).stderr).toContain("it counts once you trust the file: cofferdam policy trust");
    expect(await list("--level", "high")).toMatchObject({ "alpha@1.0.0": "skipped level" });
    await cli("approve", "omega", "--level", "high", "--user");
    expect(readFileSync(join(project.home, ".config/cofferdam/cofferdam.yaml"), "utf8")).toContain("omega@2.0.0#sha512-");
    expect(await list("--level", "high")).toMatchObject({ "omega@2.0.0": "jailed approved" });
  });
});
