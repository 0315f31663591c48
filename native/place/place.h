#ifndef COFFERDAM_PLACE_H
#define COFFERDAM_PLACE_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* place.c: the first word says what kind of failure it is. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* copy.c */
struct bounds {
    /* Owner of everything in the copy. */
    uid_t uid;
    gid_t gid;
    uint64_t bytes;
    uint64_t entries;
};
/* From one open folder into another, which is empty. What is no file, folder or link is left out. Closes `from`. */
void copy_tree(int from, int to, const struct bounds *bounds);

/* idmap.c: what stands in for ids of the container on this host's disks. Nobody here has them. */
#define NOBODYS 2000000000U
#define IDS 65536U
/* A user namespace for MOUNT_ATTR_IDMAP: the folder's owner is uid:gid in the mount. */
int id_map(const struct stat *folder, uid_t uid, gid_t gid);

/* settle.c. Closes `folder`. */
void settle_tree(int folder, const struct stat *owner, uint64_t entries);

/* deliver.c. Into the folder of bounds->uid, with its rights; `since` is when the copy was begun. Closes both. */
void deliver_tree(int from, int to, const struct bounds *bounds, const struct timespec *since);

#endif
