/**
 * System calls for Perl's syscall(), by number. The numbers are written here a second time on purpose: taken from the
 * filter's own table, a wrong one there would be attacked wrongly too, and look blocked.
 */
import type { Attack, Conditional, Who } from "./attack.ts";
import { outerFilter, text } from "./attack.ts";
import { perl } from "./programs.ts";

/** [x86-64, arm64]: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h. */
const NUMBERS = {
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  chroot: [161, 51],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  clone: [56, 220],
  clone3: [435, 435],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  getpid: [39, 172],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioctl: [16, 29],
  ioperm: [173, undefined],
  iopl: [172, undefined],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  memfd_create: [319, 279],
  migrate_pages: [256, 238],
  mknodat: [259, 33],
  modify_ldt: [154, undefined],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  openat: [257, 56],
  perf_event_open: [298, 241],
  personality: [135, 92],
  pidfd_getfd: [438, 438],
  pidfd_open: [434, 434],
  pidfd_send_signal: [424, 424],
  pivot_root: [155, 41],
  prlimit64: [302, 261],
  process_madvise: [440, 440],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  request_key: [249, 218],
  sched_setscheduler: [144, 119],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  setxattr: [188, 5],
  socket: [41, 198],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  userfaultfd: [323, 282],
} as const;

export type Call = keyof typeof NUMBERS;

/** The number on this machine. A call that its architecture lacks gets one that no kernel has. */
export function numbers(name: Call): number {
  return NUMBERS[name][process.arch === "arm64" ? 1 : 0] ?? 9999;
}

/** Perl: the call. Its string arguments must be variables, and its numbers never have been strings. */
export function call(name: Call, args: string): string {
  return `syscall(${numbers(name)}${args === "" ? "" : `, ${args}`})`;
}

/** Perl: with this result in $r, was the kernel's own code reached? EPERM, EACCES, ENOSYS and EAFNOSUPPORT say no. */
export const REACHED = "my $e = $! + 0; $r != -1 || !grep({ $_ == $e } 1, 13, 38, 97) and won; $! = $e; lost 'refused';";

/** The call is reachable: its arguments are harmless, and mostly wrong on purpose. */
export function reaches(
  name: Call,
  options: { readonly args?: string; readonly before?: string; readonly by?: "anyone" | "root"; readonly title?: string; readonly unless?: Refusal },
): Omit<Attack, "group"> {
  return {
    name: options.title ?? `calls ${name}`,
    works: builtIn(name, options.by ?? "anyone", options.unless),
    program: "perl",
    code: () => perl(`${options.before ?? ""} $! = 0; my $r = ${call(name, options.args ?? "")}; ${REACHED}`),
  };
}

export interface Refusal {
  readonly why: string;
  readonly refused: (as: Who) => boolean;
}

/** Needs the call in this kernel, no filter around the tests, and whatever else is given. */
export function builtIn(name: Call, by: "anyone" | "root", also?: Refusal): Conditional {
  return {
    by,
    unless: `this kernel has no ${name}, a filter is around the tests already${also === undefined ? "" : `, or ${also.why}`}`,
    refused: (as) => outerFilter() || !hasCall(name) || (also?.refused(as) ?? false),
  };
}

let symbols: ReadonlySet<string> | undefined;
/** A call that was left out of the kernel is a weak alias of one that only says ENOSYS. */
function hasCall(name: Call): boolean {
  const x64 = process.arch !== "arm64";
  if (NUMBERS[name][x64 ? 0 : 1] === undefined) return false;
  symbols ??= new Set(Array.from(text("/proc/kallsyms").matchAll(/ T __(?:x64|arm64)_sys_(\w+)$/gm), (match) => match[1] ?? ""));
  // Nothing known about this kernel: the attack is expected to work.
  return symbols.size === 0 || symbols.has(name === "umount2" ? "umount" : name);
}
