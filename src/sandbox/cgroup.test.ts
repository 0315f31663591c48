import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
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
