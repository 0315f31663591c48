/*
 * Takes over what a job wrote in its copy. Nothing runs there any more, but every name and every byte is still hostile; and
 * the folder that it goes to belongs to somebody who may change it meanwhile. So the copy is read as root, and everything in
 * the owner's folder is done with the owner's rights (setfsuid(2)), entry by entry in folders that were opened without
 * following a link: whatever is swapped, nothing is written that the owner could not write.
 *
 * Only files, folders and links that stay inside come over. A file replaces the old one by name, so that a hard link is broken,
 * never written through. What the owner changed after the copy was made is the owner's and stays.
 */
#define _GNU_SOURCE
#include "place.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/fsuid.h>
#include <unistd.h>

#define MAX_DEPTH 128
#define MAX_LISTED 1000
#define PIECE 131072
#define TEMPORARY ".cofferdam-output"

struct delivery {
    const struct bounds *bounds;
    struct timespec since;
    uint64_t bytes;
    uint64_t entries;
    uint64_t told[3];
    /* From the root of the tree. */
    char path[PATH_MAX];
};

enum kind { WRITTEN, REMOVED, REFUSED };
static const char *const KINDS[] = {"written", "removed", "refused"};

static void as_owner(const struct delivery *self) {
    setfsgid(self->bounds->gid);
    setfsuid(self->bounds->uid);
}

static void as_root(void) {
    setfsuid(0);
    setfsgid(0);
}

static void report(struct delivery *self, enum kind kind, const char *why) {
    if (self->told[kind]++ >= MAX_LISTED) return;
    printf("{\"kind\":\"%s\",\"path\":\"", KINDS[kind]);
    for (const unsigned char *byte = (const unsigned char *)self->path; *byte != '\0'; byte++) {
        if (*byte < 0x20 || *byte == '"' || *byte == '\\' || *byte == 0x7f) printf("\\u%04x", *byte);
        else putchar(*byte);
    }
    printf(why == NULL ? "\"}\n" : "\",\"why\":\"%s\"}\n", why);
}

static void refuse_errno(struct delivery *self) {
    if (errno == ENOSPC || errno == EDQUOT) die("LIMIT disk: no space for the results");
    report(self, REFUSED, strerrorname_np(errno));
}

static bool is_since(const struct timespec *one, const struct timespec *other) {
    return one->tv_sec > other->tv_sec || (one->tv_sec == other->tv_sec && one->tv_nsec >= other->tv_nsec);
}

static bool is_same(const struct stat *one, const struct stat *other) {
    return (one->st_mode & (S_IFMT | 0777)) == (other->st_mode & (S_IFMT | 0777)) && one->st_size == other->st_size &&
           one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

static bool is_special(const struct stat *stat) {
    return !S_ISREG(stat->st_mode) && !S_ISDIR(stat->st_mode) && !S_ISLNK(stat->st_mode);
}

/* Appends a name to the path; the length that it had is for `leave`. */
static size_t enter(struct delivery *self, const char *name) {
    size_t length = strlen(self->path);
    int added = snprintf(self->path + length, sizeof self->path - length, "%s%s", length == 0 ? "" : "/", name);
    if (added < 0 || (size_t)added >= sizeof self->path - length) die("LIMIT depth: a path is too long: %.200s", self->path);
    return length;
}

static void leave(struct delivery *self, size_t length) {
    self->path[length] = '\0';
}

static DIR *list(int folder, const char *name) {
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && entries == NULL) close(fd);
    return entries;
}

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* As the owner. Anything in it counts; what cannot be looked at counts as changed. */
static bool changed_meanwhile(const struct delivery *self, int folder, const char *name, int depth) {
    struct stat stat;
    if (depth > MAX_DEPTH || fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) return true;
    if (is_special(&stat) || is_since(&stat.st_ctim, &self->since)) return true;
    if (!S_ISDIR(stat.st_mode)) return false;
    DIR *entries = list(folder, name);
    bool changed = entries == NULL;
    for (struct dirent *entry = changed ? NULL : readdir(entries); entry != NULL && !changed; entry = readdir(entries))
        changed = !is_dots(entry->d_name) && changed_meanwhile(self, dirfd(entries), entry->d_name, depth + 1);
    if (entries != NULL) closedir(entries);
    return changed;
}

/* As the owner. */
static bool remove_tree(int folder, const char *name, int depth) {
    if (unlinkat(folder, name, 0) == 0) return true;
    if ((errno != EISDIR && errno != EPERM) || depth > MAX_DEPTH) return false;
    DIR *entries = list(folder, name);
    if (entries == NULL) return false;
    bool all = true;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        if (!is_dots(entry->d_name)) all = remove_tree(dirfd(entries), entry->d_name, depth + 1) && all;
    closedir(entries);
    return all && unlinkat(folder, name, AT_REMOVEDIR) == 0;
}

