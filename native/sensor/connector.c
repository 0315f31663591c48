/*
 * The fallback where the kernel takes no program: its process connector. Who began, who ran another program and who ended, of
 * all processes of the host and as numbers alone. Whose they are is settled by the reader (src/monitor/sensors/), which looks
 * the rest up in /proc, where a short-lived process is gone already. Connections come besides (flows.c).
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

static uint64_t overruns;

uint64_t connector_overruns(void) { return overruns; }

int connector_open(void) {
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

void connector_tell(const struct change *change) {
    struct record *head = out_begin(change->kind);
    head->time = change->time;
    head->pid = head->tid = change->pid;
    head->ppid = change->ppid;
    head->result = change->result;
    out_end();
}

static void take(const struct proc_event *event, void (*tell)(const struct change *)) {
    struct change change = {.time = boot_ns()};
    switch ((unsigned)event->what) {
        case PROC_EVENT_FORK:
            /* A thread is not told. */
            if (event->event_data.fork.child_pid != event->event_data.fork.child_tgid) return;
            change.kind = KIND_FORK;
            change.pid = (uint32_t)event->event_data.fork.child_tgid;
            change.ppid = (uint32_t)event->event_data.fork.parent_tgid;
            break;
        case PROC_EVENT_EXEC:
            change.kind = KIND_EXEC;
            change.pid = (uint32_t)event->event_data.exec.process_tgid;
            break;
        case PROC_EVENT_EXIT:
            if (event->event_data.exit.process_pid != event->event_data.exit.process_tgid) return;
            change.kind = KIND_EXIT;
            change.pid = (uint32_t)event->event_data.exit.process_tgid;
            change.result = event->event_data.exit.exit_code;
            break;
        default:
            return;
    }
    tell(&change);
}

void connector_receive(int fd, void (*tell)(const struct change *)) {
    for (;;) {
        _Alignas(struct nlmsghdr) char buffer[8192];
        uint32_t groups = 0;
        ssize_t size = netlink_receive(fd, buffer, sizeof buffer, &groups, &overruns);
        if (size < 0) return;
        int left = (int)size;
        for (const struct nlmsghdr *head = (const void *)buffer; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
            const struct cn_msg *message = NLMSG_DATA(head);
            if (head->nlmsg_len < NLMSG_LENGTH(sizeof *message + sizeof(struct proc_event))) continue;
            if (message->id.idx == CN_IDX_PROC && message->id.val == CN_VAL_PROC) take((const struct proc_event *)message->data, tell);
        }
    }
}

static int processes;

/* Whose a process is, is the reader's own affair here; connections are told by watch. */
static int obey(const struct order *order) {
    switch (order->verb) {
        case ORDER_WATCH: return flows_open(order);
        case ORDER_UNWATCH:
            flows_close(order->job);
            connector_receive(processes, connector_tell);
            return 0;
        case ORDER_SYNC: return 0;
        case ORDER_NAME: return EINVAL;
    }
    return EINVAL;
}

int run_connector(void) {
    processes = connector_open();
    flows_start();
    drop_privileges(-1, NULL);
    restrict_calls(ROLE_CONNECTOR);
    out_hello("connector", "");
    for (uint64_t next = 0;;) {
        uint64_t now = boot_ns();
        if (now >= next) {
            out_pulse(overruns + flows_overruns());
            next = now + PULSE_MS * UINT64_C(1000000);
        }
        struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = processes, .events = POLLIN}, {.fd = flows_fd(), .events = POLLIN}};
        if (poll(ready, 3, (int)((next - now) / 1000000) + 1) < 0 && errno != EINTR) die(EXIT_FAILED, "poll: %s", strerror(errno));
        connector_receive(processes, connector_tell);
        flows_receive();
        flows_look(boot_ns());
        /* An order is answered behind what happened before it. */
        if (ready[0].revents != 0) control_read(obey);
        out_flush();
    }
}
