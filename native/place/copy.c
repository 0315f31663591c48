/*
 * Copies a tree that others may change meanwhile: every entry is opened by its name in the folder that was opened before it,
 * no link is followed, set-id bits are dropped, and the bounds are counted as it goes.
 */
#define _GNU_SOURCE
#include "place.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 128
#define PIECE 131072

struct copy {
    const struct bounds *bounds;
    uint64_t bytes;
    uint64_t entries;
    /* From the tree's root, for messages. */
    char path[PATH_MAX];
};

__attribute__((noreturn)) static void failed(const struct copy *self, const char *what) {
    if (errno == ENOSPC || errno == EDQUOT) die("LIMIT disk: the disk is full at %s", self->path);
    die("SYSTEM %s %s: %s", what, self->path[0] == '\0' ? "." : self->path, strerror(errno));
}

static void copy_bytes(struct copy *self, int from, int to) {
    static char piece[PIECE];
    for (;;) {
        ssize_t length = read(from, piece, sizeof piece);
        if (length == 0) return;
        if (length < 0) failed(self, "read");
        self->bytes += (uint64_t)length;
        if (self->bytes > self->bounds->bytes) die("LIMIT bytes: more than %llu", (unsigned long long)self->bounds->bytes);
        for (ssize_t done = 0; done < length;) {
            ssize_t written = write(to, piece + done, (size_t)(length - done));
            if (written < 0) failed(self, "write");
            done += written;
        }
    }
}

static void finish_node(const struct copy *self, int to, const struct stat *stat, mode_t more) {
    struct timespec times[2] = {stat->st_atim, stat->st_mtim};
    if (fchown(to, self->bounds->uid, self->bounds->gid) != 0 || fchmod(to, (stat->st_mode & 0777) | more) != 0 || futimens(to, times) != 0)
        failed(self, "finish");
}

static void copy_file(struct copy *self, int from_folder, int to_folder, const char *name) {
    int from = openat(from_folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from < 0) failed(self, "open");
    struct stat stat;
    if (fstat(from, &stat) != 0) failed(self, "look at");
    /* It was a file a moment ago. */
    if (!S_ISREG(stat.st_mode)) die("PATH %s changed while it was copied", self->path);
    int to = openat(to_folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0) failed(self, "create");
    copy_bytes(self, from, to);
    finish_node(self, to, &stat, 0);
    close(from);
    close(to);
}

static void copy_link(const struct copy *self, int from_folder, int to_folder, const char *name) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(from_folder, name, target, sizeof target - 1);
    if (length < 0) failed(self, "read link");
    target[length] = '\0';
    if (symlinkat(target, to_folder, name) != 0) failed(self, "link");
    if (fchownat(to_folder, name, self->bounds->uid, self->bounds->gid, AT_SYMLINK_NOFOLLOW) != 0) failed(self, "own");
}

static void copy_entries(struct copy *self, int from, int to, int depth);

static void copy_inner(struct copy *self, int from, int to, const char *name, int depth) {
    if (mkdirat(to, name, 0700) != 0) failed(self, "create");
    int inner_from = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int inner_to = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat stat;
    if (inner_from < 0 || inner_to < 0 || fstat(inner_from, &stat) != 0) failed(self, "open");
    copy_entries(self, inner_from, inner_to, depth + 1);
    finish_node(self, inner_to, &stat, 0700);
    close(inner_to);
}

/* Takes `from` over and closes it. */
static void copy_entries(struct copy *self, int from, int to, int depth) {
    if (depth > MAX_DEPTH) die("LIMIT depth: more than %d folders deep: %.200s", MAX_DEPTH, self->path);
    DIR *entries = fdopendir(from);
    if (entries == NULL) failed(self, "list");
    size_t length = strlen(self->path);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int added = snprintf(self->path + length, sizeof self->path - length, "%s%s", length == 0 ? "" : "/", entry->d_name);
        if (added < 0 || (size_t)added >= sizeof self->path - length) die("LIMIT depth: a path is too long: %.200s", self->path);
        if (++self->entries > self->bounds->entries) die("LIMIT entries: more than %llu", (unsigned long long)self->bounds->entries);
        struct stat stat;
        if (fstatat(from, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) failed(self, "look at");
        if (S_ISREG(stat.st_mode)) copy_file(self, from, to, entry->d_name);
        else if (S_ISLNK(stat.st_mode)) copy_link(self, from, to, entry->d_name);
        else if (S_ISDIR(stat.st_mode)) copy_inner(self, from, to, entry->d_name, depth);
        self->path[length] = '\0';
    }
    closedir(entries);
}

void copy_tree(int from, int to, const struct bounds *bounds) {
    struct copy self = {.bounds = bounds};
    struct stat stat;
    if (fstat(from, &stat) != 0) failed(&self, "look at");
    copy_entries(&self, from, to, 0);
    finish_node(&self, to, &stat, 0700);
}
