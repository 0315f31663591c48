/*
 * Calls that audit told, as records: names are those that the process gave (claimed), descriptors stay numbers, and of a socket there is
 * the address that was passed.
 */
#define _GNU_SOURCE
#include "audit-event.h"
#include "program/numbers.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MAX_NAMES 1024

static struct order names[MAX_NAMES];
static size_t name_count;

void event_name(const struct order *order) {
    if (name_count < MAX_NAMES) names[name_count++] = *order;
}

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

static const struct item *item_of(const struct event *event, enum item_type type, unsigned nth) {
    for (unsigned i = 0; i < event->item_count; i++)
        if (event->items[i].type == type && event->items[i].length > 0 && nth-- == 0) return &event->items[i];
    return NULL;
}

/* The folder that an item's name is in: told as the front of that name, and of a name without one as the process's own folder, whatever it is. */
static const struct item *parent_of(const struct event *event, const struct item *item) {
    const char *slash = memrchr(item->name, '/', item->length);
    size_t length = slash == NULL ? 0 : (size_t)(slash + 1 - item->name);
    const struct item *found;
    for (unsigned nth = 0; (found = item_of(event, ITEM_PARENT, nth)) != NULL; nth++)
        if (length == 0 ? found->name[0] == '/' : found->length == length && memcmp(found->name, item->name, length) == 0) return found;
    return NULL;
}

static void put_folder(const struct event *event, const struct item *item, int descriptor) {
    const struct item *above = parent_of(event, item);
    const struct item *known = above == NULL ? item : above;
    struct folder_part part = {.device = known->device, .inode = known->inode, .descriptor = descriptor, .of_parent = above != NULL};
    out_part(PART_FOLDER, &part, sizeof part);
}

/* A name that was passed, and where it starts from: another folder than its own the process named by a descriptor, which audit does not follow. */
static void put_claim(const struct event *event, const struct item *item, uint64_t folder) {
    bool absolute = item != NULL && item->length > 0 && item->name[0] == '/';
    bool here = (int32_t)folder == AT_FDCWD && event->folder_length > 0;
    if (item != NULL && !absolute && (int32_t)folder >= 0) put_folder(event, item, (int32_t)folder);
    if (!absolute) put_path(PART_BASE, event->folder, item != NULL && here ? event->folder_length : 0, item != NULL && here);
    char text[MAX_NAME + 1];
    size_t length = item == NULL ? 0 : item->length;
    memcpy(text, item == NULL ? "" : item->name, length);
    /* Only the folder is known: something in it. */
    if (length > 0 && item->type == ITEM_PARENT && text[length - 1] != '/') text[length++] = '/';
    out_part(PART_CLAIM, text, length);
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
    return event->rare || event->result >= 0 || is_refused(event->result);
}

void event_write(const struct event *event) {
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
