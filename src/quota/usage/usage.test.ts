import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { Cgroup } from "../../sandbox/cgroup.ts";
import type { Allocation } from "../allocation.ts";
import type { CgroupCounters } from "../cgroup/counters.ts";
import type { DiskUse } from "../disk/disk-use.ts";
import { type QuotaViolation, ResourceQuotaManager, type UsageAlert } from "../index.ts";
import { parseNetDev } from "../network/counters.ts";
import { JobWatch } from "./job-watch.ts";
import { measure, type Sample } from "./measure.ts";

const MiB = 2 ** 20;
const allocation: Allocation = {
  jobId: "job",
  state: "held",
  priority: "normal",
  tier: "normal",
  enforcement: "hard",
  limits: { cpu: 2, memory: 100 * MiB, pids: 50, disk: 1000, download: 1000, upload: 500, readRate: 2000 },
  reserved: { cpu: 2, memory: 100 * MiB, disk: 1000 },
  capped: [],
  overPool: false,
  since: 0,
};

const counters = (parts: { usage?: number; oomKills?: number; refused?: number; throttled?: number; workingSet?: number }): CgroupCounters => ({
  cpu: { usage: parts.usage ?? 0, throttledPeriods: parts.throttled ?? 0, throttledTime: 0 },
  memory: { current: 0, workingSet: parts.workingSet ?? 0, peak: 70 * MiB, oomKills: parts.oomKills ?? 0 },
  pids: { current: 10, refused: parts.refused ?? 0 },
  io: { readBytes: 0, writeBytes: 0, readOps: 0, writeOps: 0 },
});

describe("percent of the quota", () => {
  test("rates are of the time between two samples, amounts of now", () => {
    const before: Sample = { at: 1000, cgroup: counters({ usage: 0 }), network: { received: 0, sent: 0 } };
    const now: Sample = {
      at: 3000,
      cgroup: { ...counters({ usage: 3e9, workingSet: 25 * MiB }), io: { readBytes: 1000, writeBytes: 9e9, readOps: 0, writeOps: 0 } },
      network: { received: 3000, sent: 200 },
      disk: { used: 1100, limit: 1000, enforcement: "watched", complete: true },
    };
    const { percent, raw, notMeasured } = measure(allocation, before, now);
    expect(percent).toEqual({ cpu: 75, memory: 25, pids: 20, disk: 110, network: 150, io: 25 });
    expect(raw).toMatchObject({ cores: 1.5, downloadRate: 1500, uploadRate: 100, writeRate: 4.5e9 });
    expect(notMeasured).toEqual([]);
  });

  test("what is not measured is undefined, and named; what has no limit has no percent; cpu by weight is of what is reserved", () => {
    const { percent, notMeasured } = measure(
      { limits: {}, reserved: { cpu: 0.5, memory: 0, disk: 0 } },
      { at: 0, cgroup: counters({}) },
      { at: 1000, cgroup: { ...counters({ usage: 1e9 }), io: undefined } },
    );
    expect(percent).toEqual({ cpu: 200, memory: undefined, pids: undefined, disk: undefined, network: undefined, io: undefined });
    expect(notMeasured).toEqual(["disk", "network", "io"]);
  });

  test("a counter that went back is no negative rate", () => {
    const { percent } = measure(allocation, { at: 0, network: { received: 9000, sent: 0 } }, { at: 1000, network: { received: 0, sent: 0 } });
    expect(percent.network).toBe(0);
  });
});

describe("a watch", () => {
  let now: number;
  let cgroup: CgroupCounters | undefined;
  let disk: DiskUse | undefined;
  let alerts: UsageAlert[];
  let violations: QuotaViolation[];
  let looks: number;
  let watch: JobWatch;
  beforeEach(() => {
    [now, looks, cgroup, disk, alerts, violations] = [0, 0, counters({}), undefined, [], []];
    watch = new JobWatch({
      allocation,
      thresholds: { cpu: 90, memory: 85, disk: 80 },
      source: {
        cgroup: () => cgroup,
        network: () => undefined,
        disk: async () => {
          looks++;
          return disk;
        },
      },
      now: () => now,
      alert: (alert) => alerts.push(alert),
      violation: (violation) => violations.push(violation),
    });
  });
  const look = async (parts: Parameters<typeof counters>[0], at: number): Promise<void> => {
    cgroup = counters(parts);
    now = at;
    await watch.sample();
  };

  test("tells what happened before it began and between two looks, once", async () => {
    await look({ oomKills: 1, refused: 2 }, 0);
    await look({ oomKills: 1, refused: 2 }, 1000);
    await look({ oomKills: 3, refused: 2 }, 2000);
    expect(violations).toMatchObject([
      { resource: "memory", kind: "killed", times: 1, total: 1, enforcement: "enforced" },
      { resource: "pids", kind: "refused", times: 2, total: 2 },
      { resource: "memory", kind: "killed", times: 2, total: 3 },
    ]);
  });

  test("being throttled is told at once, then once a minute with how often", async () => {
    await look({ throttled: 5 }, 0);
    await look({ throttled: 6 }, 1000);
    await look({ throttled: 9 }, 59_000);
    await look({ throttled: 9 }, 60_000);
    expect(violations.map(({ kind, times, total }) => [kind, times, total])).toEqual([
      ["throttled", 5, 5],
      ["throttled", 4, 9],
    ]);
  });

  test("an alert comes when use passes the threshold, and again only after it fell well below", async () => {
    for (const [percent, at] of [84, 85, 99, 84, 90, 70, 86].entries()) await look({ workingSet: at * MiB }, percent * 1000);
    expect(alerts.map(({ resource, percent }) => [resource, percent])).toEqual([
      ["memory", 85],
      ["memory", 86],
    ]);
  });

  test("two looks within a moment share a rate instead of making one up", async () => {
    await look({ usage: 0 }, 0);
    await look({ usage: 1e9 }, 1000);
    await look({ usage: 1.001e9 }, 1001);
    expect((await watch.sample()).cpu).toBe(50);
  });

  test("the last numbers stay when the cgroup is gone; a kill that only the engine saw counts then, once", async () => {
    await look({ usage: 0, workingSet: 50 * MiB }, 0);
    cgroup = undefined;
    expect(await watch.sample()).toMatchObject({ ended: true, memory: 50, peak: { memory: 70 * MiB } });
    watch.oomKilledUnseen();
    watch.oomKilledUnseen();
    expect(violations).toMatchObject([{ resource: "memory", kind: "killed", times: 1 }]);
  });

  test("a disk over its limit is told once until it is below again; a walk is not made at every look", async () => {
    disk = { used: 1001, limit: 1000, enforcement: "watched", complete: true };
    for (const at of [0, 500, 1000, 1999]) await look({}, at);
    expect(looks).toBe(1);
    await look({}, 2001);
    disk = { ...disk, used: 5 };
    await look({}, 5000);
    disk = { ...disk, used: 2000 };
    await look({}, 8000);
    expect(violations.map(({ resource, enforcement }) => [resource, enforcement])).toEqual([
      ["disk", "watched"],
      ["disk", "watched"],
    ]);
  });
});

