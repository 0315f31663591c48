/** `cofferdam sandbox run` through the built command line, and the parts of the jail that only its library shows. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { BlockList, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { type JailRequest, type JailResult, type JailTools, locateJailHelper, runJail, toolchain } from "../../src/sandbox/index.ts";
import { checkoutFor } from "../world/checkout.ts";
import { requires } from "../world/needs.ts";
import { type CliResult, TestProject } from "../world/project.ts";
import { alive, until, withoutJailHelper } from "../world/script-world.ts";

const USER = 12_345;

beforeEach((context) => requires(context, "jail"));

function world(): TestProject {
  return new TestProject("http://127.0.0.1:9/", {});
}

async function sh(project: TestProject, body: string, options: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  return await project.cli(["sandbox", "run", ...options, "--", "sh", "-c", body], { env });
}

describe("how it ends", () => {
  test.each([
    ["the command's own code", "echo out; echo err >&2; exit 5", [], 5, /^err\n$/],
    ["128 and a signal's number", "kill -15 $$", [], 143, /^$/],
    ["a program that is not there", "exec not-a-program-at-all", [], 127, /not found/],
    ["124 on the time limit", "sleep 60", ["--timeout", "400ms"], 124, /limit {4}timeout was reached\n(?:.*\n)*cofferdam: stopped DEADLINE_EXCEEDED\n$/],
    [
      "5 on the memory limit",
      `perl -e '$x .= "y" x 1e7 while 1'`,
      ["--memory", "100MB"],
      5,
      /limit {4}memory was reached\n(?:.*\n)*cofferdam: stopped RESOURCE_EXHAUSTED\n$/,
    ],
    ["5 on too much output", "yes", ["--output", "10kB"], 5, /limit {4}output was reached\n(?:.*\n)*cofferdam: stopped RESOURCE_EXHAUSTED\n$/],
  ] as const)("%s", async (_name, body, options, exit, words) => {
    using project = world();
    const result = await sh(project, body, options);
    expect(result.stderr).toMatch(words);
    expect(result.exit).toBe(exit);
    if (exit === 5 && options.length === 0) expect(result.stdout).toBe("out\n");
  });

  test("Ctrl-C: 130, and nothing stays alive", async () => {
    using project = world();
    const seconds = 100_000 + Math.floor(Math.random() * 100_000);
    const child = project.start(["sandbox", "run", "--", "sh", "-c", `trap '' TERM; (sleep ${seconds} & exec setsid sleep ${seconds}); echo`]);
    try {
      await until(() => alive(`sleep\0${seconds}`) === 2);
      const started = Date.now();
      child.kill("SIGINT");
      expect(await new Promise((resolve) => child.once("close", resolve))).toBe(130);
      expect(Date.now() - started).toBeLessThan(8000);
      expect(alive(`sleep\0${seconds}`)).toBe(0);
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("one JSON document; what the command prints goes to the other stream", async () => {
    using project = world();
    writeFileSync(join(project.home, ".netrc"), "secret");
    const { exit, stdout, stderr } = await sh(project, `echo said; cat ${project.home}/.netrc; echo x > file; sleep 300 & exit 3`, ["--json"]);
    expect(exit).toBe(3);
    expect(stderr).toContain("said\n");
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      schema: "cofferdam/sandbox-run/v1",
      exit: 3,
      timedOut: false,
      leftovers: 1,
      refused: [
        { kind: "read", what: join(project.home, ".netrc"), why: "hidden" },
        { kind: "write", what: join(project.root, "file"), why: expect.stringMatching(/^(?:read-only|denied)$/) },
      ],
      layers: { mount: true, net: true, pid: true, seccomp: true, limits: true, dropped: process.getuid?.() === 0 },
      outputs: [],
      reached: [],
    });
    expect(document.layers.landlock).toBeGreaterThanOrEqual(0);
    expect(Object.keys(document)).not.toContain("stoppedBy");
    const timed = JSON.parse((await sh(project, "sleep 9", ["--json", "--timeout", "300ms"])).stdout);
    expect(timed).toMatchObject({ exit: null, killedBy: "timeout", stoppedBy: "DEADLINE_EXCEEDED", timedOut: true });
    const { events } = JSON.parse((await project.cli(["audit", "search", "--action", "RuntimeProtection", "--json"])).stdout);
    expect(events).toMatchObject([
      { details: { killedBy: "timeout" } },
      { result: "failure", details: { exit: 3, refused: [{ kind: "read" }, { kind: "write" }] } },
    ]);
  });
});

describe("what it sees", () => {
  test("the project and not the home; variables only by name; an option for more", async () => {
    using project = world();
    project.write("file", "content\n");
    writeFileSync(join(project.home, "shown"), "shown\n");
    const env = { API_TOKEN: "hunter2", OTHER: "o", LANG: "C.UTF-8" };
    const body = `cat file; cat ${project.home}/shown; echo "$HOME $LANG [$API_TOKEN] [$OTHER] [$SET]"`;
    const closed = await sh(project, body, [], env);
    expect(closed.stdout).toBe("content\n/home/jail C.UTF-8 [] [] []\n");
    expect(closed.stderr).toContain(`refused  read ${project.home}/shown (`);
    const open = await sh(project, body, ["--ro", join(project.home, "shown"), "--env", "OTHER", "--env", "SET=a=b"], env);
    expect(open.stdout).toContain("content\nshown\n");
    expect(open.stdout).toContain("/home/jail C.UTF-8 [] [o] [a=b]\n");
  });

  test("no socket, FIFO or device that lies in the project", async () => {
    using project = world();
    execFileSync("mkfifo", [join(project.root, "commands.fifo")]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(project.root, "daemon.sock"), resolve));
    try {
      const { stdout } = await sh(project, "for f in commands.fifo daemon.sock; do [ -f $f ] && [ ! -s $f ] && echo masked $f; done");
      expect(stdout).toBe("masked commands.fifo\nmasked daemon.sock\n");
    } finally {
      server.close();
    }
  });

  test("a project below a folder that only root may pass", async (context) => {
    requires(context, "root");
    using project = world();
    expect(statSync(project.base).mode & 0o777).toBe(0o700);
    project.write("deep/er/file", "there\n");
    chmodSync(join(project.root, "deep"), 0o755);
    mkdirSync(join(project.root, "out"));
    const { stdout, exit } = await sh(project, "cat deep/er/file && pwd && node -p 1+1 && echo made > out/file", ["--rw", "out"]);
    expect(stdout).toBe(`there\n${project.root}\n2\n`);
    expect(exit).toBe(0);
    expect(project.read("out/file")).toBe("made\n");
  });

  test("a folder to write: a copy when root calls, with its owner, its hooks untouched", async (context) => {
    requires(context, "root");
    using project = world();
    const out = join(project.root, "out");
    for (const path of ["out/.git/hooks/pre-commit", "out/kept", "out/gone"]) project.write(path, "before\n");
    execFileSync("chown", ["-R", `${USER}:${USER}`, out]);
    const body =
      "id -u; echo new > out/sub.txt; mkdir out/folder; rm out/gone; echo x >> out/kept; echo evil > out/.git/hooks/pre-commit; mkdir out/.github; ln -s / out/root; echo x > other";
    const { stdout, stderr, exit } = await sh(project, body, ["--rw", "out"]);
    expect(Number(stdout)).toBeGreaterThan(60_000);
    expect(exit).not.toBe(0);
    for (const name of ["sub.txt", "folder", "kept"]) expect(lstatSync(join(out, name))).toMatchObject({ uid: USER, gid: USER });
    expect(project.has("out/gone")).toBe(false);
    expect(project.read("out/kept")).toBe("before\nx\n");
    expect(project.read("out/.git/hooks/pre-commit")).toBe("before\n");
    expect(project.has("out/.github")).toBe(false);
    expect(project.has("other")).toBe(false);
    expect(stderr).toContain(`left out ${out}/.github: may not be made here`);
    expect(stderr).toContain(`left out ${out}/root: a link out of the tree`);
    expect(stderr).toMatch(/refused {2}write .*\/other/);
  });
});

describe("as an ordinary user", () => {
  test("medium says that memory is only watched, and files are the user's own; high refuses without a cgroup", async (context) => {
    requires(context, "root");
    const folder = userFolder();
    try {
      const medium = await asUser(folder, ["--json", "--rw", "out"], "echo made > out/file; echo x > other");
      expect(JSON.parse(medium.stdout)).toMatchObject({ layers: { memory: "watched", cgroup: [], userns: true, dropped: false } });
      expect(JSON.parse(medium.stdout).notes.join()).toMatch(/memory is watched ten times a second/);
      expect(lstatSync(join(folder, "project/out/file")).uid).toBe(USER);
      const said = await asUser(folder, [], "echo x > other");
      expect(said.stderr).toMatch(/note {5}memory is watched/);
      const memory = await asUser(folder, ["--memory", "100MB"], `perl -e '$x .= "y" x 1e7 while 1'`);
      expect(memory.exit).toBe(5);
      const strict = join(folder, "strict.yaml");
      writeFileSync(strict, `version: 1\nlevel: high\naudit: {copy: ${join(folder, "copies")}}\n`);
      const high = await asUser(folder, ["--config", strict], "true");
      expect(high.stderr).toMatch(/no cgroup can be made here, and level high needs the kernel to bound memory/);
      expect(high.exit).toBe(7);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("sockets and FIFOs in a folder that is written as a copy", () => {
  test("they stay as they are, whatever the command does there", async (context) => {
    requires(context, "root");
    requires(context, "jail");
    using project = world();
    mkdirSync(join(project.root, "d"));
    const fifos = ["pipe", "d/pipe", "gone"].map((name) => join(project.root, name));
    execFileSync("mkfifo", fifos);
    const { exit, stderr } = await sh(project, "ls -A . d; echo x > new; echo x > gone", ["--rw", "."]);
    expect(exit).toBe(0);
    for (const path of fifos) expect(lstatSync(path).isFIFO(), path).toBe(true);
    expect(project.read("new")).toBe("x\n");
    expect(stderr).toMatch(/left out .*gone: a socket, FIFO or device of yours is there/);
  });
});

describe("what cannot be had", () => {
  test("a working folder that is the home, or has it inside: nothing runs", async () => {
    using project = world();
    for (const cwd of [project.home, project.base, "/"]) {
      const { exit, stderr, stdout } = await project.cli(["sandbox", "run", "--", "echo", "ran"], { cwd });
      expect(stderr).toMatch(/cannot be the working folder: the command would see all of (?:your home|the machine)/);
      expect({ exit, stdout }).toEqual({ exit: 2, stdout: "" });
    }
    const own = await project.cli(["sandbox", "run", "--", "ls", "-A"], { cwd: "/tmp", env: { HOME: "/nonexistent" } });
    // The jail's own /tmp: nothing of the host's but what holds the programs, if they lie there.
    expect(own.exit).toBe(0);
    expect(own.stdout).not.toContain(basename(project.base));
  });

  test("without the native helper: ENVIRONMENT_UNFIT with what to do", async () => {
    using project = world();
    const [node = "", cli = ""] = withoutJailHelper(join(project.base, "copy"));
    const { exit, stderr, stdout } = await project.run(node, [cli, "sandbox", "run", "--", "echo", "ran"]);
    expect(stderr).toMatch(/the jail's helper is missing for/);
    expect(stderr).toMatch(/\.\/dev setup builds it/);
    expect({ exit, stdout }).toEqual({ exit: 7, stdout: "" });
  });

  test.each([
    [["--rw", "missing"], 2, /missing does not exist/],
    [["--rw", "/"], 2, /would leave nothing of the jail/],
    [["--net", "127.0.0.1:80"], 2, /is not a name with a port/],
    [["--pids", "many"], 2, /--pids many/],
    [["--env", "A B=1"], 2, /not the name of a variable/],
  ] as const)("%j", async (options, exit, words) => {
    using project = world();
    const result = await sh(project, "echo ran", options);
    expect(result.stderr).toMatch(words);
    expect(result.exit).toBe(exit);
    expect(result.stdout).toBe("");
  });

  test("trees that are too large, too deep or too strange: RESOURCE_EXHAUSTED, before anything runs", async (context) => {
    requires(context, "root");
    using project = world();
    project.write("large/file", "x".repeat(3_000_000));
    const large = await sh(project, "echo ran", ["--rw", "large", "--disk", "1MB"]);
    expect(large.stderr).toMatch(/what the jail may write is larger than its disk limit \(1000000 bytes\): file does not fit/);
    expect(large).toMatchObject({ exit: 5, stdout: "" });
    execFileSync("mkdir", ["-p", join(project.root, "deep", ...Array<string>(200).fill("d"))]);
    const deep = await sh(project, "echo ran", ["--rw", "deep"]);
    expect(deep.stderr).toMatch(/more than 128 folders deep/);
    expect(deep).toMatchObject({ exit: 5, stdout: "" });
    rmSync(join(project.root, "deep"), { recursive: true });
    mkdirSync(join(project.root, "strange"));
    execFileSync(
      "mkfifo",
      Array.from({ length: 501 }, (_, i) => join(project.root, "strange", `f${i}`)),
    );
    const strange = await sh(project, "echo ran");
    expect(strange.stderr).toMatch(/too many sockets, FIFOs or devices to be shown to a jail/);
    expect(strange).toMatchObject({ exit: 5, stdout: "" });
  });

  test("deep and broad outputs end at their limits, and the host's files are whole", async (context) => {
    requires(context, "root");
    using project = world();
    project.write("out/file", "before\n");
    const { outputs, refused } = await jailed(project, {
      command: [
        "perl",
        "-e",
        `for (1 .. 200) { mkdir "d" x 100; chdir "d" x 100 or last } chdir "${project.root}/out"; for (1 .. 1e5) { open my $f, ">", "f$_" or last }`,
      ],
      cwd: join(project.root, "out"),
      writable: [{ path: join(project.root, "out"), mode: "staged", except: [] }],
      limits: { inodes: 500 },
    });
    expect(refused).toContainEqual(expect.objectContaining({ kind: "limit", what: "inodes" }));
    expect(outputs[0]?.refused.length).toBe(1);
    expect(outputs[0]?.refused[0]?.why).toMatch(/too deep|ENAMETOOLONG/);
    expect(project.read("out/file")).toBe("before\n");
  });
});

describe("the network that was granted", () => {
  test("by name and port alone: other names, literals, private addresses behind a name and plain HTTP are refused and on record", async () => {
    using project = world();
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("hello from outside");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const blocked = new BlockList();
    blocked.addSubnet("10.0.0.0", 8, "ipv4");
    const asked: string[] = [];
    const resolve = async (host: string): Promise<string> => {
      asked.push(host);
      if (host === "gone.example") throw new Error("no such name");
      return host === "private.example" ? "10.1.2.3" : "127.0.0.1";
    };
    project.write("ask.cjs", ASK);
    const targets = [
      `files.example:${port}`,
      `FILES.example:${port}`,
      "files.example:1",
      "other.example:443",
      `127.0.0.1:${port}`,
      `[::1]:${port}`,
      "private.example:443",
      "gone.example:443",
    ];
    try {
      const result = await jailed(
        project,
        { command: ["node", "ask.cjs", String(port), ...targets], net: [`files.example:${port}`, "private.example:443", "gone.example:443"] },
        { resolver: { resolve, blocked } },
      );
      expect(JSON.parse(result.stdout)).toEqual({
        [`files.example:${port}`]: "200 hello from outside",
        [`FILES.example:${port}`]: "200 hello from outside",
        "files.example:1": "403",
        "other.example:443": "403",
        [`127.0.0.1:${port}`]: "403",
        [`[::1]:${port}`]: "403",
        "private.example:443": "403",
        "gone.example:443": "502",
        plain: "403",
        direct: "ECONNREFUSED",
        name: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
      });
      expect(asked).toEqual(["files.example", "FILES.example", "private.example", "gone.example"]);
      expect(result.reached.map(({ target }) => target.toLowerCase())).toContain(`files.example:${port}`);
      expect(result.refused.filter(({ kind }) => kind === "network").map(({ what, why }) => `${what}: ${why}`)).toEqual(
        expect.arrayContaining([
          "files.example:1: not granted",
          "other.example:443: not granted",
          `127.0.0.1:${port}: address literal`,
          `[::1]:${port}: address literal`,
          "private.example:443: leads to a private address",
          "files.example:80: plain http",
        ]),
      );
      for (const { by } of result.refused.filter(({ what }) => what === "other.example:443")) expect(by).toBe("node");
      expect(result.refused.some(({ what }) => what.startsWith("gone.example"))).toBe(false);
    } finally {
      server.close();
    }
  });

  test("loopback behind a granted name is refused by what ships", async () => {
    using project = world();
    project.write("ask.cjs", ASK);
    const result = await jailed(
      project,
      { command: ["node", "ask.cjs", "1", "inside.example:443"], net: ["inside.example:443"] },
      { resolver: { resolve: async () => "::ffff:127.0.0.1" } },
    );
    expect(JSON.parse(result.stdout)).toMatchObject({ "inside.example:443": "403" });
    expect(result.refused).toContainEqual(expect.objectContaining({ what: "inside.example:443", why: "leads to a private address" }));
  });

  test("none without a grant, not even a name is asked for", async () => {
    using project = world();
    const { stdout, stderr } = await sh(
      project,
      `node -e "require('dns').lookup('cdn.example', (e) => { console.log(e.code); require('net').connect(443, '192.0.2.1').on('error', (e) => console.log(e.code)) })"`,
    );
    expect(stdout).toMatch(/^(?:ENOTFOUND|EAI_AGAIN)\nENETUNREACH\n$/);
    expect(stderr).toMatch(/refused {2}cdn\.example .*: it has no network/);
    expect(stderr).toMatch(/refused {2}192\.0\.2\.1:443 .*: it has no network/);
    expect(stderr).toMatch(/allow: --net cdn\.example:443\n/);
  });
});

/** Asks the proxy for each target, for a plain page, goes past it, and prints what came of it. */
const ASK = `const http = require("http"), net = require("net"), dns = require("dns");
const [port, ...targets] = process.argv.slice(2), said = {};
const ask = (target) => new Promise((done) => {
  const request = http.request({ host: "127.0.0.1", port: 3128, method: "CONNECT", path: target });
  request.on("connect", (response, socket, head) => {
    let text = String(head);
    if (response.statusCode !== 200) { socket.destroy(); done(String(response.statusCode)); return; }
    socket.on("data", (piece) => (text += piece)).on("close", () => done("200 " + text)).on("error", () => undefined);
  }).on("error", (error) => done(error.code)).end();
});
(async () => {
  for (const target of targets) said[target] = await ask(target);
  said.plain = await new Promise((done) => http.get({ host: "127.0.0.1", port: 3128, path: "http://files.example/" }, (r) => done(String(r.statusCode))).on("error", (e) => done(e.code)));
  said.direct = await new Promise((done) => net.connect(Number(port), "127.0.0.1").on("connect", () => done("connected")).on("error", (e) => done(e.code)));
  said.name = await new Promise((done) => dns.lookup("files.example", (e) => done(e ? e.code : "resolved")));
  console.log(JSON.stringify(said));
})();
`;

