/*
 * Connections of watched containers, for the process connector, which knows of none: the kernel tells when a socket of a network namespace
 * is gone (SKNLGRP_INET_*_DESTROY, sock_diag(7)), and once a second it is asked for those that live. Who had it open is not told: records
 * have no process. A connection that was refused leaves no address behind, and is not told.
 *
 * A netlink socket belongs to the namespace that it was made in. So a second process keeps what entering one needs (CAP_SYS_ADMIN, CAP_SYS_PTRACE),
 * is told a process, and hands back a socket; it reads nothing that a job made.
 */
#define _GNU_SOURCE
#include "sensor.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(1000000000)
#define RECEIVE_BYTES (1 << 20)
/* Sockets and ports of one namespace that are remembered; beyond, a connection may be told twice. */
#define MAX_TOLD 1024
#define MAX_PORTS 64
#define FIRST_EPHEMERAL 32768
/* At an end: how long the kernel's word of the last ones is waited for, ms. */
#define LAST_WORDS 50
#define LONGEST_NS UINT64_C(200000000)
/* Messages of one namespace before others have their turn. */
#define TURN 1024
#define LIVING ((1U << TCP_ESTABLISHED_STATE) | (1U << TCP_SYN_SENT_STATE) | (1U << TCP_LISTEN_STATE))

enum { TCP_ESTABLISHED_STATE = 1, TCP_SYN_SENT_STATE = 2, TCP_LISTEN_STATE = 10 };

struct space {
    uint32_t watch; /* 0: free */
    int fd;
    uint64_t inode;
    unsigned told_count, port_count;
    uint64_t told[MAX_TOLD];
    uint16_t ports[MAX_PORTS];
};

struct opened {
    int error;
    uint64_t inode;
};

static struct space *spaces[MAX_JOBS];
static int opener, ready_spaces;
static uint64_t overruns, next_look;

uint64_t flows_overruns(void) { return overruns; }

int flows_fd(void) { return ready_spaces; }

/* ---- the opener */

static int open_in(unsigned pid, uint64_t *inode) {
    char path[64];
    struct stat its;
    snprintf(path, sizeof path, "/proc/%u/ns/net", pid);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0) return -errno;
    if (fstat(space, &its) != 0 || setns(space, CLONE_NEWNET) != 0) {
        int error = errno;
        close(space);
        return -error;
    }
    *inode = its.st_ino;
    close(space);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (fd < 0) return -errno;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    for (unsigned group = SKNLGRP_INET_TCP_DESTROY; group <= SKNLGRP_INET6_UDP_DESTROY; group++) address.nl_groups |= 1U << (group - 1);
    int size = RECEIVE_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

__attribute__((noreturn)) static void serve(int orders, uint64_t host) {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    keep_privileges(UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_PTRACE);
    restrict_calls(ROLE_OPENER);
    for (;;) {
        unsigned pid;
        ssize_t count = recv(orders, &pid, sizeof pid, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count != sizeof pid) _exit(0);
        struct opened answer = {0};
        int fd = open_in(pid, &answer.inode);
        /* The host's own connections are nobody's here. */
        if (fd >= 0 && answer.inode == host) answer.error = EXDEV;
        else if (fd < 0) answer.error = -fd;
        struct iovec part = {.iov_base = &answer, .iov_len = sizeof answer};
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (answer.error == 0) {
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            struct cmsghdr *head = CMSG_FIRSTHDR(&message);
            *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
            memcpy(CMSG_DATA(head), &fd, sizeof fd);
        }
        sendmsg(orders, &message, MSG_NOSIGNAL);
        if (fd >= 0) close(fd);
    }
}

