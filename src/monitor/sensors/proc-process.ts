/**
 * A process as /proc has it, for the fallback that hears numbers alone. It may end between two looks: then nothing of it is
 * told, rather than half of one process and half of the next.
 */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import type { Actor, ExecEvent, FileFacts, StreamFacts } from "../event.ts";
import { fileId, millisecondsOf, streamKind } from "../reader/kernel-values.ts";
import { START, statFields, statusFields } from "../reader/proc-text.ts";
import { pieces, textOf } from "../reader/text.ts";

/** Bytes of arguments, as the kernel's program reads them. */
const MAX_ARGV = 6144;
/** A clock tick of /proc. */
const TICK_NS = 10_000_000n;

export type ProcProgram = Pick<ExecEvent, "program" | "asked" | "args" | "argsBytes" | "argsCut" | "env" | "cwd" | "stdio" | "gained" | "capabilities">;

/** @returns undefined when it is gone. */
export function actorFromProc(pid: number): Actor | undefined {
  try {
    const started = startOf(pid);
    const status = statusFields(readFileSync(`/proc/${pid}/status`, "utf8"));
    const numbers = (name: string): readonly number[] => (status.get(name) ?? "").split("\t").map(Number);
    const number = (name: string, at = 0): number => numbers(name)[at] ?? 0;
    const ppid = number("PPid");
    const inside = numbers("NSpid").at(-1) || pid;
    const parent = ppid === 0 ? "0:0" : `${ppid}:${startOf(ppid)}`;
    const actor: Actor = {
      key: `${pid}:${started}`,
      parent,
      pid,
      tid: pid,
      ppid,
      // Its parent's number inside is not in its own file.
      inside: { pid: inside, tid: inside, ppid: 0 },
      uid: number("Uid"),
      euid: number("Uid", 1),
      gid: number("Gid"),
      name: status.get("Name") ?? "",
      pidns: spaceNumber(pid, "pid"),
      mntns: spaceNumber(pid, "mnt"),
      cgroup: "1",
    };
    return startOf(pid) === started ? actor : undefined;
  } catch {
    return undefined;
  }
}

/** What it runs now. @returns undefined when it is gone, or already runs something else. */
export function programFromProc(pid: number): ProcProgram | undefined {
  try {
    const link = readlinkSync(`/proc/${pid}/exe`, "buffer");
    const program = fileFacts(`/proc/${pid}/exe`, link);
    const argv = readFileSync(`/proc/${pid}/cmdline`);
    const capabilities = statusFields(readFileSync(`/proc/${pid}/status`, "utf8")).get("CapEff") ?? "0";
    const facts: ProcProgram = {
      program,
      // The name that was asked for is nowhere in /proc.
      asked: program.path,
      args: pieces(argv.subarray(0, MAX_ARGV)).map(textOf),
      argsBytes: argv.length,
      argsCut: argv.length > MAX_ARGV,
      env: undefined,
      cwd: textOf(readlinkSync(`/proc/${pid}/cwd`, "buffer")),
      stdio: [streamFacts(pid, 0), streamFacts(pid, 1), streamFacts(pid, 2)],
      gained: false,
      capabilities: BigInt(`0x${capabilities}`),
    };
    return link.equals(readlinkSync(`/proc/${pid}/exe`, "buffer")) ? facts : undefined;
  } catch {
    return undefined;
  }
}

/** The number of a namespace. Throws when the process is gone. */
export function spaceNumber(pid: number, name: "mnt" | "pid"): number {
  return Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/${name}`))?.[1] ?? 0);
}

/** Of the boot clock, ns. Throws when it is gone. */
function startOf(pid: number): bigint {
  return BigInt(statFields(readFileSync(`/proc/${pid}/stat`, "latin1"))[START] ?? 0) * TICK_NS;
}

function fileFacts(path: string, link: Buffer): FileFacts {
  const stat = statSync(path, { bigint: true });
  const text = textOf(link);
  const unlinked = stat.nlink === 0n;
  return {
    path: unlinked ? text.replace(/ \(deleted\)$/, "") : text,
    cut: false,
    id: fileId(kernelDevice(stat.dev), stat.ino),
    type: "file",
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    size: Number(stat.size),
    mtime: millisecondsOf(stat.mtimeNs),
    ctime: millisecondsOf(stat.ctimeNs),
    unlinked,
    anonymous: text.startsWith("/memfd:"),
    fresh: undefined,
  };
}

/** From what stat(2) tells to the number that the kernel itself has. */
export function kernelDevice(device: bigint): bigint {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  return (major << 20n) | minor;
}

function streamFacts(pid: number, descriptor: number): StreamFacts {
  try {
    const stat = statSync(`/proc/${pid}/fd/${descriptor}`, { bigint: true });
    const id = fileId(kernelDevice(stat.dev), stat.ino);
    if (stat.isSocket()) {
      const socket = { family: "other", type: "other", protocol: 0, inode: String(stat.ino), local: undefined, remote: undefined, claimed: false } as const;
      return { to: "socket", id, socket };
    }
    return { to: streamKind(Number(stat.mode), kernelDevice(stat.rdev)), id };
  } catch {
    return { to: "closed" };
  }
}
