/*
 * The sockets of a job's gateway. IP_TRANSPARENT lets them have any address for their own: of what a job sends somewhere, the
 * local address of the accepted socket is where it was sent to. Node cannot see where a datagram was sent to, so the first one
 * of a flow is read here and told; a flow that is accepted gets a socket with that address, connected to its sender, which the
 * kernel then prefers. Source: Documentation/networking/tproxy.rst of the kernel, ip(7).
 */
#define _GNU_SOURCE
#include "net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif
#define BACKLOG 1024
#define MAX_DATAGRAM 65535
/* Datagrams of one readiness: other networks wait meanwhile. */
#define AT_ONCE 32
#define TOLD_A_SECOND 100
#define TOLD_AT_MOST 200

static socklen_t to_socket(const struct address *address, uint16_t port, struct sockaddr_storage *into) {
    memset(into, 0, sizeof *into);
    into->ss_family = (sa_family_t)address->family;
    if (address->family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)into;
        v4->sin_port = htons(port);
        memcpy(&v4->sin_addr, address->bytes, 4);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)into;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, address->bytes, 16);
    return sizeof *v6;
}

static struct endpoint from_socket(const struct sockaddr_storage *from) {
    struct endpoint endpoint = {.address.family = from->ss_family};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        endpoint.port = ntohs(v4->sin_port);
        endpoint.address.length = 4;
        memcpy(endpoint.address.bytes, &v4->sin_addr, 4);
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        endpoint.port = ntohs(v6->sin6_port);
        endpoint.address.length = 16;
        memcpy(endpoint.address.bytes, &v6->sin6_addr, 16);
    }
    return endpoint;
}

static struct address loopback_of(int family) {
    struct address address = {.family = family, .length = family == AF_INET ? 4 : 16};
    if (family == AF_INET) memcpy(address.bytes, "\x7f\0\0\1", 4);
    else address.bytes[15] = 1;
    return address;
}

static int bound(int type, const struct address *address, uint16_t port, bool transparent) {
    struct sockaddr_storage place;
    socklen_t size = to_socket(address, port, &place);
    int on = 1, family = address->family;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              (family == AF_INET || setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
              (!transparent || (family == AF_INET ? setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof on) : setsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &on, sizeof on)) == 0) &&
              bind(fd, (struct sockaddr *)&place, size) == 0;
    if (ok) return fd;
    fail("socket: %s", strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

int listen_anywhere(int family) {
    struct address here = loopback_of(family);
    int fd = bound(SOCK_STREAM, &here, TCP_PORT, true);
    if (fd < 0 || listen(fd, BACKLOG) == 0) return fd;
    fail("listen: %s", strerror(errno));
    close(fd);
    return -1;
}

int receive_anywhere(int family) {
    struct address here = loopback_of(family);
    int fd = bound(SOCK_DGRAM, &here, UDP_PORT, true), on = 1;
    if (fd < 0 || (family == AF_INET ? setsockopt(fd, SOL_IP, IP_RECVORIGDSTADDR, &on, sizeof on) : setsockopt(fd, SOL_IPV6, IPV6_RECVORIGDSTADDR, &on, sizeof on)) == 0) return fd;
    fail("socket: %s", strerror(errno));
    close(fd);
    return -1;
}

int bound_names(const struct address *gateway) {
    return bound(SOCK_DGRAM, gateway, DNS_PORT, false);
}

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static bool may_tell(struct network *network) {
    int64_t now = now_ms();
    network->allowance += (double)(now - network->refilled) * TOLD_A_SECOND / 1000;
    if (network->allowance > TOLD_AT_MOST || network->refilled == 0) network->allowance = TOLD_AT_MOST;
    network->refilled = now;
    if (network->allowance < 1) return false;
    network->allowance -= 1;
    return true;
}

static bool same(const struct endpoint *one, const struct endpoint *other) {
    return one->port == other->port && one->address.length == other->address.length && memcmp(one->address.bytes, other->address.bytes, one->address.length) == 0;
}

/* Undefined for one that waits already, or when there is no room. */
static struct waiting *wait_for(struct network *network, const struct endpoint *source, const struct endpoint *destination) {
    struct waiting *free = NULL;
    for (struct waiting *at = network->waiting; at < network->waiting + MAX_WAITING; at++) {
        if (at->flow == 0) free = free == NULL ? at : free;
        else if (same(&at->source, source) && same(&at->destination, destination)) return NULL;
    }
    if (free == NULL) return NULL;
    if (++network->next_flow == 0) network->next_flow = 1;
    *free = (struct waiting){.flow = network->next_flow, .source = *source, .destination = *destination};
    return free;
}

static void base64(const unsigned char *bytes, size_t length, char *into) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < length; at += 3) {
        size_t left = length - at;
        unsigned group = (unsigned)bytes[at] << 16 | (left > 1 ? (unsigned)bytes[at + 1] << 8 : 0) | (left > 2 ? bytes[at + 2] : 0);
        *into++ = letters[group >> 18];
        *into++ = letters[group >> 12 & 63];
        *into++ = left > 1 ? letters[group >> 6 & 63] : '=';
        *into++ = left > 2 ? letters[group & 63] : '=';
    }
    *into = '\0';
}

