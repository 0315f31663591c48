/** What process 1 has around it: limits, devices, environment, and nobody else. */
import type { BigIntStats } from "node:fs";
import { cgroupOf, proveLimits, type ResourceLimits, readerOf } from "../../../quota/index.ts";
import type { Expected } from "../create-body.ts";
import type { Controls } from "./control.ts";
import type { ProcessView } from "./process-view.ts";

/** Device nodes that every container has, by name: major and minor. Source: runtime-spec, config-linux "Default Devices". */
const DEVICES: Readonly<Record<string, string>> = { full: "1:7", null: "1:3", random: "1:8", tty: "5:0", urandom: "1:9", zero: "1:5" };
const LINKS: readonly string[] = ["core", "fd", "ptmx", "stderr", "stdin", "stdout"];
const FOLDERS: readonly string[] = ["mqueue", "pts", "shm"];
const RLIMITS: Readonly<Record<string, string>> = { core: "Max core file size", memlock: "Max locked memory", nofile: "Max open files" };

export function proveSurroundings(controls: Controls, view: ProcessView, expected: Expected): void {
  proveResources(controls, view, expected);
  proveRlimits(controls, view.text("limits"), expected);
  controls.equal("memory-limit", "goes before the host", String(expected.profile.oomScoreAdj), view.text("oom_score_adj").trim());
  proveDevices(controls, view, expected.tty);
  proveEnvironment(controls, view, expected);
}

function proveResources(controls: Controls, view: ProcessView, { limits, profile }: Expected): void {
  const place = cgroupOf(view.pid);
  controls.check("pids-limit", "cgroup", "one of its own", place === undefined ? "none that can be seen" : "one of its own", place !== undefined);
  if (place === undefined) return;
  const asked: ResourceLimits = {
    pids: limits.PidsLimit,
    ...(limits.Memory === undefined ? {} : { memory: limits.Memory, swap: (limits.MemorySwap ?? limits.Memory * 2) - limits.Memory }),
    ...(limits.NanoCpus === undefined ? {} : { cpu: limits.NanoCpus / 1e9 }),
  };
  const { applied, missing } = proveLimits(place.version, readerOf(place), { limits: asked, enforcement: "hard", devices: [] });
  const control = (limit: string): "memory-limit" | "cpu-limit" | "pids-limit" =>
    limit === "pids" ? "pids-limit" : limit === "cpu" ? "cpu-limit" : "memory-limit";
  for (const limit of applied) controls.check(control(limit), limit, String(asked[limit]), String(asked[limit]), true);
  for (const { limit, wanted, found } of missing) controls.check(control(limit), limit, wanted, found, false);
  controls.check(
    "memory-limit",
    "limit",
    profile.level === "low" ? "any" : "set",
    limits.Memory === undefined ? "none" : "set",
    limits.Memory !== undefined || profile.level === "low",
  );
  controls.holds("memory-limit", limits.Memory !== undefined);
  controls.holds("cpu-limit", limits.NanoCpus !== undefined || limits.CpuShares !== undefined);
  controls.holds("pids-limit", true);
  const oom = place.version === 1 ? readerOf(place)("memory", "memory.oom_control") : undefined;
  if (oom !== undefined) controls.equal("memory-limit", "the kernel ends what is over it", "oom_kill_disable 0", oom.split("\n")[0] ?? "");
  proveAlone(controls, view, place.version === 1 ? readerOf(place)("pids", "cgroup.procs") : readerOf(place)("memory", "cgroup.procs"));
}

/** A second process would be one that somebody put there: nothing has been started yet. */
function proveAlone(controls: Controls, view: ProcessView, processes: string | undefined): void {
  controls.equal("proven-before-start", "processes", String(view.pid), (processes ?? "unknown").trim().split("\n").join(" "));
}

function proveRlimits(controls: Controls, limits: string, { profile }: Expected): void {
  for (const { name, soft, hard } of profile.ulimits) {
    const label = RLIMITS[name] ?? name;
    const found = new RegExp(`^${label} +(\\S+) +(\\S+)`, "m").exec(limits);
    controls.equal("pids-limit", `limit ${name}`, `${soft}/${hard}`, `${found?.[1]}/${found?.[2]}`);
  }
}

function proveDevices(controls: Controls, view: ProcessView, tty: boolean): void {
  const names = view.list("/dev") ?? [];
  controls.check("devices", "/dev", "a folder", names.length === 0 ? "nothing that can be listed" : "a folder", names.length > 0);
  for (const name of names) {
    const wanted = DEVICES[name] ?? (LINKS.includes(name) ? "link" : FOLDERS.includes(name) ? "folder" : tty && name === "console" ? "terminal" : "not there");
    const actual = kindOf(view.inside(`/dev/${name}`), name);
    controls.equal("devices", `/dev/${name}`, wanted, actual);
  }
  controls.holds("devices", true);
}

function kindOf(stat: BigIntStats | undefined, name: string): string {
  if (stat === undefined) return "nothing";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isDirectory()) return "folder";
  // Unix98 terminals: majors 136 to 143.
  const major = ((stat.rdev >> 8n) & 0xfffn) | ((stat.rdev >> 32n) & ~0xfffn);
  const minor = (stat.rdev & 0xffn) | ((stat.rdev >> 12n) & ~0xffn);
  if (stat.isCharacterDevice() && name === "console" && major >= 136n && major <= 143n) return "terminal";
  return stat.isCharacterDevice() ? `${major}:${minor}` : "another kind of file";
}

/** Names only: values may be nobody's business. */
function proveEnvironment(controls: Controls, view: ProcessView, { env }: Expected): void {
  const found = view
    .bytes("environ")
    .toString("utf8")
    .split("\0")
    .filter((text) => text !== "");
  const wanted = new Set(env);
  const nameOf = (text: string): string => text.slice(0, Math.max(0, text.indexOf("="))) || text;
  const expectsHome = env.some((text) => text.startsWith("HOME="));
  const unexpected = found.filter((text) => !wanted.has(text) && (expectsHome || nameOf(text) !== "HOME")).map(nameOf);
  const missing = env.filter((text) => !found.includes(text)).map(nameOf);
  controls.check(
    "proven-before-start",
    "environment",
    `${env.length} variables`,
    [...unexpected.map((name) => `+${name}`), ...missing.map((name) => `-${name}`)].join(" ") || `${env.length} variables`,
    unexpected.length === 0 && missing.length === 0,
  );
}
