/*
 * What the filter answers, asked from inside: calls whose arguments are wrong, so that they do nothing on any kernel, and
 * whose errno tells a filter's refusal from the kernel's own. The host knows what each must be (src/jobs/container/proof/).
 */
#define _GNU_SOURCE
#include "shim.h"
#include <errno.h>
#include <stdio.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

struct question {
    const char *name;
    long number;
    long arguments[6];
};

/* Each with its answer where there is no filter: never success, but for unshare(0) and sockets that the kernel has. */
static const struct question QUESTIONS[] = {
    {"io_uring_setup", SYS_io_uring_setup, {0, 0}},
    {"bpf", SYS_bpf, {-1, 0, 0}},
    {"keyctl", SYS_keyctl, {-1}},
    {"add_key", SYS_add_key, {0, 0, 0, 0, 0}},
    {"request_key", SYS_request_key, {0, 0, 0, 0}},
    {"userfaultfd", SYS_userfaultfd, {-1}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1, 0}},
    {"unshare", SYS_unshare, {0}},
    {"setns", SYS_setns, {-1, 0}},
    {"mount", SYS_mount, {0, 0, 0, 0, 0}},
    {"open_tree", SYS_open_tree, {-1, 0, 0}},
    {"name_to_handle_at", SYS_name_to_handle_at, {-1, 0, 0, 0, 0}},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1, -1, 0}},
    {"ptrace", SYS_ptrace, {-1, 0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {0, 0, 0, 0, 0, 1}},
    {"clone", SYS_clone, {CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0}},
    {"clone3", SYS_clone3, {0, 0}},
    {"ioctl", SYS_ioctl, {-1, 0x5412, 0}},
    {"socket packet", SYS_socket, {17, 3, 0}},
    {"socket alg", SYS_socket, {38, 5, 0}},
    {"socket vsock", SYS_socket, {40, 1, 0}},
    {"socket vsock, upper bits", SYS_socket, {40 | 1L << 32, 1, 0}},
    {"socket netlink audit", SYS_socket, {16, 3, 9}},
};

void probe(int gate) {
    char text[3500];
    size_t length = 0;
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++) {
        const struct question *one = &QUESTIONS[i];
        const long *a = one->arguments;
        long answer = syscall(one->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        int why = answer < 0 ? errno : 0;
        if (answer > 2) close((int)answer);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s\"%s\":%d", i == 0 ? "" : ",", one->name, why);
    }
    tell(gate, "{\"hello\":1,\"probes\":{%s}}", text);
}
