/*
 * What each process of the sensor may still ask of the kernel once it works: a few calls, and any other ends it. Who took one over
 * through a record of a job begins no process and writes no file, and brings no program into the kernel.
 */
#define _GNU_SOURCE
#include "audit.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A call, with any arguments or with this one, of those that are 32 bits wide for the kernel. */
struct row {
    unsigned number;
    int argument;
    unsigned value;
};
#define ANY(call) {SYS_##call, -1, 0}
#define WITH(call, argument, value) {SYS_##call, argument, value}

static const struct row ALWAYS[] = {
    WITH(write, 0, STDOUT_FILENO),
    WITH(read, 0, STDIN_FILENO),
    WITH(write, 0, STDERR_FILENO),
#ifdef SYS_poll
    ANY(poll),
#else
    ANY(ppoll),
#endif
    /* Where the kernel has no clock that can be read without a call. */
    ANY(clock_gettime),
    /* What was interrupted, when it was stopped and goes on. */
    ANY(restart_syscall),
    ANY(exit_group),
};

static const struct row EBPF[] = {
    ANY(clock_nanosleep),
    WITH(bpf, 0, BPF_MAP_UPDATE_ELEM),
    WITH(bpf, 0, BPF_MAP_DELETE_ELEM),
    /* The first watch attaches, with the older command where the kernel lacks the newer; closing a link detaches. libbpf allocates links. */
    WITH(bpf, 0, BPF_LINK_CREATE),
    WITH(bpf, 0, BPF_RAW_TRACEPOINT_OPEN),
    ANY(close),
    ANY(brk),
};

/* Sockets that are there, and those that the opener hands over. */
static const struct row CONNECTOR[] = {
    ANY(recvfrom),
    ANY(sendto),
    ANY(recvmsg),
#ifdef SYS_epoll_wait
    ANY(epoll_wait),
#else
    ANY(epoll_pwait),
#endif
    ANY(epoll_ctl),
    ANY(close),
    ANY(brk),
};

/* The opener: sockets of netlink, in the network namespaces of processes. */
static const struct row OPENER[] = {
    ANY(recvfrom),
    ANY(sendmsg),
    WITH(openat, 2, O_RDONLY | O_CLOEXEC),
    /* Which of them fstat(3) is depends on the library. */
    ANY(fstat),
    ANY(newfstatat),
    WITH(setns, 1, CLONE_NEWNET),
    WITH(socket, 0, AF_NETLINK),
    WITH(setsockopt, 1, SOL_SOCKET),
    ANY(bind),
    ANY(close),
};

static const struct row AUDIT[] = {
    ANY(recvfrom),
    ANY(sendto),
};

/* The keeper: audit's rules, when a process began, and the mark. */
static const struct row KEEPER[] = {
    ANY(recvfrom),
    ANY(sendto),
    WITH(fchdir, 0, MARK_DESCRIPTOR),
    WITH(openat, 2, O_RDONLY | O_CLOEXEC),
    ANY(read),
    ANY(close),
};

/* audit-names: what is in the folders of a container, and audit's rules. */
static const struct row NAMES[] = {
    ANY(recvfrom),
    ANY(sendto),
    WITH(openat, 2, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC),
    ANY(fstat),
    ANY(newfstatat),
    ANY(getdents64),
#ifdef SYS_readlink
    ANY(readlink),
#else
    ANY(readlinkat),
#endif
    ANY(close),
    ANY(brk),
};

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define ROWS(of) {of, COUNT(of)}
static const struct {
    const struct row *rows;
    size_t count;
} LISTS[] = {
    [ROLE_EBPF] = ROWS(EBPF),   [ROLE_CONNECTOR] = ROWS(CONNECTOR), [ROLE_OPENER] = ROWS(OPENER),
    [ROLE_AUDIT] = ROWS(AUDIT), [ROLE_KEEPER] = ROWS(KEEPER),       [ROLE_NAMES] = ROWS(NAMES),
};

#define MAX_STEPS 256
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped)
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)

static struct sock_filter program[MAX_STEPS];
static unsigned short size;

static void add(const struct sock_filter *steps, size_t count) {
    if (size + count > COUNT(program)) die(EXIT_FAILED, "a filter of more than %zu steps", COUNT(program));
    memcpy(program + size, steps, count * sizeof *steps);
    size += (unsigned short)count;
}

static void add_rows(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct sock_filter any[] = {LOAD(nr), UNLESS(rows[i].number, 1), ANSWER(SECCOMP_RET_ALLOW)};
        /* The lower half of the argument: both kinds of processors begin with it. */
        const struct sock_filter with[] = {LOAD(nr), UNLESS(rows[i].number, 3), LOAD(args[rows[i].argument]), UNLESS(rows[i].value, 1), ANSWER(SECCOMP_RET_ALLOW)};
        if (rows[i].argument < 0) add(any, COUNT(any));
        else add(with, COUNT(with));
    }
}

void restrict_calls(enum role role) {
    const struct sock_filter start[] = {LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0), ANSWER(SECCOMP_RET_KILL_PROCESS)};
    const struct sock_filter end[] = {ANSWER(SECCOMP_RET_KILL_PROCESS)};
    add(start, COUNT(start));
    add_rows(ALWAYS, COUNT(ALWAYS));
    add_rows(LISTS[role].rows, LISTS[role].count);
    add(end, COUNT(end));
    struct sock_fprog whole = {.len = size, .filter = program};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &whole) != 0) die(EXIT_FAILED, "the kernel takes no filter of calls: %s", strerror(errno));
}
