/*
 * cofferdam-place: brings a folder of the host to a job's container without trusting its path. A path that is looked up twice
 * can lead to two places (the folder is swapped for a link in between), so it is looked up once, here, and everything else is
 * done with what was opened.
 *
 *   cofferdam-place bind ROOT PATH TARGET UID [ro]   mounts PATH, which is looked up below ROOT and may hold no link, on TARGET;
 *                                                    nosuid,nodev; refuses a folder that does not belong to UID (`any`: to anybody)
 *   cofferdam-place copy ROOT PATH TARGET UID GID BYTES ENTRIES
 *                                                    copies it into the empty folder TARGET, for UID and GID, within bounds
 *   cofferdam-place release TARGET                   unmounts; nothing mounted there is fine
 *
 * src/jobs/container/workspace.ts is the only caller. PATH is relative, "." for ROOT itself. One line of JSON on standard
 * output says what was opened. Exit 0, or 70 with the reason on standard error: `LIMIT`, `PATH`, `OWNER` or `SYSTEM` first.
 * Sources: openat2(2), open_tree(2), mount_setattr(2), move_mount(2); Linux 5.12.
 */
#define _GNU_SOURCE
#include "place.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EXIT_FAILED 70
#define UMOUNT_DETACH 2
#define UMOUNT_NO_LINK 8

void die(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "%s\n", text);
    _exit(EXIT_FAILED);
}

static uint64_t number(const char *text) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-') die("SYSTEM not a number: %.40s", text);
    return value;
}

static int look_up(const char *root, const char *path, uint64_t resolve) {
    int base = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base < 0) die("PATH %s: %s", root, strerror(errno));
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = resolve};
    int fd = (int)syscall(SYS_openat2, base, path, &how, sizeof how);
    if (fd < 0 && (errno == ELOOP || errno == EXDEV)) die("PATH %s: a link in it, or it leads out of %s", path, root);
    if (fd < 0 && errno == ENOSYS) die("SYSTEM this kernel has no openat2");
    if (fd < 0) die("PATH %s: %s", path, strerror(errno));
    close(base);
    return fd;
}

static int open_source(const char *root, const char *path) {
    return look_up(root, path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static void say_what(int fd) {
    struct stat stat;
    if (fstat(fd, &stat) != 0) die("SYSTEM stat: %s", strerror(errno));
    printf("{\"device\":%llu,\"inode\":%llu,\"uid\":%u,\"gid\":%u}\n", (unsigned long long)stat.st_dev, (unsigned long long)stat.st_ino, stat.st_uid, stat.st_gid);
    if (fflush(stdout) != 0) die("SYSTEM output: %s", strerror(errno));
}

static void bind_folder(int argc, char **argv) {
    int source = open_source(argv[2], argv[3]);
    int target = look_up("/", argv[4][0] == '/' ? argv[4] + 1 : argv[4], RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    struct stat stat;
    if (fstat(source, &stat) != 0) die("SYSTEM stat: %s", strerror(errno));
    if (strcmp(argv[5], "any") != 0 && stat.st_uid != number(argv[5])) die("OWNER %s belongs to uid %u", argv[3], stat.st_uid);
    /* A mount of its own from what was opened, without what may be mounted below. */
    int tree = (int)syscall(SYS_open_tree, source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0) die("SYSTEM open_tree: %s", strerror(errno));
    struct mount_attr change = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (argc == 7 && strcmp(argv[6], "ro") == 0 ? MOUNT_ATTR_RDONLY : 0),
        .propagation = 1 << 18, /* MS_PRIVATE */
    };
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &change, sizeof change) != 0) die("SYSTEM mount_setattr: %s", strerror(errno));
    if (syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) die("SYSTEM move_mount: %s", strerror(errno));
    say_what(source);
}

static void copy_folder(char **argv) {
    int source = open_source(argv[2], argv[3]);
    int target = look_up("/", argv[4][0] == '/' ? argv[4] + 1 : argv[4], RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    int tree = fcntl(source, F_DUPFD_CLOEXEC, 0);
    if (tree < 0) die("SYSTEM dup: %s", strerror(errno));
    copy_tree(tree, target, &(struct bounds){.uid = (uid_t)number(argv[5]), .gid = (gid_t)number(argv[6]), .bytes = number(argv[7]), .entries = number(argv[8])});
    say_what(source);
}

static void release(const char *target) {
    /* EINVAL: nothing is mounted there. */
    while (syscall(SYS_umount2, target, UMOUNT_DETACH | UMOUNT_NO_LINK) == 0) continue;
    if (errno != EINVAL && errno != ENOENT) die("SYSTEM unmount %s: %s", target, strerror(errno));
}

int main(int argc, char **argv) {
    if ((argc == 6 || argc == 7) && strcmp(argv[1], "bind") == 0) bind_folder(argc, argv);
    else if (argc == 9 && strcmp(argv[1], "copy") == 0) copy_folder(argv);
    else if (argc == 3 && strcmp(argv[1], "release") == 0) release(argv[2]);
    else die("SYSTEM started by hand; it is part of cofferdam");
    return 0;
}
