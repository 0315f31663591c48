/**
 * The calls that the sensor looks at, in the order of native/sensor/record.h, where a call's place is its number. A test
 * compares this list with what the built sensor says (`cofferdam-sensor-ARCH calls`).
 */
const LISTED: readonly string[] = [
  "open openat openat2 creat open_by_handle_at unlink unlinkat rmdir rename renameat renameat2 link linkat symlink symlinkat",
  "mkdir mkdirat mknod mknodat chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat",
  "setxattr lsetxattr fsetxattr setxattrat truncate ftruncate",
  "execve execveat",
  "connect bind accept accept4 sendto sendmsg sendmmsg",
  "dup dup2 dup3 fcntl",
  "ptrace process_vm_readv process_vm_writev setns unshare",
  "mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr",
  "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset",
  "init_module finit_module delete_module memfd_create bpf io_uring_setup userfaultfd keyctl add_key request_key",
  "perf_event_open kexec_load kexec_file_load iopl ioperm reboot swapon swapoff acct sethostname setdomainname",
  "settimeofday clock_settime quotactl fanotify_init memfd_secret pidfd_getfd kcmp",
];

/** Names by number; number 0 is no call. */
export const CALL_NAMES: readonly string[] = ["", ...LISTED.flatMap((names) => names.split(" "))];
