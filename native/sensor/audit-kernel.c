/* What is asked of the kernel's audit: one question at a time, each answered (netlink(7), linux/audit.h). */
#define _GNU_SOURCE
#include "audit-rules.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int audit;
static uint32_t sequence;

/* @param take gets each answer; `list`: many, ended by one that says so. @returns 0 or an errno. */
static int ask(uint16_t type, const void *payload, size_t size, bool list, audit_taker take, void *context) {
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

void audit_open(void) {
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

int audit_status(struct audit_status *status) {
    memset(status, 0, sizeof *status);
    return ask(AUDIT_GET, NULL, 0, false, take_status, status);
}

int audit_set(uint32_t mask, const struct audit_settings *to) {
    const struct audit_status status = {.mask = mask, .enabled = to->enabled, .backlog_limit = to->backlog};
    return ask(AUDIT_SET, &status, sizeof status, false, NULL, NULL);
}

int audit_rule(uint16_t verb, const struct audit_rule_data *rule) { return ask(verb, rule, sizeof *rule + rule->buflen, false, NULL, NULL); }

int audit_list(audit_taker take, void *context) { return ask(AUDIT_LIST_RULES, NULL, 0, true, take, context); }

void audit_close(void) { close(audit); }
