/* After a job: what stands in the folder under an id that nobody has becomes its owner's, and set-id bits go. */
#define _GNU_SOURCE
#include "place.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_DEPTH 256

struct settling {
    const struct stat *owner;
    uint64_t entries;
    uint64_t left;
    uint64_t owned;
    uint64_t bits;
};

static bool is_nobodys(uint32_t id) {
    return id >= NOBODYS && id < NOBODYS + IDS;
}

/* The bit goes before the file changes hands. */
static void drop_bits(struct settling *self, int folder, const char *name, const struct stat *seen) {
    if (!S_ISREG(seen->st_mode) || (seen->st_mode & 06000) == 0) return;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0) die("SYSTEM open %.200s: %s", name, strerror(errno));
    if (S_ISREG(stat.st_mode) && fchmod(fd, stat.st_mode & 01777) != 0) die("SYSTEM chmod %.200s: %s", name, strerror(errno));
    close(fd);
    self->bits++;
}

static void settle_entries(struct settling *self, int folder, int depth) {
    if (depth > MAX_DEPTH) die("LIMIT depth: more than %d folders deep", MAX_DEPTH);
    DIR *entries = fdopendir(folder);
    if (entries == NULL) die("SYSTEM list: %s", strerror(errno));
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (self->left-- == 0) die("LIMIT entries: more than %llu", (unsigned long long)self->entries);
        struct stat stat;
        if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) die("SYSTEM look at %.200s: %s", name, strerror(errno));
        drop_bits(self, folder, name, &stat);
        if (is_nobodys(stat.st_uid) || is_nobodys(stat.st_gid)) {
            uid_t uid = is_nobodys(stat.st_uid) ? self->owner->st_uid : (uid_t)-1;
            gid_t gid = is_nobodys(stat.st_gid) ? self->owner->st_gid : (gid_t)-1;
            if (fchownat(folder, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) die("SYSTEM own %.200s: %s", name, strerror(errno));
            self->owned++;
        }
        if (S_ISDIR(stat.st_mode)) {
            int inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (inner < 0) die("SYSTEM open %.200s: %s", name, strerror(errno));
            settle_entries(self, inner, depth + 1);
        }
    }
    closedir(entries);
}

void settle_tree(int folder, const struct stat *owner, uint64_t entries) {
    struct settling self = {.owner = owner, .entries = entries, .left = entries};
    settle_entries(&self, folder, 0);
    printf("{\"owned\":%llu,\"setIdBits\":%llu}\n", (unsigned long long)self.owned, (unsigned long long)self.bits);
    if (fflush(stdout) != 0) die("SYSTEM output: %s", strerror(errno));
}
