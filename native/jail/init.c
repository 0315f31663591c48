/*
 * Pid 1 of the jail. Its child confines itself, pid 1 proves from /proc that the layers are on, and only then the child
 * becomes COMMAND. Pid 1 has no capabilities and cannot be killed, traced or read from inside.
 */
#define _GNU_SOURCE
#include "jail.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PATHS 512
#define MAX_LIMITS 16
#define WATCH_MS 100
/* How long what was told to end may take before it is killed. */
#define GRACE_MS 2000

struct jail {
    char *filter;
    const char *folder;
    char *readable[MAX_PATHS];
    char *writable[MAX_PATHS];
    char *device[MAX_PATHS];
    char *hidden[MAX_PATHS];
    char *limit[MAX_LIMITS];
    size_t readables, writables, devices, hiddens, limits;
    /* Watched here where the kernel does not: bytes of all processes (0: the kernel does), and CPU time of all, ms (0: no limit). */
    uint64_t memory, cpu;
    /* To become, when bubblewrap ran as root; else 0. */
    uid_t uid;
    gid_t gid;
    char **command;
    char **environment;
    pid_t child;
    int listener, signals;
    const char *killed_by;
};

static void add(char **list, size_t *count, size_t max, char *value) {
    if (*count == max) die("too many options");
    list[(*count)++] = value;
}

static void parse(struct jail *self, int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "+f:C:r:w:v:h:l:m:t:u:g:")) != -1) {
        switch (option) {
        case 'f': self->filter = optarg; break;
        case 'C': self->folder = optarg; break;
        case 'r': add(self->readable, &self->readables, MAX_PATHS, optarg); break;
        case 'w': add(self->writable, &self->writables, MAX_PATHS, optarg); break;
        case 'v': add(self->device, &self->devices, MAX_PATHS, optarg); break;
        case 'h': add(self->hidden, &self->hiddens, MAX_PATHS, optarg); break;
        case 'l': add(self->limit, &self->limits, MAX_LIMITS, optarg); break;
        case 'u': self->uid = (uid_t)number(optarg, "uid"); break;
        case 'g': self->gid = (gid_t)number(optarg, "gid"); break;
        case 't': self->cpu = number(optarg, "cpu time"); break;
        case 'm': self->memory = number(optarg, "memory"); break;
        default: die("init: unknown option");
        }
    }
    if (optind >= argc || self->filter == NULL) die("init: needs a filter and a command");
    self->command = argv + optind;
}

static void hand_over(int socket, int fd) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte = 'L';
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
    memset(&control, 0, sizeof control);
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(first), &fd, sizeof fd);
    if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) die("listener: %s", strerror(errno));
}

static int take_over(int socket) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte = 0;
    int fd = -1;
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || byte != 'L') return -1;
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first == NULL || first->cmsg_type != SCM_RIGHTS) return -1;
    memcpy(&fd, CMSG_DATA(first), sizeof fd);
    return fd;
}

__attribute__((noreturn)) static void become_command(const struct jail *self, int pair) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    drop_capabilities();
    for (size_t i = 0; i < self->limits; i++) set_limit(self->limit[i]);
    const struct landlock_rules rules = {self->readable, self->readables, self->writable, self->writables, self->device, self->devices};
    char abi = (char)('0' + restrict_files(&rules));
    int listener = install_filter(self->filter);
    hand_over(pair, listener);
    close(listener);
    /* The word to go comes after pid 1 has seen in /proc that all of it holds. */
    char go = 0;
    if (write(pair, &abi, 1) != 1 || read(pair, &go, 1) != 1 || go != 'G') _exit(EXIT_SETUP);
    execvpe(self->command[0], self->command, self->environment);
    int why = errno;
    dprintf(STDERR_FILENO, "cofferdam: %s: %s\n", self->command[0], strerror(why));
    _exit(why == ENOENT ? 127 : 126);
}

/* The line of /proc/PID/status that starts with `name`, as a hexadecimal or decimal number. */
static uint64_t status_value(pid_t pid, const char *name, int base) {
    char path[64], line[256];
    uint64_t value = UINT64_MAX;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "re");
    if (status == NULL) return value;
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, name, strlen(name)) == 0) value = strtoull(line + strlen(name), NULL, base);
    fclose(status);
    return value;
}

static void prove(const struct jail *self, char abi) {
    uint64_t seccomp = status_value(self->child, "Seccomp:", 10), privileges = status_value(self->child, "NoNewPrivs:", 10);
    uint64_t effective = status_value(self->child, "CapEff:", 16), permitted = status_value(self->child, "CapPrm:", 16);
    if (seccomp != 2 || privileges != 1 || effective != 0 || permitted != 0) die("the layers are not on: seccomp %llu, no_new_privs %llu, capabilities %llx",
        (unsigned long long)seccomp, (unsigned long long)privileges, (unsigned long long)(effective | permitted));
    say("{\"ready\":true,\"landlock\":%d}", abi - '0');
}