/* Whoever runs git there later would run what stands in these. */
static bool git_runs(const char *path) {
    for (const char *git = strcasestr(path, ".git"); git != NULL; git = strcasestr(git + 1, ".git")) {
        if (git != path && git[-1] != '/') continue;
        if (git[4] != '/') continue;
        const char *rest = git + 5, *last = strrchr(rest, '/');
        const char *name = last == NULL ? rest : last + 1;
        if (strncasecmp(rest, "hooks", 5) == 0 && (rest[5] == '\0' || rest[5] == '/')) return true;
        if (strcasestr(rest, "/hooks/") != NULL) return true;
        if (strcasecmp(name, "config") == 0 || strcasecmp(name, "config.worktree") == 0) return true;
    }
    return false;
}

/* `..` may only stand in front: after a name it would mean the parent of wherever that name leads, which text does not tell. */
static bool stays_inside(const char *path, const char *target) {
    if (target[0] == '/') return false;
    int above = 0, depth = 0;
    bool named = false;
    for (const char *at = path; *at != '\0'; at++) depth += *at == '/';
    for (const char *part = target; *part != '\0';) {
        size_t length = strcspn(part, "/");
        if (length == 2 && strncmp(part, "..", 2) == 0) {
            if (named) return false;
            above++;
        } else if (length > 0 && !(length == 1 && part[0] == '.')) {
            named = true;
        }
        part += length;
        while (*part == '/') part++;
    }
    return above <= depth;
}

static bool copy_bytes(struct delivery *self, int from, int to) {
    static char piece[PIECE];
    for (;;) {
        ssize_t length = read(from, piece, sizeof piece);
        if (length <= 0) return length == 0;
        self->bytes += (uint64_t)length;
        if (self->bytes > self->bounds->bytes) die("LIMIT bytes: more than %llu", (unsigned long long)self->bounds->bytes);
        for (ssize_t done = 0; done < length;) {
            ssize_t written = write(to, piece + done, (size_t)(length - done));
            if (written < 0) return false;
            done += written;
        }
    }
}

static void deliver_file(struct delivery *self, int from, int to, const char *name, const struct stat *before) {
    int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat stat;
    if (source < 0 || fstat(source, &stat) != 0) die("SYSTEM open %.200s: %s", self->path, strerror(errno));
    mode_t mode = stat.st_mode & 0777;
    bool same = before != NULL && is_same(before, &stat);
    if (!S_ISREG(stat.st_mode)) report(self, REFUSED, "not a file");
    else if ((stat.st_mode & 06000) != 0) report(self, REFUSED, "a set-user-id or set-group-id bit");
    else if (!same) {
        as_owner(self);
        unlinkat(to, TEMPORARY, 0);
        int target = openat(to, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        bool done = target >= 0 && copy_bytes(self, source, target) && fchmod(target, mode) == 0;
        if (done && before != NULL && S_ISDIR(before->st_mode)) done = remove_tree(to, name, 0);
        done = done && renameat(to, TEMPORARY, to, name) == 0;
        if (done) report(self, WRITTEN, NULL);
        else {
            refuse_errno(self);
            unlinkat(to, TEMPORARY, 0);
        }
        if (target >= 0) close(target);
        as_root();
    }
    close(source);
}

static void deliver_link(struct delivery *self, int from, int to, const char *name, const struct stat *before) {
    char leads[PATH_MAX], led[PATH_MAX];
    ssize_t length = readlinkat(from, name, leads, sizeof leads - 1);
    if (length < 0) die("SYSTEM read link %.200s: %s", self->path, strerror(errno));
    leads[length] = '\0';
    as_owner(self);
    ssize_t old = before != NULL && S_ISLNK(before->st_mode) ? readlinkat(to, name, led, sizeof led - 1) : -1;
    /* A link that was there before is the owner's own and stays. */
    bool same = old == length && memcmp(leads, led, (size_t)length) == 0;
    if (!same && !stays_inside(self->path, leads)) report(self, REFUSED, "a link out of the tree");
    else if (!same) {
        if ((before == NULL || remove_tree(to, name, 0)) && symlinkat(leads, to, name) == 0) report(self, WRITTEN, NULL);
        else refuse_errno(self);
    }
    as_root();
}

static void deliver_entries(struct delivery *self, int from, int to, int depth);

static void deliver_folder(struct delivery *self, int from, int to, const char *name, const struct stat *stat, const struct stat *before, int depth) {
    int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0) die("SYSTEM open %.200s: %s", self->path, strerror(errno));
    as_owner(self);
    bool there = before != NULL && S_ISDIR(before->st_mode);
    if (!there && (before == NULL || unlinkat(to, name, 0) == 0) && mkdirat(to, name, (stat->st_mode & 0777) | 0700) == 0) report(self, WRITTEN, NULL);
    int target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0) refuse_errno(self);
    as_root();
    if (target < 0) close(source);
    else deliver_entries(self, source, target, depth + 1);
}

