/**
 * Attacks on the surface of the kernel: calls that builds do not need and that keep having holes. Where the call alone is
 * the attack, WON means that the kernel's own code was reached, with arguments that change nothing.
 */
import { type Attack, kernelConfig, needsUserNamespaces, outerFilter, setting, text } from "./attack.ts";
import { builtIn, call, numbers, REACHED, type Refusal, reaches } from "./kernel-call.ts";
import { perl } from "./programs.ts";

const IO_URING: Refusal = {
  why: "kernel.io_uring_disabled says so",
  refused: (as) => setting("/proc/sys/kernel/io_uring_disabled", 0) > (as === "user" ? 0 : 1),
};
const PERF: Refusal = {
  why: "kernel.perf_event_paranoid is above 2",
  refused: (as) => as === "user" && setting("/proc/sys/kernel/perf_event_paranoid", 2) > 2,
};
const YAMA: Refusal = {
  why: "kernel.yama.ptrace_scope is above 1",
  refused: (as) => setting("/proc/sys/kernel/yama/ptrace_scope", 0) > (as === "user" ? 1 : 2),
};
const IA32: Refusal = { why: "it runs no 32-bit programs", refused: () => kernelConfig("CONFIG_IA32_EMULATION") !== true };
const IOPORTS: Refusal = { why: "it was built without I/O ports for programs", refused: () => kernelConfig("CONFIG_X86_IOPL_IOPERM") === false };

/** A path that nobody can make: the kernel gets as far as looking for it. */
const NOWHERE = "my $p = '/proc/nowhere'; my $s = 'tmpfs'; my $e0 = '';";
const FOUR_BYTES = "my $b = 'test'; my $b2 = 'test';";

const INTERFACES: readonly Omit<Attack, "group">[] = [
  reaches("io_uring_setup", { title: "sets up an io_uring", before: 'my $p = "\\0" x 120;', args: "4, $p", unless: IO_URING }),
  reaches("io_uring_enter", { args: "-1, 0, 0, 0, 0, 0", unless: IO_URING }),
  reaches("io_uring_register", { args: "-1, 0, 0, 0", unless: IO_URING }),
  reaches("bpf", { title: "makes a BPF map", by: "root", before: 'my $a = pack("L4 x112", 2, 4, 4, 1);', args: "0, $a, 128" }),
  reaches("perf_event_open", {
    title: "measures by perf_event_open",
    // A software clock of this process, without the kernel's part.
    before: 'my $a = pack("L2 Q4 Q x72", 1, 112, 0, 0, 0, 0, 0x60);',
    args: "$a, 0, -1, -1, 0",
    unless: PERF,
  }),
  // UFFD_USER_MODE_ONLY: what an ordinary user may have.
  reaches("userfaultfd", { title: "stops page faults by userfaultfd", args: "1" }),
  reaches("add_key", { title: "adds to the kernel's keyring", before: `${FOUR_BYTES} my $t = 'user';`, args: "$t, $b, $b2, 4, -2" }),
  reaches("keyctl", { title: "looks into its session's keyring", args: "0, -3, 0, 0, 0" }),
  reaches("request_key", { before: `${FOUR_BYTES} my $t = 'user';`, args: "$t, $b, 0, 0" }),
  // FAN_REPORT_FID: what an ordinary user may have.
  reaches("fanotify_init", { args: "0x200, 0" }),
  reaches("name_to_handle_at", { before: "my $p = '.'; my $h = pack('Ll x128', 128, 0); my $m = pack('l', 0);", args: "-100, $p, $h, $m, 0" }),
  reaches("kcmp", { args: "$$ + 0, $$ + 0, 0, 1, 1" }),
  reaches("move_pages", { args: "0, 0, 0, 0, 0, 0" }),
  reaches("migrate_pages", { args: "0, 0, 0, 0" }),
  reaches("process_vm_readv", {
    title: "copies memory between processes",
    before: "my $t = 'x' x 64; my $i = pack('PQ', $t, 32);",
    args: "$$ + 0, $i, 1, $i, 1, 0",
  }),
  reaches("process_vm_writev", { before: "my $t = 'x' x 64; my $i = pack('PQ', $t, 32);", args: "$$ + 0, $i, 1, $i, 1, 0" }),
  reaches("process_madvise", { args: "-1, 0, 0, 20, 0" }),
  reaches("pidfd_getfd", { args: "-1, 0, 0" }),
  reaches("modify_ldt", { before: 'my $b = "\\0" x 64;', args: "0, $b, 64" }),
  reaches("iopl", { args: "0", unless: IOPORTS }),
  reaches("ioperm", { args: "0, 1, 0", unless: IOPORTS }),
  reaches("quotactl", { before: NOWHERE, args: "0x80000400, $p, 0, 0" }),
  reaches("quotactl_fd", { args: "-1, 0x80000400, 0, 0" }),
  reaches("adjtimex", { title: "asks how the clock is steered", before: 'my $t = "\\0" x 208;', args: "$t" }),
  // No clock can be set like these: a monotonic one, and a second of two million microseconds.
  reaches("clock_settime", { before: "my $t = pack('QQ', 0, 0);", args: "1, $t" }),
  reaches("clock_adjtime", { before: 'my $t = "\\0" x 208;', args: "0, $t" }),
  reaches("settimeofday", { before: "my $t = pack('QQ', 0, 2000000);", args: "$t, 0" }),
  {
    name: "traces a child",
    works: builtIn("ptrace", "anyone", YAMA),
    program: "perl",
    code: () =>
      perl(`my $c = fork; defined $c or lost 'fork'; if (!$c) { sleep 3; POSIX::_exit(0) }
        my $r = ${call("ptrace", "0x4206, $c + 0, 0, 0")}; my $why = $! + 0; kill 'KILL', $c; $! = $why; $r == 0 ? won : lost 'ptrace';`),
  },
];

