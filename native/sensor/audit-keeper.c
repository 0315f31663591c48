/*
 * Rules of audit are the whole host's and outlive whoever made them. So a second process holds them: it keeps CAP_AUDIT_CONTROL, which
 * rules and counters want, reads nothing that a job made, and when the sensor is gone, however it went, takes the rules away and puts back
 * what it changed. Should it be killed as well, the next sensor finds the rules by their key, which says whose they are and how it was before.
 *
 * Others' rules are never touched, and stand before ours. Where an auditd has its seat, nothing but rules is added; the seat itself is never taken, since no auditd could
 * start then. Nor is anything done where audit is locked, or set to panic when it loses something.
 */
#define _GNU_SOURCE
#include "audit.h"
#include "program/numbers.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_PREFIX "cofferdam-sensor."
#define KEY_SIZE 96
#define MAX_PATH 256
#define LOOK_MS 500
/* Messages that may wait for the kernel's own thread; its default of 64 makes builds wait. */
#define BACKLOG 8192
#define PANIC 2
#define LOCKED 2
#define WRITING 0103 /* O_ACCMODE | O_CREAT */

/* A rule with room for a file and the key behind it. */
union rule {
    struct audit_rule_data data;
    unsigned char bytes[sizeof(struct audit_rule_data) + MAX_PATH + KEY_SIZE];
};

struct settings {
    uint32_t enabled, backlog;
};

struct request {
    enum { WANT_RULES, WANT_NONE, WANT_CHECK, WANT_MARK, WANT_FORGOTTEN } what;
    uint32_t number; /* of the mark, or of a watch */
};

static int audit;
static uint32_t sequence;
static char key[KEY_SIZE];
static struct settings before;
static unsigned placed;
/* Shared with the keeper: losses since the start. */
static volatile uint64_t *lost;
static int keeper;
static pid_t keeper_pid;

typedef void (*taker)(const struct nlmsghdr *message, void *context);

