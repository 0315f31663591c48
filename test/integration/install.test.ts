/** The guarded install end to end: the built command line, real npm in a real box, a registry on loopback. */
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { TestProject } from "../world/project.ts";
import { packTarball, sri, TestRegistry } from "../world/registry.ts";

async function world(
  manifest: Readonly<Record<string, unknown>>,
  publish: (registry: TestRegistry) => void,
): Promise<{ registry: TestRegistry; project: TestProject }> {
  const registry = await TestRegistry.start();
  publish(registry);
  return { registry, project: new TestProject(registry.url, manifest) };
}

const ABC = { dependencies: { a: "^1.0.0", "@s/b": "1.0.0" } };

function publishAbc(registry: TestRegistry): void {
  registry.publish({
    name: "a",
    version: "1.0.0",
    manifest: { dependencies: { c: "1.0.0" }, bin: { a: "cli.js" } },
    files: { "index.js": "exports.a = 1;\n", "cli.js": "#!/usr/bin/env node\r\nconsole.log(1)\n", ".gitignore": "x\n" },
  });
  registry.publish({ name: "@s/b", version: "1.0.0", manifest: { scripts: { postinstall: "echo pwned > /tmp/cofferdam-pwned; echo built > built" } } });
  registry.publish({ name: "c", version: "1.0.0" });
}

