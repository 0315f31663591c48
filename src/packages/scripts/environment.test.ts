import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tgz } from "../../../test/world/archives.ts";
import { parseNpmLockfile } from "../../inventory/index.ts";
import { type ScriptSurroundings, scriptEnvironment } from "./environment.ts";
import { hasBindingGyp, MAX_SCRIPT, parseScriptManifest, readScriptManifest, type ScriptManifest, scriptsFor } from "./manifest.ts";
import { eventsOf } from "./order.ts";
import { projectSubject, subjectOf } from "./subject.ts";

const NPM = fileURLToPath(new URL("../../../tools/runtime/node_modules/npm", import.meta.url));
const npm = { folder: NPM, script: join(NPM, "bin/npm-cli.js"), version: String(JSON.parse(readFileSync(join(NPM, "package.json"), "utf8")).version) };

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "cofferdam-env-")));
});
afterEach(() => rmSync(root, { recursive: true }));

const manifest = (json: object): ScriptManifest => parseScriptManifest(JSON.stringify(json));
const around = (more: Partial<ScriptSurroundings> = {}): ScriptSurroundings => ({
  subject: projectSubject("x", "1.0.0"),
  manifest: manifest({ name: "x", version: "1.0.0" }),
  script: { event: "postinstall", body: "node x.js" },
  root: "/project",
  folder: "/project",
  initCwd: "/project",
  home: "/home",
  path: ["/usr/bin", "/bin"],
  node: "/node",
  nodeVersion: "v26.0.0",
  npm,
  command: "ci",
  omitDev: false,
  nodedir: undefined,
  caller: {},
  ...more,
});

const DUMP = "require('fs').writeFileSync(process.env.npm_lifecycle_event + '.json', JSON.stringify(process.env))";

/** What npm sets for its own settings, or hands on from the caller; a script in the jail has no use for any of them. */
const NOT_OURS =
  /^(?:COLOR|EDITOR|SHLVL|OLDPWD|PWD|_|npm_config_(?:allow_scripts|cache|color|globalconfig|global_prefix|init_module|noproxy|prefix|userconfig|.*audit|offline))$/;

