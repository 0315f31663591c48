/** RuntimeSecurityMonitor on real containers: what it tells, how fast a container stands still, what is kept of it. */
import { hash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { EngineClient } from "../../src/engine/index.ts";
import { type MonitorOptions, type MonitorThreat, RuntimeSecurityMonitor } from "../../src/monitor/index.ts";
import { SqliteStore } from "../../src/store/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";

let docker: TestDocker | undefined;
let engine: EngineClient;
let image: string;
const folder = mkdtempSync(join(tmpdir(), "cofferdam-monitor-"));

beforeAll(async () => {
  if (!has("docker") || !has("sensor")) return;
  docker = await startDocker();
  engine = new EngineClient(docker.socketPath);
  image = await busyboxImage(engine, { files: { "etc/shadow": "root:*:::::::\n" } });
});
afterAll(async () => {
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "sensor");
});

interface Run extends AsyncDisposable {
  readonly id: string;
  readonly monitor: RuntimeSecurityMonitor;
  readonly threats: MonitorThreat[];
  readonly recorded: { readonly action: string; readonly details?: unknown }[];
  /** Lets the script begin. */
  go(): void;
  threat(type: string): Promise<MonitorThreat>;
}

/** A container that waits for a line before it runs the script, and is watched before it does. */
async function run(script: string, options: MonitorOptions = {}, metadata = {}): Promise<Run> {
  const threats: MonitorThreat[] = [];
  const recorded: Run["recorded"] = [];
  const trail = { log: async (event: Run["recorded"][number]) => recorded.push(event) };
  const monitor = new RuntimeSecurityMonitor(engine, trail, { monitoringInterval: 0, evidence: join(folder, "evidence"), ...options });
  await monitor.initialize();
  const { containers } = engine;
  const { Id: id } = await containers.create({
    ...{ Image: image, Cmd: ["sh", "-c", `read line; ${script}`], OpenStdin: true, StdinOnce: true, Env: ["PATH=/bin", "TOKEN=s3cr3t-value"] },
    HostConfig: { NetworkMode: "none" },
  });
  const attachment = await containers.attach(id, { tty: false, stdin: true });
  await containers.start(id);
  await monitor.startContainerMonitoring(id, "job-1", { repository: "acme/web", ...metadata });
  monitor.events.on("threatDetected", (threat) => threats.push(threat));
  return {
    ...{ id, monitor, threats, recorded },
    go: () => attachment.stdin.end("go\n"),
    async threat(type) {
      await expect.poll(() => threats.map((one) => one.type), { timeout: 10_000 }).toContain(type);
      const found = threats.find((one) => one.type === type);
      if (found === undefined) throw new Error("gone");
      return found;
    },
    async [Symbol.asyncDispose]() {
      await monitor.close();
      attachment.close();
      await containers.remove(id, { force: true });
    },
  };
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

test("a threat is the seed's event, with the line of processes that led to it; repeats are counted", async () => {
  await using job = await run("for i in 1 2 3; do cat /etc/shadow; done; sleep 60");
  job.go();
  const threat = await job.threat("password-file-read");
  expect(threat).toMatchObject({ severity: "high", source: "monitor", containerId: job.id, jobId: "job-1", anomaly: false });
  expect(threat.details).toMatchObject({ file: "/etc/shadow", process: "cat", times: 1, attack: ["T1003.008"] });
  expect(threat.evidence.map((one) => (typeof one === "object" && one !== null && "process" in one ? one.process : undefined))).toEqual(["cat", "sh"]);
  await expect.poll(async () => job.monitor.summary(job.id).threats, { timeout: 10_000 }).toEqual([{ type: "password-file-read", severity: "high", times: 3 }]);
  expect(await job.monitor.performSecurityCheck(job.id)).toMatchObject([{ type: "password-file-read", details: { times: 3 } }]);
  expect(await job.monitor.performSecurityCheck(job.id)).toEqual([]);
  expect(job.threats).toHaveLength(1);
});

test("stopped at once, before anybody is told: nothing of it goes on; kept, on record by its hash, and ended", async () => {
  await using job = await run("cat /etc/shadow; i=0; while :; do i=$((i+1)); echo $i > /tmp/n; done", { freezes: ({ severity }) => severity === "high" });
  job.go();
  const threat = await job.threat("password-file-read");
  const { afterMs } = await job.monitor.freeze(job.id);
  expect(afterMs).toBeLessThan(1000);
  const { GraphDriver } = await engine.containers.inspect(job.id);
  const upper = GraphDriver?.Data["UpperDir"];
  const counted = (): string | undefined => readIfThere(join(String(upper), "tmp", "n"));
  const before = counted();
  const kept = await job.monitor.takeEvidence(job.id, threat, AbortSignal.timeout(10_000));
  const text = readFileSync(kept.path);
  expect(hash("sha256", text)).toBe(kept.sha256);
  expect(statSync(kept.path).mode & 0o777).toBe(0o600);
  const evidence = JSON.parse(text.toString());
  expect(evidence).toMatchObject({ schema: "cofferdam/evidence/v1", frozen: true, container: job.id, threat: { type: "password-file-read" } });
  expect(evidence.processes.map((one: { name: string }) => one.name)).toContain("sh");
  expect(text.toString()).not.toContain("s3cr3t-value");
  expect(job.recorded).toMatchObject([{ action: "EvidenceKept", details: { sha256: kept.sha256 } }]);
  expect(counted()).toBe(before);
  const { exit } = await engine.containers.startWait(job.id, { condition: "not-running" });
  job.monitor.kill(job.id);
  expect(await exit).toEqual({ exitCode: 137 });
});

test("two megabytes of arguments, a name with a newline and of no encoding: judged, and told in lines that have an end", async () => {
  const args = new Array<string>(20).fill('"$a"').join(" ");
  const script = `a=$(printf '%0100000d' 0); nc -h ${args} 2> /dev/null; d=$(printf '/tmp/two\\nlines\\377'); mkdir "$d"; echo x > "$d/release_agent"; sleep 60`;
  await using job = await run(script);
  job.go();
  const [long, strange] = [await job.threat("network-tool"), await job.threat("escape-file")];
  expect(String(long.details["message"]).length).toBeLessThan(500);
  expect(long.evidence[0]).toMatchObject({ process: "nc", args: expect.stringMatching(/^nc -h 0{200,}\.{3}0{200,}$/) });
  expect(strange.details["file"]).toBe("/tmp/two\\u{a}lines\\xff/release_agent");
  const told = JSON.stringify([long, strange]);
  expect(told.length).toBeLessThan(20_000);
  expect(JSON.stringify([long, strange], (_, value: unknown) => (typeof value === "string" ? value.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "!") : value))).toBe(told);
  const kept = await job.monitor.takeEvidence(job.id, strange, AbortSignal.timeout(10_000));
  expect(kept.bytes).toBeLessThan(2 << 20);
  expect(JSON.parse(readFileSync(kept.path, "utf8")).events.filter(({ kind }: { kind: string }) => kind === "exec")).toContainEqual(
    expect.objectContaining({ args: expect.stringMatching(/^nc -h 0{200,}\.{3}0{200,}$/) }),
  );
  expect(job.monitor.summary(job.id).lost).toBe(0);
});

