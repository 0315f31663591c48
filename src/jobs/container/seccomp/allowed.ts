/**
 * The system calls that a job's container has, by what they are for. Everything else answers "no such call" (ENOSYS), so that
 * a libc newer than this list falls back to what it did before. Names are those of libseccomp; names that it, or the
 * architecture, does not know are passed over by the container runtime.
 *
 * Chosen from what compilers, package managers, test runners, databases and browsers call. A name that the jail on the host
 * refuses (REFUSED_CALLS of the sandbox) may not stand here; a test holds that.
 */

const FILES = `access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
  fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync
  ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown
  lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open
  openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename
  renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate
  umask unlink unlinkat utime utimensat utimes vmsplice write writev`;

const MEMORY = `brk cachestat madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap mseal
  msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages`;

/** clone is allowed by its flags, see profile.ts; clone3 keeps its flags where no filter can look, and stays missing. */
const PROCESSES = `arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv futex_wake
  get_robust_list get_thread_area getcpu getrandom getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid
  getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill pause pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease
  restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area
  set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid
  sigaltstack sysinfo tgkill tkill uname vfork wait4 waitid`;

/** A process may give away more of what it has; that is what these two are for. */
const CONFINEMENT = "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp";

const WAITING = `alarm clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait
  eventfd eventfd2 getitimer gettimeofday nanosleep poll ppoll pselect6 select setitimer signalfd signalfd4 time timer_create timer_delete
  timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times`;

/** socket is allowed by its family, see profile.ts. Databases use the older asynchronous files (io_submit), not io_uring. */
const TALKING = `accept accept4 bind connect getpeername getsockname getsockopt io_cancel io_destroy io_getevents io_pgetevents io_setup
  io_submit listen mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recvfrom
  recvmmsg recvmsg semctl semget semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair`;

/**
 * Said to be missing by name as well: Docker before 23 answers EPERM to what a profile does not name, and a libc falls back
 * only on ENOSYS. (Calls newer than the runtime itself get ENOSYS from it.)
 */
export const MISSING_CALLS: readonly string[] = `clone3 fanotify_mark get_mempolicy listmount lsm_get_self_attr lsm_list_modules
  lsm_set_self_attr mbind memfd_secret set_mempolicy set_mempolicy_home_node statmount sysfs ustat`.split(/\s+/);

export const ALLOWED_CALLS: readonly string[] = Object.freeze(
  [FILES, MEMORY, PROCESSES, CONFINEMENT, WAITING, TALKING].flatMap((names) => names.split(/\s+/)).toSorted(),
);