describe("an honest project", () => {
  test("npm ci: verified, boxed, compared, on record; the second run asks nothing of the registry", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world(ABC, publishAbc);
    await using _r = registry;
    using _p = project;
    await project.lock();
    const first = await project.installJson("--", "npm", "ci");
    expect(first.stderr).toBe("");
    expect(first.document).toMatchObject({
      schema: "cofferdam/install/v1",
      decision: "allowed",
      packages: 3,
      verified: 3,
      layers: { userns: true, mount: true, pid: true, net: true },
      scripts: [{ package: "@s/b@1.0.0", script: "postinstall", decision: "jailed", exit: 0, written: ["node_modules/@s/b/built"] }],
      tree: { differenceCount: 0 },
    });
    expect(first.exit).toBe(0);
    expect(existsSync("/tmp/cofferdam-pwned")).toBe(false);
    expect(project.read("node_modules/a/index.js")).toBe("exports.a = 1;\n");
    expect(project.has("node_modules/a/.npmignore")).toBe(true);
    expect(project.has("node_modules/.bin/a")).toBe(true);
    const before = registry.requests.length;
    const second = await project.cli(["npm", "ci"]);
    expect(second.exit).toBe(0);
    expect(registry.requests.length).toBe(before);
    const verify = await project.cli(["audit", "verify", "--json"]);
    expect(JSON.parse(verify.stdout)).toMatchObject({ failed: 0, anchored: false });
  });

  test("one line when there is nothing to say", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ dependencies: { c: "1.0.0" } }, publishAbc);
    await using _r = registry;
    using _p = project;
    await project.lock();
    const { exit, stdout, stderr } = await project.cli(["npm", "ci"]);
    expect(exit).toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^cofferdam: 1 packages? checked, nothing refused \(.*\)\nnot checked: signatures/);
  });

  test("a lockfile without addresses (omit-lockfile-registry-resolved)", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world(ABC, publishAbc);
    await using _r = registry;
    using _p = project;
    await project.lock("--omit-lockfile-registry-resolved");
    expect(project.read("package-lock.json")).not.toContain("resolved");
    const { exit, stderr } = await project.cli(["install", "--", "npm", "ci"]);
    expect(stderr).toMatch(/^cofferdam: 3 packages checked, 1 script jailed, nothing refused/);
    expect(exit).toBe(0);
  });

  test("npm install of something new: through the gate, and no loopback address of the gate in the lockfile", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({}, publishAbc);
    await using _r = registry;
    using _p = project;
    const { exit, stderr } = await project.cli(["npm", "install", "a"]);
    expect(stderr).toContain("package-lock.json: is missing");
    expect(exit).toBe(0);
    expect(project.has("node_modules/c/index.js")).toBe(true);
    const addresses = [...project.read("package-lock.json").matchAll(/"resolved": "(http:\/\/[^/]+)\//g)].map((match) => `${match[1]}/`);
    expect(new Set(addresses)).toEqual(new Set([registry.url]));
    const removed = await project.cli(["npm", "uninstall", "a"]);
    expect(removed.exit).toBe(0);
    expect(project.has("node_modules/a")).toBe(false);
  });

  test("workspaces, aliases, bundled, optional of another platform, file: folder and tarball", async (context) => {
    requires(context, "bwrap");
    const manifest = {
      workspaces: ["packages/*"],
      dependencies: { nick: "npm:a@1.0.0", bundler: "1.0.0", local: "file:local", packed: "file:packed.tgz" },
      optionalDependencies: { elsewhere: "1.0.0" },
    };
    const { registry, project } = await world(manifest, (r) => {
      publishAbc(r);
      r.publish({
        name: "bundler",
        version: "1.0.0",
        manifest: { dependencies: { inner: "1.0.0" }, bundleDependencies: ["inner"] },
        extra: [
          ["package/node_modules/inner/package.json", '{"name":"inner","version":"1.0.0"}'],
          ["package/node_modules/inner/index.js", "exports.inner = 1;\n"],
        ],
      });
      r.publish({ name: "elsewhere", version: "1.0.0", manifest: { os: ["aix"] } });
    });
    await using _r = registry;
    using _p = project;
    project.write("packages/one/package.json", JSON.stringify({ name: "one", version: "1.0.0", dependencies: { c: "1.0.0" } }));
    project.write("local/package.json", JSON.stringify({ name: "local", version: "1.0.0" }));
    writeFileSync(`${project.root}/packed.tgz`, packTarball([["package/package.json", '{"name":"packed","version":"1.0.0"}']]));
    await project.lock();
    const { exit, document } = await project.installJson("--", "npm", "ci");
    expect(document).toMatchObject({ decision: "allowed", tree: { differenceCount: 0, differences: [] } });
    expect(exit).toBe(0);
    expect(project.has("node_modules/nick/index.js")).toBe(true);
    expect(project.has("node_modules/one/package.json")).toBe(true);
    expect(project.has("node_modules/bundler/node_modules/inner/index.js")).toBe(true);
    expect(project.has("node_modules/elsewhere")).toBe(false);
    // From inside a workspace folder the same project is meant.
    const inner = await project.cli(["npm", "ci"], { cwd: `${project.root}/packages/one` });
    expect(inner.exit).toBe(0);
  });

  test("a tarball that bundles another version than the lockfile says is stopped before npm starts; its scripts run too", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ dependencies: { bundler: "1.0.0" } }, (r) => {
      r.publish({
        name: "bundler",
        version: "1.0.0",
        manifest: { dependencies: { inner: "1.0.0" }, bundleDependencies: ["inner"] },
        extra: [["package/node_modules/inner/package.json", '{"name":"inner","version":"1.0.0","scripts":{"install":"true"}}']],
      });
    });
    await using _r = registry;
    using _p = project;
    await project.lock();
    const honest = await project.installJson("--", "npm", "ci");
    expect(honest.document).toMatchObject({ decision: "allowed", scripts: [{ package: "inner@1.0.0", script: "install", decision: "jailed", exit: 0 }] });
    project.editLock((lock) => {
      for (const [path, entry] of Object.entries(lock.packages)) if (path.endsWith("/inner")) entry["version"] = "1.0.1";
    });
    const { exit, document } = await project.installJson("--", "npm", "ci");
    expect(document).toMatchObject({ decision: "denied", denied: [{ code: "bundled-mismatch", subject: "bundler@1.0.0" }] });
    expect([exit, document["client"]]).toEqual([3, undefined]);
  });

  test("what nobody asks for leaves the store, what is asked for stays; durations come as JSON and as Prometheus text", async (context) => {
    requires(context, "bwrap");
    const { registry, project } = await world({ dependencies: { c: "1.0.0" } }, publishAbc);
    await using _r = registry;
    using _p = project;
    await project.lock();
    const first = await project.installJson("--metrics", "out.prom", "--", "npm", "ci");
    expect(first.document["operations"]).toMatchObject({ integrity: { count: 1, failures: 0 }, protection: { count: 1 }, audit: { count: 3 } });
    expect(project.read("out.prom")).toMatch(/cofferdam_op_duration_seconds_count\{op="integrity",result="success"\} 1\n/);
    const tarballs = (): string[] =>
      readdirSync(join(project.state, "tarballs"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
    const [used = ""] = tarballs();
    const unused = join(project.state, "tarballs", "sha512", "aa", "bb", "c".repeat(124));
    mkdirSync(dirname(unused), { recursive: true });
    writeFileSync(unused, "old");
    const old = Date.now() / 1000 - 100 * 86_400;
    for (const path of [used, unused]) utimesSync(path, old, old);
    const db = new DatabaseSync(join(project.state, "cofferdam.db"));
    db.exec("DELETE FROM facts WHERE namespace = 'tarball-store'");
    db.close();
    const asked = registry.requests.length;
    expect((await project.installJson("--", "npm", "ci")).exit).toBe(0);
    expect(tarballs()).toEqual([used]);
    expect(registry.requests.length).toBe(asked);
  });

  test("root inside of a chroot, where no user namespace can be made: boxed all the same at medium, and refused at high", async (context) => {
    requires(context, "bwrap");
    requires(context, "root");
    const { registry, project } = await world({ dependencies: { c: "1.0.0" } }, publishAbc);
    await using _r = registry;
    using _p = project;
    await project.lock();
    project.takeCopies();
    const root = join(project.base, "root");
    mkdirSync(root);
    const inChroot = (level: string): ReturnType<TestProject["run"]> => {
      const script = 'mount --rbind / "$1" && root=$1 && shift && exec chroot "$root" sh -c \'cd "$0" && exec "$@"\' "$@"';
      return project.run("unshare", [
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
        "sh",
        root,
        project.root,
        ...project.command("install", "--json", "--level", level, "--", "npm", "ci"),
      ]);
    };
    const medium = await inChroot("medium");
    expect(JSON.parse(medium.stdout)).toMatchObject({ decision: "allowed", layers: { userns: false, mount: true, pid: true, net: true } });
    const high = await inChroot("high");
    expect([high.exit, JSON.parse(high.stdout)]).toEqual([7, expect.objectContaining({ stoppedBy: expect.objectContaining({ code: "ENVIRONMENT_UNFIT" }) })]);
  });

  test("scoped registry, credentials from the user's configuration stay outside of the box", async (context) => {
    requires(context, "bwrap");
    await using registry = await TestRegistry.start();
    await using scoped = await TestRegistry.start();
    publishAbc(registry);
    scoped.token = "s3cret-token-of-the-user";
    scoped.publish({ name: "@acme/x", version: "2.0.0" });
    const host = new URL(scoped.url).host;
    using project = new TestProject(registry.url, { dependencies: { c: "1.0.0", "@acme/x": "2.0.0" } }, [
      `@acme:registry=${scoped.url}`,
      `//${host}/:_authToken=${scoped.token}`,
    ]);
    await project.lock();
    const result = await project.cli(["install", "--client-output", "--", "npm", "ci"]);
    expect(result.exit).toBe(0);
    expect(scoped.requests.every((request) => request.authorization === `Bearer ${scoped.token}`)).toBe(true);
    expect(registry.requests.every((request) => request.authorization === undefined)).toBe(true);
    const trail = await project.cli(["audit", "export"]);
    expect(trail.stdout + result.stderr + result.stdout).not.toContain("s3cret");
  });
});