static void deliver_entry(struct delivery *self, int from, int to, const char *name, int depth) {
    if (++self->entries > self->bounds->entries) die("LIMIT entries: more than %llu", (unsigned long long)self->bounds->entries);
    struct stat stat, there;
    if (fstatat(from, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) die("SYSTEM look at %.200s: %s", self->path, strerror(errno));
    as_owner(self);
    bool exists = fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
    as_root();
    const struct stat *before = exists ? &there : NULL;
    bool both_folders = exists && S_ISDIR(there.st_mode) && S_ISDIR(stat.st_mode);
    if (strcmp(name, TEMPORARY) == 0) report(self, REFUSED, "a name of ours");
    else if (is_special(&stat)) report(self, REFUSED, "not a file, folder or link");
    else if (exists && is_special(&there)) report(self, REFUSED, "a socket, FIFO or device of yours is there");
    else if (!exists && strcasecmp(name, ".git") == 0) report(self, REFUSED, "a planted git folder");
    else if (exists && !both_folders && is_since(&there.st_ctim, &self->since)) {
        /* The copy is older: only what the job wrote as well is worth a word. */
        if (is_since(&stat.st_mtim, &self->since)) report(self, REFUSED, "it was changed outside meanwhile");
    } else if (S_ISDIR(stat.st_mode)) deliver_folder(self, from, to, name, &stat, before, depth);
    else if (git_runs(self->path)) {
        if (!exists || !is_same(&there, &stat)) report(self, REFUSED, "git would run it");
    } else if (S_ISREG(stat.st_mode)) deliver_file(self, from, to, name, before);
    else deliver_link(self, from, to, name, before);
}

/* What the job removed. As the owner. */
static void deliver_removals(struct delivery *self, int from, int to) {
    int again = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = again < 0 ? NULL : fdopendir(again);
    if (entries == NULL) return;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        struct stat stat;
        const char *name = entry->d_name;
        if (is_dots(name)) continue;
        as_root();
        bool kept = fstatat(from, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
        as_owner(self);
        if (kept) continue;
        size_t length = enter(self, name);
        if (!git_runs(self->path) && !changed_meanwhile(self, to, name, 0)) {
            if (remove_tree(to, name, 0)) report(self, REMOVED, NULL);
            else refuse_errno(self);
        }
        leave(self, length);
    }
    closedir(entries);
}

/* Closes both. */
static void deliver_entries(struct delivery *self, int from, int to, int depth) {
    if (depth > MAX_DEPTH) die("LIMIT depth: more than %d folders deep: %.200s", MAX_DEPTH, self->path);
    as_owner(self);
    deliver_removals(self, from, to);
    as_root();
    DIR *entries = fdopendir(from);
    if (entries == NULL) die("SYSTEM list %.200s: %s", self->path, strerror(errno));
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (is_dots(entry->d_name)) continue;
        size_t length = enter(self, entry->d_name);
        deliver_entry(self, from, to, entry->d_name, depth);
        leave(self, length);
    }
    closedir(entries);
    close(to);
}

/* Before anything is taken over: all of it has to fit. */
static void measure(struct delivery *self, int folder, int depth) {
    if (depth > MAX_DEPTH) die("LIMIT depth: more than %d folders deep: %.200s", MAX_DEPTH, self->path);
    DIR *entries = list(folder, ".");
    if (entries == NULL) die("SYSTEM list %.200s: %s", self->path, strerror(errno));
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        struct stat stat;
        if (is_dots(entry->d_name)) continue;
        if (++self->entries > self->bounds->entries) die("LIMIT entries: more than %llu", (unsigned long long)self->bounds->entries);
        if (fstatat(dirfd(entries), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) die("SYSTEM look at %.200s: %s", entry->d_name, strerror(errno));
        if (S_ISREG(stat.st_mode)) self->bytes += (uint64_t)stat.st_size;
        if (self->bytes > self->bounds->bytes) die("LIMIT bytes: more than %llu", (unsigned long long)self->bounds->bytes);
        if (!S_ISDIR(stat.st_mode)) continue;
        size_t length = enter(self, entry->d_name);
        int inner = openat(dirfd(entries), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner < 0) die("SYSTEM open %.200s: %s", self->path, strerror(errno));
        measure(self, inner, depth + 1);
        close(inner);
        leave(self, length);
    }
    closedir(entries);
}

void deliver_tree(int from, int to, const struct bounds *bounds, const struct timespec *since) {
    struct delivery self = {.bounds = bounds, .since = *since};
    if (setgroups(0, NULL) != 0) die("SYSTEM groups: %s", strerror(errno));
    measure(&self, from, 0);
    self.bytes = self.entries = 0;
    deliver_entries(&self, from, to, 0);
    printf("{\"kind\":\"done\",\"written\":%llu,\"removed\":%llu,\"refused\":%llu}\n", (unsigned long long)self.told[WRITTEN], (unsigned long long)self.told[REMOVED], (unsigned long long)self.told[REFUSED]);
    if (fflush(stdout) != 0) die("SYSTEM output: %s", strerror(errno));
}
