/*
 * What the sensor writes: records, one after the other, little-endian. A head of 152 bytes, then parts: type (16 bits), length
 * (16 bits), four bytes of nothing, the content, padded to a multiple of 8. Shared by the program in the kernel, the loader and, by its numbers,
 * src/monitor/reader/. Texts are bytes as they were found.
 */
#ifndef COFFERDAM_SENSOR_RECORD_H
#define COFFERDAM_SENSOR_RECORD_H

#ifndef __BPF__
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
#endif

#define RECORD_VERSION 1
#define MAX_RECORD 32768
#define MAX_JOBS 4096

enum record_kind {
    KIND_NONE,
    KIND_EXEC,
    KIND_EXIT,
    KIND_FORK,
    KIND_CALL, /* a system call that returned */
    KIND_FOREIGN,
    KIND_HELLO = 100,
    KIND_ANSWER,
    KIND_COUNTERS,
    KIND_PULSE,
};

struct record {
    u32 size;
    u16 kind;
    u16 call;
    /* The number that the reader gave the watch. */
    u32 watch;
    u32 number; /* of the call here, for those that have no name */
    u64 time;   /* ns, clock of the boot */
    s64 result;
    u64 start;
    u64 parent_start;
    u32 pid, tid, ppid;
    u32 in_pid, in_tid, in_ppid;
    u32 uid, euid, gid, egid;
    u32 pidns, mntns;
    u64 cgroup;
    u64 args[4];
    char name[16];
};

enum part_type {
    PART_FILE = 1,     /* struct file_part */
    PART_PATH = 2,     /* struct path_part, names that each end with NUL, the last one first */
    PART_BASE = 3,     /* a path: where the text claimed next starts from */
    PART_CLAIM = 4,    /* a text from the memory of the process, without its NUL; several keep their order */
    PART_ARGV = 5,     /* as they lie in memory */
    PART_ENV = 6,
    PART_CWD = 7,      /* a path */
    PART_STREAM = 8,   /* struct stream_part, three of them */
    PART_SOCKET = 9,   /* struct socket_part */
    PART_NAME_LOCAL = 10,  /* of a unix socket, sun_path */
    PART_NAME_REMOTE = 11,
    PART_ADDRESS = 12, /* a struct sockaddr from the memory of the process */
    PART_PAYLOAD = 13,
    PART_PROGRAM = 14, /* struct program_part */
    PART_CHILD = 15,   /* struct child_part */
    PART_CAPABILITIES = 16, /* 64 bits */
    PART_COUNTERS = 17, /* struct counters_part, of one watch */
    PART_TEXT = 18,    /* of the loader */
    PART_ASKED = 19,
    PART_OPEN = 20,    /* struct open_part */
    PART_FOLDER = 21,  /* struct folder_part, before the base that it would be; gone when a reader made one of it */
};

struct part {
    u16 type;
    u16 length;
    u32 nothing;
};

/* An open folder that a name starts from, known by its descriptor, and an inode to be sure of it. */
struct folder_part {
    u64 device, inode;
    int descriptor;
    u32 of_parent; /* the inode is that of the folder that the name is in, and not of the file itself */
};

enum { PATH_WHOLE, PATH_CUT, PATH_DETACHED };

struct path_part {
    u32 state;
    u32 names;
};

/* FILE_PARTIAL: size, times and whether it is of an overlay are not known. */
enum { FILE_OVERLAY = 1, FILE_UPPER = 2, FILE_INTERNAL = 4, FILE_PARTIAL = 8 };

struct file_part {
    u64 device;
    u64 inode;
    u64 size;
    s64 mtime;
    s64 ctime;
    u32 mtime_ns;
    u32 ctime_ns;
    u32 mode;
    u32 uid;
    u32 links;
    u32 flags;
    u32 magic;
    u32 nothing;
};

struct stream_part {
    u32 descriptor;
    u32 mode; /* 0: closed */
    u64 device;
    u64 inode;
    u64 rdev;
    u32 magic;
    u32 nothing;
};

struct socket_part {
    u32 slot; /* 0: the call's own; else the descriptor + 1 of a stream */
    u16 family;
    u16 type;
    u16 protocol;
    u16 state;
    u16 local_port;
    u16 remote_port;
    u64 inode;
    u8 local[16];
    u8 remote[16];
};

struct program_part {
    u64 argv_bytes;
    u64 env_bytes;
    u32 gained;
    u32 nothing;
};

struct child_part {
    u64 start;
    u32 pid, tid;
    u32 in_pid, in_tid;
    u32 namespaces; /* CLONE_NEW* of those that are not the parent's */
    u32 nothing;
};

struct open_part {
    u32 mode;      /* FMODE_* */
    u32 flags;     /* as asked for */
    u32 sensitive;
    u32 nothing;
};

/* Budgets and losses are counted apart, so that a flood of one cannot hide another: no storm of forks the program that runs then. */
enum record_class { CLASS_FILES, CLASS_NETWORK, CLASS_PROCESSES, CLASS_PROGRAMS, CLASS_RARE };
/* With room for more; a power of two, which the verifier likes. */
#define CLASSES 8

