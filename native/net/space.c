/* Into a network namespace and back, its settings, and nft in it. */
#define _GNU_SOURCE
#include "net.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What runs as root is never looked for in the caller's PATH. */
static const char *const NFT[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"};

static int home = -1;
static struct stat home_stat;

bool remember_home(void) {
    home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    return (home >= 0 && fstat(home, &home_stat) == 0) || fail("/proc/self/ns/net: %s", strerror(errno));
}

bool enter(int space) {
    return setns(space, CLONE_NEWNET) == 0 || fail("setns: %s", strerror(errno));
}

void go_home(void) {
    /* What comes next would be done in a job's network. */
    if (setns(home, CLONE_NEWNET) != 0) _exit(70);
}

bool is_home(int space) {
    struct stat stat;
    return fstat(space, &stat) != 0 || (stat.st_dev == home_stat.st_dev && stat.st_ino == home_stat.st_ino);
}

/* /proc/sys/net is that of the namespace that the thread is in. */
bool setting(const char *path, const char *value) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT || fail("%s: %s", path, strerror(errno));
    ssize_t written = write(fd, value, strlen(value));
    int failed = errno;
    close(fd);
    return written > 0 || fail("%s: %s", path, strerror(failed));
}

static void become_nft(int space, int rules, int errors) {
    if (setns(space, CLONE_NEWNET) != 0 || dup2(rules, STDIN_FILENO) < 0 || dup2(errors, STDOUT_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0) _exit(126);
    char *environment[] = {(char *)(uintptr_t)"LC_ALL=C", NULL};
    for (size_t i = 0; i < sizeof NFT / sizeof *NFT; i++) {
        char *arguments[] = {(char *)(uintptr_t)NFT[i], (char *)(uintptr_t)"-f", (char *)(uintptr_t)"-", NULL};
        execve(NFT[i], arguments, environment);
    }
    _exit(127);
}

bool run_nft(int space, const char *rules, size_t size) {
    int input = memfd_create("rules", MFD_CLOEXEC), output = memfd_create("errors", MFD_CLOEXEC), status = 0;
    bool ready = input >= 0 && output >= 0 && write(input, rules, size) == (ssize_t)size && lseek(input, 0, SEEK_SET) == 0;
    pid_t child = ready ? fork() : -1;
    if (child == 0) become_nft(space, input, output);
    bool ended = child > 0;
    while (ended && waitpid(child, &status, 0) < 0)
        if (errno != EINTR) ended = false;
    char text[300] = "";
    if (ended && output >= 0) {
        ssize_t length = pread(output, text, sizeof text - 1, 0);
        text[length > 0 ? length : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
    }
    if (input >= 0) close(input);
    if (output >= 0) close(output);
    if (!ended) return fail("nft: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return fail("nft is not installed");
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || fail("nft: %s", text);
}
