/* Rules of the kernel's audit, for those of the sensor's processes that may ask it: the keeper, and what adds files of a watch. */
#ifndef COFFERDAM_SENSOR_AUDIT_RULES_H
#define COFFERDAM_SENSOR_AUDIT_RULES_H

#include <linux/netlink.h>
#include "audit.h"

#define KEY_SIZE 96
#define MAX_PATH 256
/* A rule with room for a file and the key behind it. */
union rule {
    struct audit_rule_data data;
    unsigned char bytes[sizeof(struct audit_rule_data) + MAX_PATH + KEY_SIZE];
};

/* audit-kernel.c. Each @returns 0 or an errno. */
struct audit_settings {
    uint32_t enabled, backlog;
};
typedef void (*audit_taker)(const struct nlmsghdr *message, void *context);
/* Ends this process where it is not to be had. */
void audit_open(void);
void audit_close(void);
int audit_status(struct audit_status *status);
/* @param mask AUDIT_STATUS_ENABLED or AUDIT_STATUS_BACKLOG_LIMIT */
int audit_set(uint32_t mask, const struct audit_settings *to);
/* @param verb AUDIT_ADD_RULE or AUDIT_DEL_RULE */
int audit_rule(uint16_t verb, const struct audit_rule_data *rule);
int audit_list(audit_taker take, void *context);

/* audit-owners.c. The key of a rule says whose it is, and how audit was set before. */
struct owner {
    unsigned pid;
    unsigned long long start;
    struct audit_settings before;
    unsigned watch; /* Of a rule that is one watch's. */
};
struct found {
    /* This sensor's but those of its watches; of nobody's; of other sensors that live. */
    unsigned own, others, living;
    struct audit_settings before;
    bool has_before;
    /* The key of the sensor that was asked for, or empty. */
    char key[KEY_SIZE];
};
/* For this process. @param before how audit was set before any sensor. */
void owner_is_here(const struct audit_settings *before);
/* The same key for whoever acts for it: with a watch, when that is not 0. */
void owner_is(const char *key, unsigned watch);
const char *owner_key(void);
enum gone { GONE_NONE, GONE_OWN, GONE_OWN_BUT_FIRST, GONE_LEFT, GONE_WATCH };
/* Every rule there is; some are removed: one's own, those of sensors that are gone, or (`number`) of one watch. @param number with GONE_NONE: the sensor whose key is wanted. */
int owner_look(struct found *found, enum gone gone, unsigned number);

/* audit-rules.c. */
int rules_add_mark(void);
/* @param placed how many there are then. */
int rules_add(unsigned *placed);
/* Reading this file. @param path as this process sees it. */
int rules_add_file(const char *path);

#endif
