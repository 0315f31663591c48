/*
 * What the sensor's filter lets through, asked of the kernel: native/sensor/filter.c is built into this.
 *
 *   calls through ROLE FROM TO INDEX VALUE...   each call FROM..TO, with each VALUE as its argument INDEX, that did not end its process
 *   calls inject PID                            the next call of PID becomes one that does nothing and is not on the list; how PID ended
 */
#define _GNU_SOURCE
#include "../../../native/sensor/sensor.h"
#include <elf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

void die(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vdprintf(STDERR_FILENO, format, arguments);
    va_end(arguments);
    _exit(code);
}

static const struct {
    long number;
    const char *name;
} NAMES[] = {
#define NAME(call) {SYS_##call, #call}
#ifdef SYS_poll
    NAME(poll),
#endif
#ifdef SYS_epoll_wait
    NAME(epoll_wait),
#endif
#ifdef SYS_readlink
    NAME(readlink),
#endif
    NAME(bind), NAME(bpf), NAME(brk), NAME(clock_gettime), NAME(clock_nanosleep), NAME(close), NAME(epoll_ctl), NAME(epoll_pwait), NAME(exit_group),
    NAME(fchdir), NAME(fstat), NAME(getdents64), NAME(newfstatat), NAME(openat), NAME(ppoll), NAME(read), NAME(readlinkat), NAME(recvfrom), NAME(recvmsg), NAME(restart_syscall), NAME(sendmsg),
    NAME(sendto), NAME(setns), NAME(setsockopt), NAME(socket), NAME(write),
};

static const struct {
    enum role role;
    const char *name;
} ROLES[] = {{ROLE_EBPF, "ebpf"}, {ROLE_CONNECTOR, "connector"}, {ROLE_OPENER, "opener"}, {ROLE_AUDIT, "audit"}, {ROLE_KEEPER, "keeper"}, {ROLE_NAMES, "names"}};

static void say(long number, unsigned long value) {
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (NAMES[i].number != number) continue;
        printf("%s %lu\n", NAMES[i].name, value);
        return;
    }
    printf("%ld %lu\n", number, value);
}

static long number_of(const char *text) {
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(NAMES[i].name, text) == 0) return NAMES[i].number;
    return strtol(text, NULL, 0);
}

/* As nobody and not for long, whatever the call is. */
static int ending_of(enum role role, long number, const unsigned long *arguments) {
    pid_t child = fork();
    if (child == 0) {
        alarm(1);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0) _exit(1);
        restrict_calls(role);
        syscall(number, arguments[0], arguments[1], arguments[2], 0, 0, 0);
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) die(1, "no child\n");
    return status;
}

static enum role role_of(const char *name) {
    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++)
        if (strcmp(ROLES[i].name, name) == 0) return ROLES[i].role;
    die(2, "no part %s\n", name);
}

static int through(char **words) {
    enum role role = role_of(words[0]);
    unsigned long arguments[3] = {0}, *tried = &arguments[strtoul(words[3], NULL, 10) % 3];
    for (long number = number_of(words[1]); number <= number_of(words[2]); number++)
        for (char **value = words + 4; *value != NULL; value++) {
            fflush(stdout);
            *tried = strtoul(*value, NULL, 0);
            int status = ending_of(role, number, arguments);
            if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) say(number, *tried);
        }
    return 0;
}

static void wait_for(pid_t pid, int *status) {
    if (waitpid(pid, status, __WALL) != pid) die(1, "it cannot be waited for\n");
}

static void set_number(pid_t pid, int number) {
#if defined(__x86_64__)
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0) die(1, "no registers\n");
    registers.orig_rax = (unsigned long)number;
    if (ptrace(PTRACE_SETREGS, pid, NULL, &registers) != 0) die(1, "no registers\n");
#else
    struct iovec one = {.iov_base = &number, .iov_len = sizeof number};
    if (ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &one) != 0) die(1, "no registers\n");
#endif
}

/* The filter is asked after the tracer. */
static int inject(pid_t pid) {
    int status;
    struct __ptrace_syscall_info info = {0};
    alarm(30);
    if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) != 0 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0) die(1, "it cannot be traced\n");
    do {
        wait_for(pid, &status);
        if (!WIFSTOPPED(status)) die(1, "it ended\n");
        if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) die(1, "the kernel does not tell where it is\n");
    } while (info.op != PTRACE_SYSCALL_INFO_ENTRY && ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
    set_number(pid, SYS_getppid);
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    wait_for(pid, &status);
    puts(WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "it lives");
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 6 && strcmp(argv[1], "through") == 0) return through(argv + 2);
    if (argc == 3 && strcmp(argv[1], "inject") == 0) return inject((pid_t)strtol(argv[2], NULL, 10));
    return 2;
}
