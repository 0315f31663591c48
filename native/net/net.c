/*
 * cofferdam-net: the hands of NetworkIsolationManager in the kernel. It makes the network of a job (lock.c), puts containers
 * into it, and hands its sockets to its parent. It decides nothing, and what a job sends it only passes on. It lives as long
 * as its parent: at the end of its standard input it exits, and what it held is gone.
 *
 *   cofferdam-net          started as root, with a channel of Node's child_process as descriptor 3
 *
 * On standard input come commands, a line each, and after `open` as many bytes of rules for nft as it says:
 *   SEQUENCE open ID GATEWAY4/PREFIX GATEWAY6/PREFIX|- BYTES     a network, empty
 *   SEQUENCE attach ID PORT PID STARTED      the network of that process, which must have none, gets the address at PORT
 *   SEQUENCE cut ID PORT                     takes a container's link away; all of them when PORT is 0
 *   SEQUENCE accept ID FLOW                  a socket for a flow of datagrams
 *   SEQUENCE refuse ID FLOW                  forgets it; no answer
 *   SEQUENCE close ID
 * To each goes one line of JSON: `{"answer":SEQUENCE,...}`, with "error" when it failed. src/network/kernel/hands.ts is the
 * only caller, and what it writes is of our own making: a line that is not understood ends the program.
 */
#define _GNU_SOURCE
#include "net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_LINE 512
#define MAX_RULES (256U << 10)
#define EVENTS 64

/* A datagram of 64 KiB in base64, and what is said about it. */
static char said[92000];

/* Nobody decides any more: everything that is held here goes, and with it every way out. */
static void nobody_listens(void) { _exit(0); }

static void give_up(void) { _exit(70); }

const struct channel to_node = {.line = said, .size = sizeof said, .lost = nobody_listens, .too_long = give_up};

char why[WHY];

bool fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return false;
}

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vdprintf(STDERR_FILENO, format, arguments);
    va_end(arguments);
    _exit(70);
}

/* Networks never move: their sockets' events name them by index. */
static struct network *networks[MAX_NETWORKS];
static int events;

static struct network *opened(unsigned id) {
    if (id >= MAX_NETWORKS || networks[id] == NULL || !networks[id]->open) {
        fail("no such network");
        return NULL;
    }
    return networks[id];
}

static void answer_failed(uint64_t sequence) {
    char text[2 * WHY];
    say("{\"answer\":%" PRIu64 ",\"error\":\"%s\"}", sequence, quoted(why, text, sizeof text));
}

static void answer(uint64_t sequence, bool ok) {
    if (ok) say("{\"answer\":%" PRIu64 "}", sequence);
    else answer_failed(sequence);
}

static bool read_address(const char *text, int family, struct address *address) {
    char host[64];
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= sizeof host) return false;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    *address = (struct address){.family = family, .length = family == AF_INET ? 4 : 16, .prefix = (unsigned char)atoi(slash + 1)};
    return inet_pton(family, host, address->bytes) == 1 && address->prefix >= (family == AF_INET ? 24 : 64) && address->prefix <= (family == AF_INET ? 30 : 64);
}

static bool watch(unsigned id) {
    for (uint32_t which = 0; which < 2; which++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)id << 1 | which};
        if (networks[id]->udp[which] >= 0 && epoll_ctl(events, EPOLL_CTL_ADD, networks[id]->udp[which], &event) != 0) return fail("epoll: %s", strerror(errno));
    }
    return true;
}

static void open_network(uint64_t sequence, unsigned id, const char *v4, const char *v6, const char *rules, size_t size) {
    if (id >= MAX_NETWORKS || (networks[id] != NULL && networks[id]->open)) die("open: no such place: %u\n", id);
    if (networks[id] == NULL) networks[id] = calloc(1, sizeof *networks[id]);
    struct network *network = networks[id];
    if (network == NULL) die("no memory\n");
    network->with_v6 = strcmp(v6, "-") != 0;
    if (!read_address(v4, AF_INET, &network->gateway[0]) || (network->with_v6 && !read_address(v6, AF_INET6, &network->gateway[1]))) die("open: %s %s\n", v4, v6);
    bool ok = lock_open(network, id, rules, size) && watch(id);
    if (ok) say("{\"answer\":%" PRIu64 ",\"space\":%d}", sequence, network->space);
    else answer_failed(sequence);
}

static void attach(uint64_t sequence, struct network *network, struct attachment attachment) {
    if (lock_attach(network, &attachment)) say("{\"answer\":%" PRIu64 ",\"inode\":%" PRIu64 "}", sequence, attachment.inode);
    else answer_failed(sequence);
}