/* @param take gets each answer; `list`: many, ended by one that says so. @returns 0 or an errno. */
static int ask(uint16_t type, const void *payload, size_t size, bool list, taker take, void *context) {
    _Alignas(struct nlmsghdr) unsigned char buffer[16384];
    struct nlmsghdr *head = (void *)buffer;
    if (NLMSG_SPACE(size) > sizeof buffer) return E2BIG;
    *head = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = ++sequence};
    if (size > 0) memcpy(NLMSG_DATA(head), payload, size);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(audit, buffer, head->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return errno;
    bool agreed = false, answered = take == NULL;
    while (!agreed || !answered) {
        struct sockaddr_nl from = {0};
        socklen_t from_size = sizeof from;
        ssize_t count = recvfrom(audit, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno;
        if (from.nl_pid != 0 || (size_t)count < sizeof *head || head->nlmsg_len > (size_t)count || head->nlmsg_seq != sequence) continue;
        if (head->nlmsg_type == NLMSG_ERROR && head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
            int error = -((const struct nlmsgerr *)NLMSG_DATA(head))->error;
            if (error != 0) return error;
            agreed = true;
        } else if (head->nlmsg_type == NLMSG_DONE) {
            answered = true;
        } else if (head->nlmsg_type == type && take != NULL) {
            take(head, context);
            answered = answered || !list;
        }
    }
    return 0;
}

static void open_audit(void) {
    audit = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
    if (audit < 0) die(EXIT_LACKING, "the kernel has no audit: %s", strerror(errno));
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    struct timeval patience = {.tv_sec = 5};
    if (bind(audit, (struct sockaddr *)&address, sizeof address) != 0) die(EXIT_REFUSED, "audit is not for us: %s", strerror(errno));
    setsockopt(audit, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

static void take_status(const struct nlmsghdr *message, void *context) {
    size_t size = message->nlmsg_len - NLMSG_HDRLEN;
    memcpy(context, NLMSG_DATA(message), size < sizeof(struct audit_status) ? size : sizeof(struct audit_status));
}

static int status_of(struct audit_status *status) {
    memset(status, 0, sizeof *status);
    return ask(AUDIT_GET, NULL, 0, false, take_status, status);
}

static int set(uint32_t mask, const struct settings *to) {
    const struct audit_status status = {.mask = mask, .enabled = to->enabled, .backlog_limit = to->backlog};
    return ask(AUDIT_SET, &status, sizeof status, false, NULL, NULL);
}

/* ---- rules */

static union rule rule_of(uint32_t arch) {
    union rule rule = {.bytes = {0}};
    struct audit_rule_data *data = &rule.data;
    data->flags = AUDIT_FILTER_EXIT;
    data->action = AUDIT_ALWAYS;
    data->fields[0] = AUDIT_ARCH;
    data->fieldflags[0] = AUDIT_EQUAL;
    data->values[0] = arch;
    data->field_count = 1;
    return rule;
}

static void also(union rule *rule, uint32_t field, uint32_t how, uint32_t value) {
    struct audit_rule_data *data = &rule->data;
    data->fields[data->field_count] = field;
    data->fieldflags[data->field_count] = how;
    data->values[data->field_count++] = value;
}

static void about(union rule *rule, unsigned number) {
    /* The place of calls that this kind of processor does not have. */
    if (number < CALL_NUMBERS) rule->data.mask[AUDIT_WORD(number)] |= AUDIT_BIT(number);
}

/* What a field says by a text. */
static void also_text(union rule *rule, uint32_t field, const char *text) {
    size_t length = strlen(text);
    also(rule, field, AUDIT_EQUAL, (uint32_t)length);
    memcpy(rule->bytes + sizeof rule->data + rule->data.buflen, text, length);
    rule->data.buflen += (uint32_t)length;
}

static int send_rule(union rule *rule) { return ask(AUDIT_ADD_RULE, rule, sizeof rule->data + rule->data.buflen, false, NULL, NULL); }

static int add(union rule rule) {
    also_text(&rule, AUDIT_FILTERKEY, key);
    int error = send_rule(&rule);
    if (error == 0) placed++;
    return error;
}

/* Opens have a rule of their own, what audit shows nothing of has none: accept, send, dup. */
static bool is_change(unsigned call, unsigned class) {
    if (class != CLASS_FILES) return false;
    switch (call) {
        case CALL_open: case CALL_openat: case CALL_ftruncate: case CALL_execve: case CALL_execveat: return false;
        default: return true;
    }
}

static int add_changes(void) {
    union rule rule = rule_of(NATIVE_ARCH);
#define CALL(name, class) if (is_change(CALL_##name, CLASS_##class)) about(&rule, __NR_##name);
    CALLS(CALL)
#undef CALL
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-ENOENT);
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-EEXIST);
    return add(rule);
}

static int add_rare(void) {
    union rule rule = rule_of(NATIVE_ARCH);
#define CALL(name, class) if (CLASS_##class == CLASS_RARE && CALL_##name != CALL_ptrace) about(&rule, __NR_##name);
    CALLS(CALL)
#undef CALL
    return add(rule);
}

/* @param argument which one has the flags. */
static int add_opens(unsigned number, uint32_t argument) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, number);
    also(&rule, argument, AUDIT_BIT_MASK, WRITING);
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-ENOENT);
    return add(rule);
}

static int add_refused_opens(int error) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_open);
    about(&rule, __NR_openat);
    also(&rule, AUDIT_EXIT, AUDIT_EQUAL, (uint32_t)-error);
    return add(rule);
}

static int add_programs(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_execve);
    about(&rule, __NR_execveat);
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-ENOENT);
    return add(rule);
}

static int add_network(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_connect);
    about(&rule, __NR_bind);
    return add(rule);
}

