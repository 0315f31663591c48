/**
 * What an attack on the jail is. Each is shown to work without the jail before it counts as blocked by it, so what it needs
 * of the machine is said here and checked at run time: a kernel without a call proves nothing about a filter.
 */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import type { Victim } from "./victim.ts";

export type Who = "root" | "user";

/** The one limit that a resource attack is run with inside; everything else stays at the jail's defaults. */
export interface AttackLimits {
  readonly memoryBytes?: number;
  readonly pids?: number;
  /** Of /tmp and of every other memory file system inside. */
  readonly tmpBytes?: number;
  readonly tmpInodes?: number;
  /** Size of one file (RLIMIT_FSIZE). */
  readonly fileBytes?: number;
  readonly cpuSeconds?: number;
  readonly timeoutMs?: number;
  readonly outputBytes?: number;
}

/** Works outside as `by` says, except where the machine itself refuses it. `refused` looks at the cause, never at the attack. */
export interface Conditional {
  readonly by: "anyone" | "root";
  readonly unless: string;
  readonly refused: (as: Who) => boolean;
}

export interface Attack {
  readonly name: string;
  readonly group: string;
  readonly works: "anyone" | "root" | Conditional;
  readonly program: "sh" | "perl" | "node";
  /** Where it runs: a dependency's script in its own folder (writable: that folder), or the root project's own script. */
  readonly at?: "package" | "project";
  /** Prints a line WON on success, and ends by itself outside. */
  readonly code: (victim: Victim) => string;
  /** Success that shows on the host; then the output does not count. */
  readonly won?: (victim: Victim, output: string) => boolean | Promise<boolean>;
  readonly limits?: AttackLimits;
}

/** What `inside.ts` gives: the same program in the jail, as a root or an ordinary caller of it. */
export type RunInJail = (attack: Attack, victim: Victim, as: Who) => Promise<{ output: string; killedBy?: string }>;

export async function succeeded(attack: Attack, victim: Victim, output: string): Promise<boolean> {
  return attack.won === undefined ? /^WON$/m.test(output) : await attack.won(victim, output);
}

/** Is this caller supposed to succeed outside? Otherwise the reason why not. */
export function promised(attack: Attack, as: Who): { readonly works: true } | { readonly works: false; readonly why: string; readonly machine: boolean } {
  const { works } = attack;
  const by = typeof works === "string" ? works : works.by;
  if (by === "root" && as === "user") return { works: false, why: "needs root outside", machine: false };
  if (by === "root" && (capabilities() & CAP_SYS_ADMIN) === 0n) return { works: false, why: "root without capabilities: this is a container", machine: true };
  if (typeof works !== "string" && works.refused(as)) return { works: false, why: works.unless, machine: true };
  return { works: true };
}

const CAP_SYS_ADMIN = 1n << 21n;

export function capabilities(pid: number | "self" = "self"): bigint {
  return BigInt(`0x${statusField("CapEff", pid) ?? "0"}`);
}

function statusField(name: string, pid: number | "self" = "self"): string | undefined {
  return new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(text(`/proc/${pid}/status`))?.[1];
}

let configuration: string | undefined;
/** How this kernel was built, or undefined where it does not tell. */
export function kernelConfig(option: string): boolean | undefined {
  configuration ??= existsSync("/proc/config.gz") ? gunzipSync(readFileSync("/proc/config.gz")).toString() : text(`/boot/config-${release()}`);
  return configuration === "" ? undefined : new RegExp(`^${option}=[ym]$`, "m").test(configuration);
}

/** A file's text, or "" where it cannot be read. */
export function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A number of the kernel's settings, or `absent` where the kernel has no such setting. */
export function setting(path: string, absent: number): number {
  return existsSync(path) ? Number(text(path).trim()) : absent;
}

/** A container engine's filter or a sandbox around the tests would be credited with what the jail must do. */
export function outerFilter(): boolean {
  return (statusField("Seccomp") ?? "0") !== "0";
}

export function userNamespacesRefused(as: Who): boolean {
  if (outerFilter() || setting("/proc/sys/user/max_user_namespaces", 0) === 0) return true;
  if (as === "root") return false;
  return setting("/proc/sys/kernel/unprivileged_userns_clone", 1) === 0 || setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) !== 0;
}

export const needsUserNamespaces: Conditional = {
  by: "anyone",
  unless: "user namespaces are off or restricted on this machine",
  refused: userNamespacesRefused,
};

/** Needs a file that some kernels and machines do not have. */
export function needsPath(by: "anyone" | "root", path: string): Conditional {
  return { by, unless: `this machine has no ${path}`, refused: () => !existsSync(path) };
}

/** Yama forbids an ordinary user to trace what is not a child of its own. */
export const needsTracing: Conditional = {
  by: "anyone",
  unless: "kernel.yama.ptrace_scope protects the processes of one user from each other",
  refused: (as) => {
    const scope = setting("/proc/sys/kernel/yama/ptrace_scope", 0);
    return outerFilter() || (as === "user" ? scope >= 1 : scope >= 3);
  },
};
