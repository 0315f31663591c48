/** Numbers of the kernel as events tell them: the same ones from its records and from /proc, so that both name the same thing alike. */
import type { ExitEvent, StreamFacts } from "../event.ts";

/** What of a mode says what a file is. */
export const TYPE_OF_MODE = 0o170000;
const NULL_DEVICE = 0x100003n;

/** Time of a file, ms. Equal times are equal numbers: whoever compares them has them from here. */
export function milliseconds(seconds: bigint, nanoseconds: number): number {
  return Number(seconds) * 1000 + nanoseconds / 1e6;
}

/** The same of one number, as stat(2) is told here. */
export function millisecondsOf(ns: bigint): number {
  return milliseconds(ns / 1_000_000_000n, Number(ns % 1_000_000_000n));
}

/** Unix time, ms. @param ns of the boot clock. @param clockOffset wall time minus that clock. */
export function wallTime(ns: bigint, clockOffset: bigint): number {
  return Number((ns + clockOffset) / 1000n) / 1000;
}

/** The kernel's status word: a signal in its last seven bits, else a code above them. */
export function exitOf(status: number): Pick<ExitEvent, "code" | "signal"> {
  return { code: (status >> 8) & 0xff, signal: status & 0x7f };
}

/** `DEVICE:INODE`. @param device as the kernel has it. */
export function fileId(device: bigint, inode: bigint): string {
  return `${device.toString(16)}:${inode.toString(16)}`;
}

/** What a descriptor leads to that is no socket. @param device the kernel's number of a device. */
export function streamKind(mode: number, device: bigint): Exclude<StreamFacts["to"], "closed" | "socket"> {
  switch (mode & TYPE_OF_MODE) {
    case 0o100000:
      return "file";
    case 0o010000:
      return "pipe";
    case 0o020000:
      return device === NULL_DEVICE ? "null" : isTerminal(Number(device >> 20n)) ? "terminal" : "other";
    default:
      return "other";
  }
}

/** Majors of consoles, serial lines, /dev/tty and Unix98 terminals (Documentation/admin-guide/devices.txt). */
function isTerminal(major: number): boolean {
  return major === 4 || major === 5 || (major >= 136 && major <= 143);
}
