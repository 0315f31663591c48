/*
 * What audit says of one call comes as several messages with one number: the call, the names it was about, the folder, arguments, an
 * address, and an end. Here they become one record, as the program in the kernel writes it, as far as audit knows: names are those that the
 * process gave (claimed), descriptors stay numbers, and of a socket there is the address that was passed.
 *
 * Messages of several processors come mixed, so some calls are held open at once; of the whole host, since audit knows no containers:
 * whose a process is, its reader knows (src/monitor/sensors/).
 */
#define _GNU_SOURCE
#include "audit.h"
#include "program/tables.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifndef AUDIT_OPENAT2
#define AUDIT_OPENAT2 1337
#endif
#define OPEN_AT_ONCE 64
#define MAX_ITEMS 6
#define MAX_NAME 4095
#define MAX_ARGV 6144
#define MAX_ADDRESS 128
#define MAX_NAMES 1024

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
    bool foreign;
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

static struct event events[OPEN_AT_ONCE];
static uint64_t ages, dropped;
static uint32_t mark;
static struct order names[MAX_NAMES];
static size_t name_count;

uint64_t event_dropped(void) { return dropped; }

uint32_t event_mark(void) { return mark; }

void event_name(const struct order *order) {
    if (name_count < MAX_NAMES) names[name_count++] = *order;
}

/* ---- taking messages */

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

/* ---- writing records */

static void put_path(uint16_t type, const char *text, size_t length, bool whole) {
    static unsigned char content[sizeof(struct path_part) + MAX_NAME + 1];
    struct path_part head = {.state = whole ? PATH_WHOLE : PATH_CUT};
    size_t size = sizeof head;
    for (size_t end = length; end > 0;) {
        size_t from = end;
        while (from > 0 && text[from - 1] != '/') from--;
        if (end > from) {
            memcpy(content + size, text + from, end - from);
            size += end - from;
            content[size++] = '\0';
            head.names++;
        }
        end = from > 0 ? from - 1 : 0;
    }
    memcpy(content, &head, sizeof head);
    out_part(type, content, size);
}

/* A name that was passed, and where it starts from: another folder than its own the process named by a descriptor, which audit does not follow. */
static void put_claim(const struct event *event, const struct item *item, uint64_t folder) {
    bool absolute = item != NULL && item->length > 0 && item->name[0] == '/';
    bool here = (int32_t)folder == AT_FDCWD && event->folder_length > 0;
    if (!absolute) put_path(PART_BASE, event->folder, item != NULL && here ? event->folder_length : 0, item != NULL && here);
    char text[MAX_NAME + 1];
    size_t length = item == NULL ? 0 : item->length;
    memcpy(text, item == NULL ? "" : item->name, length);
    /* Only the folder is known: something in it. */
    if (length > 0 && item->type == ITEM_PARENT && text[length - 1] != '/') text[length++] = '/';
    out_part(PART_CLAIM, text, length);
}

static const struct item *item_of(const struct event *event, enum item_type type, unsigned nth) {
    for (unsigned i = 0; i < event->item_count; i++)
        if (event->items[i].type == type && event->items[i].length > 0 && nth-- == 0) return &event->items[i];
    return NULL;
}

/* What a call with one name was about. */
static const struct item *subject_of(const struct event *event) {
    const struct item *found = item_of(event, ITEM_DELETE, 0);
    if (found == NULL) found = item_of(event, ITEM_CREATE, 0);
    if (found == NULL) found = item_of(event, ITEM_OTHER, 0);
    return found == NULL ? item_of(event, ITEM_PARENT, 0) : found;
}

static bool listed(const char *name, size_t length, uint32_t as) {
    for (size_t i = 0; i < name_count; i++)
        if ((names[i].flags & as) != 0 && strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0) return true;
    return false;
}

static bool is_sensitive(const struct item *item) {
    if (item == NULL) return false;
    const char *slash = memrchr(item->name, '/', item->length);
    const char *own = slash == NULL ? item->name : slash + 1;
    size_t length = item->length - (size_t)(own - item->name);
    if (listed(own, length, NAME_FILE)) return true;
    const char *point = memrchr(own, '.', length);
    if (point != NULL && listed(point + 1, length - (size_t)(point + 1 - own), NAME_ENDING)) return true;
    if (slash == NULL) return false;
    const char *above = memrchr(item->name, '/', (size_t)(slash - item->name));
    const char *folder = above == NULL ? item->name : above + 1;
    return listed(folder, (size_t)(slash - folder), NAME_FOLDER);
}

static uint64_t open_flags(const struct event *event) {
    switch (event->call) {
        case CALL_open: return event->args[1];
        case CALL_creat: return O_CREAT | O_TRUNC | O_WRONLY;
        case CALL_openat2: return event->open_flags;
        default: return event->args[2];
    }
}