void flows_start(void) {
    int pair[2];
    struct stat own;
    struct rlimit files;
    /* A socket each. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    ready_spaces = epoll_create1(EPOLL_CLOEXEC);
    if (ready_spaces < 0 || stat("/proc/self/ns/net", &own) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        die(EXIT_FAILED, "the opener of namespaces: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0) die(EXIT_FAILED, "the opener of namespaces: %s", strerror(errno));
    if (child == 0) {
        close(pair[0]);
        serve(pair[1], own.st_ino);
    }
    close(pair[1]);
    opener = pair[0];
}

/* ---- what the kernel says */

static bool is_told(struct space *space, uint64_t cookie, bool ends) {
    for (unsigned i = 0; i < space->told_count; i++) {
        if (space->told[i] != cookie) continue;
        if (ends) space->told[i] = space->told[--space->told_count];
        return true;
    }
    if (!ends && space->told_count < MAX_TOLD) space->told[space->told_count++] = cookie;
    return false;
}

static void listens(struct space *space, uint16_t port) {
    for (unsigned i = 0; i < space->port_count; i++)
        if (space->ports[i] == port) return;
    if (space->port_count < MAX_PORTS) space->ports[space->port_count++] = port;
}

/* Who began it, the kernel does not keep: a port that is listened at, or, of one that came and went between two looks, the kind of port. */
static bool is_accepted(const struct space *space, uint16_t local, uint16_t remote) {
    for (unsigned i = 0; i < space->port_count; i++)
        if (space->ports[i] == local) return true;
    return local < FIRST_EPHEMERAL && remote >= FIRST_EPHEMERAL;
}

static uint8_t protocol_of(const struct nlmsghdr *message) {
    int left = (int)(message->nlmsg_len - NLMSG_SPACE(sizeof(struct inet_diag_msg)));
    const struct nlattr *at = (const void *)((const char *)NLMSG_DATA(message) + NLMSG_ALIGN(sizeof(struct inet_diag_msg)));
    while (left >= (int)sizeof *at && at->nla_len >= sizeof *at && at->nla_len <= left) {
        if (at->nla_type == INET_DIAG_PROTOCOL && at->nla_len > sizeof *at) return *((const uint8_t *)at + NLA_HDRLEN);
        left -= (int)NLA_ALIGN(at->nla_len);
        at = (const void *)((const char *)at + NLA_ALIGN(at->nla_len));
    }
    return IPPROTO_TCP;
}

/* @param ends it is gone; else it was asked for. */
static void take(struct space *space, const struct nlmsghdr *message, bool ends) {
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) return;
    const struct inet_diag_msg *found = NLMSG_DATA(message);
    uint16_t local = ntohs(found->id.idiag_sport), remote = ntohs(found->id.idiag_dport);
    if (!ends && found->idiag_state == TCP_LISTEN_STATE) listens(space, local);
    uint64_t cookie = (uint64_t)found->id.idiag_cookie[1] << 32 | found->id.idiag_cookie[0];
    if (remote == 0 || is_told(space, cookie, ends)) return;
    uint8_t protocol = protocol_of(message);
    struct socket_part part = {
        .family = found->idiag_family,
        .type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM,
        .protocol = protocol,
        .state = found->idiag_state,
        .local_port = local,
        .remote_port = remote,
        .inode = found->idiag_inode,
    };
    size_t size = found->idiag_family == AF_INET6 ? 16 : 4;
    memcpy(part.local, found->id.idiag_src, size);
    memcpy(part.remote, found->id.idiag_dst, size);
    struct record *head = out_begin(KIND_CALL);
    head->watch = space->watch;
    head->call = is_accepted(space, local, remote) ? CALL_accept : CALL_connect;
    out_part(PART_SOCKET, &part, sizeof part);
    out_end();
}

static void read_space(struct space *space) {
    for (unsigned turn = 0; turn < TURN; turn++) {
        _Alignas(struct nlmsghdr) char buffer[32768];
        uint32_t groups = 0;
        ssize_t size = netlink_receive(space->fd, buffer, sizeof buffer, &groups, &overruns);
        if (size < 0) return;
        int left = (int)size;
        for (const struct nlmsghdr *head = (const void *)buffer; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left))
            if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY) take(space, head, groups != 0);
    }
}

static void look(struct space *space) {
    const uint8_t families[] = {AF_INET, AF_INET6}, protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
    space->port_count = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct {
            struct nlmsghdr head;
            struct inet_diag_req_v2 wanted;
        } request = {
            .head = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
            .wanted = {.sdiag_family = families[i & 1], .sdiag_protocol = protocols[i >> 1], .idiag_states = LIVING},
        };
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        /* Two at a time the kernel does not answer: the one before is read to its end first. */
        if (sendto(space->fd, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return;
        read_space(space);
    }
}

/* ---- watches */

static int ask_opener(unsigned pid, struct opened *answer) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {.iov_base = answer, .iov_len = sizeof *answer};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (send(opener, &pid, sizeof pid, MSG_NOSIGNAL) < 0 || recvmsg(opener, &message, MSG_CMSG_CLOEXEC) != sizeof *answer) die(EXIT_FAILED, "the opener of namespaces is gone");
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return fd;
}

int flows_open(const struct order *order) {
    if (spaces[order->job] != NULL) return EEXIST;
    struct opened answer = {0};
    int fd = ask_opener(order->pid, &answer);
    if (fd < 0) return answer.error == EXDEV ? 0 : answer.error;
    bool shared = false;
    for (size_t i = 0; i < MAX_JOBS; i++) shared = shared || (spaces[i] != NULL && spaces[i]->inode == answer.inode);
    struct space *space = shared ? NULL : calloc(1, sizeof *space);
    if (space == NULL) {
        close(fd);
        return shared ? 0 : ENOMEM;
    }
    space->watch = order->watch;
    space->fd = fd;
    space->inode = answer.inode;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = order->job};
    if (epoll_ctl(ready_spaces, EPOLL_CTL_ADD, fd, &event) != 0) {
        int error = errno;
        close(fd);
        free(space);
        return error;
    }
    spaces[order->job] = space;
    return 0;
}

void flows_close(uint32_t job) {
    struct space *space = spaces[job];
    if (space == NULL) return;
    look(space);
    struct epoll_event one;
    /* Others' words keep coming. */
    for (uint64_t until = boot_ns() + LONGEST_NS; boot_ns() < until && epoll_wait(ready_spaces, &one, 1, LAST_WORDS) > 0;) flows_receive();
    close(space->fd);
    free(space);
    spaces[job] = NULL;
}

void flows_receive(void) {
    struct epoll_event ready[64];
    int count = epoll_wait(ready_spaces, ready, 64, 0);
    for (int i = 0; i < count; i++)
        if (spaces[ready[i].data.u32] != NULL) read_space(spaces[ready[i].data.u32]);
}

void flows_look(uint64_t now) {
    if (now < next_look) return;
    next_look = now + LOOK_NS;
    for (size_t i = 0; i < MAX_JOBS; i++)
        if (spaces[i] != NULL) look(spaces[i]);
}
