/** Guarded jobs and what they may reach: the built command line, in a host's namespace whose way out is an internet of our own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseReport } from "../../src/jobs/index.ts";
import { Spaces } from "../faults/network/spaces.ts";
import { JobWorld } from "../world/job-world.ts";
import { has, requires } from "../world/needs.ts";
import { outcomeOf } from "../world/project.ts";

let world: JobWorld;
let spaces: Spaces;
let folder: string;

const ACCEPTING = "unscanned: accept, name-servers: [203.0.113.53]";
/** wget of busybox says what a server answered. */
const get = (url: string): string => `wget -q -O - ${url} 2>&1 || true`;

beforeAll(async () => {
  if (!has("docker") || !has("network")) return;
  folder = mkdtempSync(join(tmpdir(), "cofferdam-job-network-"));
  spaces = await Spaces.open(folder);
  await spaces.serve();
  world = await JobWorld.start();
});
afterAll(async () => {
  await spaces?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "network");
  world.policy(`version: 1\njobs: {${ACCEPTING}}\n`);
});

function start(args: readonly string[]): ChildProcess {
  return spawn("nsenter", [`--net=${spaces.hostPath}`, process.execPath, join(world.root, "bin", "cofferdam.js"), ...args], {
    cwd: world.base,
    env: world.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function job(script: string, options: readonly string[] = [], level: "low" | "medium" | "high" = "medium") {
  const id = world.newId();
  const result = await outcomeOf(start(world.words(id, { level, options, command: ["sh", "-c", script] })));
  const { stdout } = await outcomeOf(start(["job", "report", id, "--json"]));
  return { id, ...result, report: parseReport(JSON.parse(stdout)) };
}

describe("what a job reaches", () => {
  test("what the policy and the command line list, and nothing else; both are told, and why-blocked explains", async () => {
    world.policy(`version: 1\njobs: {${ACCEPTING}, egress: [allowed.example]}\n`);
    const script = [get("http://allowed.example/"), get("http://db.allowed.example:8080/"), get("http://evil.example/"), get("http://169.254.169.254/")].join(
      "; ",
    );
    const { id, exit, stdout, stderr, report } = await job(`${script}; cat /etc/resolv.conf; ip route`, ["--egress", "db.allowed.example:8080"]);
    expect(stdout.match(/reached/g)).toHaveLength(2);
    expect(stdout).toContain("403 Forbidden");
    expect(stdout).toContain("nameserver 198.18.");
    expect(exit).toBe(0);
    expect(stderr).toMatch(/PASSED in .*: sh -c .* exited 0, 2 destinations blocked/);
    expect(stderr).toMatch(
      /blocked {2}evil\.example:80, by \/bin\/busybox wget \(pid \d+\)\n {9}not in jobs\.egress; nothing was sent there\n {9}allow: cofferdam policy allow evil\.example:80 --reason TEXT/,
    );
    expect(stderr).toMatch(/^blocked {2}169\.254\.169\.254:80, by \/bin\/busybox wget \(pid \d+\)$/m);
    expect(stderr).toContain("\n         the cloud's metadata service is closed to every job; nothing was sent there");
    expect(stderr).toMatch(/reached {2}allowed\.example:80, \d+ B\nreached {2}db\.allowed\.example:8080, \d+ B/);
    expect(stderr).toMatch(/proven .*network/);
    expect(report.checks.networkIsolation).toEqual({ state: "passed", why: "mode moderate, 2 rules" });
    expect(report.network).toMatchObject({ mode: "moderate", notes: [], coalesced: 0 });
    expect(report.network.sent).toBeGreaterThan(500);
    expect(report.proof?.controls.filter(({ name }) => name === "network-isolation").map(({ what, ok }) => `${what} ${ok}`)).toEqual([
      ...["interfaces true", "namespace true", "addresses true", "default route true"],
    ]);
    const why = await outcomeOf(start(["job", "why-blocked", id, "evil.example"]));
    expect(why.stdout).toMatch(/^refused {2}evil\.example:80, by \/bin\/busybox wget \(pid \d+\): not in jobs\.egress\n/m);
    expect(why.stdout).toContain("allow: cofferdam policy allow evil.example:80 --reason TEXT");
    expect(await outcomeOf(start(["job", "why-blocked", id, "never.example"]))).toMatchObject({ exit: 2, stderr: expect.stringContaining("evil.example:80") });
    expect(await world.remains()).toEqual([]);
  });

  test("level low reaches all but what is closed; strict names only; none has no network; observe lets go and says so", async () => {
    const low = await job(`${get("http://evil.example/")}; ${get("http://169.254.169.254/")}; ${get("http://192.0.2.2:8000/")}`, [], "low");
    expect(low.stdout.match(/reached/g)).toHaveLength(1);
    expect(low.report.network.mode).toBe("relaxed");
    world.policy(`version: 1\njobs: {${ACCEPTING}, network: strict, egress: [allowed.example, 203.0.113.66]}\n`);
    const strict = await job(`${get("http://allowed.example/")}; ${get("http://203.0.113.66/")}; ${get("http://evil.example/")}; cat /proc/net/if_inet6`);
    expect(strict.stdout.match(/reached/g)).toHaveLength(1);
    expect(strict.stdout).toContain("403 Forbidden");
    expect(strict.stdout).toContain("bad address 'evil.example'");
    expect(strict.stdout).not.toContain("eth0");
    expect(strict.stderr).toMatch(/blocked {2}203\.0\.113\.66:80, by \/bin\/busybox wget \(pid \d+\)\n {9}mode strict allows names, no addresses/);
    expect(strict.stderr).toContain("blocked  evil.example");
    world.policy(`version: 1\njobs: {${ACCEPTING}, network: none}\n`);
    const none = await job(`${get("http://evil.example/")}; cat /proc/net/dev`);
    expect(none.stdout).not.toContain("eth0");
    expect(none.report.network).toEqual({ mode: "none" });
    expect((await job("true", ["--egress", "a.example"])).report.stoppedBy?.code).toBe("FAILED_PRECONDITION");
    world.policy(`version: 1\nmode: observe\njobs: {${ACCEPTING}}\n`);
    const observed = await job(`${get("http://evil.example/")}; ${get("http://169.254.169.254/")}`);
    expect(observed.stdout.match(/reached/g)).toHaveLength(1);
    expect(observed.stderr).toContain("observed evil.example:80: would be blocked");
  });

  test("on-refusal fail ends in a stop; a lock holds against the command line; nonsense is refused before anything runs", async () => {
    world.policy(`version: 1\njobs: {${ACCEPTING}, on-refusal: fail}\n`);
    const failed = await job(get("http://evil.example/"));
    expect(failed.report).toMatchObject({ verdict: "stopped", stoppedBy: { code: "SECURITY_VIOLATION" } });
    expect(failed.report.stoppedBy?.message).toContain("evil.example:80");
    world.policy(`version: 1\njobs: {${ACCEPTING}, on-refusal: fail, network: strict}\n`);
    expect((await job(get("http://evil.example/"))).report.stoppedBy?.message).toContain("it tried to reach evil.example, ");
    world.policy(`version: 1\nlocks: [jobs.egress]\njobs: {${ACCEPTING}}\n`);
    expect((await job("true", ["--egress", "evil.example"])).report).toMatchObject({ verdict: "blocked", stoppedBy: { code: "POLICY_LOCKED" } });
    world.policy(`version: 1\njobs: {${ACCEPTING}, egress: ["exa mple"]}\n`);
    expect((await job("true")).report).toMatchObject({
      verdict: "blocked",
      stoppedBy: { code: "INVALID_ARGUMENT" },
      checks: { networkIsolation: { state: "refused" } },
    });
    expect(await world.remains()).toEqual([]);
  });
});

describe("what ends it", () => {
  test("a threat's disconnect takes the interface away, from another process too", async () => {
    world.policy(`version: 1\njobs: {${ACCEPTING}, egress: [allowed.example]}\n`);
    const id = world.newId();
    const running = start(
      world.words(id, {
        command: [
          "sh",
          "-c",
          `${get("http://allowed.example/")}; while ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done; ${get("http://allowed.example/")}`,
        ],
      }),
    );
    const ended = outcomeOf(running);
    if (running.stdout === null) throw new Error("no output");
    await Promise.race([once(running.stdout, "data"), once(running, "exit")]);
    await using library = await world.library({ level: "medium" });
    await library.orchestrator.initialize();
    const threat = { type: "beacon", severity: "high", jobId: id, source: "test", details: {}, evidence: [] };
    const { outcomes } = await library.orchestrator.handleSecurityThreat(threat);
    expect(outcomes.find(({ action }) => action === "disconnect")).toMatchObject({ done: true });
    const { stdout } = await ended;
    expect(stdout.match(/reached/g)).toHaveLength(1);
    expect(await world.remains()).toEqual([]);
  });

  test("the helper dies: the job is stopped, and says why; its rates were set on its own end", async () => {
    world.policy(`version: 1\njobs: {${ACCEPTING}}\nquota: {defaults: {upload: 1MB/s, download: 2MB/s}}\n`);
    const id = world.newId();
    const running = start(world.words(id, { command: ["sh", "-c", "echo up; sleep 600"] }));
    const ended = outcomeOf(running);
    if (running.stdout === null) throw new Error("no output");
    await Promise.race([once(running.stdout, "data"), once(running, "exit")]);
    const [container] = await world.engine.containers.list();
    const { State } = await world.engine.containers.inspect(container?.Id ?? "");
    const queue = execFileSync("nsenter", ["--net", "-t", String(State.Pid), "tc", "-json", "qdisc", "show", "dev", "eth0"], { encoding: "utf8" });
    expect(JSON.parse(queue)).toEqual([expect.objectContaining({ kind: "tbf", options: expect.objectContaining({ rate: 1_000_000 }) })]);
    const helper = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, "utf8")
      .trim()
      .split(" ")
      .find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("cofferdam-net"));
    process.kill(Number(helper), "SIGKILL");
    const { exit, stderr } = await ended;
    expect([exit, stderr]).toEqual([8, expect.stringContaining("its network is gone: cofferdam-net ended")]);
    expect(await world.remains()).toEqual([]);
  });

  test("kill -9 of the process: the job has no network any more, and the next command ends it", async () => {
    world.policy(`version: 1\njobs: {${ACCEPTING}, egress: [allowed.example]}\n`);
    const id = world.newId();
    const running = start(world.words(id, { command: ["sh", "-c", "echo up; sleep 600"] }));
    if (running.stdout === null) throw new Error("no output");
    await Promise.race([once(running.stdout, "data"), once(running, "exit")]);
    const [container] = await world.engine.containers.list();
    const { State } = await world.engine.containers.inspect(container?.Id ?? "");
    expect(readFileSync(`/proc/${State.Pid}/net/dev`, "utf8")).toContain("eth0");
    running.kill("SIGKILL");
    await once(running, "exit");
    // The shim ends with its gate, and its network with it.
    await expect.poll(async () => (await world.engine.containers.list()).length, { timeout: 5000 }).toBe(0);
    const next = await job("true");
    expect(next.stderr).toContain(`the process of job ${id} had died`);
    expect(await world.remains()).toEqual([]);
  });
});
