/**
 * The calls that the sensor looks at, in the order of native/sensor/record.h, where a call's place is its number. A test
 * compares this list with what the built sensor says (`cofferdam-sensor-ARCH calls`).
 */
export type RecordClass = "files" | "network" | "processes" | "rare";

const LIST: readonly (readonly [RecordClass, string])[] = [
  ["files", "open openat openat2 creat open_by_handle_at unlink unlinkat rmdir rename renameat renameat2 link linkat symlink symlinkat"],
  ["files", "mkdir mkdirat mknod mknodat chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat"],
  ["files", "setxattr lsetxattr fsetxattr setxattrat truncate ftruncate"],
  ["processes", "execve execveat"],
  ["network", "connect bind accept accept4 sendto sendmsg sendmmsg"],
  ["processes", "dup dup2 dup3 fcntl"],
  ["rare", "ptrace process_vm_readv process_vm_writev setns unshare"],
  ["rare", "mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr"],
  ["rare", "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset"],
  ["rare", "init_module finit_module delete_module memfd_create bpf io_uring_setup userfaultfd keyctl add_key request_key"],
  ["rare", "perf_event_open kexec_load kexec_file_load iopl ioperm reboot swapon swapoff acct sethostname setdomainname"],
  ["rare", "settimeofday clock_settime quotactl fanotify_init memfd_secret pidfd_getfd kcmp"],
];

const ENTRIES: readonly { readonly name: string; readonly class: RecordClass }[] = LIST.flatMap(([of, names]) =>
  names.split(" ").map((name) => ({ name, class: of })),
);

/** Names by number; number 0 is no call. */
export const CALL_NAMES: readonly string[] = ["", ...ENTRIES.map((entry) => entry.name)];

/** Classes by number; what is no call is of processes. */
export const CALL_CLASSES: readonly RecordClass[] = ["processes", ...ENTRIES.map((entry) => entry.class)];
