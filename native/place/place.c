/*
 * cofferdam-place: brings a folder of the host to a job's container without trusting its path. A path that is looked up twice
 * can lead to two places (the folder is swapped for a link in between), so it is looked up once, here, and everything else is
 * done with what was opened.
 *
 *   cofferdam-place bind ROOT PATH TARGET UID GID [ro]
 *       mounts PATH on TARGET, nosuid,nodev. Its owner is UID:GID inside, and what UID:GID makes inside is its owner's; what
 *       others make inside belongs to nobody of this host. Refuses a folder of root: a set-user-id file in it would be root's.
 *   cofferdam-place settle ROOT PATH DEVICE INODE ENTRIES
 *       afterwards: what the job made belongs to the folder's owner, without set-id bits
 *   cofferdam-place copy ROOT PATH TARGET UID GID BYTES ENTRIES
 *       copies PATH into the empty folder TARGET, for UID:GID, within bounds
 *   cofferdam-place deliver FROM ROOT PATH DEVICE INODE BYTES ENTRIES SECONDS NANOSECONDS
 *       takes over what was changed in the copy FROM into PATH, with the rights of its owner; the time is the copy's
 *   cofferdam-place attach FROM TARGET
 *       shows the folder FROM, which is ours and holds no link, on TARGET as well, nosuid,nodev
 *   cofferdam-place memory TARGET BYTES INODES
 *       mounts an empty file system in memory on TARGET, nosuid,nodev,noexec, for root to write (0755); its pages are never
 *       swapped out where the kernel can promise that (Linux 6.4), which the answer says
 *   cofferdam-place release TARGET
 *       unmounts; nothing mounted there is fine
 *
 * PATH is relative, looked up below ROOT, and may hold no link; "." is ROOT itself. src/jobs/container/workspace.ts is the only
 * caller. One line of JSON on standard output says what was opened. Exit 0, or 70 with the reason on standard error, whose
 * first word is LIMIT, PATH, OWNER or SYSTEM. Sources: openat2(2), open_tree(2), mount_setattr(2), move_mount(2), fsopen(2); Linux 5.12.
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
#include <unistd.h>

#define EXIT_FAILED 70
/* MS_PRIVATE of linux/mount.h's older sibling. */
#define PRIVATE (1 << 18)
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

static void look(int fd, struct stat *stat) {
    if (fstat(fd, stat) != 0) die("SYSTEM stat: %s", strerror(errno));
}

/* By the clock that file times come from, which stands still between ticks: what is changed from now on is not older than it. */
static struct timespec next_tick(void) {
    struct timespec first, now;
    clock_gettime(CLOCK_REALTIME_COARSE, &first);
    do {
        usleep(500);
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    } while (now.tv_sec == first.tv_sec && now.tv_nsec == first.tv_nsec);
    return now;
}

static void say_what(int fd, const struct timespec *since) {
    struct stat stat;
    look(fd, &stat);
    printf("{\"device\":%llu,\"inode\":%llu,\"uid\":%u,\"gid\":%u,\"seconds\":%lld,\"nanoseconds\":%ld}\n", (unsigned long long)stat.st_dev,
           (unsigned long long)stat.st_ino, stat.st_uid, stat.st_gid, (long long)since->tv_sec, since->tv_nsec);
    if (fflush(stdout) != 0) die("SYSTEM output: %s", strerror(errno));
}

static int open_target(const char *path) {
    return look_up("/", path[0] == '/' ? path + 1 : path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static void bind_folder(int argc, char **argv) {
    int source = open_source(argv[2], argv[3]);
    int target = open_target(argv[4]);
    struct stat stat;
    look(source, &stat);
    if (stat.st_uid == 0) die("OWNER %s belongs to root", argv[3]);
    /* A mount of its own from what was opened, without what may be mounted below. */
    int tree = (int)syscall(SYS_open_tree, source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0) die("SYSTEM open_tree: %s", strerror(errno));
    struct mount_attr change = {
        .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (argc == 8 && strcmp(argv[7], "ro") == 0 ? MOUNT_ATTR_RDONLY : 0),
        .propagation = PRIVATE,
        .userns_fd = (uint64_t)id_map(&stat, (uid_t)number(argv[5]), (gid_t)number(argv[6])),
    };
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &change, sizeof change) != 0) {
        if (errno == EINVAL) die("SYSTEM the file system of %s has no mapped mounts", argv[3]);
        die("SYSTEM mount_setattr: %s", strerror(errno));
    }
    if (syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) die("SYSTEM move_mount: %s", strerror(errno));
    say_what(source, &(struct timespec){0});
}