test("a thawed one goes on", async () => {
  await using job = await run("sleep 0.2; cat /etc/shadow; sleep 60");
  await job.monitor.freeze(job.id);
  job.go();
  job.monitor.thaw(job.id);
  await job.threat("password-file-read");
});

test("suspicious and unexpected processes, by the file that runs", async () => {
  await using job = await run("nc -h; /bin/ls /; sleep 60", { suspiciousProcesses: ["nc"] }, { expectedProcesses: ["sh", "nc", "sleep"] });
  const violations: string[] = [];
  job.monitor.events.on("processViolation", ({ type }) => void violations.push(type));
  job.monitor.events.on("processViolation", () => {
    throw new Error("a listener's own");
  });
  job.go();
  await job.threat("unexpected-process");
  expect(violations).toEqual(["suspicious-process", "unexpected-process"]);
});

test("ten quiet runs, and then something new: told as an anomaly; a run that did not pass taught nothing", async () => {
  await using store = new SqliteStore();
  for (let i = 0; i < 11; i++) {
    await using job = await run(i === 4 ? "date; ls /" : "ls /", { store });
    const { exit } = await engine.containers.startWait(job.id, { condition: "next-exit" });
    job.go();
    await exit;
    await job.monitor.stopContainerMonitoring(job.id, { train: i !== 4 });
    expect(job.threats).toEqual([]);
  }
  await using job = await run("date; ls /; sleep 60", { store });
  const anomalies: MonitorThreat[] = [];
  job.monitor.events.on("anomalyDetected", (one) => void anomalies.push(one));
  job.go();
  const { details } = await job.threat("new-program");
  expect(details["message"]).toBe("program never seen in 10 runs: sh > /bin/busybox (none was new in any of them)");
  expect(anomalies).toHaveLength(1);
});

test("what is not watched is said: no such container, twice the same, one that does not run, before it is initialized", async () => {
  await using job = await run("sleep 60");
  const { monitor, id } = job;
  await expect(monitor.performSecurityCheck("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(monitor.startContainerMonitoring(id, "job-1")).rejects.toMatchObject({ code: "CONFLICT" });
  const { Id: still } = await engine.containers.create({ Image: image, Cmd: ["true"], HostConfig: { NetworkMode: "none" } });
  await expect(monitor.startContainerMonitoring(still, "job-2")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  await engine.containers.remove(still, { force: true });
  const fresh = new RuntimeSecurityMonitor(engine, { log: async () => undefined });
  await expect(fresh.startContainerMonitoring(id, "job-1")).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
  expect(() => new RuntimeSecurityMonitor(engine, { log: async () => undefined }, JSON.parse('{"cooldwn": 1}'))).toThrow(/cooldown/);
});
