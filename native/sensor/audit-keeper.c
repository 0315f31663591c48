/*
 * Rules of audit are the whole host's and outlive whoever made them. So a second process holds them: it keeps CAP_AUDIT_CONTROL, which
 * rules and counters want, reads nothing that a job made, and when the sensor is gone, however it went, takes the rules away and puts back
 * what it changed. Should it be killed as well, the next sensor finds the rules by their key, which says whose they are and how it was before.
 *
 * Others' rules are never touched, and stand before ours. Where an auditd has its seat, nothing but rules is added; the seat itself is never taken, since no auditd could
 * start then. Nor is anything done where audit is locked, or set to panic when it loses something.
 */
#define _GNU_SOURCE
#include "audit-rules.h"
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_MS 500
/* Messages that may wait for the kernel's own thread; its default of 64 makes builds wait. */
#define BACKLOG 8192
#define PANIC 2
#define LOCKED 2

struct request {
    enum { WANT_RULES, WANT_NONE, WANT_CHECK, WANT_MARK, WANT_FORGOTTEN } what;
    uint32_t number; /* of the mark, or of a watch */
};

static struct audit_settings before;
/* Rules, without those of watches. */
static unsigned placed;
/* Shared with the keeper: losses since the start. */
static volatile uint64_t *lost;
static int keeper;
static pid_t keeper_pid;

static int put_back(void) {
    struct found found;
    struct audit_status status;
    owner_look(&found, GONE_OWN, 0);
    /* An auditd that came meanwhile has its own settings. */
    if (owner_look(&found, GONE_NONE, 0) != 0 || found.living > 0 || audit_status(&status) != 0 || status.pid != 0) return 0;
    if (before.backlog != BACKLOG && status.backlog_limit == BACKLOG) audit_set(AUDIT_STATUS_BACKLOG_LIMIT, &before);
    if (before.enabled == 0 && status.enabled == 1) audit_set(AUDIT_STATUS_ENABLED, &before);
    return 0;
}

static int check(void) {
    struct found found;
    struct audit_status status;
    int error = owner_look(&found, GONE_NONE, 0);
    if (error == 0) error = audit_status(&status);
    if (error != 0) return error;
    return status.enabled == 0 || found.own != placed ? ENOENT : 0;
}

/* The kernel takes tens of milliseconds to remove a rule: nobody waits for that, and what is asked next comes behind it. */
static bool is_answered(int what) { return what != WANT_NONE && what != WANT_FORGOTTEN; }

static int obey(const struct request *request) {
    struct found found;
    switch (request->what) {
        case WANT_RULES: {
            int error = rules_add(&placed);
            if (error != 0) {
                owner_look(&found, GONE_OWN_BUT_FIRST, 0);
                placed = 1;
            }
            return error;
        }
        case WANT_NONE:
            placed = 1;
            return owner_look(&found, GONE_OWN_BUT_FIRST, 0);
        case WANT_FORGOTTEN:
            return owner_look(&found, GONE_WATCH, request->number);
        case WANT_CHECK: return check();
        case WANT_MARK: syscall(SYS_fchdir, MARK_DESCRIPTOR, request->number); return 0;
    }
    return EINVAL;
}

