/*
 * cofferdam-sensor: tells what the processes of watched jobs do, as records on its standard output (record.h), and takes orders
 * on its standard input (control.c). It is a child of the monitor, needs root to start, keeps no right that it does not need,
 * and ends with its parent.
 *
 *   sensor ebpf        everything, from a program in the kernel
 *   sensor audit       most of it, from the kernel's audit
 *   sensor connector   exec, fork and exit alone, from the kernel's process connector
 *   sensor audit-names SENSOR PID WATCH    rules for the sensitive files of one container (audit-names.c)
 *   sensor calls       the calls that it looks at, one a line
 */
#define _GNU_SOURCE
#include "sensor.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void die(int code, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    size_t size = strlen(text);
    text[size++] = '\n';
    /* Not by a stream, which asks the kernel for more than the filter allows. */
    _exit(write(STDERR_FILENO, text, size) < 0 ? EXIT_FAILED : code);
}

uint64_t boot_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static int list_calls(void) {
#define CALL(name, class) puts(#name);
    CALLS(CALL)
#undef CALL
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "calls") == 0) return list_calls();
    if (argc == 5 && strcmp(argv[1], "audit-names") == 0) return run_audit_names((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    const char *source = argc == 2 ? argv[1] : "";
    int (*run)(void) = strcmp(source, "ebpf") == 0        ? run_ebpf
                       : strcmp(source, "audit") == 0     ? run_audit
                       : strcmp(source, "connector") == 0 ? run_connector
                                                          : NULL;
    if (run == NULL) die(EXIT_USAGE, "started by hand; it is part of cofferdam");
    if (geteuid() != 0) die(EXIT_REFUSED, "only root may look");
    signal(SIGPIPE, SIG_IGN);
    return run();
}