async function jailed(project: TestProject, request: Partial<JailRequest>, tools: Partial<JailTools> = {}): Promise<JailResult> {
  const { path, readable } = toolchain(process.env["PATH"] ?? "");
  return await runJail(
    {
      ...{ command: ["true"], cwd: project.root, env: { PATH: path }, writable: [], readable: [project.root, ...readable], net: [], level: "medium" },
      ...{ keep: "always", output: "capture", signal: AbortSignal.timeout(30_000), ...request },
    },
    { bubblewrap: "/usr/bin/bwrap", helper: locateJailHelper(), ...tools },
  );
}

function userFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-user-"));
  chmodSync(folder, 0o755);
  for (const name of ["project", "project/out", "home", "state", "copies"]) {
    mkdirSync(join(folder, name), { mode: 0o700 });
    chownSync(join(folder, name), USER, USER);
  }
  return folder;
}

/** The command line as uid 12345, from this checkout or, where it lies below a private folder, a copy of it. */
async function asUser(folder: string, options: readonly string[], body: string): Promise<CliResult> {
  const checkout = checkoutFor("user");
  const child: ChildProcess = spawn(
    realpathSync(join(checkout, ".dev/bin/node")),
    [join(checkout, "bin/cofferdam.js"), "sandbox", "run", ...options, "--", "sh", "-c", body],
    {
      ...{ cwd: join(folder, "project"), uid: USER, gid: USER, stdio: ["ignore", "pipe", "pipe"] },
      env: { PATH: "/usr/bin:/bin", HOME: join(folder, "home"), COFFERDAM_STATE: join(folder, "state") },
    },
  );
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name]?.setEncoding("utf8").on("data", (piece: string) => (text[name] += piece));
  const exit = await new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? 128)));
  return { exit, ...text };
}
