/*
 * Outside of the jail, before bubblewrap. The stage is a tmpfs in a mount namespace that nobody else sees and that ends with
 * the jail: bounded in bytes and inodes, owned by the jail's uid, with copies of the trees that may be written.
 */
#define _GNU_SOURCE
#include "jail.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TREES 64

/* Where a tree's lists end up while options are read. */
struct lists {
    char *excluded[MAX_TREES];
    char *only[MAX_TREES];
};

struct entry {
    const char *stage;
    uint64_t bytes;
    uint64_t inodes;
    /* stays_root: bubblewrap needs it where no user namespace can be made; pid 1 of the jail gives it up then. */
    bool drops, stays_root, network, door;
    uid_t uid;
    gid_t gid;
    struct tree writable[MAX_TREES];
    struct lists lists[MAX_TREES];
    size_t writables;
    const char *bound[MAX_TREES];
    size_t bounds;
    /* Of the host's /etc, by name; and files of our own there, NAME=TEXT. */
    const char *kept[MAX_TREES];
    size_t kepts;
    char *own[MAX_TREES];
    size_t owns;
};

static void write_all(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) die("%s: %s", path, strerror(errno));
    close(fd);
}

/* Without root, mounts need a user namespace; it maps the caller to itself and nobody else. */
static void own_user_namespace(uid_t uid, gid_t gid) {
    char line[64];
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) die("no user namespace: %s", strerror(errno));
    write_all("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1", uid, uid);
    write_all("/proc/self/uid_map", line);
    snprintf(line, sizeof line, "%u %u 1", gid, gid);
    write_all("/proc/self/gid_map", line);
}

static const char *place(const struct entry *self, const char *name, size_t index, char *into) {
    int length = snprintf(into, PATH_MAX, "%s/%s%zu", self->stage, name, index);
    if (length < 0 || length >= PATH_MAX) die("a path is too long");
    return into;
}

static const char *in_stage(const struct entry *self, const char *name, char *into) {
    int length = snprintf(into, PATH_MAX, "%s/%s", self->stage, name);
    if (length < 0 || length >= PATH_MAX) die("a path is too long");
    return into;
}

static void bind_at(const char *from, const char *to) {
    struct stat found;
    if (stat(from, &found) != 0) die("%s: %s", from, strerror(errno));
    if (S_ISDIR(found.st_mode) ? mkdir(to, 0755) != 0 : mknod(to, S_IFREG | 0444, 0) != 0) die("%s: %s", to, strerror(errno));
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) != 0) die("%s: %s", from, strerror(errno));
}

/* The jail's /etc in one piece: bubblewrap looks through all mounts for each that it makes, so that one is cheaper than twenty. */
static void make_etc(const struct entry *self) {
    char path[PATH_MAX], from[PATH_MAX], name[NAME_MAX + 8];
    if (mkdir(in_stage(self, "etc", path), 0755) != 0) die("%s: %s", path, strerror(errno));
    for (size_t i = 0; i < self->kepts; i++) {
        snprintf(from, sizeof from, "/etc/%s", self->kept[i]);
        snprintf(name, sizeof name, "etc/%s", self->kept[i]);
        bind_at(from, in_stage(self, name, path));
    }
    for (size_t i = 0; i < self->owns; i++) {
        char *equals = strchr(self->own[i], '=');
        if (equals == NULL) die("-E needs NAME=TEXT");
        snprintf(name, sizeof name, "etc/%.*s", (int)(equals - self->own[i]), self->own[i]);
        size_t length = strlen(equals + 1);
        int fd = open(in_stage(self, name, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
        if (fd < 0 || write(fd, equals + 1, length) != (ssize_t)length) die("%s: %s", path, strerror(errno));
        close(fd);
    }
}

static void make_stage(const struct entry *self) {
    char path[PATH_MAX], options[160];
    if (geteuid() == 0) {
        if (unshare(CLONE_NEWNS) != 0) die("no mount namespace: %s", strerror(errno));
    } else {
        own_user_namespace(self->uid, self->gid);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("mounts stay shared: %s", strerror(errno));
    snprintf(options, sizeof options, "size=%llu,nr_inodes=%llu,mode=0755", (unsigned long long)self->bytes, (unsigned long long)self->inodes);
    if (mount("cofferdam", self->stage, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) die("%s: %s", self->stage, strerror(errno));
    for (size_t i = 0; i < 3; i++) {
        if (mkdir(place(self, "t", i, path), 0700) != 0 || chown(path, self->uid, self->gid) != 0) die("%s: %s", path, strerror(errno));
    }
    for (size_t i = 0; i < self->writables; i++) {
        struct tree tree = self->writable[i];
        tree.excluded = self->lists[i].excluded;
        tree.only = self->lists[i].only;
        copy_tree(&tree, place(self, "w", i, path), self->uid, self->gid);
    }
    make_etc(self);
    /* Mounted over what must not be seen. */
    if (mknod(in_stage(self, "nothing", path), S_IFREG | 0444, 0) != 0) die("%s: %s", path, strerror(errno));
    /* A tree below a folder that only root may pass gets an entrance that the jail's uid can take. */
    for (size_t i = 0; i < self->bounds; i++) bind_at(self->bound[i], place(self, "b", i, path));
}

int enter(int argc, char **argv, char **envp) {
    static struct entry self;
    self.uid = geteuid();
    self.gid = getegid();
    pid_t caller = getppid();
    int option;
    while ((option = getopt(argc, argv, "+c:u:g:s:z:i:w:x:o:b:e:E:ndR")) != -1) {
        switch (option) {
        case 'R': self.stays_root = true; break;
        case 'n': self.network = true; break;
        case 'd': self.door = true; break;
        case 'c': write_all(optarg, "0"); break;
        case 'u': self.uid = (uid_t)number(optarg, "uid"), self.drops = true; break;
        case 'g': self.gid = (gid_t)number(optarg, "gid"); break;
        case 's': self.stage = optarg; break;
        case 'z': self.bytes = number(optarg, "size"); break;
        case 'i': self.inodes = number(optarg, "inodes"); break;
        case 'w':
            if (self.writables == MAX_TREES) die("too many trees");
            self.writable[self.writables++].from = optarg;
            break;
        case 'x':
        case 'o': {
            if (self.writables == 0) die("-%c comes after its -w", option);
            struct tree *tree = &self.writable[self.writables - 1];
            struct lists *lists = &self.lists[self.writables - 1];
            size_t *count = option == 'x' ? &tree->exclusions : &tree->onlys;
            if (*count == MAX_TREES) die("too many paths");
            (option == 'x' ? lists->excluded : lists->only)[(*count)++] = optarg;
            break;
        }
        case 'b':
            if (self.bounds == MAX_TREES) die("too many trees");
            self.bound[self.bounds++] = optarg;
            break;
        case 'e':
            if (self.kepts == MAX_TREES) die("too many files");
            self.kept[self.kepts++] = optarg;
            break;
        case 'E':
            if (self.owns == MAX_TREES) die("too many files");
            self.own[self.owns++] = optarg;
            break;
        default: die("enter: unknown option");
        }
    }
    if (optind >= argc) die("enter: nothing to start");
    if (self.drops && self.uid == 0) die("the jail's uid cannot be root");
    close_from(OPTIONS + 1);
    if (self.stage != NULL) make_stage(&self);
    if (self.network) own_network(self.door);
    if (self.drops && !self.stays_root) become(self.uid, self.gid);
    /* Set last: a change of identity clears it. The caller may be gone already. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != caller) die("the caller is gone");
    execve(argv[optind], argv + optind, envp);
    die("%s: %s", argv[optind], strerror(errno));
}
