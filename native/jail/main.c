#define _GNU_SOURCE
#include "jail.h"
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char said[16384];

/* The jail must not go on without its watcher. */
static void nobody_listens(void) { _exit(EXIT_SETUP); }

static void leave_out(void) {}

const struct channel to_node = {.line = said, .size = sizeof said, .lost = nobody_listens, .too_long = leave_out};

void die(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "cofferdam-jail: %s\n", text);
    _exit(EXIT_SETUP);
}

uint64_t number(const char *text, const char *what) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-') die("%s is not a number: %.40s", what, text);
    return value;
}

/* A descriptor that the caller forgot is a door into whatever it was opened on. */
void close_from(int first) {
    if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
    DIR *open_now = opendir("/proc/self/fd");
    if (open_now == NULL) die("inherited descriptors cannot be closed: %s", strerror(errno));
    for (struct dirent *entry = readdir(open_now); entry != NULL; entry = readdir(open_now)) {
        int fd = atoi(entry->d_name);
        if (fd >= first && fd != dirfd(open_now)) close(fd);
    }
    closedir(open_now);
}

void become(uid_t uid, gid_t gid) {
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) die("uid %u: %s", uid, strerror(errno));
    if (setresuid(0, 0, 0) == 0) die("root came back");
}

int main(int argc, char **argv, char **envp) {
    if (argc > 1 && strcmp(argv[1], "enter") == 0) return enter(argc - 1, argv + 1, envp);
    if (argc > 1 && strcmp(argv[1], "init") == 0) return init(argc - 1, argv + 1, envp);
    die("started by hand; it is part of cofferdam");
}