static void put_opened(const struct event *event) {
    const struct item *item = subject_of(event);
    uint64_t flags = open_flags(event);
    /* It was there: the call did not make it. */
    if (event->result >= 0 && item_of(event, ITEM_CREATE, 0) == NULL) flags &= ~(uint64_t)O_CREAT;
    struct open_part part = {.flags = (uint32_t)flags, .sensitive = is_sensitive(item)};
    out_part(PART_OPEN, &part, sizeof part);
    bool at = event->call == CALL_openat || event->call == CALL_openat2;
    if (event->call != CALL_open_by_handle_at) put_claim(event, item, at ? event->args[0] : (uint64_t)AT_FDCWD);
}

static void put_empty(unsigned count) {
    while (count-- > 0) out_part(PART_CLAIM, "", 0);
}

static void put_call(const struct event *event) {
    const uint64_t here = (uint64_t)AT_FDCWD;
    const struct item *other = item_of(event, ITEM_OTHER, 0), *created = item_of(event, ITEM_CREATE, 0);
    const struct item *first_folder = item_of(event, ITEM_PARENT, 0), *second_folder = item_of(event, ITEM_PARENT, 1);
    switch (event->call) {
        case CALL_open: case CALL_openat: case CALL_openat2: case CALL_creat: case CALL_open_by_handle_at:
            put_opened(event);
            break;
        case CALL_unlinkat: case CALL_mkdirat: case CALL_mknodat: case CALL_fchmodat: case CALL_fchmodat2: case CALL_fchownat: case CALL_execveat:
        case CALL_open_tree: case CALL_fspick: case CALL_mount_setattr:
            put_claim(event, subject_of(event), event->args[0]);
            break;
        case CALL_unlink: case CALL_rmdir: case CALL_mkdir: case CALL_mknod: case CALL_chmod: case CALL_chown: case CALL_lchown: case CALL_truncate:
        case CALL_execve:
            put_claim(event, subject_of(event), here);
            break;
        case CALL_rename: case CALL_renameat: case CALL_renameat2: {
            const struct item *from = item_of(event, ITEM_DELETE, 0);
            put_claim(event, from == NULL ? first_folder : from, event->call == CALL_rename ? here : event->args[0]);
            put_claim(event, created == NULL ? second_folder : created, event->call == CALL_rename ? here : event->args[2]);
            break;
        }
        case CALL_link: case CALL_linkat:
            put_claim(event, other, event->call == CALL_link ? here : event->args[0]);
            put_claim(event, created == NULL ? first_folder : created, event->call == CALL_link ? here : event->args[2]);
            break;
        case CALL_symlink: case CALL_symlinkat:
            put_claim(event, created == NULL ? first_folder : created, event->call == CALL_symlink ? here : event->args[1]);
            out_part(PART_CLAIM, other == NULL ? "" : other->name, other == NULL ? 0 : other->length);
            break;
        /* An attribute's name is not told. */
        case CALL_setxattr: case CALL_lsetxattr: case CALL_setxattrat:
            put_claim(event, subject_of(event), event->call == CALL_setxattrat ? event->args[0] : here);
            put_empty(1);
            break;
        case CALL_connect: case CALL_bind:
            out_part(PART_ADDRESS, event->address, event->address_length);
            break;
        /* Source, target, type: what is mounted comes as a name only when it is one of a file. */
        case CALL_mount: {
            const struct item *source = item_of(event, ITEM_OTHER, 1);
            out_part(PART_CLAIM, source == NULL ? "" : source->name, source == NULL ? 0 : source->length);
            out_part(PART_CLAIM, other == NULL ? "" : other->name, other == NULL ? 0 : other->length);
            put_empty(1);
            break;
        }
        case CALL_pivot_root: case CALL_umount2: case CALL_chroot: case CALL_swapon: case CALL_swapoff: case CALL_acct:
            for (unsigned i = 0; i < event->item_count; i++)
                if (event->items[i].type == ITEM_OTHER) out_part(PART_CLAIM, event->items[i].name, event->items[i].length);
            break;
        case CALL_move_mount:
            put_claim(event, other, event->args[0]);
            put_claim(event, item_of(event, ITEM_OTHER, 1), event->args[2]);
            break;
        case CALL_delete_module:
            out_part(PART_CLAIM, event->module, event->module_length);
            break;
        case CALL_capset:
            if (event->has_capabilities) out_part(PART_CAPABILITIES, &event->capabilities, sizeof event->capabilities);
            break;
        default: break;
    }
}

