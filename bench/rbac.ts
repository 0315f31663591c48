/**
 * One decision, against four libraries, at three sizes: each contender in a process of its own, all of them asked the same, and
 * any answer that differs ends it. COFFERDAM_BENCH_SIZES=10x10,1000x1000 takes other sizes.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median, print, printLimit } from "./measure.ts";
import type { Measured } from "./rbac-process.ts";

const SIZES = (process.env["COFFERDAM_BENCH_SIZES"] ?? "10x10,1000x1000,100000x1000").split(",");
/** CPU of one check, microseconds. */
const GOALS: Readonly<Record<string, number>> = { "10x10": 0.5, "1000x1000": 0.4, "100000x1000": 1.5 };
const PEERS = ["casl", "accesscontrol", "cedar", "casbin"];
const PROCESS = fileURLToPath(new URL("rbac-process.ts", import.meta.url));

for (const size of SIZES) {
  const [users = "", roles = ""] = size.split("x");
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-rbac-"));
  const run = (name: string): string =>
    execFileSync(process.execPath, ["--expose-gc", PROCESS, name, users, roles, folder], { maxBuffer: 1 << 24, encoding: "utf8" });
  const measure = (name: string): Measured => JSON.parse(run(name));
  run("fill");
  const ours = measure("ours");
  const name = `rbac ${size}`;
  if (!ours.answers.includes("1") || !ours.answers.includes("0")) throw new Error("all answers are the same");
  const goal = GOALS[size];
  if (goal !== undefined) printLimit({ name: `${name} CPU of a check`, ours: ours.cpu, unit: "us", most: goal });
  process.stdout.write(`bench ${name}: p99 ${ours.p99.toFixed(2)} us\n`);
  if (size.startsWith("100000x")) {
    printLimit({ name: `${name} resident`, ours: resident(folder), unit: "MB", most: 150 });
    printLimit({ name: `${name} change to first fresh decision, median of ${ours.changes.length}`, ours: median(ours.changes), unit: "ms", most: 50 });
    printLimit({ name: `${name} change to first fresh decision, longest`, ours: Math.max(...ours.changes), unit: "ms", most: 50 });
  }
  const wrapped = measure("ours-async");
  process.stdout.write(
    `bench ${name}: checkPermission, with the epoch of the store read each time: ${wrapped.cpu.toFixed(2)} us, p99 ${wrapped.p99.toFixed(2)} us\n`,
  );
  agree("ours-async", wrapped);
  for (const peer of PEERS) {
    const theirs = measure(peer);
    agree(peer, theirs);
    const ahead = peer === "casl" && size === "10x10" ? {} : { goal: { kind: "at-most", ratio: 1 } as const };
    print({
      name: `${name} vs ${peer} (p99 ${theirs.p99.toFixed(1)} us, ${theirs.resident.toFixed(0)} MB)`,
      ours: ours.cpu,
      peer: theirs.cpu,
      unit: "us",
      ...ahead,
    });
  }
  rmSync(folder, { recursive: true });

  function agree(peer: string, { answers }: Measured): void {
    const both = Math.min(answers.length, ours.answers.length);
    let differing = 0;
    for (let i = 0; i < both; i++) if (answers[i] !== ours.answers[i]) differing += 1;
    if (differing > 0) throw new Error(`${peer} differs in ${differing} of ${both} answers`);
    process.stdout.write(`bench ${name}: ${peer} agrees on ${both} questions\n`);
  }
}

/** Of a process that does nothing but decide, as a program has it: no bench in it, no questions, no types to strip. */
function resident(folder: string): number {
  const dist = new URL("../dist/", import.meta.url).href;
  const program = `
    import { RBACSystem } from "${dist}rbac/index.js";
    import { SqliteStore } from "${dist}store/index.js";
    const silent = { log: async () => undefined, denied: async () => undefined };
    const rbac = new RBACSystem(silent, { store: new SqliteStore({ path: ${JSON.stringify(join(folder, "cofferdam.db"))} }) });
    await rbac.initialize();
    for (let i = 0; i < 1000; i++) await rbac.checkPermission("user-" + i, "res1:read", { repository: "acme/web" });
    console.log(process.memoryUsage.rss() / 1e6);
    process.exit(0);`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" }));
}
