/* Copies a tree into the stage: regular files, folders and links; no set-id bits, no FIFOs, sockets or devices. */
#define _GNU_SOURCE
#include "jail.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 128
#define PIECE 131072

struct copy {
    uid_t uid;
    gid_t gid;
    const struct tree *tree;
    /* Path from the tree's root, for messages and exclusions. */
    char path[PATH_MAX];
};

__attribute__((noreturn)) static void failed(const struct copy *self, const char *what) {
    if (errno == ENOSPC || errno == EDQUOT) die("LIMIT disk: %s does not fit", self->path[0] == '\0' ? "the tree" : self->path);
    die("stage: %s %s: %s", what, self->path[0] == '\0' ? "." : self->path, strerror(errno));
}

static bool is_excluded(const struct copy *self) {
    for (size_t i = 0; i < self->tree->exclusions; i++)
        if (strcmp(self->path, self->tree->excluded[i]) == 0) return true;
    return false;
}

/* True for what was asked for, what lies below it, and the folders above it. */
static bool is_wanted(const struct copy *self) {
    size_t length = strlen(self->path);
    for (size_t i = 0; i < self->tree->onlys; i++) {
        const char *only = self->tree->only[i];
        size_t other = strlen(only), common = length < other ? length : other;
        if (strncmp(self->path, only, common) != 0) continue;
        if (length == other || (length > other ? self->path[other] : only[length]) == '/') return true;
    }
    return self->tree->onlys == 0;
}

static void copy_bytes(const struct copy *self, int from, int to) {
    static char piece[PIECE];
    for (;;) {
        ssize_t length = read(from, piece, sizeof piece);
        if (length == 0) return;
        if (length < 0) failed(self, "read");
        for (ssize_t done = 0; done < length;) {
            ssize_t written = write(to, piece + done, (size_t)(length - done));
            if (written < 0) failed(self, "write");
            done += written;
        }
    }
}

static void copy_file(const struct copy *self, int from_folder, int to_folder, const char *name, const struct stat *stat) {
    int from = openat(from_folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from < 0) failed(self, "open");
    int to = openat(to_folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0) failed(self, "create");
    /* An excluded file is a place to mount the original on. */
    if (!is_excluded(self)) copy_bytes(self, from, to);
    struct timespec times[2] = {stat->st_atim, stat->st_mtim};
    if (fchown(to, self->uid, self->gid) != 0 || fchmod(to, stat->st_mode & 0777) != 0 || futimens(to, times) != 0) failed(self, "finish");
    close(from);
    close(to);
}

static void copy_link(const struct copy *self, int from_folder, int to_folder, const char *name) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(from_folder, name, target, sizeof target - 1);
    if (length < 0) failed(self, "read link");
    target[length] = '\0';
    if (symlinkat(target, to_folder, name) != 0) failed(self, "link");
    if (fchownat(to_folder, name, self->uid, self->gid, AT_SYMLINK_NOFOLLOW) != 0) failed(self, "own");
}

static void copy_folder(struct copy *self, int from, int to, int depth) {
    if (depth > MAX_DEPTH) die("LIMIT depth: a tree is more than %d folders deep: %.200s", MAX_DEPTH, self->path);
    DIR *entries = fdopendir(from);
    if (entries == NULL) failed(self, "list");
    size_t length = strlen(self->path);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int added = snprintf(self->path + length, sizeof self->path - length, "%s%s", length == 0 ? "" : "/", entry->d_name);
        if (added < 0 || (size_t)added >= sizeof self->path - length) die("LIMIT depth: a path is too long: %.200s", self->path);
        if (!is_wanted(self)) {
            self->path[length] = '\0';
            continue;
        }
        struct stat stat;
        if (fstatat(from, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) failed(self, "look at");
        if (S_ISREG(stat.st_mode)) {
            copy_file(self, from, to, entry->d_name, &stat);
        } else if (S_ISLNK(stat.st_mode)) {
            copy_link(self, from, to, entry->d_name);
        } else if (S_ISDIR(stat.st_mode)) {
            if (mkdirat(to, entry->d_name, 0700) != 0) failed(self, "create");
            int inner_to = openat(to, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (inner_to < 0) failed(self, "open");
            if (!is_excluded(self)) {
                int inner_from = openat(from, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (inner_from < 0) failed(self, "open");
                copy_folder(self, inner_from, inner_to, depth + 1);
            }
            struct timespec times[2] = {stat.st_atim, stat.st_mtim};
            if (fchown(inner_to, self->uid, self->gid) != 0 || fchmod(inner_to, (stat.st_mode & 0777) | 0700) != 0 || futimens(inner_to, times) != 0)
                failed(self, "finish");
            close(inner_to);
        }
        self->path[length] = '\0';
    }
    closedir(entries);
}

void copy_tree(const struct tree *tree, const char *to, uid_t uid, gid_t gid) {
    struct copy self = {.uid = uid, .gid = gid, .tree = tree};
    if (mkdir(to, 0700) != 0) failed(&self, "create");
    int source = open(tree->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source < 0) die("stage: %s: %s", tree->from, strerror(errno));
    int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target < 0) failed(&self, "open");
    struct stat stat;
    if (fstat(source, &stat) != 0) failed(&self, "look at");
    copy_folder(&self, source, target, 0);
    if (fchown(target, uid, gid) != 0 || fchmod(target, (stat.st_mode & 0777) | 0700) != 0) failed(&self, "finish");
    close(target);
}