describe("beside npm's own", () => {
  const dump = (folder: string, event: string): Record<string, string> => JSON.parse(readFileSync(join(root, folder, `${event}.json`), "utf8"));

  test("the same names, and the same values, for a package and for the project", async () => {
    const dep = {
      name: "dep",
      version: "1.2.3",
      bin: { "dep-tool": "tool.js", other: "./o.js" },
      engines: { node: ">=20", npm: ">=9" },
      scripts: { preinstall: `node -e "${DUMP}"`, install: "node -e 0", postinstall: `node -e "${DUMP}"` },
    };
    const files = [{ path: "package/package.json", body: JSON.stringify(dep) }, ...["tool.js", "o.js"].map((name) => ({ path: `package/${name}`, body: "" }))];
    writeFileSync(join(root, "dep.tgz"), tgz(files));
    const project = {
      name: "app",
      version: "0.1.0",
      config: { port: 8080, deep: { list: ["a", "b"], no: false, none: null } },
      scripts: { prepare: `node -e "${DUMP}"` },
      dependencies: { dep: "file:dep.tgz" },
    };
    writeFileSync(join(root, "package.json"), JSON.stringify(project));
    mkdirSync(join(root, "home"));
    const env = { PATH: "/usr/bin:/bin", HOME: join(root, "home"), LANG: "C.UTF-8", PUPPETEER_SKIP_DOWNLOAD: "1", NPM_TOKEN: "secret" };
    const run = (...args: string[]): void => {
      execFileSync(process.execPath, [npm.script, ...args, "--offline", "--no-audit"], {
        cwd: root,
        env: { ...env, PATH: `${join(process.execPath, "..")}:${env.PATH}` },
        stdio: "pipe",
      });
    };
    run("install", "--package-lock-only");
    run("ci");

    const lockfile = parseNpmLockfile(readFileSync(join(root, "package-lock.json"), "utf8"), "package-lock.json");
    const locked = lockfile.packages.find(({ name }) => name === "dep");
    const subject = locked === undefined ? undefined : subjectOf(locked);
    const folder = join(root, "node_modules/dep");
    const depManifest = await readScriptManifest(folder);
    const appManifest = await readScriptManifest(root);
    if (subject === undefined || depManifest === undefined || appManifest === undefined) throw new Error("nothing was installed");
    const common = { root, initCwd: root, home: env.HOME, path: [], node: process.execPath, nodeVersion: process.version, caller: env };
    const [preinstall, , postinstall] = scriptsFor(depManifest, eventsOf("dependency"), false);
    const [prepare] = scriptsFor(appManifest, ["prepare"], false);
    if (preinstall === undefined || postinstall === undefined || prepare === undefined) throw new Error("a script is missing");
    const pairs: readonly [Record<string, string>, Record<string, string>][] = [
      [dump("node_modules/dep", "preinstall"), scriptEnvironment(around({ ...common, subject, manifest: depManifest, folder, script: preinstall }))],
      [dump("node_modules/dep", "postinstall"), scriptEnvironment(around({ ...common, subject, manifest: depManifest, folder, script: postinstall }))],
      [
        dump("", "prepare"),
        scriptEnvironment(around({ ...common, subject: projectSubject("app", "0.1.0"), manifest: appManifest, folder: root, script: prepare })),
      ],
    ];
    for (const [theirs, ours] of pairs) {
      expect(theirs).toHaveProperty("NPM_TOKEN");
      const names = Object.keys(theirs).filter((name) => name !== "NPM_TOKEN" && !NOT_OURS.test(name));
      // Some shells hand on only what could be the name of a variable of theirs.
      const passing = Object.fromEntries(Object.entries(ours).filter(([name]) => /^\w+$/.test(name)));
      expect(Object.keys(passing).sort()).toEqual(names.filter((name) => /^\w+$/.test(name)).sort());
      const { PATH: theirPath = "", ...theirRest } = theirs;
      const { PATH: ourPath = "", ...ourRest } = passing;
      expect(ourRest).toEqual(Object.fromEntries(Object.keys(ourRest).map((name) => [name, theirRest[name]])));
      // npm goes on above the project, and up to the root of the file system.
      const inProject = theirPath.split(":").filter((entry) => entry.startsWith(root) || entry.includes("node-gyp-bin"));
      expect(ourPath.split(":").filter((entry) => entry !== "")).toEqual(inProject);
    }
  });
});

describe("what stays outside", () => {
  test("of the caller only what is known to hold no secret, and only with the values it may have", () => {
    const caller = {
      LANG: "en_US.UTF-8",
      TZ: "Europe/Berlin",
      CI: "true",
      NODE_ENV: "test",
      FORCE_COLOR: "1",
      NO_COLOR: "",
      HUSKY: "0",
      CYPRESS_INSTALL_BINARY: "0",
      PUPPETEER_SKIP_CHROME_DOWNLOAD: "true",
      PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: "1",
      ELECTRON_SKIP_BINARY_DOWNLOAD: "1",
      NPM_TOKEN: "t",
      AWS_SECRET_ACCESS_KEY: "t",
      SSH_AUTH_SOCK: "/s",
      NODE_OPTIONS: "--require /x",
      LD_PRELOAD: "/x",
      HTTPS_PROXY: "http://u:p@x",
      "npm_config_//registry.example/:_authToken": "t",
      npm_config_script_shell: "/x",
      npm_config_registry: "https://x.example/",
      USER: "me",
    };
    const env = scriptEnvironment(around({ caller }));
    const kept = Object.keys(caller).filter((name) => name in env);
    expect(kept).toEqual(Object.keys(caller).slice(0, 11));
  });

  test.each([
    ["CYPRESS_INSTALL_BINARY", "https://x.example/cypress.zip"],
    ["HUSKY", "secret"],
    ["MY_SKIP_DOWNLOAD", "ghp_secret"],
    ["CI", "a b"],
    ["TZ", "x\ny"],
    ["puppeteer_skip_download", "1"],
    ["constructor", "1"],
  ])("%s=%j is not handed on", (name, value) => {
    expect(Object.hasOwn(scriptEnvironment(around({ caller: { [name]: value } })), name)).toBe(false);
  });

  test("an address loses its password", () => {
    const [locked] = parseNpmLockfile(
      JSON.stringify({ lockfileVersion: 3, packages: { "node_modules/a": { version: "1.0.0", resolved: "https://u:p@r.example/a/-/a-1.0.0.tgz" } } }),
      "x",
    ).packages;
    const subject = locked === undefined ? undefined : subjectOf(locked);
    if (subject === undefined) throw new Error("no subject");
    expect(scriptEnvironment(around({ subject }))["npm_package_resolved"]).toBe("https://r.example/a/-/a-1.0.0.tgz");
  });

  test("commands come from the package up to the project, and no further", () => {
    const path = scriptEnvironment(around({ folder: "/project/node_modules/a/node_modules/@s/b" }))["PATH"]?.split(":") ?? [];
    expect(path[0]).toBe("/project/node_modules/a/node_modules/@s/b/node_modules/.bin");
    expect(path.slice(-4)).toEqual(["/project/node_modules/.bin", join(NPM, "node_modules/@npmcli/run-script/lib/node-gyp-bin"), "/usr/bin", "/bin"]);
    expect(scriptEnvironment(around({ folder: "/lib" }))["PATH"]).toMatch(/^\/lib\/node_modules\/\.bin:/);
    expect(scriptEnvironment(around({ folder: "/project-2/a" }))["PATH"]).toMatch(/^\/project-2\/a\/node_modules\/\.bin:[^:]*node-gyp-bin:/);
  });

  test("production, and node-gyp's headers", () => {
    expect(scriptEnvironment(around({ omitDev: true, caller: { NODE_ENV: "test" }, nodedir: "/node-headers" }))).toMatchObject({
      NODE_ENV: "production",
      npm_config_nodedir: "/node-headers",
    });
  });
});

