/* A call as audit tells it, put together. */
#ifndef COFFERDAM_SENSOR_AUDIT_EVENT_H
#define COFFERDAM_SENSOR_AUDIT_EVENT_H

#include "audit.h"

#define MAX_ITEMS 6
#define MAX_NAME 4095
#define MAX_ARGV 6144
#define MAX_ADDRESS 128

enum item_type { ITEM_OTHER, ITEM_PARENT, ITEM_CREATE, ITEM_DELETE };

struct item {
    enum item_type type;
    uint16_t length; /* 0: it has no name */
    uint32_t mode, uid;
    uint64_t device, inode;
    char name[MAX_NAME];
};

struct event {
    bool open;
    bool foreign, rare;
    uint16_t call;
    uint32_t number;
    uint64_t serial, age;
    int64_t result;
    uint64_t args[4];
    uint32_t pid, ppid, uid, euid, gid, egid;
    char name[16];
    size_t program_length;
    char program[MAX_NAME];
    size_t folder_length;
    char folder[MAX_NAME];
    unsigned item_count;
    struct item items[MAX_ITEMS];
    int64_t last_argument;
    size_t argv_length, argv_bytes;
    char argv[MAX_ARGV];
    size_t address_length;
    char address[MAX_ADDRESS];
    uint64_t open_flags;
    bool has_capabilities;
    uint64_t capabilities;
    size_t module_length;
    char module[64];
};

/* audit-record.c: as the record that the program in the kernel would write of it, where it is worth that. */
void event_write(const struct event *event);

#endif
