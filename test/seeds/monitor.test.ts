/** The reference's samples of RuntimeSecurityMonitor, on a real container. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { AuditLogger } from "../../src/audit/index.ts";
import { EngineClient } from "../../src/engine/index.ts";
import { systemClock } from "../../src/foundation/index.ts";
import { newThreat } from "../../src/jobs/threats/threat.ts";
import { type MonitorThreat, RuntimeSecurityMonitor } from "../../src/monitor/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";

let docker: TestDocker | undefined;
let dockerAPI: EngineClient;
let auditLogger: AuditLogger;
let monitor: RuntimeSecurityMonitor;

beforeAll(async () => {
  if (!has("docker") || !has("sensor")) return;
  docker = await startDocker();
  dockerAPI = new EngineClient(docker.socketPath);
  auditLogger = new AuditLogger();
  await auditLogger.initialize();
  const options = {
    monitoringInterval: 5000,
    syscallMonitoring: true,
    suspiciousProcesses: ["nc"],
    detectionRules: [
      {
        rules: [
          { id: "ours", title: "ours", says: "{process.line}", severity: "low", attack: ["T1059"], on: ["exec"], when: { "process.args": "marker" } } as const,
        ],
      },
    ],
  };
  monitor = new RuntimeSecurityMonitor(dockerAPI, auditLogger, options);
  await monitor.initialize();
  const Image = await busyboxImage(dockerAPI);
  const script = "read line; nc -h; /bin/echo marker; sleep 60";
  const { Id } = await dockerAPI.containers.create(
    { Image, Cmd: ["sh", "-c", script], OpenStdin: true, HostConfig: { NetworkMode: "none" } },
    { name: "container123" },
  );
  await dockerAPI.containers.start(Id);
});
afterAll(async () => {
  await monitor?.close();
  await auditLogger?.close();
  await dockerAPI?.close();
  await docker?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "sensor");
});

test("startContainerMonitoring, performSecurityCheck, stopContainerMonitoring, and the events", async () => {
  const threats: MonitorThreat[] = [];
  const violations: string[] = [];
  monitor.events.on("threatDetected", (threat) => threats.push(threat));
  monitor.events.on("processViolation", ({ type }) => void violations.push(type));
  await monitor.startContainerMonitoring("container123", "job123", {
    repository: "org/repo",
    expectedProcesses: ["nc", "echo"],
  });
  const attachment = await dockerAPI.containers.attach("container123", { tty: false, stdin: true });
  attachment.stdin.write("go\n");
  await expect.poll(() => violations, { timeout: 10_000 }).toContain("unexpected-process");
  attachment.close();
  expect(violations).toContain("suspicious-process");
  const found = await monitor.performSecurityCheck("container123");
  expect(found.map(({ type }) => type)).toEqual(expect.arrayContaining(["suspicious-process", "network-tool", "ours", "unexpected-process"]));
  expect(await monitor.performSecurityCheck("container123")).toEqual([]);
  // Each is the reference's threat event, and what the orchestrator takes.
  for (const threat of threats) {
    expect(Object.keys(threat)).toEqual(
      expect.arrayContaining(["type", "severity", "timestamp", "source", "containerId", "jobId", "details", "evidence", "recommendedAction"]),
    );
    expect(newThreat(threat, systemClock)).toMatchObject({ jobId: "job123", state: "open" });
  }
  await monitor.stopContainerMonitoring("container123");
  await expect(monitor.performSecurityCheck("container123")).rejects.toMatchObject({ code: "NOT_FOUND" });
});
