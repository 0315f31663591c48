/* What a helper says to the Node process that started it: lines of JSON, and sockets that go along. */
#pragma once
#include <stddef.h>

/* Where Node's child_process channel is. */
#define CHANNEL 3

/* Each program has its own. */
struct channel {
    /* Room for one line. */
    char *line;
    size_t size;
    /* Nobody listens any more. Does not return. */
    void (*lost)(void);
    /* A line that has no room is not sent; this decides whether the program goes on. */
    void (*too_long)(void);
};
extern const struct channel to_node;

__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((format(printf, 2, 3))) void say_with_fd(int fd, const char *format, ...);
/* Escapes text for a JSON string; cuts what does not fit. Returns `into`. */
const char *quoted(const char *text, char *into, size_t size);
