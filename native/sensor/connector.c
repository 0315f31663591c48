/*
 * The fallback where the kernel takes no program: its process connector. Who began, who ran another program and who ended, of
 * all processes of the host and as numbers alone. Whose they are is settled by the reader (src/monitor/sensors/), which looks
 * the rest up in /proc, where a short-lived process is gone already.
 */
#define _GNU_SOURCE
#include "sensor.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PULSE_MS 500
#define RECEIVE_BYTES (8 << 20)

/* Messages that the kernel had no room for: it tells that some were lost, never how many. */
static uint64_t overruns;

static int subscribe(void) {
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (fd < 0) die(EXIT_LACKING, "the kernel has no process connector: %s", strerror(errno));
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC, .nl_pid = 0};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die(EXIT_REFUSED, "the process connector is not for us: %s", strerror(errno));
    int size = RECEIVE_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct {
        struct nlmsghdr netlink;
        struct cn_msg connector;
        enum proc_cn_mcast_op verb;
    } __attribute__((packed)) message = {
        .netlink = {.nlmsg_len = sizeof message, .nlmsg_type = NLMSG_DONE},
        .connector = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof message.verb},
        .verb = PROC_CN_MCAST_LISTEN,
    };
    if (send(fd, &message, sizeof message, 0) < 0) die(EXIT_REFUSED, "the process connector does not listen: %s", strerror(errno));
    return fd;
}

static void tell(uint16_t kind, uint32_t pid, uint32_t tid, uint32_t ppid, int64_t result) {
    struct record *head = out_begin(kind);
    head->pid = pid;
    head->tid = tid;
    head->ppid = ppid;
    head->result = result;
    out_end();
}

static void take(const struct proc_event *event) {
    switch ((unsigned)event->what) {
        case PROC_EVENT_FORK: {
            /* A thread is not told. */
            if (event->event_data.fork.child_pid != event->event_data.fork.child_tgid) return;
            tell(KIND_FORK, (uint32_t)event->event_data.fork.child_tgid, (uint32_t)event->event_data.fork.child_pid, (uint32_t)event->event_data.fork.parent_tgid, 0);
            return;
        }
        case PROC_EVENT_EXEC:
            tell(KIND_EXEC, (uint32_t)event->event_data.exec.process_tgid, (uint32_t)event->event_data.exec.process_pid, 0, 0);
            return;
        case PROC_EVENT_EXIT:
            if (event->event_data.exit.process_pid != event->event_data.exit.process_tgid) return;
            tell(KIND_EXIT, (uint32_t)event->event_data.exit.process_tgid, (uint32_t)event->event_data.exit.process_pid, 0, event->event_data.exit.exit_code);
            return;
        default:
            return;
    }
}

static void receive(int fd) {
    for (;;) {
        _Alignas(struct nlmsghdr) char buffer[8192];
        struct sockaddr_nl from = {0};
        socklen_t from_size = sizeof from;
        ssize_t size = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_size);
        if (size < 0 && errno == ENOBUFS) {
            overruns++;
            continue;
        }
        if (size < 0) return;
        /* Only the kernel's word counts. */
        if (from.nl_pid != 0) continue;
        int left = (int)size;
        for (const struct nlmsghdr *head = (const void *)buffer; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
            const struct cn_msg *message = NLMSG_DATA(head);
            if (head->nlmsg_len < NLMSG_LENGTH(sizeof *message + sizeof(struct proc_event))) continue;
            if (message->id.idx == CN_IDX_PROC && message->id.val == CN_VAL_PROC) take((const struct proc_event *)message->data);
        }
    }
}

/* Watches are the reader's own affair here. */
static int obey(const struct order *order) { return order->verb == ORDER_NAME ? EINVAL : 0; }

int run_connector(void) {
    int fd = subscribe();
    drop_privileges(-1, NULL);
    out_hello("connector", "");
    for (uint64_t next = 0;;) {
        uint64_t now = boot_ns();
        if (now >= next) {
            out_pulse(overruns);
            next = now + PULSE_MS * UINT64_C(1000000);
        }
        struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
        if (poll(ready, 2, (int)((next - now) / 1000000) + 1) < 0 && errno != EINTR) die(EXIT_FAILED, "poll: %s", strerror(errno));
        receive(fd);
        /* An order is answered behind what happened before it. */
        if (ready[0].revents != 0) control_read(obey);
        out_flush();
    }
}
