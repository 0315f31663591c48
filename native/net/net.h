/* What the files of cofferdam-net share; net.c says what it is for. */
#pragma once
#include "../channel/channel.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the ruleset (src/network/kernel/ruleset.ts) sends what a job sends, on the namespace's own loopback. */
#define TCP_PORT 61000
#define UDP_PORT 61001
#define DNS_PORT 53
#define MARK 1
#define BRIDGE "br0"

#define MAX_NETWORKS 8192
/* Datagrams that wait for an answer of the other half, a network. */
#define MAX_WAITING 64
#define WHY 512

struct address {
    int family;
    unsigned char bytes[16];
    unsigned char length;
    unsigned char prefix;
};

struct endpoint {
    struct address address;
    uint16_t port;
};

struct waiting {
    uint32_t flow;
    struct endpoint source, destination;
};

struct network {
    bool open;
    int space;
    /* IPv4, IPv6 or -1 */
    int udp[2];
    struct address gateway[2];
    bool with_v6;
    int bridge;
    struct waiting waiting[MAX_WAITING];
    uint32_t next_flow;
    /* Datagrams that may still be told of, and since when (ms). */
    double allowance;
    int64_t refilled;
    uint64_t untold;
};

/* Of what is being done: filled where something returns false. */
extern char why[WHY];
__attribute__((format(printf, 1, 2))) bool fail(const char *format, ...);

/* space.c: a thread is in one namespace at a time; these leave it in the first one. */
bool remember_home(void);
bool enter(int space);
void go_home(void);
/* Also when it cannot be told. */
bool is_home(int space);
bool setting(const char *path, const char *value);
bool run_nft(int space, const char *rules, size_t size);

/* route.c: rtnetlink(7) */
struct route;
struct route *route_open(void);
void route_close(struct route *route);
bool link_bridge(struct route *route, const char *name, const unsigned char *mac);
bool link_veth(struct route *route, const char *name, int master, int peer_space, const char *peer_name, const unsigned char *peer_mac);
bool link_up(struct route *route, int index);
bool link_delete(struct route *route, const char *name);
/* 0 and `why` when there is none. */
int link_index(struct route *route, const char *name);
/* The name of one besides loopback, or an empty text. */
bool link_besides(struct route *route, char *name, size_t size);
/* Waits until what comes in at a port of the bridge is let through, and the bridge itself counts as plugged in. */
bool link_ready(struct route *route, int port, int bridge);
bool address_add(struct route *route, int index, const struct address *address);
bool neighbour_add(struct route *route, int index, const struct address *address, const unsigned char *mac);
bool route_default(struct route *route, int index, const struct address *gateway);
bool route_marked_here(struct route *route, int family, int loopback);

/* lock.c */
bool lock_open(struct network *network, unsigned id, const char *rules, size_t size);
void lock_close(struct network *network);
/* Of all ports when it is 0. */
bool lock_cut(struct network *network, unsigned port);
struct attachment {
    /* From 1: the container has the gateway's address and so many more. */
    unsigned port;
    pid_t pid;
    uint64_t started;
    /* Out: the container's namespace. */
    uint64_t inode;
};
bool lock_attach(struct network *network, struct attachment *attachment);

/* socket.c */
int listen_anywhere(int family);
int receive_anywhere(int family);
int bound_names(const struct address *gateway);
void datagrams(struct network *network, unsigned id, int which);
bool flow_accept(struct network *network, unsigned id, uint32_t flow);
void flow_refuse(struct network *network, uint32_t flow);
