/*
 * One job's network: a namespace with a bridge, the ruleset and our sockets, and no way out but them. Nothing of it has a
 * name outside: when this process and the one that holds the sockets are gone, so is all of it, the containers' ends included.
 */
#define _GNU_SOURCE
#include "net.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSIDE "eth0"
#define MAX_PORTS 253

/* Locally administered; one an address, so that the ruleset can name all of them before they are there. */
static void mac_of(const struct address *v4, unsigned char *mac) {
    mac[0] = 2, mac[1] = 0;
    memcpy(mac + 2, v4->bytes, 4);
}

/* So many after the gateway; the ranges are aligned, so that no byte but the last one changes. */
static struct address after(const struct address *gateway, unsigned count) {
    struct address address = *gateway;
    address.bytes[address.length - 1] = (unsigned char)(address.bytes[address.length - 1] + count);
    return address;
}

static unsigned ports_of(const struct network *network) {
    unsigned all = (1U << (32 - network->gateway[0].prefix)) - 3;
    return all < MAX_PORTS ? all : MAX_PORTS;
}

static void port_name(unsigned port, char *name, size_t size) {
    snprintf(name, size, "p%u", port);
}

/* Before the bridge is there. What a new namespace has is a copy of the host's, whatever that is. */
static bool settings(void) {
    return setting("/proc/sys/net/ipv4/ip_forward", "0") && setting("/proc/sys/net/ipv4/conf/all/rp_filter", "0") &&
           setting("/proc/sys/net/ipv4/conf/default/rp_filter", "0") && setting("/proc/sys/net/ipv4/conf/all/send_redirects", "0") &&
           setting("/proc/sys/net/ipv4/conf/default/send_redirects", "0") && setting("/proc/sys/net/core/somaxconn", "4096") &&
           setting("/proc/sys/net/ipv6/conf/all/forwarding", "0") && setting("/proc/sys/net/ipv6/conf/default/accept_ra", "0") &&
           setting("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1") && setting("/proc/sys/net/bridge/bridge-nf-call-iptables", "0") &&
           setting("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0") && setting("/proc/sys/net/bridge/bridge-nf-call-arptables", "0");
}

static bool furnish(struct network *network) {
    unsigned char mac[6];
    mac_of(&network->gateway[0], mac);
    struct route *route = route_open();
    int loopback = 0;
    bool ok = route != NULL && (loopback = link_index(route, "lo")) != 0 && link_up(route, loopback) && link_bridge(route, BRIDGE, mac) &&
              (network->bridge = link_index(route, BRIDGE)) != 0 && address_add(route, network->bridge, &network->gateway[0]) &&
              link_up(route, network->bridge) && route_marked_here(route, AF_INET, loopback) &&
              (!network->with_v6 || (address_add(route, network->bridge, &network->gateway[1]) && route_marked_here(route, AF_INET6, loopback)));
    /* Nobody asks who has an address: who may be there is known. */
    for (unsigned port = 1; ok && port <= ports_of(network); port++) {
        struct address v4 = after(&network->gateway[0], port), v6 = after(&network->gateway[1], port);
        mac_of(&v4, mac);
        ok = neighbour_add(route, network->bridge, &v4, mac) && (!network->with_v6 || neighbour_add(route, network->bridge, &v6, mac));
    }
    route_close(route);
    return ok;
}

static bool hand_out(unsigned id, const char *type, const char *role, int fd, const char *extra) {
    if (fd < 0) return false;
    say_with_fd(fd, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"%s\",%s\"msg\":{\"network\":%u,\"role\":\"%s\"}}", type, extra, id, role);
    close(fd);
    return true;
}

static bool hand_out_sockets(struct network *network, unsigned id) {
    for (int which = 0; which < (network->with_v6 ? 2 : 1); which++) {
        int family = which == 0 ? AF_INET : AF_INET6;
        network->udp[which] = receive_anywhere(family);
        if (network->udp[which] < 0 || !hand_out(id, "net.Native", which == 0 ? "tcp4" : "tcp6", listen_anywhere(family), "") ||
            !hand_out(id, "dgram.Socket", which == 0 ? "dns4" : "dns6", bound_names(&network->gateway[which]), which == 0 ? "\"dgramType\":\"udp4\"," : "\"dgramType\":\"udp6\","))
            return false;
    }
    return true;
}

bool lock_open(struct network *network, unsigned id, const char *rules, size_t size) {
    network->udp[0] = network->udp[1] = -1;
    network->space = -1;
    if (unshare(CLONE_NEWNET) != 0) return fail("a new network: %s", strerror(errno));
    network->space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    /* The rules first: nothing is ever there without them. */
    bool ok = network->space >= 0 && settings() && run_nft(network->space, rules, size) && furnish(network) && hand_out_sockets(network, id);
    go_home();
    network->open = ok;
    if (!ok) lock_close(network);
    return ok;
}