/* Without what a debugger does at each step. */
static int add_ptrace(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_ptrace);
    for (uint32_t peek = 1; peek <= 3; peek++) also(&rule, AUDIT_ARG0, AUDIT_NOT_EQUAL, peek);
    also(&rule, AUDIT_ARG0, AUDIT_NOT_EQUAL, 7);  /* PTRACE_CONT */
    also(&rule, AUDIT_ARG0, AUDIT_NOT_EQUAL, 24); /* PTRACE_SYSCALL */
    return add(rule);
}

/* The door for programs of 32 bits. Its numbers are others, and every call of theirs would be a flood: what starts or opens something is enough. */
static int add_foreign(void) {
    union rule rule = rule_of(FOREIGN_ARCH);
    /* open, execve, brk, socketcall, mmap2, openat: the same numbers on i386 and arm. */
    const unsigned numbers[] = {5, 11, 45, 102, 192, FOREIGN_ARCH == AUDIT_ARCH_I386 ? 295 : 322};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) about(&rule, numbers[i]);
    return add(rule);
}

static int add_mark(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_fchdir);
    also(&rule, AUDIT_ARG0, AUDIT_EQUAL, MARK_DESCRIPTOR);
    return add(rule);
}

/* Where one is refused by a kernel that does not know its call, the others hold. */
static int add_all(void) {
    int error = add_programs();
    if (error == 0) error = add_changes();
    if (error == 0 && __NR_open < CALL_NUMBERS) error = add_opens(__NR_open, AUDIT_ARG1);
    if (error == 0) error = add_opens(__NR_openat, AUDIT_ARG2);
    if (error == 0) error = add_refused_opens(EACCES);
    if (error == 0) error = add_refused_opens(EPERM);
    if (error == 0) error = add_network();
    if (error == 0) error = add_rare();
    if (error == 0) error = add_ptrace();
    if (error == 0) error = add_foreign();
    return error;
}

/* ---- whose rules there are */

/* At one go; what is more is left to the next. */
#define MAX_FOUND 1024

struct found {
    unsigned own, others, living;
    struct settings before;
    bool has_before;
    /* To be deleted: the mark's, which says how it was before, last. */
    unsigned count;
    union rule *rules;
    bool (*gone)(const char *its_key);
};

/* The key of a rule. @returns false when it has none. */
static bool key_of(const struct audit_rule_data *data, size_t size, char *into) {
    size_t at = 0;
    for (uint32_t i = 0; i < data->field_count && i < AUDIT_MAX_FIELDS; i++) {
        switch (data->fields[i]) {
            case AUDIT_FILTERKEY:
                if (data->values[i] >= KEY_SIZE || at + data->values[i] > data->buflen || sizeof *data + at + data->values[i] > size) return false;
                memcpy(into, data->buf + at, data->values[i]);
                into[data->values[i]] = '\0';
                return true;
            /* Others whose value is a text before it. */
            case AUDIT_SUBJ_USER: case AUDIT_SUBJ_ROLE: case AUDIT_SUBJ_TYPE: case AUDIT_SUBJ_SEN: case AUDIT_SUBJ_CLR: case AUDIT_OBJ_USER:
            case AUDIT_OBJ_ROLE: case AUDIT_OBJ_TYPE: case AUDIT_OBJ_LEV_LOW: case AUDIT_OBJ_LEV_HIGH: case AUDIT_WATCH: case AUDIT_DIR: case AUDIT_EXE:
                at += data->values[i];
        }
    }
    return false;
}

