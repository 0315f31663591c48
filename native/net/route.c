/* Links, addresses and routes, by rtnetlink(7): one request, one acknowledgement. */
#define _GNU_SOURCE
#include "net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TABLE 100
#define READY_TRIES 1000

struct route {
    int socket;
    uint32_t sequence;
    union {
        struct nlmsghdr head;
        char bytes[4096];
    } out;
    union {
        struct nlmsghdr head;
        char bytes[32768];
    } in;
};

struct route *route_open(void) {
    struct route *route = calloc(1, sizeof *route);
    struct sockaddr_nl own = {.nl_family = AF_NETLINK};
    struct timeval most = {.tv_sec = 10};
    if (route == NULL) return NULL;
    route->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (route->socket < 0 || bind(route->socket, (struct sockaddr *)&own, sizeof own) != 0 ||
        setsockopt(route->socket, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) != 0) {
        fail("netlink: %s", strerror(errno));
        route_close(route);
        return NULL;
    }
    return route;
}

void route_close(struct route *route) {
    if (route == NULL) return;
    if (route->socket >= 0) close(route->socket);
    free(route);
}

static void *begin(struct route *route, uint16_t type, uint16_t flags, size_t size) {
    memset(&route->out, 0, sizeof route->out);
    route->out.head = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_len = (uint32_t)NLMSG_LENGTH(size), .nlmsg_seq = ++route->sequence};
    return NLMSG_DATA(&route->out.head);
}

