/*
 * The jail's own network: loopback and nothing else. Its sockets are made here, before bubblewrap, because nobody in the
 * jail has a say over the namespace that they belong to: a name server that knows no name, and the door to the proxy.
 * The name server answers at once, so that a build fails fast instead of waiting for time-outs, and what was asked is on
 * record. Nothing is forwarded: there is nowhere to forward it to.
 */
#define _GNU_SOURCE
#include "jail.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DNS_HEADER 12
#define MAX_QUESTION 512

static int bound(int type, unsigned short port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("network: port %u: %s", port, strerror(errno));
    return fd;
}

void own_network(int with_door) {
    if (unshare(CLONE_NEWNET) != 0) die("no network namespace: %s", strerror(errno));
    int names = bound(SOCK_DGRAM | SOCK_NONBLOCK, NAME_PORT);
    struct ifreq loopback;
    memset(&loopback, 0, sizeof loopback);
    strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(names, SIOCSIFFLAGS, &loopback) != 0) die("network: lo: %s", strerror(errno));
    if (with_door) {
        int door = bound(SOCK_STREAM | SOCK_CLOEXEC, DOOR_PORT);
        if (listen(door, 128) != 0) die("door: %s", strerror(errno));
        say_with_fd(door, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Server\",\"msg\":{\"door\":%d}}", DOOR_PORT);
        close(door);
    }
    if (names != NAMES) {
        if (dup2(names, NAMES) != NAMES) die("network: %s", strerror(errno));
        close(names);
    }
}

/* RFC 1035, section 4.1.2: labels of the first question, joined by dots. */
static int read_name(const unsigned char *packet, size_t length, char *name, size_t size) {
    size_t at = DNS_HEADER, out = 0;
    while (at < length && packet[at] != 0) {
        size_t label = packet[at++];
        if (label > 63 || at + label > length || out + label + 2 > size) return -1;
        if (out > 0) name[out++] = '.';
        memcpy(name + out, packet + at, label);
        out += label;
        at += label;
    }
    if (at + 5 > length) return -1;
    name[out] = '\0';
    return (int)(at + 5);
}

void answer_name(void) {
    unsigned char packet[MAX_QUESTION];
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    ssize_t length = recvfrom(NAMES, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
    if (length < DNS_HEADER || (packet[2] & 0x80) != 0) return;
    char name[256];
    int end = read_name(packet, (size_t)length, name, sizeof name);
    if (end < 0) return;
    name_was_asked(name);
    /* A response, no error but "no such name", one question, nothing else. */
    packet[2] = (unsigned char)(0x80 | (packet[2] & 0x79));
    packet[3] = 0x83;
    packet[4] = 0, packet[5] = 1;
    memset(packet + 6, 0, 6);
    sendto(NAMES, packet, (size_t)end, MSG_NOSIGNAL, (struct sockaddr *)&from, size);
}