describe("limits of what a package may say", () => {
  test("so many variables, so many bytes, so deep", () => {
    const env = (config: unknown): Record<string, string> => scriptEnvironment(around({ manifest: manifest({ name: "x", version: "1.0.0", config }) }));
    const many = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]));
    expect(Object.keys(env(many(998)))).toContain("npm_package_config_k997");
    const tooLarge: unknown = expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" });
    expect(() => env(many(999))).toThrow(tooLarge);
    expect(() => env({ a: "x".repeat(64 * 1024) })).toThrow(tooLarge);
    let deep: unknown = 1;
    for (let i = 0; i < 20; i++) deep = { a: deep };
    expect(() => env(deep)).toThrow(tooLarge);
    expect(Object.keys(env({ "a=b": "1", c: "x\0y" })).filter((name) => name.startsWith("npm_package_config"))).toEqual([]);
  });

  test("a script as long as a shell can be given", () => {
    const script = (length: number): ScriptManifest => manifest({ name: "x", scripts: { install: "x".repeat(length) } });
    expect(script(MAX_SCRIPT).scripts.get("install")).toHaveLength(MAX_SCRIPT);
    expect(() => script(MAX_SCRIPT + 1)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
    for (const text of ["[]", "null", "5", "{", ""]) expect(() => parseScriptManifest(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("which scripts", () => {
  test("texts only, in the order of the events; node-gyp where npm would build", () => {
    const events = eventsOf("dependency");
    expect(scriptsFor(manifest({ scripts: { postinstall: "b", preinstall: "a", install: 5, prepare: "c" } }), events, true)).toEqual([
      { event: "preinstall", body: "a" },
      { event: "postinstall", body: "b" },
    ]);
    expect(scriptsFor(manifest({ scripts: { postinstall: "b" } }), events, true)).toEqual([
      { event: "install", body: "node-gyp rebuild" },
      { event: "postinstall", body: "b" },
    ]);
    expect(scriptsFor(manifest({ gypfile: false }), events, true)).toEqual([]);
    expect(scriptsFor(manifest({ scripts: { install: "x" } }), events, true)).toEqual([{ event: "install", body: "x" }]);
    expect(scriptsFor(manifest({}), events, false)).toEqual([]);
    expect(manifest({ scripts: { constructor: "x" } }).scripts.get("toString")).toBeUndefined();
  });

  test("a binding.gyp is a file", () => {
    expect(hasBindingGyp(root)).toBe(false);
    mkdirSync(join(root, "binding.gyp"));
    expect(hasBindingGyp(root)).toBe(false);
    rmSync(join(root, "binding.gyp"), { recursive: true });
    writeFileSync(join(root, "binding.gyp"), "{}");
    expect(hasBindingGyp(root)).toBe(true);
  });
});
