/*
 * cofferdam-shim: process 1 of a job's container. It waits at the gate until the host has proven the container, then starts
 * the workload, and stays as its init: hands signals on, reaps, and lets nothing outlive the workload.
 *
 *   shim SECONDS COMMAND [ARGUMENT...]
 *
 * src/jobs/container/gate.ts holds the other end, a socket in a folder that is mounted read-only at /.cofferdam. The host
 * accepts one connection and takes the socket away, so that nobody else can stand at the gate. Nothing has run in the
 * container before; no word within SECONDS, a closed connection or a wrong message end it with exit 125. When the host's end
 * closes later, whoever started the job is gone, and so is the job.
 *
 * To the host go lines of JSON: `{"hello":...}` with what the filter answered to calls that do nothing, `{"started":true}` or
 * `{"failed":ERRNO}`, and `{"ended":true,...}`. From the host comes one message: a length (32 bits, little-endian), then texts
 * that each end with NUL: the word "go" and variables NAME=VALUE that only the workload gets. After the last line a byte comes
 * back when the host has seen what it wanted to see.
 */
#define _GNU_SOURCE
#include "shim.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GATE "/.cofferdam/gate"
#define EXIT_GATE 125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127
#define MAX_MESSAGE (4U << 20)
#define MAX_SECONDS 86400
/* How long the host has for a last look, ms: with process 1 its cgroup goes, and what was counted there. */
#define LAST_LOOK 1000

extern char **environ;

struct shim {
    int gate;
    int signals;
    pid_t child;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "cofferdam: %s\n", text);
    _exit(EXIT_GATE);
}

/* The host may be gone, which is not this line's affair. */
void tell(int gate, const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text - 1) die("a line is too long");
    text[length] = '\n';
    for (ssize_t done = 0; done <= length;) {
        ssize_t sent = send(gate, text + done, (size_t)(length + 1 - done), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return;
        done += sent;
    }
}

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int reach_gate(void) {
    struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = GATE};
    int gate = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (gate < 0 || connect(gate, (struct sockaddr *)&place, sizeof place) != 0) die("nobody is at the gate (%s): this container was not started by cofferdam", strerror(errno));
    return gate;
}

/* All of `size` bytes before `deadline`. */
static void receive(int gate, void *into, size_t size, int64_t deadline) {
    for (size_t done = 0; done < size;) {
        int64_t left = deadline - now_ms();
        struct pollfd ready = {.fd = gate, .events = POLLIN};
        int count = left <= 0 ? 0 : poll(&ready, 1, (int)left);
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) die("no word to go on in time");
        ssize_t length = read(gate, (char *)into + done, size - done);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) die("refused: the gate closed");
        done += (size_t)length;
    }
}

static size_t count_texts(const char *message, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += message[i] == '\0';
    return count;
}

static bool same_name(const char *one, const char *other) {
    size_t length = strcspn(one, "=");
    return strncmp(one, other, length) == 0 && other[length] == '=';
}

/* Our own variables, less those that the message names, and the message's. */
static char **read_word(int gate, int64_t deadline) {
    unsigned char head[4];
    receive(gate, head, sizeof head, deadline);
    size_t size = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (size < 3 || size > MAX_MESSAGE) die("a word of %zu bytes", size);
    /* Kept for as long as the variables that point into it. */
    char *message = malloc(size);
    if (message == NULL) die("no memory");
    receive(gate, message, size, deadline);
    if (message[size - 1] != '\0' || strcmp(message, "go") != 0) die("not the word to go on");
    size_t own = 0;
    while (environ[own] != NULL) own++;
    char **all = calloc(own + count_texts(message, size) + 1, sizeof *all);
    if (all == NULL) die("no memory");
    size_t count = 0;
    for (const char *text = message + 3; text < message + size; text += strlen(text) + 1) {
        if (text[0] == '=' || strchr(text, '=') == NULL) die("a variable without a name");
        all[count++] = (char *)(uintptr_t)text;
    }
    size_t given = count;
    for (size_t i = 0; i < own; i++) {
        bool replaced = false;
        for (size_t j = 0; j < given && !replaced; j++) replaced = same_name(all[j], environ[i]);
        if (!replaced) all[count++] = environ[i];
    }
    return all;
}

