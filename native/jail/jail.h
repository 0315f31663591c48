/*
 * cofferdam-jail: what bubblewrap has no option for. It runs twice around it:
 *
 *   cofferdam-jail enter ... -- bwrap ...   outside: joins cgroups, prepares a private, size-limited stage, gives up root,
 *                                           closes every descriptor that was inherited, becomes bubblewrap
 *   cofferdam-jail init ... -- COMMAND      inside, as pid 1: limits, Landlock, seccomp, proof of all that, then COMMAND;
 *                                           records what is refused, reaps, and lets nothing outlive COMMAND
 *
 * Both are started by src/sandbox/, which is the only caller; a wrong command line is a bug and ends with exit 70. Anything
 * that cannot be set up ends it before COMMAND exists. Descriptor 3 is the channel to the caller: one JSON object a line.
 */
#ifndef COFFERDAM_JAIL_H
#define COFFERDAM_JAIL_H

#include "../channel/channel.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* bubblewrap reads its options there, so that none of them shows in a list of processes. */
#define OPTIONS 4
/* The jail's name server, bound before anybody in the jail exists. */
#define NAMES 5
#define EXIT_SETUP 70

/* main.c */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
uint64_t number(const char *text, const char *what);
void close_from(int first);
/* For good: it is tried whether root comes back. */
void become(uid_t uid, gid_t gid);

/* enter.c, stage.c */
int enter(int argc, char **argv, char **envp);
struct tree {
    const char *from;
    /* Paths in it whose content is not copied: they become places to mount the original on. */
    char *const *excluded;
    size_t exclusions;
    /* When there are any, nothing else is copied. */
    char *const *only;
    size_t onlys;
};
void copy_tree(const struct tree *tree, const char *to, uid_t uid, gid_t gid);

/* init.c */
int init(int argc, char **argv, char **envp);

/* confine.c: all of these end the process when they fail */
struct landlock_rules {
    char *const *readable;
    size_t readables;
    char *const *writable;
    size_t writables;
    /* Nodes that can be written, in folders that cannot. */
    char *const *device;
    size_t devices;
};
void set_limit(const char *assignment);
int restrict_files(const struct landlock_rules *rules);
int install_filter(const char *hex);
void drop_capabilities(void);

/* usage.c */
uint64_t memory_in_use(void);
uint64_t cpu_used(void);

/* observe.c */
struct observer {
    int listener;
    char *const *hidden;
    size_t hiddens;
};
void observe(const struct observer *self);
void name_was_asked(const char *name);

/* network.c. Ports are fixed, so that they can stand in the command's environment and in resolv.conf, which are made before. */
#define NAME_PORT 53
#define DOOR_PORT 3128
void own_network(int with_door);
void answer_name(void);

#endif
