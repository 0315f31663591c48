/*
 * Who is who in a mapped mount. One id of the container is the owner of the folder; every other one is an id that nobody of
 * this host has, so that a file that the container makes, set-user-id or not, is never somebody else's.
 * Source: mount_setattr(2), "ID-mapped mounts": a line of the map is the id on the disk, the id in the mount, and a count.
 */
#define _GNU_SOURCE
#include "place.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_map(pid_t child, const char *name, uint32_t disk, uint32_t inside) {
    char path[64], map[256];
    snprintf(path, sizeof path, "/proc/%d/%s", child, name);
    int length = snprintf(map, sizeof map, "%u %u 1\n", disk, inside);
    if (inside >= IDS) {
        length += snprintf(map + length, sizeof map - (size_t)length, "%u 0 %u\n", NOBODYS, IDS);
    } else {
        if (inside > 0) length += snprintf(map + length, sizeof map - (size_t)length, "%u 0 %u\n", NOBODYS, inside);
        if (inside < IDS - 1) length += snprintf(map + length, sizeof map - (size_t)length, "%u %u %u\n", NOBODYS + inside + 1, inside + 1, IDS - 1 - inside);
    }
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, map, (size_t)length) != length) die("SYSTEM %s: %s", path, strerror(errno));
    close(fd);
}

/* It lives only as long as the namespace is being named. */
int id_map(const struct stat *folder, uid_t uid, gid_t gid) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) die("SYSTEM pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0) die("SYSTEM fork: %s", strerror(errno));
    if (child == 0) {
        char failure = unshare(CLONE_NEWUSER) == 0 ? 0 : (char)errno;
        if (write(ready[1], &failure, 1) == 1 && failure == 0) pause();
        _exit(0);
    }
    char failure = 0;
    if (read(ready[0], &failure, 1) != 1 || failure != 0) die("SYSTEM user namespace: %s", strerror(failure));
    write_map(child, "uid_map", folder->st_uid, uid);
    write_map(child, "gid_map", folder->st_gid, gid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", child);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) die("SYSTEM %s: %s", path, strerror(errno));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    return fd;
}