static uint64_t start_of(unsigned pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t count = read(fd, text, sizeof text - 1);
    close(fd);
    if (count <= 0) return 0;
    text[count] = '\0';
    char *at = strrchr(text, ')');
    for (int i = 0; i < 20 && at != NULL; i++) at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

struct owner {
    unsigned pid;
    unsigned long long start;
    struct settings before;
    unsigned watch; /* Of a rule that is one watch's. */
};

static bool owner_of(const char *its_key, struct owner *owner) {
    int end = 0;
    owner->watch = 0;
    if (sscanf(its_key, KEY_PREFIX "%u.%llu.%u.%u%n", &owner->pid, &owner->start, &owner->before.enabled, &owner->before.backlog, &end) != 4) return false;
    return its_key[end] == '\0' || (sscanf(its_key + end, ".%u%n", &owner->watch, &(int){0}) == 1 && owner->watch != 0);
}

/* Of every watch too. */
static bool is_own(const char *its_key) {
    size_t length = strlen(key);
    return strncmp(its_key, key, length) == 0 && (its_key[length] == '\0' || its_key[length] == '.');
}

/* The watch whose rules go, and the sensor whose key is looked for. */
static unsigned forgotten, sought;

static bool is_forgotten(const char *its_key) {
    struct owner owner;
    return is_own(its_key) && owner_of(its_key, &owner) && owner.watch == forgotten;
}

/* Its sensor is gone. */
static bool is_left(const char *its_key) {
    struct owner owner;
    return owner_of(its_key, &owner) && start_of(owner.pid) != owner.start;
}

static void take_rule(const struct nlmsghdr *message, void *context) {
    struct found *found = context;
    const struct audit_rule_data *data = NLMSG_DATA(message);
    size_t size = message->nlmsg_len - NLMSG_HDRLEN;
    char its_key[KEY_SIZE];
    struct owner owner;
    if (size < sizeof *data || data->buflen > size - sizeof *data) return;
    if (!key_of(data, size, its_key) || !owner_of(its_key, &owner)) {
        found->others++;
        return;
    }
    found->before = owner.before;
    found->has_before = true;
    if (sought == owner.pid && owner.watch == 0) memcpy(key, its_key, sizeof key);
    /* Those of a watch go by themselves, with the file system that their file is in. */
    if (is_own(its_key)) found->own += owner.watch == 0;
    else if (!is_left(its_key)) found->living++;
    if (found->gone == NULL || !found->gone(its_key) || found->count == MAX_FOUND || sizeof *data + data->buflen > sizeof(union rule)) return;
    memcpy(found->rules[found->count++].bytes, data, sizeof *data + data->buflen);
}

/* Every rule there is; those that are `gone` are deleted. @param spare how many of the first ones are kept. */
static int look(struct found *found, bool (*gone)(const char *its_key), unsigned spare) {
    static union rule rules[MAX_FOUND];
    *found = (struct found){.rules = rules, .gone = gone};
    int error = ask(AUDIT_LIST_RULES, NULL, 0, true, take_rule, found);
    for (unsigned i = found->count; i > spare && error == 0; i--) {
        struct audit_rule_data *data = &rules[i - 1].data;
        error = ask(AUDIT_DEL_RULE, data, sizeof *data + data->buflen, false, NULL, NULL);
        if (error == ENOENT) error = 0;
    }
    return error;
}

/* ---- files of one watch, for audit-names.c */

bool names_begin(unsigned sensor, unsigned watch) {
    struct found found;
    open_audit();
    sought = sensor;
    if (look(&found, NULL, 0) != 0 || *key == '\0') return false;
    size_t length = strlen(key);
    return snprintf(key + length, sizeof key - length, ".%u", watch) < (int)(sizeof key - length);
}

int names_add(const char *path) {
    union rule rule = rule_of(NATIVE_ARCH);
    if (strlen(path) >= MAX_PATH) return ENAMETOOLONG;
    about(&rule, __NR_open);
    about(&rule, __NR_openat);
    about(&rule, __NR_openat2);
    also_text(&rule, AUDIT_WATCH, path);
    also(&rule, AUDIT_PERM, AUDIT_EQUAL, AUDIT_PERM_READ);
    also_text(&rule, AUDIT_FILTERKEY, key);
    return send_rule(&rule);
}

/* ---- the keeper */

static int put_back(void) {
    struct found found;
    struct audit_status status;
    look(&found, is_own, 0);
    if (look(&found, NULL, 0) != 0 || found.living > 0 || status_of(&status) != 0) return 0;
    if (before.backlog != BACKLOG && status.backlog_limit == BACKLOG) set(AUDIT_STATUS_BACKLOG_LIMIT, &before);
    if (before.enabled == 0 && status.enabled == 1 && status.pid == 0) set(AUDIT_STATUS_ENABLED, &before);
    return 0;
}

static int check(void) {
    struct found found;
    struct audit_status status;
    int error = look(&found, NULL, 0);
    if (error == 0) error = status_of(&status);
    if (error != 0) return error;
    return status.enabled == 0 || found.own != placed ? ENOENT : 0;
}

/* The kernel takes tens of milliseconds to remove a rule: nobody waits for that, and what is asked next comes behind it. */
static bool is_answered(int what) { return what != WANT_NONE && what != WANT_FORGOTTEN; }

static int obey(const struct request *request) {
    struct found found;
    switch (request->what) {
        case WANT_RULES: {
            int error = add_all();
            if (error != 0) {
                look(&found, is_own, 1);
                placed = 1;
            }
            return error;
        }
        case WANT_NONE:
            placed = 1;
            return look(&found, is_own, 1);
        case WANT_FORGOTTEN:
            forgotten = request->number;
            return look(&found, is_forgotten, 0);
        case WANT_CHECK: return check();
        case WANT_MARK: syscall(SYS_fchdir, MARK_DESCRIPTOR, request->number); return 0;
    }
    return EINVAL;
}

__attribute__((noreturn)) static void keep(int orders, uint32_t lost_before) {
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
        if (status_of(&status) == 0) *lost = (uint32_t)(status.lost - lost_before);
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

/* ---- the sensor's side */

static void turn_on(char *note, size_t size) {
    struct audit_status status;
    struct found found;
    int error = status_of(&status);
    if (error != 0) die(EXIT_REFUSED, "audit is not for us: %s", strerror(error));
    if (status.enabled >= LOCKED) die(EXIT_REFUSED, "audit is locked (auditctl -e 2)");
    if (status.failure >= PANIC) die(EXIT_REFUSED, "audit is set to stop this host when it loses something (auditctl -f 2)");
    /* What a sensor that was killed with its keeper left: how it was before it is in the key. */
    before = (struct settings){status.enabled, status.backlog_limit};
    error = look(&found, is_left, 0);
    if (error != 0) die(EXIT_REFUSED, "audit does not show its rules: %s", strerror(error));
    if (found.has_before) before = found.before;
    if (status.enabled == 0 && status.pid != 0) die(EXIT_REFUSED, "audit is turned off (auditctl -e 0)");
    if (status.enabled == 0 && found.others > 0) die(EXIT_REFUSED, "audit is turned off, and has rules of others");
    snprintf(key, sizeof key, KEY_PREFIX "%u.%llu.%u.%u", (unsigned)getpid(), (unsigned long long)start_of((unsigned)getpid()), before.enabled, before.backlog);
    error = add_mark();
    if (error != 0) die(EXIT_LACKING, "audit takes no rule about calls: %s", strerror(error));
    if (status.pid == 0 && status.backlog_limit != 0 && status.backlog_limit < BACKLOG) set(AUDIT_STATUS_BACKLOG_LIMIT, &(struct settings){.backlog = BACKLOG});
    if (status.enabled == 0) {
        error = set(AUDIT_STATUS_ENABLED, &(struct settings){.enabled = 1});
        if (error != 0) die(EXIT_REFUSED, "audit cannot be turned on: %s", strerror(error));
        snprintf(note, size, "audit was off until now: what began before shows in its children alone");
    } else if (found.others > 0) {
        snprintf(note, size, "audit has %u rules of others: what they exclude is not seen", found.others);
    }
}

void keeper_start(char *note, size_t size) {
    int pair[2];
    struct audit_status status;
    open_audit();
    turn_on(note, size);
    lost = mmap(NULL, sizeof *lost, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (lost == MAP_FAILED || status_of(&status) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
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
    close(audit);
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
