/* Records on standard output, gathered so that a write carries many. */
#define _GNU_SOURCE
#include "sensor.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GATHERED (256U << 10)

static unsigned char gathered[GATHERED];
static size_t waiting;
static unsigned char own[MAX_RECORD];
static size_t own_size;

void out_flush(void) {
    for (size_t done = 0; done < waiting;) {
        ssize_t count = write(STDOUT_FILENO, gathered + done, waiting - done);
        if (count > 0) {
            done += (size_t)count;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            _exit(0);
        }
    }
    waiting = 0;
}

void out_bytes(const void *bytes, size_t size) {
    if (size > GATHERED - waiting) out_flush();
    memcpy(gathered + waiting, bytes, size);
    waiting += size;
}

struct record *out_begin(uint16_t kind) {
    struct record *head = (struct record *)own;
    memset(head, 0, sizeof *head);
    head->kind = kind;
    head->time = boot_ns();
    own_size = sizeof *head;
    return head;
}

void out_part(uint16_t type, const void *content, size_t size) {
    size_t space = (size + 7) & ~(size_t)7;
    if (own_size + sizeof(struct part) + space > sizeof own) return;
    struct part part = {.type = type, .length = (uint16_t)size};
    memcpy(own + own_size, &part, sizeof part);
    memset(own + own_size + sizeof part, 0, space);
    memcpy(own + own_size + sizeof part, content, size);
    own_size += sizeof part + space;
}

void out_end(void) {
    ((struct record *)own)->size = (uint32_t)own_size;
    out_bytes(own, own_size);
}

void out_answer(uint32_t watch, int error) {
    struct record *head = out_begin(KIND_ANSWER);
    head->watch = watch;
    head->result = -error;
    out_end();
}

/* Both clocks at once, from which the reader knows the time of day of every record. */
static struct record *begin_with_clocks(uint16_t kind) {
    struct record *head = out_begin(kind);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    head->args[1] = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
    return head;
}

void out_pulse(uint64_t overruns) {
    begin_with_clocks(KIND_PULSE)->args[0] = overruns;
    out_end();
}

void out_hello(const char *source, const char *note) {
    begin_with_clocks(KIND_HELLO)->args[0] = RECORD_VERSION;
    out_part(PART_TEXT, source, strlen(source));
    out_part(PART_TEXT, note, strlen(note));
    out_end();
    out_flush();
}