__attribute__((noreturn)) static void keep(int orders, uint32_t told) {
    /* A terminal's signals are for the sensor: its end is what this waits for. Standard error stays, so that whoever started the sensor sees when the rules are gone. */
    setsid();
    for (int one = 1; one < 32; one++) signal(one, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    keep_privileges(UINT64_C(1) << CAP_AUDIT_CONTROL);
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    restrict_calls(ROLE_KEEPER);
    for (;;) {
        struct audit_status status;
        if (audit_status(&status) == 0) {
            /* Somebody may set it to 0. */
            *lost += status.lost >= told ? status.lost - told : status.lost;
            told = status.lost;
        }
        struct pollfd ready = {.fd = orders, .events = POLLIN};
        if (poll(&ready, 1, LOOK_MS) <= 0) continue;
        struct request request;
        ssize_t count = recv(orders, &request, sizeof request, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count != sizeof request) break;
        int answer = obey(&request);
        if (is_answered(request.what)) send(orders, &answer, sizeof answer, MSG_NOSIGNAL);
    }
    _exit(put_back());
}

static void turn_on(char *note, size_t size) {
    struct audit_status status;
    struct found found;
    int error = audit_status(&status);
    if (error != 0) die(EXIT_REFUSED, "audit is not for us: %s", strerror(error));
    if (status.enabled >= LOCKED) die(EXIT_REFUSED, "audit is locked (auditctl -e 2)");
    if (status.failure >= PANIC) die(EXIT_REFUSED, "audit is set to stop this host when it loses something (auditctl -f 2)");
    /* What a sensor that was killed with its keeper left: how it was before it is in the key. */
    before = (struct audit_settings){status.enabled, status.backlog_limit};
    error = owner_look(&found, GONE_LEFT, 0);
    if (error != 0) die(EXIT_REFUSED, "audit does not show its rules: %s", strerror(error));
    if (found.has_before) before = found.before;
    if (status.enabled == 0 && status.pid != 0) die(EXIT_REFUSED, "audit is turned off (auditctl -e 0)");
    if (status.enabled == 0 && found.others > 0) die(EXIT_REFUSED, "audit is turned off, and has rules of others");
    owner_is_here(&before);
    error = rules_add_mark();
    if (error != 0) die(EXIT_LACKING, "audit takes no rule about calls: %s", strerror(error));
    placed = 1;
    if (status.pid == 0 && status.backlog_limit != 0 && status.backlog_limit < BACKLOG) audit_set(AUDIT_STATUS_BACKLOG_LIMIT, &(struct audit_settings){.backlog = BACKLOG});
    if (status.enabled == 0) {
        error = audit_set(AUDIT_STATUS_ENABLED, &(struct audit_settings){.enabled = 1});
        if (error != 0) put_back();
        if (error != 0) die(EXIT_REFUSED, "audit cannot be turned on: %s", strerror(error));
        snprintf(note, size, "audit was off until now: what began before shows in its children alone");
    } else if (found.others > 0) {
        snprintf(note, size, "audit has %u rules of others: what they exclude is not seen", found.others);
    }
}

void keeper_start(char *note, size_t size) {
    int pair[2];
    struct audit_status status;
    audit_open();
    turn_on(note, size);
    lost = mmap(NULL, sizeof *lost, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lost == MAP_FAILED || audit_status(&status) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        put_back();
        die(EXIT_FAILED, "the keeper of the rules: %s", strerror(errno));
    }
    keeper_pid = fork();
    if (keeper_pid < 0) {
        put_back();
        die(EXIT_FAILED, "the keeper of the rules: %s", strerror(errno));
    }
    if (keeper_pid == 0) {
        close(pair[0]);
        keep(pair[1], status.lost);
    }
    close(pair[1]);
    audit_close();
    keeper = pair[0];
}

static int order(int what, uint32_t number) {
    const struct request request = {.what = what, .number = number};
    int answer = 0;
    if (send(keeper, &request, sizeof request, MSG_NOSIGNAL) < 0 || (is_answered(what) && recv(keeper, &answer, sizeof answer, 0) != sizeof answer))
        die(EXIT_FAILED, "the keeper of the rules is gone");
    return answer;
}

void keeper_forget(uint32_t watch) { order(WANT_FORGOTTEN, watch); }

int keeper_add(void) { return order(WANT_RULES, 0); }

void keeper_remove(void) { order(WANT_NONE, 0); }

int keeper_check(void) { return order(WANT_CHECK, 0); }

void keeper_mark(uint32_t number) { order(WANT_MARK, number); }

bool keeper_is(uint32_t pid) { return pid == (uint32_t)keeper_pid; }

uint64_t keeper_lost(void) { return *lost; }