static bool destination_of(struct msghdr *message, struct endpoint *destination) {
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        bool v4 = at->cmsg_level == SOL_IP && at->cmsg_type == IP_RECVORIGDSTADDR, v6 = at->cmsg_level == SOL_IPV6 && at->cmsg_type == IPV6_RECVORIGDSTADDR;
        if (!v4 && !v6) continue;
        struct sockaddr_storage place = {0};
        memcpy(&place, CMSG_DATA(at), v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        *destination = from_socket(&place);
        return true;
    }
    return false;
}

static void tell(struct network *network, unsigned id, const struct waiting *waiting, const unsigned char *bytes, size_t length) {
    static char data[(MAX_DATAGRAM + 2) / 3 * 4 + 1];
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    inet_ntop(waiting->source.address.family, waiting->source.address.bytes, from, sizeof from);
    inet_ntop(waiting->destination.address.family, waiting->destination.address.bytes, to, sizeof to);
    base64(bytes, length, data);
    say("{\"network\":%u,\"flow\":%u,\"from\":[\"%s\",%u],\"to\":[\"%s\",%u],\"untold\":%llu,\"data\":\"%s\"}", id, waiting->flow, from, waiting->source.port, to,
        waiting->destination.port, (unsigned long long)network->untold, data);
}

void datagrams(struct network *network, unsigned id, int which) {
    static unsigned char bytes[MAX_DATAGRAM];
    for (int count = 0; count < AT_ONCE; count++) {
        struct sockaddr_storage from;
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(struct sockaddr_in6))];
        } control;
        struct iovec piece = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
        ssize_t length = recvmsg(network->udp[which], &message, MSG_DONTWAIT);
        if (length < 0) return;
        struct endpoint source = from_socket(&from), destination;
        if (!destination_of(&message, &destination) || !may_tell(network)) {
            network->untold++;
            continue;
        }
        const struct waiting *waiting = wait_for(network, &source, &destination);
        if (waiting == NULL) network->untold++;
        else tell(network, id, waiting, bytes, (size_t)length);
    }
}

static struct waiting *find_flow(struct network *network, uint32_t flow) {
    for (struct waiting *at = network->waiting; at < network->waiting + MAX_WAITING; at++)
        if (flow != 0 && at->flow == flow) return at;
    return NULL;
}

/* The other half connects it: a socket that is connected already could not be told from one that is not. */
bool flow_accept(struct network *network, unsigned id, uint32_t flow) {
    struct waiting *waiting = find_flow(network, flow);
    if (waiting == NULL) return fail("no such flow");
    const struct endpoint destination = waiting->destination;
    waiting->flow = 0;
    if (!enter(network->space)) return false;
    int fd = bound(SOCK_DGRAM, &destination.address, destination.port, true);
    go_home();
    if (fd < 0) return false;
    say_with_fd(fd, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"dgram.Socket\",\"dgramType\":\"%s\",\"msg\":{\"network\":%u,\"role\":\"flow\",\"flow\":%u}}",
                destination.address.family == AF_INET ? "udp4" : "udp6", id, flow);
    close(fd);
    return true;
}

void flow_refuse(struct network *network, uint32_t flow) {
    struct waiting *waiting = find_flow(network, flow);
    if (waiting != NULL) waiting->flow = 0;
}
