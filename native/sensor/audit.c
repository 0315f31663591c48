/*
 * The fallback where the kernel takes no program, but audits: its records of the calls that matter, of the whole host, from the group that
 * anybody with the right may listen to beside an auditd. Who begins and who ends comes from the process connector, which knows of each.
 *
 * Both are read without a right; the keeper (audit-keeper.c) alone keeps one.
 */
#define _GNU_SOURCE
#include "audit.h"
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PULSE_MS 500
#define RECEIVE_BYTES (32 << 20)
/* Messages before orders have their turn. */
#define TURN 8192
/*
 * Two streams, each in its own order. That a process began is told before the first thing that it did, and after what its parent did before;
 * that it ended, behind what it did, which the kernel's thread hands on later: after so long, or at a mark.
 */
#define LATE_NS UINT64_C(200000000)
#define MAX_CHANGES 16384
#define MARK_PATIENCE_NS UINT64_C(4000000000)

static int records, processes;
static unsigned watching;
/* Rules stay for a while behind the last watch: the next is often soon. */
#define IDLE_NS UINT64_C(2000000000)
static bool has_rules;
static uint64_t unwatched;
/* Numbers of watches by their place. */
static uint32_t placed[MAX_JOBS];
static uint64_t overruns;
static bool rules_changed;
/* A ring; one that was told already has no kind any more. */
static struct change changes[MAX_CHANGES];
static size_t first_change, change_count;

static int listen_to_records(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);
    if (fd < 0) die(EXIT_LACKING, "the kernel has no audit: %s", strerror(errno));
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1U << (AUDIT_NLGRP_READLOG - 1)};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die(EXIT_REFUSED, "audit's records are not for us: %s", strerror(errno));
    int size = RECEIVE_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return fd;
}

static void receive(void) {
    for (unsigned turn = 0; turn < TURN; turn++) {
        _Alignas(struct nlmsghdr) char buffer[16384];
        uint32_t groups = 0;
        ssize_t size = netlink_receive(records, buffer, sizeof buffer - 1, &groups, &overruns);
        if (size < 0) return;
        if ((size_t)size < NLMSG_HDRLEN) continue;
        /* One message, whose length older kernels told without its head. */
        const struct nlmsghdr *head = (const void *)buffer;
        buffer[size] = '\0';
        if (head->nlmsg_type == AUDIT_CONFIG_CHANGE) rules_changed = true;
        else event_take(head->nlmsg_type, buffer + NLMSG_HDRLEN);
    }
}

static struct change *change_at(size_t place) { return &changes[(first_change + place) % MAX_CHANGES]; }

/* @param before those that are older. */
static void tell_changes(uint64_t before) {
    for (; change_count > 0 && change_at(0)->time < before; change_count--) {
        if (change_at(0)->kind != KIND_NONE) connector_tell(change_at(0));
        first_change = (first_change + 1) % MAX_CHANGES;
    }
}

static void keep_change(const struct change *change) {
    /* Audit tells programs itself. */
    if (change->kind == KIND_EXEC) return;
    if (change_count == MAX_CHANGES) tell_changes(change_at(0)->time + 1);
    *change_at(change_count++) = *change;
}

/* The kernel said that a process began before the process did anything: it is here, or was told. */
void tell_beginning(uint32_t pid) {
    connector_receive(processes, keep_change);
    size_t line[64], depth = 0;
    for (size_t at = change_count; at-- > 0 && depth < sizeof line / sizeof line[0];) {
        const struct change *change = change_at(at);
        if (change->kind != KIND_FORK || change->pid != pid) continue;
        line[depth++] = at;
        pid = change->ppid;
    }
    while (depth > 0) {
        struct change *change = change_at(line[--depth]);
        connector_tell(change);
        change->kind = KIND_NONE;
    }
}

static void take_all(void) {
    connector_receive(processes, keep_change);
    receive();
}

/* Until everything that happened before is out: a mark goes the way of all records. */
static void settle(void) {
    static uint32_t number;
    uint64_t now = boot_ns(), until = now + MARK_PATIENCE_NS;
    keeper_mark(++number);
    for (take_all(); event_mark() != number && boot_ns() < until; take_all()) {
        struct pollfd ready = {.fd = records, .events = POLLIN};
        poll(&ready, 1, 50);
    }
    /* It is in a full queue somewhere, with what came before it. */
    if (event_mark() != number) overruns++;
    tell_changes(now);
}

static int obey(const struct order *order) {
    switch (order->verb) {
        case ORDER_WATCH: {
            if (placed[order->job] != 0) return EEXIST;
            int error = has_rules ? 0 : keeper_add();
            if (error != 0) return error;
            has_rules = true;
            /* Of what was done before, with rules that stood already, nothing comes behind the answer. */
            settle();
            watching++;
            placed[order->job] = order->watch;
            return 0;
        }
        case ORDER_UNWATCH:
            if (placed[order->job] == 0) return ENOENT;
            settle();
            keeper_forget(placed[order->job]);
            placed[order->job] = 0;
            if (--watching == 0) unwatched = boot_ns();
            return 0;
        case ORDER_SYNC: settle(); return 0;
        case ORDER_NAME: event_name(order); return 0;
    }
    return EINVAL;
}

int run_audit(void) {
    char note[128] = "";
    records = listen_to_records();
    processes = connector_open();
    keeper_start(note, sizeof note);
    drop_privileges(-1, NULL);
    restrict_calls(ROLE_AUDIT);
    out_hello("audit", note);
    for (uint64_t next = 0;;) {
        uint64_t now = boot_ns();
        if (has_rules && watching == 0 && now > unwatched + IDLE_NS) {
            keeper_remove();
            has_rules = false;
        }
        if (now >= next) {
            out_pulse(overruns + connector_overruns() + event_dropped() + keeper_lost());
            next = now + PULSE_MS * UINT64_C(1000000);
        }
        int wait = (int)((next - now) / 1000000) + 1;
        struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = processes, .events = POLLIN}, {.fd = records, .events = POLLIN}};
        if (poll(ready, 3, change_count > 0 && wait > 50 ? 50 : wait) < 0 && errno != EINTR) die(EXIT_FAILED, "poll: %s", strerror(errno));
        take_all();
        tell_changes(boot_ns() - LATE_NS);
        if (ready[0].revents != 0) control_read(obey);
        if (rules_changed) {
            rules_changed = false;
            if (keeper_check() != 0) die(EXIT_FAILED, "somebody turned audit off, or removed the sensor's rules");
        }
        out_flush();
    }
}
