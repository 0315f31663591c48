/*
 * Looks at the calls that the filter hands over. What is never allowed is refused here (and the filter refuses it too when
 * nobody answers); opens and connects go on to the kernel, whose own rules decide. Looking is for the record only: memory
 * that was read here may change before the kernel reads it, so nothing is ever allowed because of what was seen.
 */
#define _GNU_SOURCE
#include "jail.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_RECORDS 1000
#define SEEN 4096
#define ANCESTORS 4

/* The process that last talked to the name server, for names that arrive in packets without a sender. */
static pid_t asker;
static unsigned records;
static uint64_t seen[SEEN];

static uint64_t hash_of(const char *text) {
    uint64_t hash = 1469598103934665603ULL;
    for (; *text != '\0'; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
    return hash == 0 ? 1 : hash;
}

/* True once for each text; a flood of different ones is cut off and counted. */
static bool is_new(const char *text) {
    uint64_t hash = hash_of(text);
    for (size_t i = 0; i < SEEN; i++) {
        uint64_t *slot = &seen[(hash + i) % SEEN];
        if (*slot == hash) return false;
        if (*slot != 0) continue;
        *slot = hash;
        if (++records == MAX_RECORDS) say("{\"overflow\":true}");
        return records < MAX_RECORDS;
    }
    return false;
}

/* The program that a process runs, by its file: the name that a process gives itself is its own to choose. */
static bool status_of(pid_t pid, char *name, size_t size, pid_t *parent) {
    char path[64], text[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return false;
    text[length] = '\0';
    char *mark = strrchr(text, ')');
    if (mark == NULL) return false;
    *parent = atoi(mark + 4);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    length = readlink(path, text, sizeof text - 1);
    if (length <= 0) return false;
    text[length] = '\0';
    snprintf(name, size, "%s", strrchr(text, '/') + 1);
    return true;
}

/* `sh > node`: the process and who started it, without us. */
static const char *lineage(pid_t pid, char *into, size_t size) {
    char names[ANCESTORS][32];
    size_t count = 0;
    for (pid_t at = pid, parent; count < ANCESTORS && at > 1 && status_of(at, names[count], sizeof *names, &parent); at = parent) count++;
    into[0] = '\0';
    while (count > 0) {
        count--;
        size_t length = strlen(into);
        snprintf(into + length, size - length, "%s%s", length == 0 ? "" : " > ", names[count]);
    }
    return into;
}

static void record(pid_t pid, const char *kind, const char *value, const char *why) {
    char key[PATH_MAX + 64], value_text[PATH_MAX * 2], by[160], by_text[320];
    snprintf(key, sizeof key, "%s %s %s", kind, why, value);
    if (!is_new(key)) return;
    say("{\"refused\":\"%s\",\"what\":\"%s\",\"why\":\"%s\",\"by\":\"%s\"}", kind, quoted(value, value_text, sizeof value_text), why,
        quoted(lineage(pid, by, sizeof by), by_text, sizeof by_text));
}

void name_was_asked(const char *name) { record(asker, "name", name, "no-network"); }

/* Who connects to the proxy, in the order of the connections: the proxy knows the name that is asked for, and not by whom. */
static void knocks(pid_t pid) {
    static unsigned count;
    char by[160], by_text[320];
    if (++count > MAX_RECORDS) return;
    say("{\"knocked\":true,\"by\":\"%s\"}", quoted(lineage(pid, by, sizeof by), by_text, sizeof by_text));
}

/* A string of another process, up to a NUL; reads never cross into a page that may not be there. */
static bool read_text(pid_t pid, uint64_t address, char *into, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t piece = 4096 - (address + at) % 4096;
        if (piece > size - at) piece = size - at;
        struct iovec local = {.iov_base = into + at, .iov_len = piece}, remote = {.iov_base = (void *)(uintptr_t)(address + at), .iov_len = piece};
        if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)piece) return false;
        if (memchr(into + at, '\0', piece) != NULL) return true;
        at += piece;
    }
    return false;
}

