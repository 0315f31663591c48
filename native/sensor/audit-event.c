/*
 * What audit says of one call comes as several messages with one number: the call, the names it was about, the folder, arguments, an
 * address, and an end. Here they are put together.
 *
 * Messages of several processors come mixed, so some calls are held open at once; of the whole host, since audit knows no containers:
 * whose a process is, its reader knows (src/monitor/sensors/).
 */
#define _GNU_SOURCE
#include "audit-event.h"
#include "program/tables.h"
#include <stdlib.h>
#include <string.h>

#ifndef AUDIT_OPENAT2
#define AUDIT_OPENAT2 1337
#endif
#define OPEN_AT_ONCE 64

static struct event events[OPEN_AT_ONCE];
static uint64_t ages, dropped;
static uint32_t mark;

uint64_t event_dropped(void) { return dropped; }

uint32_t event_mark(void) { return mark; }

static struct event *begin(uint64_t serial) {
    struct event *chosen = &events[0];
    for (size_t i = 0; i < OPEN_AT_ONCE; i++) {
        if (!events[i].open) {
            chosen = &events[i];
            break;
        }
        if (events[i].age < chosen->age) chosen = &events[i];
    }
    /* Its end never came. */
    if (chosen->open) dropped++;
    /* The large texts are as long as their lengths say. */
    chosen->open = true;
    chosen->foreign = chosen->has_capabilities = false;
    chosen->serial = serial;
    chosen->age = ++ages;
    chosen->program_length = chosen->folder_length = chosen->argv_length = chosen->argv_bytes = chosen->address_length = chosen->module_length = 0;
    chosen->item_count = 0;
    chosen->last_argument = -1;
    chosen->open_flags = 0;
    memset(chosen->name, 0, sizeof chosen->name);
    return chosen;
}

static struct event *known(uint64_t serial) {
    for (size_t i = 0; i < OPEN_AT_ONCE; i++)
        if (events[i].open && events[i].serial == serial) return &events[i];
    return NULL;
}

static size_t take_text(const char *text, const char *name, char *into, size_t room) {
    const char *value = text_value(text, name);
    if (value == NULL || *value == '(') return 0;
    size_t length = text_decode(value, into, room);
    return length < room ? length : room;
}

static void take_call(uint64_t serial, const char *text) {
    uint32_t arch = (uint32_t)text_number(text, "arch", 16);
    uint64_t number = text_number(text, "syscall", 10);
    uint32_t pid = (uint32_t)text_number(text, "pid", 10);
    if (arch == NATIVE_ARCH && number == __NR_fchdir) {
        if (keeper_is(pid) && (uint32_t)text_number(text, "a0", 16) == MARK_DESCRIPTOR) mark = (uint32_t)text_number(text, "a1", 16);
        return;
    }
    /* On x86-64 the x32 door has its own bit in the number. */
    bool foreign = arch != NATIVE_ARCH || number >= CALL_NUMBERS;
    if (!foreign && call_of[number] == CALL_NONE) return;
    struct event *event = begin(serial);
    event->foreign = foreign;
    event->call = foreign ? CALL_NONE : call_of[number];
    event->rare = class_of[event->call] == CLASS_RARE;
    event->number = (uint32_t)number;
    const char *result = text_value(text, "exit");
    event->result = result == NULL ? 0 : strtoll(result, NULL, 10);
    const char *const argument[] = {"a0", "a1", "a2", "a3"};
    for (size_t i = 0; i < 4; i++) event->args[i] = text_number(text, argument[i], 16);
    event->pid = pid;
    event->ppid = (uint32_t)text_number(text, "ppid", 10);
    event->uid = (uint32_t)text_number(text, "uid", 10);
    event->euid = (uint32_t)text_number(text, "euid", 10);
    event->gid = (uint32_t)text_number(text, "gid", 10);
    event->egid = (uint32_t)text_number(text, "egid", 10);
    take_text(text, "comm", event->name, sizeof event->name - 1);
    event->program_length = take_text(text, "exe", event->program, sizeof event->program);
}

/* Hexadecimal MAJOR:MINOR, as the kernel numbers devices. */
static uint64_t device_of(const char *value) {
    if (value == NULL) return 0;
    char *end;
    uint64_t major = strtoull(value, &end, 16);
    return *end == ':' ? major << 20 | strtoull(end + 1, NULL, 16) : 0;
}

static void take_item(struct event *event, const char *text) {
    if (event->item_count == MAX_ITEMS) return;
    struct item *item = &event->items[event->item_count++];
    const char *type = text_value(text, "nametype");
    item->type = type == NULL                      ? ITEM_OTHER
                 : strncmp(type, "PARENT", 6) == 0 ? ITEM_PARENT
                 : strncmp(type, "CREATE", 6) == 0 ? ITEM_CREATE
                 : strncmp(type, "DELETE", 6) == 0 ? ITEM_DELETE
                                                   : ITEM_OTHER;
    item->length = (uint16_t)take_text(text, "name", item->name, sizeof item->name);
    item->inode = text_number(text, "inode", 10);
    item->device = device_of(text_value(text, "dev"));
    item->mode = (uint32_t)text_number(text, "mode", 8);
    item->uid = (uint32_t)text_number(text, "ouid", 10);
}

static void put_argument(struct event *event, const char *value, int64_t index) {
    size_t room = sizeof event->argv - event->argv_length;
    if (index != event->last_argument && event->last_argument >= 0) {
        event->argv_bytes++;
        if (room > 0) event->argv[event->argv_length++] = '\0', room--;
    }
    event->last_argument = index;
    size_t length = text_decode(value, event->argv + event->argv_length, room);
    event->argv_bytes += length;
    event->argv_length += length < room ? length : room;
}

/* ` a0="sh" a1=2D63`, and of long ones ` a1_len=9000 a1[0]=... a1[1]=...`, over several messages. */
static void take_arguments(struct event *event, const char *text) {
    for (const char *at = strstr(text, " a"); at != NULL; at = strstr(at + 1, " a")) {
        char *end;
        if (at[2] < '0' || at[2] > '9') continue;
        int64_t index = strtoll(at + 2, &end, 10);
        if (*end == '[') end = strchr(end, ']') == NULL ? end : strchr(end, ']') + 1;
        if (*end == '=') put_argument(event, end + 1, index);
    }
}

void event_take(uint16_t type, char *text) {
    const char *colon = strchr(text, ':');
    if (strncmp(text, "audit(", 6) != 0 || colon == NULL) return;
    uint64_t serial = strtoull(colon + 1, NULL, 10);
    if (type == AUDIT_SYSCALL) {
        take_call(serial, text);
        return;
    }
    struct event *event = known(serial);
    if (event == NULL) return;
    switch (type) {
        case AUDIT_PATH: take_item(event, text); break;
        case AUDIT_CWD: event->folder_length = take_text(text, "cwd", event->folder, sizeof event->folder); break;
        case AUDIT_EXECVE: take_arguments(event, text); break;
        case AUDIT_SOCKADDR: event->address_length = take_text(text, "saddr", event->address, sizeof event->address); break;
        case AUDIT_OPENAT2: event->open_flags = text_number(text, "oflag", 8); break;
        case AUDIT_CAPSET:
            event->capabilities = text_number(text, "cap_pe", 16);
            event->has_capabilities = true;
            break;
        case AUDIT_KERN_MODULE: event->module_length = take_text(text, "name", event->module, sizeof event->module); break;
        case AUDIT_EOE:
            event->open = false;
            event_write(event);
            break;
        default: break;
    }
}
