/*
 * Orders on standard input, one a line, numbers in decimal:
 *
 *   watch WATCH JOB PIDNS MNTNS RATE FLAGS PID    a job's namespaces; JOB is its place in the table, WATCH a number never used
 *                                             before, PID a process in them
 *   unwatch JOB                               answered when everything of it is out
 *   sync                                      answered when everything that happened before is out
 *   name FLAGS TEXT                           one more name whose reading is told
 *
 * Each is answered by a record. A line that is none of them ends the sensor: its reader is not the one that it was built with.
 */
#define _GNU_SOURCE
#include "sensor.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char line[512];
static size_t length;

static bool parse(struct order *order) {
    int end = 0;
    memset(order, 0, sizeof *order);
    if (sscanf(line, "watch %u %u %u %u %u %u %u%n", &order->watch, &order->job, &order->pidns, &order->mntns, &order->rate, &order->flags, &order->pid, &end) == 7) {
        order->verb = ORDER_WATCH;
        return line[end] == '\0' && order->watch != 0 && order->job < MAX_JOBS;
    }
    if (sscanf(line, "unwatch %u%n", &order->job, &end) == 1) {
        order->verb = ORDER_UNWATCH;
        return line[end] == '\0' && order->job < MAX_JOBS;
    }
    if (strcmp(line, "sync") == 0) {
        order->verb = ORDER_SYNC;
        return true;
    }
    if (sscanf(line, "name %u %47s%n", &order->flags, order->name, &end) == 2) {
        order->verb = ORDER_NAME;
        return line[end] == '\0';
    }
    return false;
}

void control_read(int (*obey)(const struct order *)) {
    char bytes[4096];
    ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) _exit(0);
    for (ssize_t i = 0; i < count; i++) {
        if (bytes[i] != '\n') {
            if (length + 1 >= sizeof line) die(EXIT_USAGE, "an order of more than %zu bytes", sizeof line - 1);
            line[length++] = bytes[i];
            continue;
        }
        line[length] = '\0';
        length = 0;
        struct order order;
        if (!parse(&order)) die(EXIT_USAGE, "not an order: %.100s", line);
        out_answer(order.watch, obey(&order));
    }
    out_flush();
}