test("interfaces but loopback are added up", () => {
  const text =
    "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\nwlan-1:10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n";
  expect(parseNetDev(text)).toEqual({ received: 110, sent: 220 });
});

describe("processes in a cgroup of their own", () => {
  let cgroups: Cgroup[];
  let children: ChildProcess[];
  beforeEach(() => {
    [cgroups, children] = [[], []];
  });
  afterEach(async () => {
    for (const child of children) child.kill("SIGKILL");
    for (const cgroup of cgroups) await cgroup.remove();
  });

  /** A shell in a cgroup; it reads lines from us and runs them. */
  function shell(limits: { memory: number; pids: number }): ChildProcess {
    const cgroup = Cgroup.create({ ...limits, cpus: 0.2 });
    if (cgroup === undefined) throw new Error("no cgroup");
    cgroups.push(cgroup);
    const join = cgroup.joins.map((file) => `echo $$ > ${file}`).join("; ");
    const child = spawn("sh", ["-c", `${join}; echo ready; while read line; do eval "$line"; echo done; done`], { stdio: ["pipe", "pipe", "ignore"] });
    children.push(child);
    return child;
  }

  async function tell(child: ChildProcess, command: string): Promise<void> {
    const ended = once(child, "exit").then(() => Promise.reject(new Error(`the shell ended in: ${command}`)));
    const answer = once(child.stdout ?? child, "data");
    child.stdin?.write(`${command}\n`);
    await Promise.race([answer, ended]);
    ended.catch(() => undefined);
  }

  test("a memory hog, a fork bomb and a spin are measured, and told as violations", async (context) => {
    requires(context, "root");
    await using quota = new ResourceQuotaManager(undefined, { slots: 4, monitoringInterval: 50 });
    await quota.initialize();
    await quota.allocateResources("job", { requestedResources: { memory: "64MiB", pids: 20, cpu: 0.2, disk: "1MiB" } });
    const violations: QuotaViolation[] = [];
    quota.events.on("quotaViolation", (violation) => violations.push(violation));
    const child = shell({ memory: 64 * MiB, pids: 20 });
    await once(child.stdout ?? child, "data");
    expect(await quota.watchProcess("job", child.pid ?? 0)).toMatchObject({ violations: { oomKills: 0, forksRefused: 0 } });
    // Each in a process of its own, so that the shell outlives it.
    await tell(child, "(head -c 200m /dev/zero | tail > /dev/null)");
    await tell(child, "(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do sleep 0.3 & done; wait)");
    await tell(child, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    const usage = await quota.monitorResourceUsage("job");
    expect(usage.violations.oomKills).toBeGreaterThan(0);
    expect(usage.violations.forksRefused).toBeGreaterThan(0);
    expect(usage.violations.throttledPeriods).toBeGreaterThan(0);
    expect(usage.peak.memory).toBeGreaterThan(60 * MiB);
    expect(usage.notMeasured).toContain("disk");
    expect(usage.disk).toBeUndefined();
    const { usage: last } = (await quota.releaseResources("job")) ?? {};
    expect(last?.violations).toMatchObject({ oomKills: usage.violations.oomKills });
    const kinds = new Set(violations.map(({ resource, kind }) => `${resource} ${kind}`));
    expect([...kinds].sort()).toEqual(["cpu throttled", "memory killed", "pids refused"]);
    const told = (kind: string): number => violations.filter((one) => one.kind === kind).reduce((sum, { times }) => sum + times, 0);
    expect(told("killed")).toBe(usage.violations.oomKills);
    expect(told("refused")).toBe(usage.violations.forksRefused);
    expect((await quota.getQuotaStatus()).violations.map(({ jobId }) => jobId)).toContain("job");
  });

  test("a process that shares our cgroup is not measured as if it were alone", async () => {
    await using quota = new ResourceQuotaManager(undefined, { slots: 4 });
    await quota.initialize();
    await quota.allocateResources("job", { requestedResources: { memory: "6MiB", disk: "1MiB" } });
    const child = spawn("sleep", ["60"]);
    children.push(child);
    await once(child, "spawn");
    await expect(quota.watchProcess("job", child.pid ?? 0)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await expect(quota.watchProcess("job", 2 ** 22)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(quota.monitorResourceUsage("job")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(quota.monitorResourceUsage("other")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
