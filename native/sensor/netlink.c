/* What the kernel sends by netlink without being asked each time: the process connector, ends of sockets, audit's records. */
#define _GNU_SOURCE
#include "sensor.h"
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

ssize_t netlink_receive(int fd, void *buffer, size_t size, uint32_t *groups, uint64_t *overruns) {
    struct sockaddr_nl from = {0};
    socklen_t from_size = sizeof from;
    ssize_t received = recvfrom(fd, buffer, size, 0, (struct sockaddr *)&from, &from_size);
    if (received < 0 && errno == ENOBUFS) {
        ++*overruns;
        return 0;
    }
    if (received < 0) return -1;
    *groups = from.nl_groups;
    /* Only the kernel's word counts. */
    return from.nl_pid == 0 ? received : 0;
}