/* Requests are all of known size, far below the buffer's. */
static struct rtattr *put(struct route *route, unsigned short type, const void *data, size_t size) {
    struct nlmsghdr *head = &route->out.head;
    if (NLMSG_ALIGN(head->nlmsg_len) + RTA_SPACE(size) > sizeof route->out) abort();
    struct rtattr *attribute = (struct rtattr *)(void *)(route->out.bytes + NLMSG_ALIGN(head->nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    if (size > 0) memcpy(RTA_DATA(attribute), data, size);
    head->nlmsg_len = (uint32_t)(NLMSG_ALIGN(head->nlmsg_len) + RTA_SPACE(size));
    return attribute;
}

static void put_number(struct route *route, unsigned short type, uint32_t value) {
    put(route, type, &value, sizeof value);
}

static void put_text(struct route *route, unsigned short type, const char *text) {
    put(route, type, text, strlen(text) + 1);
}

static void put_address(struct route *route, unsigned short type, const struct address *address) {
    put(route, type, address->bytes, address->length);
}

static void end_nest(struct route *route, struct rtattr *nest) {
    nest->rta_len = (unsigned short)(route->out.bytes + route->out.head.nlmsg_len - (char *)nest);
}

/* 0, or the kernel's errno; -1 when it could not be asked. `each` sees what it tells before. */
static int ask(struct route *route, void (*each)(const struct nlmsghdr *, void *), void *seen) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(route->socket, &route->out, route->out.head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return -1;
    for (;;) {
        ssize_t length = recv(route->socket, &route->in, sizeof route->in, 0);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return -1;
        int left = (int)length;
        for (struct nlmsghdr *head = &route->in.head; NLMSG_OK(head, (unsigned)left); head = NLMSG_NEXT(head, left)) {
            if (head->nlmsg_seq != route->sequence) continue;
            if (head->nlmsg_type == NLMSG_DONE) return 0;
            if (head->nlmsg_type == NLMSG_ERROR) return -((struct nlmsgerr *)NLMSG_DATA(head))->error;
            if (each != NULL) each(head, seen);
        }
    }
}

static bool done(struct route *route, const char *what) {
    int error = ask(route, NULL, NULL);
    return error == 0 || fail("%s: %s", what, strerror(error < 0 ? errno : error));
}

#define CREATE (NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK)

bool link_bridge(struct route *route, const char *name, const unsigned char *mac) {
    struct ifinfomsg *link = begin(route, RTM_NEWLINK, CREATE, sizeof *link);
    put_text(route, IFLA_IFNAME, name);
    put(route, IFLA_ADDRESS, mac, 6);
    struct rtattr *info = put(route, IFLA_LINKINFO, NULL, 0);
    put_text(route, IFLA_INFO_KIND, "bridge");
    struct rtattr *data = put(route, IFLA_INFO_DATA, NULL, 0);
    uint8_t off = 0;
    put(route, IFLA_BR_MCAST_SNOOPING, &off, sizeof off);
    end_nest(route, data);
    end_nest(route, info);
    return done(route, "bridge");
}

bool link_veth(struct route *route, const char *name, int master, int peer_space, const char *peer_name, const unsigned char *peer_mac) {
    struct ifinfomsg *link = begin(route, RTM_NEWLINK, CREATE, sizeof *link);
    put_text(route, IFLA_IFNAME, name);
    put_number(route, IFLA_MASTER, (uint32_t)master);
    struct rtattr *info = put(route, IFLA_LINKINFO, NULL, 0);
    put_text(route, IFLA_INFO_KIND, "veth");
    struct rtattr *data = put(route, IFLA_INFO_DATA, NULL, 0);
    struct ifinfomsg peer = {.ifi_family = AF_UNSPEC};
    struct rtattr *nest = put(route, VETH_INFO_PEER, &peer, sizeof peer);
    put_text(route, IFLA_IFNAME, peer_name);
    put(route, IFLA_ADDRESS, peer_mac, 6);
    put_number(route, IFLA_NET_NS_FD, (uint32_t)peer_space);
    end_nest(route, nest);
    end_nest(route, data);
    end_nest(route, info);
    return done(route, "veth");
}

bool link_up(struct route *route, int index) {
    struct ifinfomsg *link = begin(route, RTM_NEWLINK, NLM_F_ACK, sizeof *link);
    *link = (struct ifinfomsg){.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    return done(route, "link up");
}

bool link_delete(struct route *route, const char *name) {
    begin(route, RTM_DELLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    put_text(route, IFLA_IFNAME, name);
    int error = ask(route, NULL, NULL);
    return error == 0 || error == ENODEV || fail("link delete: %s", strerror(error < 0 ? errno : error));
}

/* Tunnels that the kernel itself puts into every network, where their modules are loaded. Down they lead nowhere. */
static const char *const EVERYWHERE[] = {"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"};

static const struct rtattr *find(const struct rtattr *first, int length, unsigned short type) {
    for (const struct rtattr *at = first; RTA_OK(at, length); at = RTA_NEXT(at, length))
        if ((at->rta_type & NLA_TYPE_MASK) == type) return at;
    return NULL;
}

static const struct rtattr *link_attribute(const struct nlmsghdr *head, unsigned short type) {
    return find(IFLA_RTA(NLMSG_DATA(head)), (int)IFLA_PAYLOAD(head), type);
}

static void note_other(const struct nlmsghdr *head, void *seen) {
    const struct rtattr *attribute = head->nlmsg_type == RTM_NEWLINK ? link_attribute(head, IFLA_IFNAME) : NULL;
    const char *name = attribute == NULL ? "lo" : RTA_DATA(attribute);
    bool ours = strcmp(name, "lo") == 0, down = (((const struct ifinfomsg *)NLMSG_DATA(head))->ifi_flags & IFF_UP) == 0;
    for (size_t i = 0; down && i < sizeof EVERYWHERE / sizeof *EVERYWHERE; i++) ours = ours || strcmp(name, EVERYWHERE[i]) == 0;
    if (!ours) snprintf(seen, IFNAMSIZ, "%s", name);
}

bool link_besides(struct route *route, char *name, size_t size) {
    char found[IFNAMSIZ] = "";
    begin(route, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
    int error = ask(route, note_other, found);
    snprintf(name, size, "%s", found);
    return error == 0 || fail("links: %s", strerror(error < 0 ? errno : error));
}

struct one_link {
    int index;
    int oper, port;
};

static void note_link(const struct nlmsghdr *head, void *seen) {
    struct one_link *link = seen;
    if (head->nlmsg_type != RTM_NEWLINK) return;
    link->index = ((const struct ifinfomsg *)NLMSG_DATA(head))->ifi_index;
    const struct rtattr *oper = link_attribute(head, IFLA_OPERSTATE);
    if (oper != NULL) link->oper = *(const uint8_t *)RTA_DATA(oper);
    const struct rtattr *info = link_attribute(head, IFLA_LINKINFO);
    const struct rtattr *slave = info == NULL ? NULL : find(RTA_DATA(info), (int)RTA_PAYLOAD(info), IFLA_INFO_SLAVE_DATA);
    const struct rtattr *state = slave == NULL ? NULL : find(RTA_DATA(slave), (int)RTA_PAYLOAD(slave), IFLA_BRPORT_STATE);
    if (state != NULL) link->port = *(const uint8_t *)RTA_DATA(state);
}

int link_index(struct route *route, const char *name) {
    struct one_link link = {0};
    begin(route, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    put_text(route, IFLA_IFNAME, name);
    int error = ask(route, note_link, &link);
    if (error != 0 || link.index == 0) fail("link %s: %s", name, strerror(error < 0 ? errno : error));
    return error == 0 ? link.index : 0;
}

static bool look(struct route *route, int index, struct one_link *link) {
    *link = (struct one_link){.port = -1};
    struct ifinfomsg *ask_for = begin(route, RTM_GETLINK, NLM_F_ACK, sizeof *ask_for);
    ask_for->ifi_index = index;
    int error = ask(route, note_link, link);
    return error == 0 || fail("link %d: %s", index, strerror(error < 0 ? errno : error));
}

/* A first packet that came before would be lost, and sent again only a second later. */
bool link_ready(struct route *route, int port, int bridge) {
    for (int tries = 0; tries < READY_TRIES; tries++) {
        struct one_link at_port, at_bridge;
        if (!look(route, port, &at_port) || !look(route, bridge, &at_bridge)) return false;
        if (at_port.port == BR_STATE_FORWARDING && at_port.oper == IF_OPER_UP && at_bridge.oper == IF_OPER_UP) return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return fail("the port of the bridge does not come up");
}

bool address_add(struct route *route, int index, const struct address *address) {
    struct ifaddrmsg *message = begin(route, RTM_NEWADDR, CREATE, sizeof *message);
    *message = (struct ifaddrmsg){.ifa_family = (uint8_t)address->family, .ifa_prefixlen = address->prefix, .ifa_index = (uint32_t)index, .ifa_flags = IFA_F_NODAD | IFA_F_PERMANENT};
    put_address(route, IFA_LOCAL, address);
    put_address(route, IFA_ADDRESS, address);
    return done(route, "address");
}

bool neighbour_add(struct route *route, int index, const struct address *address, const unsigned char *mac) {
    struct ndmsg *message = begin(route, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, sizeof *message);
    *message = (struct ndmsg){.ndm_family = (uint8_t)address->family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
    put_address(route, NDA_DST, address);
    put(route, NDA_LLADDR, mac, 6);
    return done(route, "neighbour");
}

bool route_default(struct route *route, int index, const struct address *gateway) {
    struct rtmsg *message = begin(route, RTM_NEWROUTE, CREATE, sizeof *message);
    *message = (struct rtmsg){.rtm_family = (uint8_t)gateway->family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    put_address(route, RTA_GATEWAY, gateway);
    put_number(route, RTA_OIF, (uint32_t)index);
    return done(route, "default route");
}

/* What is marked is for here, wherever it is addressed to. */
bool route_marked_here(struct route *route, int family, int loopback) {
    struct fib_rule_hdr *rule = begin(route, RTM_NEWRULE, CREATE, sizeof *rule);
    *rule = (struct fib_rule_hdr){.family = (uint8_t)family, .table = TABLE, .action = FR_ACT_TO_TBL};
    put_number(route, FRA_FWMARK, MARK);
    put_number(route, FRA_TABLE, TABLE);
    if (!done(route, "rule")) return false;
    struct rtmsg *message = begin(route, RTM_NEWROUTE, CREATE, sizeof *message);
    *message = (struct rtmsg){.rtm_family = (uint8_t)family, .rtm_table = TABLE, .rtm_protocol = RTPROT_BOOT, .rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE, .rtm_type = RTN_LOCAL};
    put_number(route, RTA_OIF, (uint32_t)loopback);
    return done(route, "route");
}