struct input {
    char *bytes;
    size_t length;
};

/* How much of the input one command took; 0 when it is not all there yet. */
static size_t command(const struct input *input) {
    const char *end = memchr(input->bytes, '\n', input->length);
    if (end == NULL && input->length >= MAX_LINE) die("a line is too long\n");
    if (end == NULL) return 0;
    char line[MAX_LINE], word[16], v4[64], v6[64];
    size_t length = (size_t)(end - input->bytes), rules = 0;
    if (length >= sizeof line) die("a line is too long\n");
    memcpy(line, input->bytes, length);
    line[length] = '\0';
    uint64_t sequence = 0;
    unsigned id = 0, number = 0;
    struct attachment attachment = {0};
    if (sscanf(line, "%" SCNu64 " %15s %u", &sequence, word, &id) != 3) die("not a command: %s\n", line);
    if (strcmp(word, "open") == 0 && sscanf(line, "%*s %*s %*s %63s %63s %zu", v4, v6, &rules) == 3 && rules <= MAX_RULES) {
        if (input->length < length + 1 + rules) return 0;
        open_network(sequence, id, v4, v6, input->bytes + length + 1, rules);
        return length + 1 + rules;
    }
    struct network *network = opened(id);
    if (strcmp(word, "attach") == 0 && sscanf(line, "%*s %*s %*s %u %d %" SCNu64, &attachment.port, &attachment.pid, &attachment.started) == 3) {
        if (network != NULL) attach(sequence, network, attachment);
        else answer_failed(sequence);
    } else if (strcmp(word, "cut") == 0 && sscanf(line, "%*s %*s %*s %u", &number) == 1) {
        answer(sequence, network != NULL && lock_cut(network, number));
    } else if (strcmp(word, "accept") == 0 && sscanf(line, "%*s %*s %*s %u", &number) == 1) {
        answer(sequence, network != NULL && flow_accept(network, id, number));
    } else if (strcmp(word, "refuse") == 0 && sscanf(line, "%*s %*s %*s %u", &number) == 1) {
        if (network != NULL) flow_refuse(network, number);
    } else if (strcmp(word, "close") == 0) {
        if (network != NULL) lock_close(network);
        answer(sequence, network != NULL);
    } else die("not a command: %s\n", line);
    return length + 1;
}

static void commands(struct input *input) {
    ssize_t length = read(STDIN_FILENO, input->bytes + input->length, MAX_LINE + MAX_RULES - input->length);
    if (length < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (length <= 0) _exit(0);
    input->length += (size_t)length;
    for (size_t taken = 1; taken > 0 && input->length > 0;) {
        taken = command(input);
        memmove(input->bytes, input->bytes + taken, input->length - taken);
        input->length -= taken;
    }
}

/* Its answers to ours are of no use here. */
static void swallow(void) {
    char bytes[4096];
    ssize_t length = read(CHANNEL, bytes, sizeof bytes);
    if (length == 0 || (length < 0 && errno != EINTR && errno != EAGAIN)) _exit(0);
}

int main(void) {
    struct input input = {.bytes = malloc(MAX_LINE + MAX_RULES)};
    struct rlimit files;
    events = epoll_create1(EPOLL_CLOEXEC);
    if (input.bytes == NULL || events < 0 || !remember_home()) die("%s\n", why);
    signal(SIGPIPE, SIG_IGN);
    /* An interrupt at the terminal is the parent's affair. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct epoll_event own[] = {{.events = EPOLLIN, .data.u64 = UINT64_MAX}, {.events = EPOLLIN, .data.u64 = UINT64_MAX - 1}};
    if (epoll_ctl(events, EPOLL_CTL_ADD, STDIN_FILENO, &own[0]) != 0 || epoll_ctl(events, EPOLL_CTL_ADD, CHANNEL, &own[1]) != 0)
        die("started by hand; it is part of cofferdam\n");
    say("{\"ready\":true}");
    for (;;) {
        struct epoll_event ready[EVENTS];
        int count = epoll_wait(events, ready, EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll: %s\n", strerror(errno));
        for (int i = 0; i < count; i++) {
            uint64_t what = ready[i].data.u64;
            if (what == UINT64_MAX) commands(&input);
            else if (what == UINT64_MAX - 1) swallow();
            else {
                unsigned id = (unsigned)(what >> 1);
                /* It may have been closed by what came before it. */
                if (networks[id] != NULL && networks[id]->open) datagrams(networks[id], id, (int)(what & 1));
            }
        }
    }
}