/* Joins and cleans a path as text; links in it are left as they are. */
static bool absolute(pid_t pid, int folder, const char *path, char *into) {
    char joined[PATH_MAX * 2], link[64];
    size_t out = 0;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", pid);
        else snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, folder);
        ssize_t length = readlink(link, joined, PATH_MAX - 1);
        if (length <= 0 || joined[0] != '/') return false;
        joined[length] = '/';
        snprintf(joined + length + 1, sizeof joined - (size_t)length - 1, "%s", path);
    } else {
        snprintf(joined, sizeof joined, "%s", path);
    }
    for (char *at = joined; *at != '\0';) {
        while (*at == '/') at++;
        char *end = strchrnul(at, '/');
        size_t length = (size_t)(end - at);
        if (length == 2 && at[0] == '.' && at[1] == '.') {
            while (out > 0 && into[--out] != '/') continue;
        } else if (length > 0 && !(length == 1 && at[0] == '.')) {
            if (out + length + 2 > PATH_MAX) return false;
            into[out++] = '/';
            memcpy(into + out, at, length);
            out += length;
        }
        at = end;
    }
    if (out == 0) into[out++] = '/';
    into[out] = '\0';
    return true;
}

static bool is_below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool may(const char *path, int mode) { return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0; }

enum intent {
    READS,
    WRITES,
    /* The folder decides, and a link at the end is not followed. */
    MAKES,
    REMOVES,
};

static bool is_hidden(const struct observer *self, const char *path) {
    for (size_t i = 0; i < self->hiddens; i++)
        if (is_below(path, self->hidden[i])) return true;
    return false;
}

/* Whether the folder that `path` lies in may be changed; errno says why not. */
static bool may_change_folder(char *path) {
    char *name = strrchr(path, '/') + 1, first = *name;
    *name = '\0';
    bool can = may(path, W_OK);
    int why = errno;
    *name = first;
    errno = why;
    return can;
}

static void look_at_path(const struct observer *self, pid_t pid, int folder, uint64_t address, enum intent intent) {
    char path[PATH_MAX], full[PATH_MAX];
    if (!read_text(pid, address, path, sizeof path) || path[0] == '\0' || !absolute(pid, folder, path, full)) return;
    if (is_below(full, "/proc") || is_below(full, "/dev")) return;
    if (intent == READS && is_below(full, "/usr")) return;
    const char *kind = intent == READS ? "read" : "write";
    struct stat there;
    bool exists = (intent == MAKES || intent == REMOVES) && lstat(full, &there) == 0;
    /* `rm -f` of what is not there, `mkdir -p` of a folder that is: the kernel says so, and nothing was refused. */
    if ((intent == REMOVES && !exists) || (intent == MAKES && exists && S_ISDIR(there.st_mode))) return;
    if ((intent == READS || intent == WRITES) && may(full, intent == WRITES ? W_OK : R_OK)) return;
    /* A file that is not there is made, or not, in its folder. */
    if ((intent == MAKES || intent == REMOVES || (intent == WRITES && errno == ENOENT)) && may_change_folder(full)) return;
    if (errno == EACCES || errno == EPERM) record(pid, kind, full, "denied");
    else if (errno == EROFS) record(pid, kind, full, "read-only");
    else if (errno == ENOENT && is_hidden(self, full)) record(pid, kind, full, "hidden");
}

/* Answers 0 to let the kernel go on, or the errno to fail with. */
static int look_at_address(pid_t pid, uint64_t address, uint64_t size) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        unsigned char bytes[sizeof(struct sockaddr_storage)];
    } target;
    if (size < sizeof(sa_family_t) || size > sizeof target) return 0;
    struct iovec local = {.iov_base = &target, .iov_len = size}, remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
    memset(&target, 0, sizeof target);
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)size) return 0;
    char text[INET6_ADDRSTRLEN], shown[INET6_ADDRSTRLEN + 16];
    if (target.any.sa_family == AF_INET && size >= sizeof target.v4) {
        unsigned port = ntohs(target.v4.sin_port);
        if (port == NAME_PORT) asker = pid;
        if (port == DOOR_PORT) knocks(pid);
        if ((ntohl(target.v4.sin_addr.s_addr) >> 24) == 127 || target.v4.sin_addr.s_addr == 0) return 0;
        snprintf(shown, sizeof shown, "%s:%u", inet_ntop(AF_INET, &target.v4.sin_addr, text, sizeof text), port);
    } else if (target.any.sa_family == AF_INET6 && size >= sizeof target.v6) {
        if (IN6_IS_ADDR_LOOPBACK(&target.v6.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&target.v6.sin6_addr)) return 0;
        snprintf(shown, sizeof shown, "[%s]:%u", inet_ntop(AF_INET6, &target.v6.sin6_addr, text, sizeof text), ntohs(target.v6.sin6_port));
    } else {
        return 0;
    }
    record(pid, "connect", shown, "no-network");
    return ENETUNREACH;
}