describe("bad input stops before npm starts and leaves node_modules as it was", () => {
  const cases: readonly [name: string, exit: number, words: RegExp, spoil: (registry: TestRegistry, project: TestProject) => void][] = [
    [
      "swapped bytes",
      6,
      /sha512 does not match/,
      (r) => r.fault(r.tarballPath("c", "1.0.0"), { body: packTarball([["package/package.json", '{"name":"c","version":"1.0.0","evil":1}']]) }),
    ],
    [
      "a swapped hash in the lockfile",
      6,
      /sha512 does not match.*package-lock\.json:\d+/,
      (_r, p) => p.editLock((lock) => Object.assign(lock.packages["node_modules/c"] ?? {}, { integrity: sri(Buffer.from("other")) })),
    ],
    ["a cut-off tarball", 8, /127\.0\.0\.1/, (r) => r.fault(r.tarballPath("c", "1.0.0"), { cut: 40 })],
    ["a length that is a lie", 8, /127\.0\.0\.1/, (r) => r.fault(r.tarballPath("c", "1.0.0"), { claim: 10_000_000, cut: 100 })],
    ["a registry that fails", 8, /answers 500/, (r) => r.fault(r.tarballPath("c", "1.0.0"), { status: 500 })],
    [
      "a registry that is silent",
      8,
      /took longer/,
      (r, p) => {
        r.fault(r.tarballPath("c", "1.0.0"), { stall: 60_000 });
        p.write("cofferdam.yaml", "version: 1\nlimits: {timeout: 300ms}\n");
      },
    ],
    [
      "a redirect to cloud metadata",
      3,
      /link-local/,
      (r) => r.fault(r.tarballPath("c", "1.0.0"), { status: 302, location: "http://169.254.169.254/latest/meta-data" }),
    ],
    [
      "a foreign host",
      3,
      /not one of your registries/,
      (_r, p) => p.editLock((lock) => Object.assign(lock.packages["node_modules/c"] ?? {}, { resolved: "https://evil.example/c/-/c-1.0.0.tgz" })),
    ],
    ["a missing hash", 3, /has no hash/, (_r, p) => p.editLock((lock) => delete lock.packages["node_modules/c"]?.["integrity"])],
    [
      "a sha1 hash",
      3,
      /only a sha1/,
      (_r, p) => p.editLock((lock) => Object.assign(lock.packages["node_modules/c"] ?? {}, { integrity: "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" })),
    ],
    [
      "a git dependency",
      3,
      /git repository/,
      (_r, p) =>
        p.editLock((lock) =>
          Object.assign(lock.packages["node_modules/c"] ?? {}, { resolved: "git+ssh://git@git.example/c.git#0123456789012345678901234567890123456789" }),
        ),
    ],
    ["git=./x in .npmrc", 3, /program of the project's choice, \.npmrc:1/, (_r, p) => p.write(".npmrc", "git=./x\n")],
    ["script-shell in .npmrc", 3, /\.npmrc:2/, (_r, p) => p.write(".npmrc", "save-exact=true\nscript-shell=./sh\n")],
    ["a registry of the project's choice", 3, /chooses the registry evil\.example/, (_r, p) => p.write(".npmrc", "@s:registry=https://evil.example/\n")],
    ["a credential for a foreign host", 3, /binds credentials/, (_r, p) => p.write(".npmrc", "//evil.example/:_authToken=x\n")],
    [
      "package.json and lockfile that differ",
      3,
      /was made for/,
      (_r, p) => p.write("package.json", JSON.stringify({ name: "project", version: "1.0.0", dependencies: { c: "2.0.0" } })),
    ],
    [
      "a tarball that is another package",
      6,
      /the tarball with this hash is a@1\.0\.0/,
      (_r, p) =>
        p.editLock((lock) => {
          const [c, a] = [lock.packages["node_modules/c"], lock.packages["node_modules/a"]];
          Object.assign(c ?? {}, { integrity: a?.["integrity"], resolved: a?.["resolved"] });
        }),
    ],
    [
      "a typo in cofferdam.yaml",
      2,
      /cofferdam\.yaml:2:1: levle: unknown key \(did you mean "level"\?\)/,
      (_r, p) => p.write("cofferdam.yaml", "version: 1\nlevle: high\n"),
    ],
    ["a lockfile that is not JSON", 2, /not JSON/, (_r, p) => p.write("package-lock.json", "{")],
    [
      "a place outside of the project",
      2,
      /not a place in a project/,
      (_r, p) => p.editLock((lock) => Object.assign(lock.packages, { "node_modules/../../x": { version: "1.0.0" } })),
    ],
  ];
  test.each(cases)("%s", async (_name, exit, words, spoil) => {
    const { registry, project } = await world({ dependencies: { a: "1.0.0", c: "1.0.0" } }, publishAbc);
    await using _r = registry;
    using _p = project;
    await project.lock();
    project.write("node_modules/keep/me.txt", "untouched");
    spoil(registry, project);
    const result = await project.cli(["install", "--", "npm", "ci"]);
    expect(result.stderr).toMatch(words);
    expect(result.exit).toBe(exit);
    expect(result.stderr).not.toMatch(/\n\s+at /);
    expect(project.read("node_modules/keep/me.txt")).toBe("untouched");
    const verify = await project.cli(["audit", "verify", "--json"]);
    expect(JSON.parse(verify.stdout)).toMatchObject({ failed: 0 });
  });

  test("a hostile archive with the right hash", async () => {
    const { registry, project } = await world(
      { dependencies: { evil: "1.0.0" } },
      (r) => void r.publish({ name: "evil", version: "1.0.0", extra: [["package/../../escape.js", "boom"]] }),
    );
    await using _r = registry;
    using _p = project;
    await project.lock();
    const result = await project.cli(["install", "--", "npm", "ci"]);
    expect(result.stderr).toMatch(/evil@1\.0\.0: the archive holds a path with \.\./);
    expect(result.exit).toBe(6);
  });

  test("a redirect to another host is followed without the credential, because the hash decides", async (context) => {
    requires(context, "bwrap");
    await using registry = await TestRegistry.start();
    await using storage = await TestRegistry.start();
    registry.token = "only-for-the-registry";
    publishAbc(registry);
    publishAbc(storage);
    const { host } = new URL(registry.url);
    using project = new TestProject(registry.url, { dependencies: { c: "1.0.0" } }, [`//${host}/:_authToken=${registry.token}`]);
    await project.lock();
    const path = registry.tarballPath("c", "1.0.0");
    registry.fault(path, { status: 302, location: `${storage.url}c/-/c-1.0.0.tgz` });
    expect((await project.cli(["npm", "ci"])).exit).toBe(0);
    expect(storage.requests).toEqual([{ path, authorization: undefined, method: "GET" }]);
  });
});

test("an exception with a reason accepts a missing hash; an expired one does not", async (context) => {
  requires(context, "bwrap");
  const { registry, project } = await world({ dependencies: { c: "1.0.0" } }, publishAbc);
  await using _r = registry;
  using _p = project;
  await project.lock();
  project.editLock((lock) => delete lock.packages["node_modules/c"]?.["integrity"]);
  const denied = await project.cli(["npm", "ci"]);
  expect(denied.stderr).toContain("allow: cofferdam policy allow 'missing-hash c@1.0.0' --reason TEXT");
  expect((await project.cli(["policy", "allow", "missing-hash c@1.0.0", "--reason", "old", "--until", "2020-01-01"])).exit).toBe(0);
  const expired = await project.cli(["npm", "ci"]);
  expect(expired.stderr).toContain("expired: the exception for missing-hash c@1.0.0 ended on 2020-01-01");
  expect(expired.exit).toBe(3);
});

test("a tree that differs from the judged set is moved aside", async (context) => {
  requires(context, "bwrap");
  const { registry, project } = await world(ABC, publishAbc);
  await using _r = registry;
  using _p = project;
  await project.lock();
  expect((await project.cli(["npm", "ci"])).exit).toBe(0);
  project.write("node_modules/c/index.js", "module.exports = 'changed by hand';\n");
  project.write("node_modules/c/planted.js", "boom\n");
  const result = await project.cli(["npm", "install"]);
  expect(result.stderr).toMatch(/STOPPED: node_modules is not what was judged: 2 differences/);
  expect(result.stderr).toMatch(/changed {2}node_modules\/c\/index\.js/);
  expect(result.stderr).toMatch(/extra {4}node_modules\/c\/planted\.js/);
  expect(result.exit).toBe(6);
  expect(project.has("node_modules")).toBe(false);
  expect(project.has("node_modules.refused/c/planted.js")).toBe(true);
  expect((await project.cli(["npm", "install"])).exit).toBe(0);
});

test("two projects at once, and the same project twice", async (context) => {
  requires(context, "bwrap");
  await using registry = await TestRegistry.start();
  publishAbc(registry);
  using one = new TestProject(registry.url, ABC);
  using two = new TestProject(registry.url, { dependencies: { c: "1.0.0" } });
  await Promise.all([one.lock(), two.lock()]);
  const shared = { COFFERDAM_STATE: one.state };
  const results = await Promise.all([one.cli(["npm", "ci"], { env: shared }), two.cli(["npm", "ci"], { env: shared })]);
  expect(results.map((result) => result.exit)).toEqual([0, 0]);
  const twice = await Promise.all([one.cli(["npm", "ci"]), one.cli(["npm", "ci"])]);
  expect(twice.map((result) => result.exit).sort()).toEqual([0, 2]);
  expect(twice.find((result) => result.exit === 2)?.stderr).toMatch(/another install of this project is running \(process \d+\)/);
});
