/** `cofferdam job` through the built command line, on a real dockerd: how jobs end, what they get and what comes out of them. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { busyboxArchive, busyboxImage } from "../world/images.ts";
import { useJobWorld } from "../world/job-hooks.ts";
import { CALLER, type JobSpecification, type JobWorld } from "../world/job-world.ts";
import { outcomeOf } from "../world/project.ts";
import { until } from "../world/script-world.ts";

let world: JobWorld;

useJobWorld((started) => {
  world = started;
});

const sh = (script: string, ...options: string[]): JobSpecification => ({ command: ["sh", "-c", script], options });

describe("how it ends", () => {
  test("passed: the command's output, its streams apart, and a report", async () => {
    const { exit, stdout, stderr, report } = await world.job(sh("echo out; echo err >&2"));
    expect([exit, stdout]).toEqual([0, "out\n"]);
    expect(stderr).toMatch(
      /^cofferdam: job t\d+, acme\/web, level medium, busybox:test, 256 MiB\nerr\njob t\d+ PASSED in .*: sh -c 'echo out; echo err >&2' exited 0\n/,
    );
    expect(report).toMatchObject({ verdict: "passed", exit: 0, log: { bytes: 8, kept: 8, truncated: false }, leftBehind: [], threats: [], violations: [] });
    expect(report.proof?.controls.filter(({ ok }) => !ok)).toEqual([]);
    expect(report.auditTrail).toMatchObject({ verified: true, anchored: false });
    expect(report.auditTrail.events.map(({ action }) => action)).toEqual(["JobRequested", "JobStarted", "JobEnded"]);
    expect(report.score?.value).toBeGreaterThan(40);
    expect(report.score?.cap).toBeUndefined();
  });

  test.each([
    ["its own code", ["sh", "-c", "exit 7"], 7, "failed"],
    ["128 and a signal's number", ["sh", "-c", "kill -15 $$"], 143, "failed"],
    ["127 for a program that is not there", ["/no/such"], 127, "failed"],
    ["126 for one that cannot be executed", ["/etc/passwd"], 126, "failed"],
  ] as const)("%s", async (_, command, code, verdict) => {
    const { exit, stderr, report } = await world.job({ command });
    expect(exit).toBe(code);
    expect(report).toMatchObject({ verdict, exit: code });
    if (code === 127) expect(stderr).toContain("cofferdam: /no/such: No such file or directory\n");
    if (code === 126) expect(stderr).toContain("cofferdam: /etc/passwd: Permission denied\n");
  });

  test("--json: one document on stdout, the job's own words on stderr", async () => {
    const { exit, stdout, stderr } = await world.job(sh("echo said; exit 4", "--json"));
    expect(exit).toBe(4);
    expect(stderr).toContain("said\n");
    expect(JSON.parse(stdout)).toMatchObject({ schema: "cofferdam/job-run/v1", verdict: "failed", exit: 4, checks: { authentication: true, scanning: false } });
  });

  test("an exit before anybody looks is not lost: 20 times in a row", async () => {
    await using library = await world.library();
    await library.orchestrator.initialize();
    for (let i = 0; i < 20; i++) {
      let text = "";
      const report = await library.orchestrator.runJob(
        world.newId(),
        { repository: "acme/web", image: world.image, resources: { memory: "64MiB" } },
        { command: ["echo", "quick"] },
        new AbortController().signal,
        {
          onOutput: ({ bytes }) => {
            text += bytes.toString();
          },
        },
      );
      expect([report.verdict, text]).toEqual(["passed", "quick\n"]);
    }
  });
});

describe("whether it may run", () => {
  test("an image that is not there: what to do about it", async () => {
    const { exit, stderr, report } = await world.job({ command: ["true"], options: ["--image", "no/such:1"] });
    expect(exit).toBe(2);
    expect(stderr).toMatch(/BLOCKED before it started: the engine has no image no\/such:1\n[\s\S]*docker load -i FILE[\s\S]*\ncofferdam: stopped NOT_FOUND\n$/);
    expect(report).toMatchObject({ verdict: "blocked", checks: { scanning: { state: "refused" }, resourceAllocation: { state: "not-reached" } } });
  });

  test("by tag and by id; only the id is pinned", async () => {
    const score = async (image: string): Promise<readonly string[]> => {
      const { report } = await world.job({ command: ["true"], options: ["--image", image] });
      expect(report).toMatchObject({ verdict: "passed", image: { reference: image, id: world.imageId } });
      return report.score?.lines.map(({ control }) => control) ?? [];
    };
    expect(await score(world.image)).toContain("job.image-pinned");
    expect(await score(world.imageId)).not.toContain("job.image-pinned");
  });

  test("level medium without a word about images that nobody scanned: blocked, with the line that allows it", async () => {
    world.policy("version: 1\n");
    try {
      const { exit, stderr } = await world.job({ command: ["true"] });
      expect(exit).toBe(3);
      expect(stderr).toContain("jobs: {unscanned: accept}");
      expect(stderr).toMatch(/cofferdam: stopped SECURITY_VIOLATION\n$/);
      world.policy("version: 1\nmode: observe\n");
      const observed = await world.job({ command: ["true"] });
      expect(observed.exit).toBe(0);
      expect(observed.stderr).toContain("was not scanned");
      expect(observed.stderr).toContain("(would be refused)");
    } finally {
      world.policy("version: 1\njobs: {unscanned: accept}\n");
    }
  });

  test("level paranoid takes digests only; by id it runs, on a copy, as nobody", async () => {
    const { exit, stderr } = await world.job({ level: "paranoid", command: ["true"] });
    expect(exit).toBe(3);
    expect(stderr).toContain("level paranoid takes images by digest only");
    const folder = world.folder({ a: "1" });
    const ran = await world.job({ level: "paranoid", ...sh("id -u; cat a", "--image", world.imageId, "--workspace", folder) });
    expect([ran.exit, ran.stdout, ran.report.threats]).toEqual([0, "65534\n1", []]);
    const bound = await world.job({ level: "paranoid", ...sh("true", "--image", world.imageId, "--workspace", folder, "--bind") });
    expect(bound.exit).toBe(3);
    expect(bound.stderr).toContain("level paranoid mounts no folder of the host");
  });

  test("level high: not root, nothing of the image can be written, and it still works", async () => {
    const { exit, stdout, report } = await world.job({
      level: "high",
      ...sh("id -u; touch /new 2>&1; echo x > /tmp/ok && cat /tmp/ok; echo made > out", "--workspace", world.folder()),
    });
    expect([exit, stdout]).toEqual([0, "65534\ntouch: /new: Read-only file system\nx\n"]);
    expect(report.proof?.held).toEqual(expect.arrayContaining(["non-root", "read-only-root"]));
    expect(report.resources.limits).toContainEqual({ resource: "disk", by: "kernel" });
  });

  test("without a checkpoint elsewhere, level high runs nothing", async () => {
    const { exit, stderr } = await world.cli([
      "job",
      "run",
      "--config",
      world.policyFile,
      "--level",
      "high",
      "--image",
      world.image,
      "--repo",
      "a/b",
      "--",
      "true",
    ]);
    expect([exit, stderr]).toEqual([2, expect.stringContaining("needs checkpoints of the audit trail outside of this host")]);
  });

  test("two jobs with one id: one runs, the other is CONFLICT", async () => {
    const id = world.newId();
    const [one, other] = await Promise.all([world.cli(world.words(id, { command: ["true"] })), world.cli(world.words(id, { command: ["true"] }))]);
    expect([one.exit, other.exit].sort()).toEqual([0, 2]);
    expect(one.stderr + other.stderr).toContain(`there is a job ${id} already`);
    expect((await world.cli(world.words(id, { command: ["true"] }))).exit).toBe(2);
  });

  test.each([
    ["--memory", "4XB"],
    ["--cpu", "many"],
    ["--pids", "-1"],
    ["--disk", "10"],
    ["--wait", "soon"],
    ["--priority", "urgent"],
    ["--user", "root"],
    ["--repo", "nobody"],
    ["--id", "../x"],
    ["--image", "../x y"],
    ["--egress", "http://a.example/"],
    ["--secret", "A"],
    ["--secret", "../A=b"],
    ["--secret", "A=../b"],
    ["--secret-env", "1 A=b"],
    ["--env", "NOT_THERE"],
    ["--workdir", "a/../b"],
    ["--workspace", "/no/such/folder"],
  ])("nonsense: %s %s is refused with 2", async (option, value) => {
    const { exit, stderr } = await world.cli(world.words(world.newId(), { command: ["true"], options: [option, value] }));
    expect([exit, stderr]).toEqual([2, expect.stringMatching(/(INVALID_ARGUMENT|FAILED_PRECONDITION|NOT_FOUND)\n$/)]);
  });
});

describe("images from a file", () => {
  test("--load runs the one image of an archive, by its id; a hostile configuration is kept out", async () => {
    const file = join(world.base, "image.tar");
    const hostile = {
      Env: ["PATH=/bin", "LD_PRELOAD=/tmp/x.so", "COFFERDAM_STATE=/", "OK=yes"],
      Labels: { "com.docker.compose.project": "x", "cofferdam.job": "another", "\u001b[31m": "red" },
      Healthcheck: { Test: ["CMD", "touch", "/tmp/checked"] },
      Volumes: { "/data": {} },
    };
    const { archive, id } = busyboxArchive({ config: hostile, reference: "hostile:1" });
    writeFileSync(file, archive);
    const { exit, stdout, report } = await world.job({ ...sh("env | sort; echo x > /data/y; cat /data/y", "--load", file) });
    expect(exit).toBe(0);
    expect(stdout).toContain("OK=yes\n");
    expect(stdout).not.toMatch(/LD_PRELOAD|COFFERDAM_/);
    expect(report.image).toMatchObject({ reference: id, id });
    expect(report.refused.join("\n")).toMatch(/labels of the image are emptied/);
    await world.engine.images.remove(id, { force: true });
    writeFileSync(file, archive.subarray(0, archive.length / 2));
    const broken = await world.cli(world.words(world.newId(), { command: ["true"], options: ["--load", file] }));
    expect(broken.exit).not.toBe(0);
    expect((await world.cli(world.words(world.newId(), { command: ["true"], options: ["--load", "/no/such.tar"] }))).exit).toBe(2);
  });
});

describe("the workspace", () => {
  test.each(["copy", "bind"])("%s: is of the image's own user, whom only its passwd knows", async (mode) => {
    const reference = `named:${mode}`;
    const image = await busyboxImage(world.engine, { reference, config: { User: "nobody" } });
    const folder = world.folder({ a: "1" });
    const bind = mode === "bind" ? ["--bind"] : [];
    const { exit, stdout } = await world.job(sh('id -u; stat -c %u:%g a; echo 2 > b; echo "$HOME"', "--image", reference, "--workspace", folder, ...bind));
    expect([exit, stdout]).toEqual([0, "65534\n65534:65534\n/\n"]);
    expect(readFileSync(join(folder, "b"), "utf8")).toBe("2\n");
    expect(statSync(join(folder, "b")).uid).toBe(CALLER);
    await world.engine.images.remove(image, { force: true });
  });

  test.each(["copy", "bind"] as const)("%s: what it made belongs to the folder's owner; what was planted is named", async (mode) => {
    const folder = world.folder({ "src/a.txt": "a", ".git/config": "[core]\n", ".git/hooks/keep": "" });
    const script =
      "set -e; cat src/a.txt; echo b > src/b.txt; rm src/a.txt; mkdir -p out .github/workflows; echo r > out/r; ln -s /etc/shadow out/link; echo s > out/setuid; chmod u+s out/setuid; " +
      "echo evil > .git/hooks/pre-commit; echo x > .github/workflows/ci.yml";
    const { exit, stdout, stderr, report } = await world.job(sh(script, "--workspace", folder, ...(mode === "bind" ? ["--bind"] : [])));
    expect([exit, stdout]).toEqual([0, "a"]);
    expect(readFileSync(join(folder, "src/b.txt"), "utf8")).toBe("b\n");
    expect(existsSync(join(folder, "src/a.txt"))).toBe(false);
    for (const path of ["src/b.txt", "out", "out/r"]) expect(statSync(join(folder, path)).uid).toBe(CALLER);
    // Never with its bit: from a copy it does not come at all, in the folder itself it is taken off.
    expect((statSync(join(folder, "out/setuid"), { throwIfNoEntry: false })?.mode ?? 0) & 0o6000).toBe(0);
    expect(report.workspace.planted).toContain(".github/workflows/ci.yml");
    expect(stderr).toContain(`${mode === "copy" ? "left out" : "planted "} .git/hooks/pre-commit`);
    if (mode === "copy") {
      expect(existsSync(join(folder, ".git/hooks/pre-commit"))).toBe(false);
      expect(lstatSync(join(folder, "out/link"), { throwIfNoEntry: false })?.isSymbolicLink() ?? false).toBe(
        report.workspace.leftOut.every(({ path }) => path !== "out/link"),
      );
    }
  });

  test("a copy has the size of its limit, and a full one stops nothing but itself", async () => {
    const { exit, stdout, report } = await world.job(
      sh("dd if=/dev/zero of=big bs=1M count=500 2>&1 | grep -o 'No space left'; rm big; echo on", "--workspace", world.folder()),
    );
    expect([exit, stdout]).toEqual([0, "No space left\non\n"]);
    expect(report.workspace.copiedOut).toEqual({ files: 0 });
  });

  test("links lead nowhere, a folder that is not there is NOT_FOUND, one of root is not bound", async () => {
    const folder = world.folder({ x: "x" });
    symlinkSync("/etc", join(folder, "etc"));
    const { stdout } = await world.job(sh("ls -d etc/; cat etc/hostname", "--workspace", folder));
    expect(stdout).toContain("job\n");
    const own = join(world.base, "of-root");
    mkdirSync(own);
    const bound = await world.job(sh("true", "--workspace", own, "--bind"));
    expect([bound.exit, bound.stderr]).toEqual([2, expect.stringContaining("FAILED_PRECONDITION")]);
  });
});

describe("streams and surroundings", () => {
  test("standard input, to its end", async () => {
    const { exit, stdout } = await world.job({ ...sh("cat; echo end", "--interactive"), input: "one\ntwo\n" });
    expect([exit, stdout]).toEqual([0, "one\ntwo\nend\n"]);
  });

  test("without --interactive there is none", async () => {
    const { stdout } = await world.job({ ...sh("cat; echo end"), input: "one\n" });
    expect(stdout).toBe("end\n");
  });

  test("input that nobody ends does not keep the process", async () => {
    const child = world.start(world.words(world.newId(), sh("head -n 1; echo end", "--interactive")), { openInput: true });
    child.stdin?.write("one\n");
    const { exit, stdout } = await outcomeOf(child);
    expect([exit, stdout]).toEqual([0, "one\nend\n"]);
    child.stdin?.destroy();
  });

  test("a terminal: it is one inside, as large as ours, and ours is as before", async () => {
    if (!existsSync("/usr/bin/script")) return;
    const words = world.words(world.newId(), sh("tty; stty size; read x; echo got $x", "--interactive", "--tty"));
    const command = [process.execPath, join(world.root, "bin", "cofferdam.js"), ...words].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    const out = execFileSync("script", ["-qefc", `stty rows 33 cols 111; ${command}; echo exit $?; stty -a | grep -o -- '-\\?icanon'`, "/dev/null"], {
      env: { ...world.env, TERM: "xterm" },
      input: "typed\n",
      encoding: "utf8",
    });
    expect(out).toMatch(/\/dev\/pts\/0\r+\n33 111\r+\n/);
    expect(out).toMatch(/got typed\r+\n/);
    expect(out).toMatch(/exit 0\r\nicanon/);
  });

  test("variables that were given and no other; a user; a working directory", async () => {
    const { stdout } = await world.job({
      ...sh("env | sort; id -u; pwd", "--env", "GIVEN=a=b", "--env", "FROM_HERE", "--user", "1234:5", "--workdir", "/tmp"),
      env: { FROM_HERE: "caller", NOT_ASKED: "secret" },
    });
    expect(stdout).toContain("GIVEN=a=b\n");
    expect(stdout).toContain("FROM_HERE=caller\n");
    expect(stdout).not.toContain("NOT_ASKED");
    expect(stdout).toMatch(/\n1234\n\/tmp\n$/);
  });

  test("200 MB of output: all of it live, 64 MiB kept, and the reader's pace is the job's", async () => {
    const id = world.newId();
    const child = world.start(world.words(id, sh("yes 0123456789abcdef | head -c 200000000")));
    let bytes = 0;
    child.stdout?.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    child.stderr?.resume();
    const exit = await new Promise((resolve) => child.once("close", resolve));
    expect([exit, bytes]).toEqual([0, 200_000_000]);
    const report = await world.report(id);
    expect(report.log).toEqual({ bytes: 200_000_000, kept: 64 * 2 ** 20, truncated: true });
    expect(statSync(join(world.state, "job-logs", `${id}.log`)).size).toBe(64 * 2 ** 20);
  });

  test("a reader that goes away ends the job", async () => {
    const id = world.newId();
    const child = world.start(world.words(id, sh("yes")));
    child.stderr?.resume();
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.stdout?.destroy();
    await new Promise((resolve) => child.once("close", resolve));
    expect(await world.report(id)).toMatchObject({ verdict: "stopped", stoppedBy: { code: "CANCELLED" } });
  });

  test("the log of a job that runs, followed to its end", async () => {
    const id = world.newId();
    const job = world.cli(world.words(id, { ...sh("echo first; cat > /dev/null; echo last", "--interactive"), input: "" }), { input: "" });
    await until(() => existsSync(join(world.state, "job-logs", `${id}.log`)));
    const { stdout } = await world.cli(["job", "logs", id, "--follow"]);
    expect(stdout).toBe("first\nlast\n");
    expect((await job).exit).toBe(0);
    expect((await world.cli(["job", "logs", id])).stdout).toBe("first\nlast\n");
  });
});

describe("limits", () => {
  test("a memory hog: killed by the kernel, and told so", async () => {
    const { exit, stderr, report } = await world.job(sh("x=y; while :; do x=$x$x; done", "--memory", "32MiB"));
    expect(exit).toBe(5);
    expect(stderr).toMatch(/STOPPED after .*: out of memory: the kernel ended it at 32 MiB\n[\s\S]*\ncofferdam: stopped RESOURCE_EXHAUSTED\n$/);
    expect(report.violations.map(({ rule }) => rule)).toContain("quota.memory.killed");
    expect(report.recommendations.map(({ fix }) => fix).join("\n")).toContain("--memory 64MiB");
  });

  test("a fork bomb: bounded, and counted", async () => {
    const { exit, report } = await world.job(sh("b() { b | b & }; b; sleep 2; exit 0", "--pids", "50", "--timeout", "60s"));
    expect([0, 2, 1]).toContain(exit);
    expect(report.resources.total.forksRefused).toBeGreaterThan(0);
    expect(report.resources.peak.pids).toBeLessThanOrEqual(50);
    expect(report.violations.map(({ rule }) => rule)).toContain("quota.pids.refused");
  });

  test("a disk filler in its image's layer: stopped by watching", async () => {
    const { exit, stderr, report } = await world.job(sh("dd if=/dev/zero of=/big bs=1M count=300; sleep 60", "--disk", "50MiB", "--timeout", "60s"));
    expect(exit).toBe(5);
    expect(stderr).toContain("it wrote more than its limit of disk space");
    expect(report).toMatchObject({ verdict: "stopped", stoppedBy: { code: "RESOURCE_EXHAUSTED" } });
  });

  test("a tenth of a core: throttled, and told so", async () => {
    const { report } = await world.job(sh("timeout 5 sh -c 'while :; do :; done'; true", "--cpu", "0.1"));
    expect(report.resources.quota.cpu).toBe(0.1);
    expect(report.resources.total.throttledMs).toBeGreaterThan(200);
    expect(report.resources.total.cpuMs).toBeLessThan(1500);
    expect(report.violations.map(({ rule }) => rule)).toContain("quota.cpu.throttled");
  });
});

describe("being ended", () => {
  const stubborn = "trap '' TERM INT; echo up; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done";

  test("124 on the time limit, whatever it ignores", async () => {
    const { exit, stderr, report } = await world.job(sh(stubborn, "--timeout", "4s"));
    expect([exit, stderr]).toEqual([124, expect.stringMatching(/cofferdam: stopped DEADLINE_EXCEEDED\n$/)]);
    expect(report.verdict).toBe("stopped");
  });

  test("the policy's own limit holds without a flag", async () => {
    world.policy("version: 1\njobs: {unscanned: accept, timeout: 2s}\n");
    try {
      const { exit, stderr } = await world.job(sh("sleep 60"));
      expect([exit, stderr]).toEqual([124, expect.stringContaining("the job ran longer than 2 s")]);
    } finally {
      world.policy("version: 1\njobs: {unscanned: accept}\n");
    }
  });

  test("130 on Ctrl-C; what it wrote until then comes back", async () => {
    const folder = world.folder();
    const id = world.newId();
    const child = world.start(world.words(id, sh(`echo kept > result; ${stubborn}`, "--workspace", folder)));
    const outcome = outcomeOf(child);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.kill("SIGINT");
    expect((await outcome).exit).toBe(130);
    expect(readFileSync(join(folder, "result"), "utf8")).toBe("kept\n");
    expect(await world.report(id)).toMatchObject({ verdict: "stopped", stoppedBy: { code: "CANCELLED" } });
  });

  test("what is interrupted may end by itself", async () => {
    const id = world.newId();
    const child = world.start(world.words(id, sh("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done")));
    const outcome = outcomeOf(child);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.kill("SIGTERM");
    expect(await outcome).toMatchObject({ exit: 143, stdout: "up\nbye\n" });
  });

  test("from another process: job kill, by whom", async () => {
    const id = world.newId();
    const job = world.cli(world.words(id, sh(stubborn)));
    await until(() => existsSync(join(world.state, "job-logs", `${id}.log`)) && statSync(join(world.state, "job-logs", `${id}.log`)).size > 0);
    const killed = await world.cli(["job", "kill", id]);
    expect(killed).toMatchObject({ exit: 0, stderr: `cofferdam: job ${id} was ended\n` });
    expect(await job).toMatchObject({ exit: 130, stderr: expect.stringContaining("killed by uid 0") });
    expect(await world.report(id)).toMatchObject({ verdict: "stopped", stoppedBy: { code: "CANCELLED", message: "killed by uid 0" } });
    expect((await world.cli(["job", "kill", id])).exit).toBe(2);
  });

  test("one that waits for resources can be ended too", async () => {
    await using library = await world.library();
    await library.orchestrator.initialize();
    const { pool } = await library.orchestrator.quota.getQuotaStatus();
    const config = { repository: "acme/web", image: world.image, resources: { memory: `${Math.floor(pool.memory / 2 ** 20) - 512}MiB` } };
    expect(await library.orchestrator.createJobSecurityContext("holder", config)).toMatchObject({ state: "ready" });
    const refused = await world.job({ command: ["true"], options: ["--memory", "1GiB"] });
    expect([refused.exit, refused.stderr]).toEqual([5, expect.stringContaining("RESOURCE_EXHAUSTED")]);
    const id = world.newId();
    const waiting = world.start(world.words(id, { command: ["true"], options: ["--memory", "1GiB", "--wait", "5m"] }));
    const outcome = outcomeOf(waiting);
    if (waiting.stderr === null) throw new Error("no stderr");
    await once(waiting.stderr.setEncoding("utf8"), "data");
    waiting.kill("SIGINT");
    expect((await outcome).exit).toBe(130);
    const second = world.newId();
    const other = world.cli(world.words(second, { command: ["true"], options: ["--memory", "1GiB", "--wait", "5m"] }));
    const queue = async (): Promise<number> => (await library.orchestrator.quota.getQuotaStatus()).waiting.length;
    await expect.poll(queue, { timeout: 20_000 }).toBe(1);
    await library.orchestrator.cleanupJobSecurity("holder");
    expect((await other).exit).toBe(0);
  });
});

const TOGETHER = process.env["COFFERDAM_TEST_FULL"] === undefined ? 20 : 50;

test(`${TOGETHER} at once: each has its own output, and nothing is lost`, async () => {
  const jobs = await Promise.all(
    Array.from({ length: TOGETHER }, async (_, i) => await world.job({ ...sh(`echo job ${i}; exit ${i}`, "--memory", "64MiB", "--wait", "5m") })),
  );
  for (const [i, { exit, stdout, report }] of jobs.entries()) {
    expect([exit, stdout]).toEqual([i, `job ${i}\n`]);
    expect(report).toMatchObject({ exit: i, leftBehind: [] });
  }
}, 300_000);

test("job list and show need no engine", async () => {
  const { exit, stdout } = await world.cli(["job", "list", "--limit", "5"], { env: { DOCKER_HOST: "unix:///no/such.sock" } });
  expect(exit).toBe(0);
  expect(stdout.split("\n")[0]).toMatch(/^started +job +state +time +score +repository +command$/);
  expect((await world.cli(["job", "list", "--json"])).stdout).toMatch(/^\{"schema":"cofferdam\/job-list\/v1"/);
  const missing = await world.cli(["job", "run", "--config", world.policyFile, "--image", "x", "--repo", "a/b"], {
    env: { DOCKER_HOST: "unix:///no/such.sock" },
  });
  expect(missing.exit).toBe(8);
  expect(readdirSync(join(world.state, "jobs"))).toEqual([]);
});