/* ROOT PATH DEVICE INODE */
static int open_same(char **argv, struct stat *stat) {
    int fd = open_source(argv[0], argv[1]);
    look(fd, stat);
    if ((uint64_t)stat->st_dev != number(argv[2]) || (uint64_t)stat->st_ino != number(argv[3])) die("PATH %s is another folder by now", argv[1]);
    return fd;
}

static void attach_folder(const char *from, const char *to) {
    int source = open_target(from), target = open_target(to);
    int tree = (int)syscall(SYS_open_tree, source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    struct mount_attr change = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, .propagation = PRIVATE};
    if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &change, sizeof change) != 0) die("SYSTEM clone of %s: %s", from, strerror(errno));
    if (syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) die("SYSTEM move_mount: %s", strerror(errno));
}

static void settle_folder(char **argv) {
    struct stat stat;
    int folder = open_same(argv + 2, &stat);
    settle_tree(folder, &stat, number(argv[6]));
}

static void deliver_folder(char **argv) {
    struct stat stat;
    int from = open_target(argv[2]), to = open_same(argv + 3, &stat);
    deliver_tree(from, to, &(struct bounds){.uid = stat.st_uid, .gid = stat.st_gid, .bytes = number(argv[7]), .entries = number(argv[8])},
                 &(struct timespec){.tv_sec = (time_t)number(argv[9]), .tv_nsec = (long)number(argv[10])});
}

static void copy_folder(char **argv) {
    int source = open_source(argv[2], argv[3]);
    int target = open_target(argv[4]);
    int tree = fcntl(source, F_DUPFD_CLOEXEC, 0);
    if (tree < 0) die("SYSTEM dup: %s", strerror(errno));
    struct timespec since = next_tick();
    copy_tree(tree, target, &(struct bounds){.uid = (uid_t)number(argv[5]), .gid = (gid_t)number(argv[6]), .bytes = number(argv[7]), .entries = number(argv[8])});
    say_what(source, &since);
}

static void mount_memory(const char *target, const char *bytes, const char *inodes) {
    int place = open_target(target);
    int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (context < 0) die("SYSTEM fsopen: %s", strerror(errno));
    const char *const settings[][2] = {{"source", "cofferdam"}, {"size", bytes}, {"nr_inodes", inodes}, {"mode", "0755"}};
    number(bytes);
    number(inodes);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, settings[i][0], settings[i][1], 0) != 0) die("SYSTEM %s of a tmpfs: %s", settings[i][0], strerror(errno));
    bool swapless = syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "noswap", NULL, 0) == 0;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) die("SYSTEM tmpfs: %s", strerror(errno));
    int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (mount < 0) die("SYSTEM fsmount: %s", strerror(errno));
    if (syscall(SYS_move_mount, mount, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) die("SYSTEM move_mount: %s", strerror(errno));
    printf("{\"noSwap\":%s}\n", swapless ? "true" : "false");
    if (fflush(stdout) != 0) die("SYSTEM output: %s", strerror(errno));
}

static void release(const char *target) {
    /* EINVAL: nothing is mounted there. */
    while (syscall(SYS_umount2, target, UMOUNT_DETACH | UMOUNT_NO_LINK) == 0) continue;
    if (errno != EINVAL && errno != ENOENT) die("SYSTEM unmount %s: %s", target, strerror(errno));
}

int main(int argc, char **argv) {
    if ((argc == 7 || argc == 8) && strcmp(argv[1], "bind") == 0) bind_folder(argc, argv);
    else if (argc == 7 && strcmp(argv[1], "settle") == 0) settle_folder(argv);
    else if (argc == 9 && strcmp(argv[1], "copy") == 0) copy_folder(argv);
    else if (argc == 11 && strcmp(argv[1], "deliver") == 0) deliver_folder(argv);
    else if (argc == 4 && strcmp(argv[1], "attach") == 0) attach_folder(argv[2], argv[3]);
    else if (argc == 5 && strcmp(argv[1], "memory") == 0) mount_memory(argv[2], argv[3], argv[4]);
    else if (argc == 3 && strcmp(argv[1], "release") == 0) release(argv[2]);
    else die("SYSTEM started by hand; it is part of cofferdam");
    return 0;
}