const NAMESPACES: readonly Omit<Attack, "group">[] = [
  ...(
    [
      ["a user", 0x1000_0000],
      ["a user and a mount", 0x1002_0000],
      ["a user and a network", 0x5000_0000],
      ["a user and a process", 0x3000_0000],
    ] as const
  ).map(([what, flags]) => ({
    name: `makes ${what} namespace by unshare`,
    works: needsUserNamespaces,
    program: "perl" as const,
    code: () => perl(`${call("unshare", String(flags))} == 0 or lost 'unshare'; won;`),
  })),
  {
    name: "makes a user namespace by clone",
    works: needsUserNamespaces,
    program: "perl",
    code: () => perl(`my $r = ${call("clone", "0x10000011, 0, 0, 0, 0")}; $r == 0 and POSIX::_exit(0); $r > 0 or lost 'clone'; wait; won;`),
  },
  {
    name: "makes a user namespace by clone3",
    works: needsUserNamespaces,
    program: "perl",
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
    code: () =>
      perl(
        `my $a = pack('Q8', 0x10000000, 0, 0, 0, 17, 0, 0, 0); my $r = ${call("clone3", "$a, 64")}; $r == 0 and POSIX::_exit(0); $r > 0 or lost 'clone3'; wait; won;`,
      ),
  },
  {
    name: "mounts in a namespace of its own",
    works: needsUserNamespaces,
    program: "perl",
    code: () =>
      perl(`${call("unshare", "0x10020000")} == 0 or lost 'unshare'; my $s = 'tmpfs'; my $to = '/tmp'; my $o = '';
        ${call("mount", "$s, $to, $s, 0, $o")} == 0 or lost 'mount'; won;`),
  },
  reaches("clone3", { args: "0, 0" }),
  {
    name: "joins a namespace that it has a file of",
    works: { by: "anyone", unless: "a filter is around the tests already", refused: outerFilter },
    program: "perl",
    // Joining one's own user namespace is EINVAL for everybody.
    code: () => perl(`open(my $n, '<', '/proc/self/ns/user') or lost 'open'; my $r = ${call("setns", "fileno($n), 0")}; ${REACHED}`),
  },
  reaches("mount", { before: NOWHERE, args: "$s, $p, $s, 0, $e0" }),
  reaches("umount2", { before: NOWHERE, args: "$p, 0" }),
  reaches("chroot", { before: NOWHERE, args: "$p" }),
  reaches("pivot_root", { by: "root", before: NOWHERE, args: "$p, $p" }),
  reaches("open_tree", { title: "opens a tree of mounts", before: "my $p = '/';", args: "-100, $p, 0" }),
  reaches("fsopen", { title: "opens a file system to mount", by: "root", before: NOWHERE, args: "$s, 0" }),
  reaches("fsconfig", { before: NOWHERE, args: "-1, 6, 0, 0, 0" }),
  reaches("fsmount", { by: "root", args: "-1, 0, 0" }),
  reaches("fspick", { by: "root", before: NOWHERE, args: "-100, $p, 0" }),
  reaches("move_mount", { by: "root", before: NOWHERE, args: "-100, $p, -100, $p, 0" }),
  reaches("mount_setattr", { by: "root", before: `${NOWHERE} my $a = pack('Q4', 1, 0, 0, 0);`, args: "-100, $p, 0, $a, 32" }),
];

