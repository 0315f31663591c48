/** A process as /proc shows it now. Anything in there may be gone at the next line: what could not be read is undefined. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { START, statFields, statusFields } from "../reader/proc-text.ts";

export interface ProcProcess {
  readonly pid: number;
  /** As the events name it. */
  readonly key: string;
  readonly insidePid: number;
  readonly ppid: number;
  readonly name: string;
  readonly state: string;
  readonly exe: string | undefined;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly uid: number;
  readonly threads: number;
  /** Effective capabilities, hexadecimal. */
  readonly capabilities: string;
  readonly noNewPrivileges: boolean;
  /** Who traces it; 0 for nobody. */
  readonly tracer: number;
  /** Processor time so far, ms. */
  readonly cpuMs: number;
}

const MAX_ARGS = 4096;
const MAX_FDS = 64;
/** Of the kernel's clock in /proc: always 100 a second for readers, whatever it ticks at. */
const TICK_MS = 10;

/** undefined for one that is gone. */
export function readProcess(pid: number): ProcProcess | undefined {
  const status = file(pid, "status");
  const stat = file(pid, "stat");
  if (status === undefined || stat === undefined) return undefined;
  const named = statusFields(status);
  const of = (name: string): string => named.get(name) ?? "";
  const fields = statFields(stat);
  return {
    ...{ pid, key: `${pid}:${fields[START] ?? "0"}`, insidePid: Number(of("NSpid").split(/\s+/).at(-1)), ppid: Number(of("PPid")), name: of("Name") },
    ...{ state: of("State"), exe: link(pid, "exe"), args: argsOf(pid), cwd: link(pid, "cwd"), uid: Number(of("Uid").split(/\s+/)[1]) },
    ...{ threads: Number(of("Threads")), capabilities: of("CapEff"), noNewPrivileges: of("NoNewPrivs") === "1", tracer: Number(of("TracerPid")) },
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
  };
}

/** What its descriptors lead to; the first ones. */
export function descriptorsOf(pid: number): readonly { readonly fd: number; readonly to: string }[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
      .slice(0, MAX_FDS)
      .flatMap((fd) => {
        const to = link(pid, `fd/${fd}`);
        return to === undefined ? [] : [{ fd: Number(fd), to: to.slice(0, 300) }];
      });
  } catch {
    return [];
  }
}

function argsOf(pid: number): readonly string[] {
  const text = file(pid, "cmdline")?.slice(0, MAX_ARGS) ?? "";
  return text.replace(/\0$/, "").split("\0");
}

function file(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return undefined;
  }
}

function link(pid: number, name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return undefined;
  }
}
