/**
 * Numbers of the system calls that the filter names, by architecture. A call that an architecture does not have is absent
 * there. Sources: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.18.
 */

export type Architecture = "x64" | "arm64";

/** AUDIT_ARCH_* of include/uapi/linux/audit.h: what seccomp_data.arch holds for native calls. */
export const AUDIT_ARCH: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };

const NUMBERS = {
  _sysctl: [156, undefined],
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  chroot: [161, 51],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  clone: [56, 220],
  clone3: [435, 435],
  connect: [42, 203],
  creat: [85, undefined],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
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
  link: [86, undefined],
  linkat: [265, 37],
  lookup_dcookie: [212, 18],
  migrate_pages: [256, 238],
  mkdir: [83, undefined],
  mkdirat: [258, 34],
  modify_ldt: [154, undefined],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  name_to_handle_at: [303, 264],
  nfsservctl: [180, 42],
  open: [2, undefined],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  open_tree_attr: [467, 467],
  openat: [257, 56],
  openat2: [437, 437],
  perf_event_open: [298, 241],
  personality: [135, 92],
  pidfd_getfd: [438, 438],
  pivot_root: [155, 41],
  process_madvise: [440, 440],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  rename: [82, undefined],
  renameat2: [316, 276],
  request_key: [249, 218],
  rmdir: [84, undefined],
  sendto: [44, 206],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  socket: [41, 198],
  socketpair: [53, 199],
  swapoff: [168, 225],
  swapon: [167, 224],
  symlink: [88, undefined],
  symlinkat: [266, 36],
  syslog: [103, 116],
  truncate: [76, 45],
  umount2: [166, 39],
  unlink: [87, undefined],
  unlinkat: [263, 35],
  unshare: [272, 97],
  uselib: [134, undefined],
  userfaultfd: [323, 282],
  vhangup: [153, 58],
} as const;

export type SyscallName = keyof typeof NUMBERS;

/** The number of a call, or undefined where the architecture has none of that name. */
export function syscallNumber(name: SyscallName, architecture: Architecture): number | undefined {
  return NUMBERS[name][architecture === "x64" ? 0 : 1];
}

const NAMES: readonly SyscallName[] = Object.freeze(Object.keys(NUMBERS).filter((name): name is SyscallName => name in NUMBERS));

/** The name of a call that the filter knows, else its number in words. */
export function syscallName(number: number, architecture: Architecture): string {
  return NAMES.find((name) => syscallNumber(name, architecture) === number) ?? `system call ${number}`;
}