/** Perl: a terminal of its own in $tty, as the one that controls a new session. */
const TERMINAL = `my $c = fork; defined $c or lost 'fork'; if ($c) { waitpid($c, 0); POSIX::_exit(0) } POSIX::setsid();
  sysopen(my $m, '/dev/ptmx', O_RDWR | O_NOCTTY) or lost 'ptmx'; my $n = pack('i', 0);
  ioctl($m, 0x40045431, $n) or lost 'unlock'; ioctl($m, 0x80045430, $n) or lost 'number'; my $name = '/dev/pts/' . unpack('i', $n);
  sysopen(my $tty, $name, O_RDWR) or lost $name; alarm 2;`;

const TERMINALS: readonly Omit<Attack, "group">[] = [
  {
    name: "types a command into its terminal (TIOCSTI)",
    works: {
      by: "anyone",
      unless: "dev.tty.legacy_tiocsti is 0",
      refused: (as) => outerFilter() || (as === "user" && setting("/proc/sys/dev/tty/legacy_tiocsti", 1) === 0),
    },
    program: "perl",
    code: () =>
      perl(`${TERMINAL} for my $k (split //, "id\\n") { ioctl($tty, 0x5412, $k) or lost 'TIOCSTI' } sysread($tty, my $t, 16); $t eq "id\\n" and won;`),
  },
  {
    name: "reaches TIOCSTI with bits above those that a filter may compare",
    works: builtIn("ioctl", "anyone"),
    program: "perl",
    // The kernel takes 32 bits of the request. /dev/null is no terminal: ENOTTY says that the call got there.
    code: () => perl(`open(my $f, '<', '/dev/null') or lost 'open'; my $k = 'x'; my $r = ${call("ioctl", "fileno($f), 0x100005412, $k")}; ${REACHED}`),
  },
  ...(
    [
      ["pastes into a console (TIOCLINUX)", 0x541c],
      ["exchanges a terminal's line discipline (TIOCSETD)", 0x5423],
      ["takes over the console's output (TIOCCONS)", 0x541d],
    ] as const
  ).map(([name, request]) => ({
    name,
    works: builtIn("ioctl", "anyone"),
    program: "perl" as const,
    code: () => perl(`open(my $f, '<', '/dev/null') or lost 'open'; my $k = pack('i', 0); my $r = ${call("ioctl", `fileno($f), ${request}, $k`)}; ${REACHED}`),
  })),
];

/**
 * A 64-bit program that asks for its process number by the 32-bit way in (int 0x80, call 20) and says WON if it got one:
 *   mov eax,20; int 0x80; test eax,eax; jle end; mov eax,1; mov edi,1; lea rsi,[rip+text]; mov edx,4; syscall;
 *   end: mov eax,60; xor edi,edi; syscall; text: "WON\n"
 */
const INT80 = "b814000000cd8085c07e18b801000000bf01000000488d3510000000ba040000000f05b83c00000031ff0f05574f4e0a";

/** The code behind the least header that Linux starts: one segment, read and execute. */
function elf(code: string): string {
  const text = Buffer.from(code, "hex");
  const header = Buffer.alloc(120);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt32LE(0x003e_0002, 16);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(0x40_0078n, 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt32LE(0x0038_0040, 52);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(0x40_0000n, 80);
  header.writeBigUInt64LE(BigInt(120 + text.length), 96);
  header.writeBigUInt64LE(BigInt(120 + text.length), 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, text]).toString("hex");
}

const ARCHITECTURES: readonly Omit<Attack, "group">[] = [
  {
    name: "gets to the 32-bit table of calls by int 0x80",
    works: builtIn("getpid", "anyone", IA32),
    program: "perl",
    code: () => perl(`open(my $f, '>', 'int80') or lost 'open'; print $f pack('H*', '${elf(INT80)}'); close $f; chmod 0755, 'int80'; exec './int80';`),
  },
  {
    name: "gets to the x32 table of calls",
    works: {
      by: "anyone",
      unless: "this kernel was built without x32 calls, or asks for them at boot",
      refused: () => outerFilter() || kernelConfig("CONFIG_X86_X32_ABI") !== true || !text("/proc/cmdline").includes("syscall.x32=y"),
    },
    program: "perl",
    code: () => perl(`my $r = syscall(${0x4000_0000 + numbers("getpid")}); $r > 0 and won;`),
  },
  reaches("personality", { title: "switches off the randomisation of addresses", args: "0x0040000" }),
];

export const KERNEL: readonly Attack[] = [...INTERFACES, ...NAMESPACES, ...TERMINALS, ...ARCHITECTURES].map((attack) => ({ ...attack, group: "kernel" }));
