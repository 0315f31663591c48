/* The parts of the audit fallback: audit.c listens, audit-event.c and audit-record.c make records, audit-keeper.c holds the rules. */
#ifndef COFFERDAM_SENSOR_AUDIT_H
#define COFFERDAM_SENSOR_AUDIT_H

#include <linux/audit.h>
#include "sensor.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#define FOREIGN_ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#define FOREIGN_ARCH AUDIT_ARCH_ARM
#endif

/* A mark is fchdir(2) with this descriptor, which nobody has, and a number behind it: it is told behind all that happened before. */
#define MARK_DESCRIPTOR 0x7ffac0de

/*
 * audit-keeper.c. Takes what a dead sensor left, turns audit on where nobody uses it, and starts the keeper. Ends this process where audit is
 * not to be had. @param note what whoever reads this should know, or empty.
 */
void keeper_start(char *note, size_t size);
/* The sensor's rules. @returns 0 or an errno. */
int keeper_add(void);
/* All but the mark's, soon. */
void keeper_remove(void);
/* Whether they are still there, and audit is on. @returns 0 or an errno. */
int keeper_check(void);
/* The rules of one watch go, soon. */
void keeper_forget(uint32_t watch);
void keeper_mark(uint32_t number);
bool keeper_is(uint32_t pid);
/* Messages that the kernel says it lost since the start, of whatever kind. */
uint64_t keeper_lost(void);

/* audit.c: who began this process, before anything that it did is told. */
void tell_beginning(uint32_t pid);

/* audit-event.c: one message of the kernel. @param type AUDIT_*. @param text ends with NUL. */
void event_take(uint16_t type, char *text);
/* Events that were never whole. */
uint64_t event_dropped(void);
/* The last mark that came. */
uint32_t event_mark(void);
void event_name(const struct order *order);

/* audit-text.c: values of a message. */
/* What follows ` NAME=`, up to a space. @returns NULL when there is none. */
const char *text_value(const char *text, const char *name);
uint64_t text_number(const char *text, const char *name, int base);
/* A text that the kernel quoted or wrote in hexadecimal. @returns how many bytes it has; up to `room` of them are written. */
size_t text_decode(const char *value, char *into, size_t room);

#endif
