/**
 * The jail's seccomp filter. What it refuses: other architectures' call tables, new namespaces and mounts, kernel
 * interfaces that a build has no use for and that keep having holes (io_uring, bpf, userfaultfd, keyrings, perf), looking
 * into other processes, pushing characters into a terminal, and every socket family that was not granted.
 */
import { ALLOW, ASK_LISTENER, fail, KILL_PROCESS, OFFSET, Program } from "./bpf.ts";
import { type Architecture, AUDIT_ARCH, type SyscallName, syscallNumber } from "./syscalls.ts";

export interface FilterOptions {
  readonly architecture: Architecture;
  /** AF_UNIX sockets by socket(); pairs are always there. Off, because a bound tree may hold a daemon's socket. */
  readonly unixSockets: boolean;
  /**
   * Which opens the listener sees for the record. `all` costs about 10 microseconds an open; `writes` looks only at those
   * that would change something.
   */
  readonly observe: "all" | "writes";
}

const EAFNOSUPPORT = 97;
const ENOSYS = 38;

/** Refused whatever their arguments: the listener records the attempt and answers EPERM. */
export const REFUSED: readonly SyscallName[] = [
  // Namespaces and mounts. (clone by its flags, below.)
  "unshare",
  "setns",
  "mount",
  "umount2",
  "pivot_root",
  "chroot",
  "fsopen",
  "fsconfig",
  "fsmount",
  "fspick",
  "move_mount",
  "open_tree",
  "open_tree_attr",
  "mount_setattr",
  // Kernel interfaces with a history.
  "io_uring_setup",
  "io_uring_enter",
  "io_uring_register",
  "bpf",
  "perf_event_open",
  "userfaultfd",
  "keyctl",
  "add_key",
  "request_key",
  "fanotify_init",
  "lookup_dcookie",
  "nfsservctl",
  "_sysctl",
  "uselib",
  "modify_ldt",
  // Other processes and files by handle.
  "ptrace",
  "process_vm_readv",
  "process_vm_writev",
  "process_madvise",
  "pidfd_getfd",
  "kcmp",
  "migrate_pages",
  "move_pages",
  "open_by_handle_at",
  "name_to_handle_at",
  // The host itself.
  "init_module",
  "finit_module",
  "delete_module",
  "kexec_load",
  "kexec_file_load",
  "reboot",
  "swapon",
  "swapoff",
  "acct",
  "quotactl",
  "quotactl_fd",
  "settimeofday",
  "clock_settime",
  "clock_adjtime",
  "adjtimex",
  "sethostname",
  "setdomainname",
  "syslog",
  "vhangup",
  "iopl",
  "ioperm",
];

/** Calls that change a path: always shown to the listener, which lets the kernel decide. */
export const OBSERVED: readonly SyscallName[] = [
  "creat",
  "openat2",
  "mkdir",
  "mkdirat",
  "unlink",
  "unlinkat",
  "rmdir",
  "rename",
  "renameat2",
  "link",
  "linkat",
  "symlink",
  "symlinkat",
  "truncate",
  "connect",
];
/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC: the same on both architectures. */
const WRITE_FLAGS = 0x243;

/** CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}; NEWTIME cannot be asked of clone. */
export const CLONE_NAMESPACES = 0x7e020000;
/** TIOCSTI types into the caller's terminal, TIOCLINUX pastes into a console, TIOCSETD and TIOCCONS re-route it. */
export const TERMINAL_REQUESTS: readonly number[] = [0x5412, 0x541c, 0x5423, 0x541d];
const AF = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
/** ADDR_NO_RANDOMIZE and friends make exploits easier; these are what programs ask for to learn what they are. */
export const PERSONALITIES: readonly number[] = [0, 8, 0xffffffff];
/** x32 calls come with this bit and the x86-64 architecture, and would pass every test on numbers. */
const X32 = 0x40000000;

/** The filter as `struct sock_filter[]`; its listener is pid 1 of the jail (native/jail/observe.c). */
export function seccompFilter(options: FilterOptions): Buffer {
  const { architecture } = options;
  const number = (name: SyscallName): number | undefined => syscallNumber(name, architecture);
  const program = new Program();
  const onCall = (name: SyscallName, label: string): void => {
    const nr = number(name);
    if (nr !== undefined) program.ifEqual(nr, label);
  };
  program.load(OFFSET.architecture).ifEqual(AUDIT_ARCH[architecture], "next", "kill").load(OFFSET.number);
  if (architecture === "x64") program.ifAtLeast(X32, "kill");
  // Its flags lie in memory where no filter can look; libraries fall back to clone, whose flags are an argument.
  onCall("clone3", "missing");
  onCall("clone", "clone");
  onCall("socket", "socket");
  onCall("socketpair", "pair");
  onCall("ioctl", "ioctl");
  onCall("personality", "personality");
  onCall("openat", options.observe === "all" ? "ask" : "openat");
  onCall("open", options.observe === "all" ? "ask" : "open");
  onCall("sendto", "sendto");
  for (const name of [...REFUSED, ...OBSERVED]) onCall(name, "ask");
  program.return(ALLOW);

  program.label("clone").load(OFFSET.argument(0)).ifAnyBit(CLONE_NAMESPACES, "ask").return(ALLOW);
  program.label("ioctl").load(OFFSET.argument(1));
  for (const request of TERMINAL_REQUESTS) program.ifEqual(request, "ask");
  program.return(ALLOW);
  program.label("personality").load(OFFSET.argument(0));
  for (const persona of PERSONALITIES) program.ifEqual(persona, "allow");
  program.ifAtLeast(0, "ask");
  program.label("openat").load(OFFSET.argument(2)).ifAnyBit(WRITE_FLAGS, "ask").return(ALLOW);
  program.label("open").load(OFFSET.argument(1)).ifAnyBit(WRITE_FLAGS, "ask").return(ALLOW);
  // Only datagrams that name their receiver; 64 bits of a pointer in two halves.
  program
    .label("sendto")
    .load(OFFSET.argument(4))
    .ifEqual(0, "next", "send")
    .load(OFFSET.argument(4) + 4)
    .ifEqual(0, "allow");
  program.label("send").label("ask").return(ASK_LISTENER);
  program.label("socket").load(OFFSET.argument(0)).ifEqual(AF.inet, "allow").ifEqual(AF.inet6, "allow");
  if (options.unixSockets) program.ifEqual(AF.unix, "allow");
  // NETLINK_ROUTE only: getifaddrs needs it, and in a namespace of its own it shows nothing but loopback.
  program.ifEqual(AF.netlink, "next", "family").load(OFFSET.argument(2)).ifEqual(0, "allow", "family");
  program.label("pair").load(OFFSET.argument(0)).ifEqual(AF.unix, "allow", "family");
  program.label("family").return(fail(EAFNOSUPPORT));
  program.label("missing").return(fail(ENOSYS));
  program.label("kill").return(KILL_PROCESS);
  program.label("allow").return(ALLOW);
  return program.bytes();
}
