#ifndef COFFERDAM_PLACE_H
#define COFFERDAM_PLACE_H

#include <stdint.h>
#include <sys/types.h>

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

#endif
