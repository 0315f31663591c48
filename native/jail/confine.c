/* The layers that a process puts on itself before it becomes COMMAND: limits, Landlock, the system call filter. */
#define _GNU_SOURCE
#include "jail.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of a stable distribution (Documentation/userspace-api/landlock.rst). */
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#define MAX_FILTER 4096

static const struct {
    const char *name;
    int resource;
} LIMITS[] = {
    {"core", RLIMIT_CORE},   {"cpu", RLIMIT_CPU},     {"fsize", RLIMIT_FSIZE}, {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC}, {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"sigpending", RLIMIT_SIGPENDING},
};

/* NAME=VALUE, soft and hard alike; never raised above the hard limit that is there. */
void set_limit(const char *assignment) {
    const char *equals = strchr(assignment, '=');
    if (equals == NULL) die("limit %.40s", assignment);
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++) {
        if (strncmp(LIMITS[i].name, assignment, (size_t)(equals - assignment)) != 0 || LIMITS[i].name[equals - assignment] != '\0') continue;
        struct rlimit now;
        if (getrlimit(LIMITS[i].resource, &now) != 0) die("limit %s: %s", assignment, strerror(errno));
        rlim_t wanted = number(equals + 1, "a limit");
        if (now.rlim_max != RLIM_INFINITY && wanted > now.rlim_max) wanted = now.rlim_max;
        struct rlimit limit = {.rlim_cur = wanted, .rlim_max = wanted};
        if (setrlimit(LIMITS[i].resource, &limit) != 0) die("limit %s: %s", assignment, strerror(errno));
        return;
    }
    die("no limit %.40s", assignment);
}

struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

static void allow_below(int ruleset, const char *path, uint64_t access) {
    struct stat stat;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) die("landlock %s: %s", path, strerror(errno));
    const uint64_t on_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
    if (!S_ISDIR(stat.st_mode)) access &= on_files;
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) die("landlock %s: %s", path, strerror(errno));
    close(fd);
}

/* Files by path, signals and abstract sockets by scope. Returns the kernel's ABI version, 0 where it has no Landlock. */
int restrict_files(const struct landlock_rules *rules) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return 0;
    uint64_t all = (1ULL << 13) - 1;
    if (abi >= 2) all |= FS_REFER;
    if (abi >= 3) all |= FS_TRUNCATE;
    if (abi >= 5) all |= FS_IOCTL_DEV;
    const uint64_t reads = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const uint64_t writes = all & ~(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK);
    struct ruleset attributes = {.handled_access_fs = all, .scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0};
    size_t size = abi >= 6 ? sizeof attributes : abi >= 4 ? 16 : 8;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0) die("landlock: %s", strerror(errno));
    for (size_t i = 0; i < rules->readables; i++) allow_below(ruleset, rules->readable[i], reads);
    for (size_t i = 0; i < rules->writables; i++) allow_below(ruleset, rules->writable[i], writes);
    const uint64_t nodes = all & (reads | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV);
    for (size_t i = 0; i < rules->devices; i++) allow_below(ruleset, rules->device[i], nodes);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) die("landlock: %s", strerror(errno));
    close(ruleset);
    return (int)abi;
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    die("the filter is not hexadecimal");
}

/* The filter as struct sock_filter[] in hexadecimal. Returns the descriptor that hears of the calls it hands over. */
int install_filter(const char *hex) {
    static unsigned char bytes[MAX_FILTER * sizeof(struct sock_filter)];
    size_t length = strlen(hex) / 2;
    if (length == 0 || length > sizeof bytes || length % sizeof(struct sock_filter) != 0) die("a filter of %zu bytes", length);
    for (size_t i = 0; i < length; i++) bytes[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    struct sock_fprog program = {.len = (unsigned short)(length / sizeof(struct sock_filter)), .filter = (struct sock_filter *)(void *)bytes};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs: %s", strerror(errno));
    /* Without the second flag (before Linux 5.19) a signal may interrupt a call that is being looked at; it is then looked at again. */
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
    if (listener < 0 && errno == EINVAL) listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (listener < 0) die("seccomp: %s", strerror(errno));
    return listener;
}

/* All sets, so that nothing comes back over exec; bubblewrap leaves those that it was asked to leave. */
void drop_capabilities(void) {
    for (int capability = 0; capability <= 63; capability++) {
        int there = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
        if (there < 0) break;
        /* Needs CAP_SETPCAP; where that is gone already, the empty sets below and no_new_privs hold. */
        if (there == 1) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) die("ambient capabilities: %s", strerror(errno));
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    if (syscall(SYS_capset, &header, none) != 0) die("capabilities: %s", strerror(errno));
}
