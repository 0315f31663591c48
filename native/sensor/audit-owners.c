/*
 * Whose a rule is, by its key: `cofferdam-sensor.PID.START.ENABLED.BACKLOG`, with `.WATCH` behind it for a file of one watch. So rules that a
 * killed sensor left are known for what they are, and how audit was set before is kept with them.
 */
#define _GNU_SOURCE
#include "audit-rules.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_PREFIX "cofferdam-sensor."
/* At one go; what is more is left to the next. */
#define MAX_FOUND 1024

static union rule gone_rules[MAX_FOUND];
static size_t gone_count;
static char key[KEY_SIZE];

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

static bool owner_of(const char *its_key, struct owner *owner) {
    owner->watch = 0;
    return sscanf(its_key, KEY_PREFIX "%u.%llu.%u.%u.%u", &owner->pid, &owner->start, &owner->before.enabled, &owner->before.backlog, &owner->watch) >= 4;
}

/* Of every watch too. */
static bool is_own(const char *its_key) {
    size_t length = strlen(key);
    return strncmp(its_key, key, length) == 0 && (its_key[length] == '\0' || its_key[length] == '.');
}

/* Its sensor is gone. */
static bool is_left(const struct owner *owner) { return start_of(owner->pid) != owner->start; }

void owner_is_here(const struct audit_settings *before) {
    unsigned pid = (unsigned)getpid();
    snprintf(key, sizeof key, KEY_PREFIX "%u.%llu.%u.%u", pid, (unsigned long long)start_of(pid), before->enabled, before->backlog);
}

void owner_is(const char *its_key, unsigned watch) { snprintf(key, sizeof key, "%s.%u", its_key, watch); }

const char *owner_key(void) { return key; }

struct search {
    struct found *found;
    enum gone gone;
    unsigned number;
};

static bool goes(const struct search *search, const char *its_key, const struct owner *owner) {
    switch (search->gone) {
        case GONE_NONE: return false;
        case GONE_OWN: return is_own(its_key);
        /* The mark's is the first. */
        case GONE_OWN_BUT_FIRST: return is_own(its_key) && (owner->watch != 0 || search->found->own > 1);
        case GONE_LEFT: return is_left(owner);
        case GONE_WATCH: return is_own(its_key) && owner->watch == search->number;
    }
    return false;
}

static void take_rule(const struct nlmsghdr *message, void *context) {
    const struct search *search = context;
    struct found *found = search->found;
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
    if (search->gone == GONE_NONE && search->number == owner.pid && owner.watch == 0) memcpy(found->key, its_key, sizeof found->key);
    /* Those of a watch go by themselves, with the file system that their file is in. */
    if (is_own(its_key)) found->own += owner.watch == 0;
    else if (!is_left(&owner)) found->living++;
    if (!goes(search, its_key, &owner) || gone_count == MAX_FOUND || size > sizeof gone_rules[0]) return;
    memcpy(gone_rules[gone_count++].bytes, data, size);
}

int owner_look(struct found *found, enum gone gone, unsigned number) {
    struct search search = {.found = found, .gone = gone, .number = number};
    memset(found, 0, sizeof *found);
    gone_count = 0;
    int error = audit_list(take_rule, &search);
    /* From the last to the first: the mark's, which says how it was before, stays longest. */
    for (; gone_count > 0 && error == 0; gone_count--) {
        error = audit_rule(AUDIT_DEL_RULE, &gone_rules[gone_count - 1].data);
        if (error == ENOENT) error = 0;
    }
    return error;
}