struct counters_part {
    u32 watch; /* 0: of no watch in particular */
    u32 nothing;
    u64 over_budget[CLASSES];
    u64 no_room[CLASSES];
    u64 untracked;
};

/* Every call that is looked at. Its place in this list is its number in a record; src/monitor/reader/calls.ts has the same list. */
#define CALLS(CALL)                                                                                                              \
    CALL(open, FILES) CALL(openat, FILES) CALL(openat2, FILES) CALL(creat, FILES) CALL(open_by_handle_at, FILES)                 \
    CALL(unlink, FILES) CALL(unlinkat, FILES) CALL(rmdir, FILES)                                                                 \
    CALL(rename, FILES) CALL(renameat, FILES) CALL(renameat2, FILES)                                                             \
    CALL(link, FILES) CALL(linkat, FILES) CALL(symlink, FILES) CALL(symlinkat, FILES)                                            \
    CALL(mkdir, FILES) CALL(mkdirat, FILES) CALL(mknod, FILES) CALL(mknodat, FILES)                                              \
    CALL(chmod, FILES) CALL(fchmod, FILES) CALL(fchmodat, FILES) CALL(fchmodat2, FILES)                                          \
    CALL(chown, FILES) CALL(lchown, FILES) CALL(fchown, FILES) CALL(fchownat, FILES)                                             \
    CALL(setxattr, FILES) CALL(lsetxattr, FILES) CALL(fsetxattr, FILES) CALL(setxattrat, FILES)                                  \
    CALL(truncate, FILES) CALL(ftruncate, FILES)                                                                                 \
    CALL(execve, FILES) CALL(execveat, FILES)                                                                                    \
    CALL(connect, NETWORK) CALL(bind, NETWORK) CALL(accept, NETWORK) CALL(accept4, NETWORK)                                      \
    CALL(sendto, NETWORK) CALL(sendmsg, NETWORK) CALL(sendmmsg, NETWORK)                                                         \
    CALL(dup, NETWORK) CALL(dup2, NETWORK) CALL(dup3, NETWORK) CALL(fcntl, NETWORK)                                              \
    CALL(ptrace, RARE) CALL(process_vm_readv, RARE) CALL(process_vm_writev, RARE)                                                \
    CALL(setns, RARE) CALL(unshare, RARE)                                                                                        \
    CALL(mount, RARE) CALL(umount2, RARE) CALL(pivot_root, RARE) CALL(chroot, RARE) CALL(move_mount, RARE) CALL(open_tree, RARE) \
    CALL(fsopen, RARE) CALL(fsconfig, RARE) CALL(fsmount, RARE) CALL(fspick, RARE) CALL(mount_setattr, RARE)                     \
    CALL(setuid, RARE) CALL(setgid, RARE) CALL(setreuid, RARE) CALL(setregid, RARE) CALL(setresuid, RARE) CALL(setresgid, RARE)  \
    CALL(setfsuid, RARE) CALL(setfsgid, RARE) CALL(setgroups, RARE) CALL(capset, RARE)                                           \
    CALL(init_module, RARE) CALL(finit_module, RARE) CALL(delete_module, RARE)                                                   \
    CALL(memfd_create, RARE)                                                                                                     \
    CALL(bpf, RARE) CALL(io_uring_setup, RARE) CALL(userfaultfd, RARE) CALL(keyctl, RARE) CALL(add_key, RARE)                    \
    CALL(request_key, RARE) CALL(perf_event_open, RARE) CALL(kexec_load, RARE) CALL(kexec_file_load, RARE)                       \
    CALL(iopl, RARE) CALL(ioperm, RARE) CALL(reboot, RARE) CALL(swapon, RARE) CALL(swapoff, RARE) CALL(acct, RARE)               \
    CALL(sethostname, RARE) CALL(setdomainname, RARE) CALL(settimeofday, RARE) CALL(clock_settime, RARE) CALL(quotactl, RARE)    \
    CALL(fanotify_init, RARE) CALL(memfd_secret, RARE) CALL(pidfd_getfd, RARE) CALL(kcmp, RARE)

enum call {
    CALL_NONE,
#define CALL(name, class) CALL_##name,
    CALLS(CALL)
#undef CALL
    CALL_COUNT
};
_Static_assert(CALL_COUNT <= 128, "class_of has 128 places");
_Static_assert(sizeof(struct record) == 152, "the reader's offsets");

/* State of a watch, shared by mapping. */
enum { JOB_ENV = 1 };

struct job_state {
    u32 watch; /* 0: free */
    u32 flags;
    u32 rate; /* records a second, of each class */
    u32 nothing;
    u64 since; /* clock of the boot: processes older than this were there before */
    u64 window;
    u64 used[CLASSES];
    u64 over_budget[CLASSES];
    u64 no_room[CLASSES];
    u64 untracked;
};

/* A name whose reading is told as well: the file's own, its folder's, or what is behind the last point. */
enum { NAME_FILE = 1, NAME_FOLDER = 2, NAME_ENDING = 4 };
#define NAME_SIZE 48

#endif
