/**
 * The jail on a kernel with the unified cgroup hierarchy, which most users have and which a machine with v1 controllers cannot
 * show: a guest in qemu measures, and here it is judged. The kernel of Debian 12 also has an older Landlock than most.
 */
import { expect, type TestContext, test } from "vitest";
import { requires } from "../world/needs.ts";
import { boot, HARD_TIME } from "./machine.ts";
import type { Report, Scenario } from "./report.ts";

const FULL = process.env["COFFERDAM_TEST_FULL"] === "1";
const TIME = (HARD_TIME + 60) * 1000;
const MIB = 2 ** 20;
const ALL = ["memory", "pids", "cpu"];
const APPS = "user.slice/user-1000.slice/user@1000.service/app.slice";

let report: Promise<Report> | undefined;

/** One guest for all tests. */
async function reportOf(context: TestContext): Promise<Report> {
  if (process.arch !== "x64") context.skip("optional: the guest is made for x64");
  for (const need of ["jail", "qemu"] as const) requires(context, need);
  report ??= boot();
  return await report;
}

async function quotaFacts(context: TestContext): Promise<Report["quota"]> {
  return (await reportOf(context)).quota;
}

async function scenario(context: TestContext, name: string): Promise<Scenario> {
  const found = (await reportOf(context)).scenarios.find((one) => one.name === name);
  if (found === undefined) throw new Error(`the guest has no scenario ${name}`);
  expect(found.failed).toBeUndefined();
  return found;
}

function runOf({ runs }: Scenario, name: string): Scenario["runs"][string] {
  const run = runs[name];
  if (run === undefined) throw new Error(`no run ${name}`);
  expect(run.left, `cgroups left by ${name}`).toEqual([]);
  return run;
}

/** What holds for whoever has a cgroup. */
function expectBounded(found: Scenario, below: string): void {
  for (const name of Object.keys(found.runs)) {
    const run = runOf(found, name);
    expect(run.error, run.message).toBeUndefined();
    expect(run, name).toMatchObject({ memory: "kernel", cgroup: ALL, notes: [] });
    expect(run.where).toMatch(new RegExp(`^${below}${below === "" ? "" : "/"}cofferdam-[^/]*$`));
    if (name === "memory" || name === "files") {
      expect(run).toMatchObject({ killedBy: "memory", limits: ["memory"] });
      expect(run.peak).toBeLessThan(110 * MIB);
    }
    if (name === "pids") expect(run.limits).toEqual(["pids"]);
    if (name === "timeout") expect(run.killedBy).toBe("timeout");
    if (name === "cpus") {
      expect(run.share).toBeGreaterThan(0.1);
      expect(run.share).toBeLessThan(0.6);
    }
    if (name === "peak") {
      expect(run.exit).toBe(0);
      expect(run.peak).toBeGreaterThan(64 * MIB);
      expect(run.peak).toBeLessThan(96 * MIB);
    }
    if (["plain", "high", "killed"].includes(name)) expect(run.exit).toBe(0);
  }
}

function guest(name: string, judge: (found: Scenario) => void): void {
  if (FULL) test(name, { timeout: TIME }, async (context) => judge(await scenario(context, name)));
}

if (!FULL) test("the jail on cgroup v2, in a guest", (context) => context.skip("optional: ./dev test --full boots a kernel for it"));

if (FULL)
  test("quotas: limits are proven, use is measured, every violation is told", { timeout: TIME }, async (context) => {
    const facts = await quotaFacts(context);
    if (typeof facts === "string") throw new Error(facts);
    expect(facts).toMatchObject({ version: 2, applied: ["cpu", "memory", "swap", "pids"], missing: [] });
    const { violations, peak, raw, notMeasured } = facts.usage;
    expect(Math.min(violations.oomKills, violations.forksRefused, violations.throttledPeriods)).toBeGreaterThan(0);
    expect(peak.memory).toBeGreaterThan(50 * MIB);
    expect(raw.cpuTime).toBeGreaterThan(0);
    expect(notMeasured).not.toContain("cpu");
    expect([...new Set(facts.violations.map(({ resource, kind }) => `${resource} ${kind}`))].sort()).toEqual([
      "cpu throttled",
      "memory killed",
      "pids refused",
    ]);
  });

if (FULL)
  test("the monitor's freezer: all stand, go on, and can be ended as they stand", { timeout: TIME }, async (context) => {
    const { freezer } = await reportOf(context);
    if (typeof freezer === "string") throw new Error(freezer);
    expect(freezer).toMatchObject({ freezer: "v2", ran: true, frozen: true, stoodStill: true, wentOn: true, thawed: true, killedFrozen: true, left: 0 });
    expect(freezer.processes).toBeGreaterThanOrEqual(3);
  });

guest("root of the hierarchy", (found) => expectBounded(found, ""));

guest("root, session", (found) => {
  expectBounded(found, "user.slice/user-0.slice");
  expect(Object.keys(found.runs)).toHaveLength(8);
  expect(runOf(found, "plain").landlock).toBe(2);
});

guest("user, session", (found) => {
  expect(runOf(found, "plain")).toMatchObject({ exit: 0, memory: "watched", cgroup: [], landlock: 2 });
  expect(runOf(found, "plain").notes).toHaveLength(1);
  expect(runOf(found, "memory")).toMatchObject({ killedBy: "memory", memory: "watched" });
  expect(runOf(found, "high")).toMatchObject({ error: "ENVIRONMENT_UNFIT" });
});

guest("user, scope of the user's manager", (found) => {
  expectBounded(found, APPS);
  expect(found.after).toBe(found.before);
});

guest("user, scope with a limit of its own", (found) => {
  expectBounded(found, APPS);
  expect(runOf(found, "generous")).toMatchObject({ killedBy: "memory" });
  expect(runOf(found, "generous").peak).toBeLessThan(170 * MIB);
});

guest("user, slice without cpu", (found) => expectBounded(found, "user.slice/user-1000.slice/user@1000.service"));

guest("user, delegated service", (found) => {
  expectBounded(found, "system.slice/runner.service");
  expect(found.after).toBe("system.slice/runner.service/cofferdam-callers");
});

guest("user, delegated service again", (found) => {
  expectBounded(found, "system.slice/runner.service");
  expect(found.after).toBe(found.before);
});

guest("user, delegated service with a process of root", (found) => {
  expect(runOf(found, "plain")).toMatchObject({ exit: 0, memory: "watched", cgroup: [] });
  expect(runOf(found, "high")).toMatchObject({ error: "ENVIRONMENT_UNFIT" });
  expect(found.after).toBe(found.before);
});

guest("user, delegated service with a subgroup", (found) => expectBounded(found, "system.slice/grouped.service"));

guest("root, cpu taken away meanwhile", (found) => {
  const run = runOf(found, "taken");
  expect(run).toMatchObject({ exit: 0, memory: "kernel", cgroup: ["memory", "pids"] });
  expect(run.notes).toHaveLength(1);
});
