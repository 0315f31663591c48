/* Lines of JSON to the caller, in the form that Node's child_process channel reads; a socket goes along as it does between two Nodes. */
#define _GNU_SOURCE
#include "channel.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void send_line(int fd, const char *line, size_t length) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    for (size_t sent = 0; sent < length;) {
        struct iovec piece = {.iov_base = (char *)(uintptr_t)line + sent, .iov_len = length - sent};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
        if (fd >= 0 && sent == 0) {
            memset(&control, 0, sizeof control);
            message.msg_control = &control;
            message.msg_controllen = sizeof control.bytes;
            struct cmsghdr *first = CMSG_FIRSTHDR(&message);
            first->cmsg_level = SOL_SOCKET;
            first->cmsg_type = SCM_RIGHTS;
            first->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(first), &fd, sizeof fd);
        }
        ssize_t written = sendmsg(CHANNEL, &message, MSG_NOSIGNAL);
        if (written > 0) {
            sent += (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = CHANNEL, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            to_node.lost();
        }
    }
}

static void send_formatted(int fd, const char *format, va_list arguments) {
    int length = vsnprintf(to_node.line, to_node.size - 1, format, arguments);
    if (length < 0 || length >= (int)to_node.size - 1) {
        to_node.too_long();
        return;
    }
    to_node.line[length] = '\n';
    send_line(fd, to_node.line, (size_t)length + 1);
}

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    send_formatted(-1, format, arguments);
    va_end(arguments);
}

void say_with_fd(int fd, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    send_formatted(fd, format, arguments);
    va_end(arguments);
}

const char *quoted(const char *text, char *into, size_t size) {
    size_t at = 0;
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0' && at + 7 < size; byte++) {
        if (*byte == '"' || *byte == '\\') {
            into[at++] = '\\';
            into[at++] = (char)*byte;
        } else if (*byte < 0x20 || *byte == 0x7f) {
            at += (size_t)snprintf(into + at, size - at, "\\u%04x", *byte);
        } else {
            into[at++] = (char)*byte;
        }
    }
    into[at] = '\0';
    return into;
}
