/**
 * Who holds a reservation: a process, known by its pid and when it started, so that another process with the same pid is not
 * taken for it. Sources: proc_pid_stat(5), pid_namespaces(7).
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";
import { CofferdamError } from "./errors.ts";

export interface Owner {
  /** Which machine. */
  readonly host: string;
  /** Which start of that machine. */
  readonly boot: string;
  /** Pids mean something within one pid namespace alone. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** Clock ticks between the machine's start and the process's. */
  readonly started: string;
}

/** `unknown`: of another machine, or of a pid namespace that cannot be looked into from here. */
export type Life = "alive" | "gone" | "unknown";

const ownerSchema: z.ZodType<Owner> = z.strictObject({ host: z.string(), boot: z.string(), pidNamespace: z.string(), pid: z.int(), started: z.string() });

/** This process. Throws ENVIRONMENT_UNFIT without /proc. */
export function ownIdentity(): Owner {
  const started = startOf(process.pid);
  const boot = read("/proc/sys/kernel/random/boot_id");
  if (started === undefined || boot === undefined)
    throw new CofferdamError("ENVIRONMENT_UNFIT", "/proc is not there: processes that hold resources could not be told apart");
  return { host: read("/etc/machine-id") ?? hostname(), boot, pidNamespace: ownNamespace(), pid: process.pid, started };
}

/** @param self the process that asks, from {@link ownIdentity}. */
export function lifeOf(owner: Owner, self: Owner): Life {
  if (owner.host !== self.host) return "unknown";
  if (owner.boot !== self.boot) return "gone";
  if (owner.pidNamespace !== self.pidNamespace) return "unknown";
  return startOf(owner.pid) === owner.started ? "alive" : "gone";
}

/** This process as one word, for a book. Throws ENVIRONMENT_UNFIT without /proc. */
export function ownName(): string {
  return JSON.stringify(ownIdentity());
}

/** @returns whether the process of a stored name is gone, as seen from this one. What cannot be read is nobody's. */
export function goneFrom(self: string): (owner: string) => boolean {
  const own = ownerSchema.parse(JSON.parse(self));
  return (owner) => {
    try {
      return lifeOf(ownerSchema.parse(JSON.parse(owner)), own) === "gone";
    } catch {
      return true;
    }
  };
}

/** Milliseconds since the machine started: the same clock for every process of it, and nobody can set it. */
export function bootTime(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** When a process started, in clock ticks, or undefined when there is none (a zombie holds nothing any more). */
export function startOf(pid: number): string | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The second field is a name in parentheses that may hold anything.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields === undefined || fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

function ownNamespace(): string {
  return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
}

function read(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}