static enum intent intent_of(uint64_t flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0 ? WRITES : READS; }

/* What a call asks for. Returns -1 for "go on", else the errno it fails with. */
static int decide(const struct observer *self, const struct seccomp_notif *call) {
    pid_t pid = (pid_t)call->pid;
    const __u64 *argument = call->data.args;
    int nr = call->data.nr;
    switch (nr) {
#ifdef SYS_open
    case SYS_open: look_at_path(self, pid, AT_FDCWD, argument[0], intent_of(argument[1])); return -1;
    case SYS_mkdir: look_at_path(self, pid, AT_FDCWD, argument[0], MAKES); return -1;
    case SYS_unlink:
    case SYS_rmdir: look_at_path(self, pid, AT_FDCWD, argument[0], REMOVES); return -1;
    case SYS_creat:
    case SYS_truncate: look_at_path(self, pid, AT_FDCWD, argument[0], WRITES); return -1;
    case SYS_rename:
    case SYS_link:
        look_at_path(self, pid, AT_FDCWD, argument[0], nr == SYS_rename ? REMOVES : READS);
        look_at_path(self, pid, AT_FDCWD, argument[1], MAKES);
        return -1;
    case SYS_symlink: look_at_path(self, pid, AT_FDCWD, argument[1], MAKES); return -1;
#else
    case SYS_truncate: look_at_path(self, pid, AT_FDCWD, argument[0], WRITES); return -1;
#endif
    case SYS_openat: look_at_path(self, pid, (int)argument[0], argument[1], intent_of(argument[2])); return -1;
    case SYS_openat2: {
        uint64_t flags = 0;
        struct iovec local = {.iov_base = &flags, .iov_len = sizeof flags}, remote = {.iov_base = (void *)(uintptr_t)argument[2], .iov_len = sizeof flags};
        if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == sizeof flags) look_at_path(self, pid, (int)argument[0], argument[1], intent_of(flags));
        return -1;
    }
    case SYS_mkdirat: look_at_path(self, pid, (int)argument[0], argument[1], MAKES); return -1;
    case SYS_unlinkat: look_at_path(self, pid, (int)argument[0], argument[1], REMOVES); return -1;
    case SYS_renameat2:
    case SYS_linkat:
        look_at_path(self, pid, (int)argument[0], argument[1], nr == SYS_renameat2 ? REMOVES : READS);
        look_at_path(self, pid, (int)argument[2], argument[3], MAKES);
        return -1;
    case SYS_symlinkat: look_at_path(self, pid, (int)argument[1], argument[2], MAKES); return -1;
    case SYS_connect: {
        int failure = look_at_address(pid, argument[1], argument[2]);
        return failure == 0 ? -1 : failure;
    }
    case SYS_sendto: {
        int failure = argument[4] == 0 ? 0 : look_at_address(pid, argument[4], argument[5]);
        return failure == 0 ? -1 : failure;
    }
    default: {
        char name[24];
        snprintf(name, sizeof name, "%d", nr);
        record(pid, "call", name, "never");
        return EPERM;
    }
    }
}

void observe(const struct observer *self) {
    /* Room for a kernel whose structures grew. */
    union {
        struct seccomp_notif call;
        unsigned char room[512];
    } request;
    union {
        struct seccomp_notif_resp answer;
        unsigned char room[512];
    } response;
    memset(&request, 0, sizeof request);
    if (ioctl(self->listener, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) return;
    int verdict = decide(self, &request.call);
    memset(&response, 0, sizeof response);
    response.answer.id = request.call.id;
    if (verdict < 0) response.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else response.answer.error = -verdict;
    /* Fails when the caller was killed meanwhile; then nobody waits. */
    ioctl(self->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}
