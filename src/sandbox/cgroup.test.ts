import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Cgroup } from "./cgroup.ts";

const LIMITS = { memory: 2 ** 28, pids: 64, cpus: 1 };

test("what a killed caller left is removed by the next one, what a living one has is not", async (context) => {
  const living = Cgroup.create(LIMITS);
  if (living === undefined) return context.skip("no cgroup can be made here");
  const code = `import { Cgroup } from ${JSON.stringify(new URL("./cgroup.ts", import.meta.url).href)};
    console.log(JSON.stringify(Cgroup.create(${JSON.stringify(LIMITS)}).joins)); setInterval(() => {}, 1000);`;
  const caller = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [text] = (await once(caller.stdout, "data", { signal: AbortSignal.timeout(20_000) })) as [Buffer];
    const left = JSON.parse(text.toString("utf8")) as string[];
    expect(left.length).toBeGreaterThan(0);
    expect(left.every((file) => existsSync(file))).toBe(true);
    caller.kill("SIGKILL");
    await once(caller, "exit");
    const next = Cgroup.create(LIMITS);
    expect(left.filter((file) => existsSync(file))).toEqual([]);
    expect(living.joins.every((file) => existsSync(file))).toBe(true);
    await next?.remove();
    expect(next?.joins.filter((file) => existsSync(file))).toEqual([]);
  } finally {
    caller.kill("SIGKILL");
    await living.remove();
  }
});

/** A shell in the cgroup, before it does anything else. */
function inside(group: Cgroup, body: string): ReturnType<typeof spawn> {
  const join = group.joins.map((file) => `echo $$ > ${file}`).join(" && ");
  return spawn("/bin/sh", ["-c", `${join} && ${body}`], { stdio: "ignore" });
}

test("memory and processes are bounded by the kernel, and it says so afterwards", async (context) => {
  const group = Cgroup.create({ memory: 64 * 2 ** 20, pids: 8, cpus: undefined });
  if (group === undefined) return context.skip("no cgroup can be made here");
  try {
    expect([group.oomKilled, group.pidsExhausted]).toEqual([false, false]);
    await once(inside(group, "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2 & done; wait"), "exit");
    if (group.controllers.includes("pids")) expect(group.pidsExhausted).toBe(true);
    expect(group.oomKilled).toBe(false);
    const [, signal] = await once(inside(group, `exec perl -e '$x .= "y" x 1e6 while 1'`), "exit");
    expect(signal).toBe("SIGKILL");
    expect(group.oomKilled).toBe(true);
    expect(group.peakMemory).toBeGreaterThan(48 * 2 ** 20);
    expect(group.peakMemory).toBeLessThanOrEqual(64 * 2 ** 20);
  } finally {
    await group.remove();
  }
});

test("removing it ends what is in it, whatever that made inside", async (context) => {
  const group = Cgroup.create(LIMITS);
  if (group === undefined) return context.skip("no cgroup can be made here");
  const child = inside(group, "(trap '' TERM HUP; setsid sleep 1000 & setsid sleep 1000 & wait)");
  while (members(group).length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  const pids = members(group);
  const ended = once(child, "exit");
  await group.remove();
  await ended;
  expect(group.joins.filter((file) => existsSync(file))).toEqual([]);
  for (const pid of pids) expect(existsSync(`/proc/${pid}/exe`), pid).toBe(false);
});

function members(group: Cgroup): string[] {
  const [file = ""] = group.joins;
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}