void lock_close(struct network *network) {
    if (network->space >= 0) close(network->space);
    for (int which = 0; which < 2; which++)
        if (network->udp[which] >= 0) close(network->udp[which]);
    memset(network, 0, sizeof *network);
    network->space = network->udp[0] = network->udp[1] = -1;
}

/* Its network is opened first: if the process is still the same one then, so is the network. */
static int space_of(pid_t pid, uint64_t started) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0) return fail("process %d is gone", pid), -1;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int stat = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = stat < 0 ? -1 : read(stat, text, sizeof text - 1);
    if (stat >= 0) close(stat);
    text[length > 0 ? length : 0] = '\0';
    /* The 22nd field; the second is a name in parentheses that may hold anything. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
    if (at == NULL || strtoull(at, NULL, 10) != started) {
        close(space);
        return fail("process %d is another one by now", pid), -1;
    }
    return space;
}

/* In the container's namespace, where the link stands and is down. */
static bool dress(const struct network *network, unsigned at) {
    unsigned char gateway_mac[6];
    mac_of(&network->gateway[0], gateway_mac);
    bool v6 = network->with_v6;
    if (!setting("/proc/sys/net/ipv6/conf/" INSIDE "/disable_ipv6", v6 ? "0" : "1")) return false;
    if (v6 && !(setting("/proc/sys/net/ipv6/conf/" INSIDE "/accept_ra", "0") && setting("/proc/sys/net/ipv6/conf/" INSIDE "/addr_gen_mode", "1"))) return false;
    struct route *route = route_open();
    int loopback = 0, index = 0;
    bool ok = route != NULL && (index = link_index(route, INSIDE)) != 0 && (loopback = link_index(route, "lo")) != 0 && link_up(route, loopback);
    for (int which = 0; ok && which < (v6 ? 2 : 1); which++) {
        struct address own = after(&network->gateway[which], at);
        ok = address_add(route, index, &own);
    }
    ok = ok && link_up(route, index);
    for (int which = 0; ok && which < (v6 ? 2 : 1); which++)
        ok = neighbour_add(route, index, &network->gateway[which], gateway_mac) && route_default(route, index, &network->gateway[which]);
    /* Other containers of the job; only by IPv4, which is what their names resolve to. */
    for (unsigned port = 1; ok && port <= ports_of(network); port++) {
        struct address other = after(&network->gateway[0], port);
        unsigned char mac[6];
        mac_of(&other, mac);
        ok = port == at || neighbour_add(route, index, &other, mac);
    }
    route_close(route);
    return ok;
}

/* @param space the container's */
static bool is_bare(int space) {
    char other[16] = "";
    struct route *route = enter(space) ? route_open() : NULL;
    bool ok = route != NULL && link_besides(route, other, sizeof other);
    route_close(route);
    go_home();
    return ok && (other[0] == '\0' || fail("it has another interface: %s", other));
}

static bool plug(struct network *network, unsigned port, int space) {
    char name[16];
    unsigned char mac[6];
    struct address own = after(&network->gateway[0], port);
    mac_of(&own, mac);
    port_name(port, name, sizeof name);
    if (!enter(network->space)) return false;
    struct route *route = route_open();
    int outside = 0;
    bool ok = route != NULL && link_veth(route, name, network->bridge, space, INSIDE, mac) && (outside = link_index(route, name)) != 0 &&
              setting("/proc/sys/net/ipv6/conf/all/disable_ipv6", network->with_v6 ? "0" : "1") && link_up(route, outside) && enter(space) &&
              dress(network, port) && link_ready(route, outside, network->bridge);
    route_close(route);
    go_home();
    if (ok) return true;
    char first[WHY];
    memcpy(first, why, sizeof first);
    lock_cut(network, port);
    memcpy(why, first, sizeof first);
    return false;
}

bool lock_attach(struct network *network, struct attachment *attachment) {
    if (attachment->port < 1 || attachment->port > ports_of(network)) return fail("no such port");
    int space = space_of(attachment->pid, attachment->started);
    if (space < 0) return false;
    struct stat stat;
    bool ok = fstat(space, &stat) == 0 && (!is_home(space) || fail("it has the host's network")) && is_bare(space) && plug(network, attachment->port, space);
    attachment->inode = stat.st_ino;
    close(space);
    return ok;
}

bool lock_cut(struct network *network, unsigned port) {
    if (!enter(network->space)) return false;
    struct route *route = route_open();
    bool ok = route != NULL;
    unsigned first = port == 0 ? 1 : port, last = port == 0 ? ports_of(network) : port;
    for (unsigned at = first; ok && at <= last; at++) {
        char name[16];
        port_name(at, name, sizeof name);
        ok = link_delete(route, name);
    }
    route_close(route);
    go_home();
    return ok;
}
