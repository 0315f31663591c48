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
    uint32_t watch, job, pidns, mntns, rate, flags;
    char name[NAME_SIZE];
};
/* Reads what is there and calls `obey` for each whole line. Ends the sensor when the reader closed. */
void control_read(int (*obey)(const struct order *));

/* privilege.c: gives up everything; `needed` (a capability, or -1) stays only when `works` fails without it. @returns whether it went. */
bool drop_privileges(int needed, bool (*works)(void));

int run_ebpf(void);
int run_connector(void);

#endif