/* In a group of its own, in front of the terminal if there is one. The pipe closes with its exec, or says why there is none. */
__attribute__((noreturn)) static void become(char **command, char **variables, int pipe) {
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    /* From the background this would stop us; the signal is still blocked. */
    if (isatty(STDIN_FILENO)) tcsetpgrp(STDIN_FILENO, getpgrp());
    sigprocmask(SIG_SETMASK, &none, NULL);
    environ = variables;
    execvp(command[0], command);
    int why = errno;
    if (write(pipe, &why, sizeof why) != sizeof why) _exit(EXIT_GATE);
    _exit(why == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void start(struct shim *self, char **command, char **variables) {
    int pipe[2], why = 0;
    if (pipe2(pipe, O_CLOEXEC) != 0) die("pipe: %s", strerror(errno));
    self->child = fork();
    if (self->child < 0) die("fork: %s", strerror(errno));
    if (self->child == 0) {
        close(pipe[0]);
        become(command, variables, pipe[1]);
    }
    close(pipe[1]);
    if (read(pipe[0], &why, sizeof why) == sizeof why) {
        dprintf(STDERR_FILENO, "cofferdam: %.200s: %s\n", command[0], strerror(why));
        tell(self->gate, "{\"failed\":%d}", why);
    } else {
        tell(self->gate, "{\"started\":true}");
    }
    close(pipe[0]);
}

/* True when the workload itself ended; what it left behind is reaped as it ends. */
static bool reap(const struct shim *self, int *status) {
    bool ended = false;
    int one;
    for (pid_t pid = waitpid(-1, &one, WNOHANG); pid > 0; pid = waitpid(-1, &one, WNOHANG)) {
        if (pid != self->child) continue;
        *status = one;
        ended = true;
    }
    return ended;
}

static int supervise(const struct shim *self) {
    int status = 0;
    for (;;) {
        struct pollfd ready[] = {{.fd = self->signals, .events = POLLIN}, {.fd = self->gate, .events = POLLIN}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR) die("poll: %s", strerror(errno));
        if (ready[1].revents != 0) {
            char word;
            if (read(self->gate, &word, 1) <= 0) {
                dprintf(STDERR_FILENO, "cofferdam: whoever started this job is gone\n");
                _exit(EXIT_GATE);
            }
        }
        struct signalfd_siginfo signal;
        while (read(self->signals, &signal, sizeof signal) == sizeof signal) {
            if (signal.ssi_signo == SIGCHLD) {
                if (reap(self, &status)) return status;
            } else {
                kill(self->child, (int)signal.ssi_signo);
            }
        }
    }
}

static int finish(const struct shim *self, int status) {
    unsigned leftovers = 0;
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) leftovers++;
    tell(self->gate, "{\"ended\":true,\"exit\":%d,\"signal\":%d,\"leftovers\":%u}", WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, leftovers);
    struct pollfd answer = {.fd = self->gate, .events = POLLIN};
    poll(&answer, 1, LAST_LOOK);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
    char *end = NULL;
    long seconds = argc > 2 ? strtol(argv[1], &end, 10) : 0;
    if (getpid() != 1 || end == NULL || *end != '\0' || seconds < 1 || seconds > MAX_SECONDS) die("started by hand; it is part of cofferdam");
    int64_t deadline = now_ms() + seconds * 1000;
    /* Nobody with our uid may look into process 1, its descriptors and its memory included. The workload's exec undoes it for itself. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) die("dumpable: %s", strerror(errno));
    if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0 && errno != ENOSYS) die("inherited descriptors: %s", strerror(errno));
    struct shim self = {.gate = reach_gate()};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    self.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self.signals < 0) die("signals: %s", strerror(errno));
    probe(self.gate);
    char **variables = read_word(self.gate, deadline);
    start(&self, argv + 2, variables);
    return finish(&self, supervise(&self));
}
