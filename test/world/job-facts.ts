/** The facts of a job that went well, with what a test wants otherwise. */
import type { Check, JobFacts, ProvenControl } from "../../src/jobs/report/schema.ts";

export const IMAGE_DIGEST: string = `sha256:${"41c0".repeat(16)}`;
const GiB = 2 ** 30;

const passed = (why: string): Check => ({ state: "passed", why });
const control = (name: string, what: string, value: string): ProvenControl => ({ name, what, expected: value, actual: value, ok: true });

/** Everything that a container can hold at level high. */
export const HELD: readonly string[] = [
  ...["capabilities", "cpu-limit", "devices", "masked-paths", "memory-limit", "mounts", "namespaces", "network-isolation", "no-new-privileges"],
  ...["non-root", "pids-limit", "proven-before-start", "read-only-root", "seccomp", "user-namespace"],
];

export function jobFacts(more: Partial<JobFacts> = {}): JobFacts {
  return {
    jobId: "8f2c",
    repository: "acme/web",
    identity: { rule: "local-owner", uid: 1000 },
    image: { reference: `node@${IMAGE_DIGEST}`, id: `sha256:${"ab".repeat(32)}`, digest: IMAGE_DIGEST, scanned: "not-scanned" },
    command: ["npm", "test"],
    verdict: "passed",
    exit: 0,
    times: { asked: "2026-11-27T03:00:00.000Z", started: "2026-11-27T03:00:00.400Z", ended: "2026-11-27T03:01:12.000Z", totalMs: 72_000, runMs: 71_000 },
    level: "medium",
    mode: "enforce",
    policyDigest: `sha256:${"0".repeat(64)}`,
    checks: {
      authentication: passed("uid 1000 owns the state directory"),
      authorization: passed("local-owner"),
      scanning: { state: "not-checked", why: "this version does not scan images" },
      resourceAllocation: passed("4 cpu, 8 GiB"),
      networkIsolation: passed("no network"),
    },
    proof: {
      at: "2026-11-27T03:00:00.350Z",
      held: HELD.filter((name) => !["non-root", "read-only-root", "user-namespace"].includes(name)),
      controls: [control("capabilities", "bounding set", "CHOWN"), control("seccomp", "mode", "2"), control("memory-limit", "memory", String(8 * GiB))],
    },
    applied: ["capabilities", "seccomp"],
    refused: [],
    threats: [],
    violations: [],
    resources: {
      quota: { cpu: 4, memory: 8 * GiB, pids: 1000, disk: 10 * GiB },
      peak: { cpu: 2.7, memory: 1.9 * GiB, pids: 143, disk: 0.5 * GiB },
      total: { cpuMs: 150_000, throttledMs: 0, oomKills: 0, forksRefused: 0 },
      limits: [
        { resource: "cpu", by: "kernel" },
        { resource: "memory", by: "kernel" },
        { resource: "pids", by: "kernel" },
        { resource: "disk", by: "kernel" },
      ],
    },
    network: { mode: "none" },
    workspace: { mode: "copy", path: "/home/me/web", copiedOut: { files: 12 }, leftOut: [] },
    log: { bytes: 5200, kept: 5200, truncated: false },
    secretsUsed: [],
    leftBehind: [],
    auditTrail: {
      ...{ first: 41, last: 47, verified: true, anchored: true },
      events: [{ seq: 41, at: "2026-11-27T03:00:00.100Z", category: "jobs", action: "JobStarted", result: "success" }],
    },
    ...more,
  };
}
