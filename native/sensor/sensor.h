/* What the parts of the loader know of each other. */
#ifndef COFFERDAM_SENSOR_H
#define COFFERDAM_SENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "record.h"

/* Exit codes that src/monitor/sensors/ knows. */
enum { EXIT_USAGE = 2, EXIT_LACKING = 3, EXIT_REFUSED = 4, EXIT_FAILED = 5 };

__attribute__((noreturn, format(printf, 2, 3))) void die(int code, const char *format, ...);

uint64_t boot_ns(void);

/* out.c: records to the reader. A reader that is gone ends the sensor. */
void out_bytes(const void *bytes, size_t size);
void out_flush(void);
/* A record of the sensor itself; `out_part` as often as needed, then `out_end`. */
struct record *out_begin(uint16_t kind);
void out_part(uint16_t type, const void *content, size_t size);
void out_end(void);
void out_answer(uint32_t watch, int error);
/* That it lives, both clocks, and how often the kernel had no room for a message (the connector's; 0 of the program). */
void out_pulse(uint64_t overruns);
void out_hello(const char *source, const char *note);

/* control.c: orders of the reader, one a line. */
struct order {
    enum { ORDER_WATCH, ORDER_UNWATCH, ORDER_SYNC, ORDER_NAME } verb;
    uint32_t watch, job, pidns, mntns, rate, flags, pid;
    char name[NAME_SIZE];
};
/* Reads what is there and calls `obey` for each whole line. Ends the sensor when the reader closed. */
void control_read(int (*obey)(const struct order *));

/* privilege.c: gives up everything; `needed` (a capability, or -1) stays only when `works` fails without it. @returns whether it went. */
bool drop_privileges(int needed, bool (*works)(void));
/* For a helper of the sensor: gives up everything but this mask of capabilities. */
void keep_privileges(uint64_t mask);

/*
 * netlink.c: the next message of the kernel. @param overruns one more each time that the kernel had no room: it tells that some were lost, never
 * how many. @returns its size; 0 for what is to be passed over; -1 when nothing more is there.
 */
ssize_t netlink_receive(int fd, void *buffer, size_t size, uint32_t *groups, uint64_t *overruns);

/* connector.c: who begins (`ppid`), runs another program, or ends (`result`): KIND_FORK, KIND_EXEC, KIND_EXIT. */
struct change {
    uint64_t time;
    int64_t result;
    uint32_t pid, ppid;
    uint16_t kind;
};
int connector_open(void);
void connector_receive(int fd, void (*tell)(const struct change *));
/* As a record. */
void connector_tell(const struct change *change);
uint64_t connector_overruns(void);

/* flows.c: connections of watched containers, by network namespace. */
void flows_start(void);
int flows_open(const struct order *order);
/* Behind the last word of it. */
void flows_close(uint32_t job);
void flows_receive(void);
/* Asks for those that live, when it is time. */
void flows_look(uint64_t now);
int flows_fd(void);
uint64_t flows_overruns(void);

/* filter.c: from here on the calls that this part takes, and the end for any other. Once in a process, and behind drop_privileges or keep_privileges. */
enum role { ROLE_EBPF, ROLE_CONNECTOR, ROLE_OPENER, ROLE_AUDIT, ROLE_KEEPER, ROLE_NAMES };
void restrict_calls(enum role role);

int run_ebpf(void);
int run_audit(void);
int run_connector(void);
int run_audit_names(unsigned sensor, unsigned pid, unsigned watch);

#endif