static void start_child(struct jail *self) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) die("pair: %s", strerror(errno));
    self->child = fork();
    if (self->child < 0) die("fork: %s", strerror(errno));
    if (self->child == 0) {
        close(CHANNEL);
        close(NAMES);
        close(pair[0]);
        become_command(self, pair[1]);
    }
    close(pair[1]);
    drop_capabilities();
    char abi = 0;
    self->listener = take_over(pair[0]);
    /* The child said on standard error why it gave up. */
    if (self->listener < 0 || read(pair[0], &abi, 1) != 1) _exit(EXIT_SETUP);
    prove(self, abi);
    if (write(pair[0], "G", 1) != 1) die("the child is gone");
    close(pair[0]);
}

static void kill_all(struct jail *self, const char *why) {
    if (self->killed_by == NULL) self->killed_by = why;
    kill(-1, SIGKILL);
}

/* Reaps what ended. True when COMMAND itself did; its status is in `status`. */
static bool reap(const struct jail *self, int *status) {
    bool ended = false;
    int one;
    for (pid_t pid = waitpid(-1, &one, WNOHANG); pid > 0; pid = waitpid(-1, &one, WNOHANG)) {
        if (pid != self->child) continue;
        *status = one;
        ended = true;
    }
    return ended;
}

/* Waits for COMMAND and serves the watchers meanwhile. The channel's end means that the caller is gone: so is the jail. */
static int supervise(struct jail *self) {
    const struct observer observer = {self->listener, self->hidden, self->hiddens};
    int status = 0, grace = -1;
    for (;;) {
        struct pollfd ready[] = {
            {.fd = self->signals, .events = POLLIN}, {.fd = self->listener, .events = POLLIN}, {.fd = CHANNEL, .events = POLLIN}, {.fd = NAMES, .events = POLLIN}};
        int timeout = self->memory > 0 || self->cpu > 0 || grace >= 0 ? WATCH_MS : -1;
        int count = poll(ready, 4, timeout);
        if (count < 0 && errno != EINTR) die("poll: %s", strerror(errno));
        if ((ready[1].revents & POLLIN) != 0) observe(&observer);
        /* All users of the filter are gone; poll would say so for ever. */
        else if ((ready[1].revents & (POLLHUP | POLLERR)) != 0) self->listener = -1;
        if ((ready[3].revents & POLLIN) != 0) answer_name();
        if (ready[2].revents != 0) {
            char words[256];
            ssize_t length = read(CHANNEL, words, sizeof words);
            if (length <= 0) _exit(EXIT_SETUP);
            /* Two words: end, and what does not is killed after a while; or at once. */
            if (memmem(words, (size_t)length, "\"kill\"", 6) != NULL) kill_all(self, "term");
            else if (memmem(words, (size_t)length, "\"end\"", 5) != NULL && grace < 0) {
                kill(-1, SIGTERM);
                grace = GRACE_MS;
            }
        }
        if ((ready[0].revents & POLLIN) != 0) {
            struct signalfd_siginfo signal;
            while (read(self->signals, &signal, sizeof signal) == sizeof signal) continue;
            if (reap(self, &status)) return status;
        }
        if (grace >= 0 && count == 0 && (grace -= WATCH_MS) < 0) kill_all(self, "term");
        if (self->memory > 0 && memory_in_use() > self->memory) kill_all(self, "memory");
        if (self->cpu > 0 && cpu_used() > self->cpu) kill_all(self, "cpu");
    }
}

/* Kills and reaps what COMMAND left behind, then reports. The caller looks at the outputs while nothing runs. */
static int finish(struct jail *self, int status) {
    unsigned leftovers = 0;
    int one;
    kill(-1, SIGKILL);
    while (waitpid(-1, &one, 0) > 0) leftovers++;
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    char killed[32];
    snprintf(killed, sizeof killed, self->killed_by == NULL ? "null" : "\"%s\"", self->killed_by);
    say("{\"ended\":true,\"exit\":%d,\"signal\":%d,\"cpuMs\":%llu,\"maxRss\":%ld,\"leftovers\":%u,\"killedBy\":%s}", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        WIFSIGNALED(status) ? WTERMSIG(status) : 0, (unsigned long long)cpu_used(), used.ru_maxrss * 1024L, leftovers, killed);
    char word;
    struct pollfd channel = {.fd = CHANNEL, .events = POLLIN};
    while (poll(&channel, 1, -1) >= 0 && (read(CHANNEL, &word, 1) > 0)) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int init(int argc, char **argv, char **envp) {
    static struct jail self;
    self = (struct jail){.environment = envp, .listener = -1};
    parse(&self, argc, argv);
    if (getpid() != 1) die("init: not pid 1");
    if (self.uid != 0) become(self.uid, self.gid);
    if (geteuid() == 0) die("init: still root");
    if (chdir(self.folder == NULL ? "/" : self.folder) != 0) die("%s: %s", self.folder, strerror(errno));
    /* Nobody with our uid may look into pid 1, its descriptors included. COMMAND gets this back with its exec. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) die("dumpable: %s", strerror(errno));
    if (fcntl(CHANNEL, F_SETFD, FD_CLOEXEC) != 0 || fcntl(NAMES, F_SETFD, FD_CLOEXEC) != 0) die("no channel or no network");
    close(OPTIONS);
    close_from(NAMES + 1);
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    self.signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self.signals < 0) die("signals: %s", strerror(errno));
    start_child(&self);
    return finish(&self, supervise(&self));
}