static bool is_named_alike(const struct item *item, const char *path, size_t length) {
    const char *one = memrchr(item->name, '/', item->length), *other = memrchr(path, '/', length);
    if (one == NULL || other == NULL) return false;
    size_t size = item->length - (size_t)(one - item->name);
    return size == length - (size_t)(other - path) && memcmp(one, other, size) == 0;
}

/* The file that runs: the name that the kernel itself has of it, and of the names that were looked up the one that is this file, when that is sure. */
static void put_program(const struct event *event) {
    static const char deleted[] = " (deleted)", memory[] = "/memfd:";
    size_t length = event->program_length, tail = sizeof deleted - 1;
    struct file_part file = {.links = 1, .mode = S_IFREG, .flags = FILE_PARTIAL};
    if (length > tail && memcmp(event->program + length - tail, deleted, tail) == 0) {
        length -= tail;
        file.links = 0;
    }
    if (length >= sizeof memory - 1 && memcmp(event->program, memory, sizeof memory - 1) == 0) file.flags |= FILE_INTERNAL;
    for (unsigned i = 0; i < event->item_count; i++) {
        const struct item *item = &event->items[i];
        bool same = item->length == length && memcmp(item->name, event->program, length) == 0;
        /* A folder above may be a link. */
        if (!same && !(i == 0 && is_named_alike(item, event->program, length)) && event->item_count > 1) continue;
        file.device = item->device;
        file.inode = item->inode;
        file.mode = item->mode;
        file.uid = item->uid;
    }
    out_part(PART_FILE, &file, sizeof file);
    put_path(PART_PATH, event->program, length, (file.flags & FILE_INTERNAL) == 0);
    if (event->item_count > 0) out_part(PART_ASKED, event->items[0].name, event->items[0].length);
    /* The end of the last argument, where there is room for it. */
    bool any = event->last_argument >= 0, ended = any && event->argv_length < sizeof event->argv;
    struct program_part program = {.argv_bytes = event->argv_bytes + (any ? 1 : 0), .gained = event->uid != event->euid || event->gid != event->egid};
    out_part(PART_PROGRAM, &program, sizeof program);
    put_path(PART_CWD, event->folder, event->folder_length, true);
    char last[MAX_ARGV + 1];
    memcpy(last, event->argv, event->argv_length);
    if (ended) last[event->argv_length] = '\0';
    out_part(PART_ARGV, last, event->argv_length + (ended ? 1 : 0));
}

static bool is_refused(int64_t result) { return result == -EACCES || result == -EPERM || result == -EROFS; }

/* For calls that are many: only what changed something, or was refused; as the program in the kernel has it. */
static bool worth_telling(const struct event *event) {
    if (event->foreign) return true;
    if (event->result <= -512) return false; /* ERESTARTSYS and its like: it comes again. */
    sa_family_t family = AF_UNSPEC;
    if (event->address_length >= sizeof family) memcpy(&family, event->address, sizeof family);
    switch (event->call) {
        case CALL_execve: case CALL_execveat: return event->result != -ENOENT;
        case CALL_connect: return event->result != -EALREADY && event->result != -EISCONN && family != AF_NETLINK;
        case CALL_bind: return family != AF_NETLINK;
    }
    const struct item *item = subject_of(event);
    /* Read, by a rule of somebody else's, or by openat2, whose flags no rule can see. */
    bool opens = event->call == CALL_open || event->call == CALL_openat || event->call == CALL_openat2;
    if (opens && event->result >= 0 && (open_flags(event) & (O_ACCMODE | O_CREAT)) == 0) return is_sensitive(item);
    if (event->result >= 0 && item != NULL && item->length == 9 && memcmp(item->name, "/dev/null", 9) == 0 && event->call <= CALL_creat) return false;
    return class_of[event->call] == CLASS_RARE || event->result >= 0 || is_refused(event->result);
}

static void finish(struct event *event) {
    event->open = false;
    if (!worth_telling(event)) return;
    tell_beginning(event->pid);
    bool runs = (event->call == CALL_execve || event->call == CALL_execveat) && event->result >= 0;
    struct record *head = out_begin(event->foreign ? KIND_FOREIGN : runs ? KIND_EXEC : KIND_CALL);
    head->call = event->call;
    head->number = event->number;
    head->result = event->result;
    head->pid = head->tid = event->pid;
    head->ppid = event->ppid;
    head->uid = event->uid;
    head->euid = event->euid;
    head->gid = event->gid;
    head->egid = event->egid;
    memcpy(head->args, event->args, sizeof head->args);
    memcpy(head->name, event->name, sizeof head->name);
    if (runs) put_program(event);
    else if (!event->foreign) put_call(event);
    out_end();
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
        case AUDIT_EOE: finish(event); break;
        default: break;
    }
}
