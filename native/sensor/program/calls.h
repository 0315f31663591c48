/* Which calls are told, and what of them. */
#ifndef COFFERDAM_SENSOR_CALLS_H
#define COFFERDAM_SENSOR_CALLS_H

#define FMODE_WRITE 2
#define FMODE_CREATED 0x100000
#define O_ACCMODE 3
#define O_CREAT 0100
#define O_TRUNC 01000
#define EPERM 1
#define ENOENT 2
#define EACCES 13
#define EROFS 30
#define EALREADY 114
#define EISCONN 106
#define ERESTARTSYS 512
#define AF_NETLINK 16
#define AF_VSOCK 40
#define PORT_DNS 53
#define MAX_PAYLOAD 512
#define NULL_DEVICE 0x100003

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, char[NAME_SIZE]);
    __type(value, u32);
} names SEC(".maps");

static __always_inline bool listed(const void *name, u32 as) {
    char key[NAME_SIZE] = {};
    if (bpf_probe_read_kernel_str(key, sizeof key, name) <= 1) return false;
    u32 *how = bpf_map_lookup_elem(&names, key);
    return how != NULL && (*how & as) != 0;
}

/* Whether reading this file is told as well. */
__noinline int is_sensitive(u64 file_at) {
    struct file *file = (struct file *)file_at;
    if (file == NULL) return 0;
    struct dentry *entry = READ(file, f_path.dentry);
    const u8 *name = READ(entry, d_name.name);
    u32 length = READ(entry, d_name.len);
    if (listed(name, NAME_FILE)) return 1;
    if (listed(READ(entry, d_parent, d_name.name), NAME_FOLDER)) return 1;
    char tail[16] = {};
    u32 from = length > 15 ? length - 15 : 0;
    if (bpf_probe_read_kernel_str(tail, sizeof tail, name + from) <= 1) return 0;
    int point = -1;
#pragma unroll
    for (int i = 0; i < 15; i++)
        if (tail[i] == '.') point = i;
    return point >= 0 && listed(name + from + point + 1, NAME_ENDING);
}

struct outgoing {
    u64 address;
    u64 address_size;
    u64 text;
    u64 size;
};

struct user_message {
    u64 name;
    u32 name_size;
    u32 nothing;
    u64 parts;
    u64 count;
};

/* The first message of a send call, from the memory of the process. */
static __always_inline struct outgoing outgoing_of(u32 call, const struct arguments *arguments) {
    struct outgoing out = {};
    if (call == CALL_sendto) {
        out.text = arguments->at[1];
        out.size = arguments->at[2];
        out.address = arguments->at[4];
        out.address_size = arguments->at[5];
        return out;
    }
    struct user_message message = {};
    u64 part[2] = {};
    bpf_probe_read_user(&message, sizeof message, (void *)arguments->at[1]);
    bpf_probe_read_user(part, sizeof part, (void *)message.parts);
    out.address = message.name;
    out.address_size = message.name_size;
    out.text = part[0];
    out.size = part[1];
    return out;
}

static __always_inline bool goes_to_dns(struct task_struct *task, u32 call, const struct arguments *arguments) {
    struct file *file = file_of(task, (s32)arguments->at[0]);
    struct sock *sock = file == NULL ? NULL : sock_of(file);
    if (sock == NULL) return false;
    u16 family = READ(sock, __sk_common.skc_family);
    if (family != AF_INET && family != AF_INET6) return false;
    u16 port = swapped(READ(sock, __sk_common.skc_dport));
    if (port != 0) return port == PORT_DNS;
    struct outgoing out = outgoing_of(call, arguments);
    u16 claimed[2] = {};
    if (out.address == 0 || bpf_probe_read_user(claimed, sizeof claimed, (void *)out.address) != 0) return false;
    return swapped(claimed[1]) == PORT_DNS;
}

static __always_inline bool is_refused(s64 result) { return result == -EACCES || result == -EPERM || result == -EROFS; }

static __always_inline u16 family_of(struct task_struct *task, s64 descriptor) {
    struct file *file = file_of(task, descriptor);
    struct sock *sock = file == NULL ? NULL : sock_of(file);
    return sock == NULL ? 0 : READ(sock, __sk_common.skc_family);
}

static __always_inline bool opened_matters(struct task_struct *task, s64 descriptor) {
    struct file *file = file_of(task, descriptor);
    if (file == NULL) return true;
    u32 mode = READ(file, f_mode);
    if ((mode & (FMODE_WRITE | FMODE_CREATED)) == 0) return is_sensitive(address_of(file)) != 0;
    return READ(file, f_inode, i_rdev) != NULL_DEVICE;
}

static __always_inline bool ptrace_matters(u64 request) {
    /* Beginnings, and changes of what the other one holds; not each step of a debugger. */
    switch (request) {
        case 0: case 4: case 5: case 6: case 13: case 15: case 16: case 0x4205: case 0x4206: return true;
        default: return false;
    }
}

/* For calls that are many: only what changed something, was refused, or is on the list. */
static __noinline bool worth_telling(struct task_struct *task, u32 call, s64 result, const struct arguments *arguments) {
    if (result <= -ERESTARTSYS) return false;
    switch (call) {
        case CALL_open: case CALL_openat: case CALL_openat2: case CALL_creat: case CALL_open_by_handle_at:
            return result >= 0 ? opened_matters(task, result) : is_refused(result);
        case CALL_execve: case CALL_execveat:
            return result < 0 && result != -ENOENT;
        case CALL_connect:
            return result != -EALREADY && result != -EISCONN && family_of(task, (s32)arguments->at[0]) != AF_NETLINK;
        case CALL_bind:
            return family_of(task, (s32)arguments->at[0]) != AF_NETLINK;
        case CALL_accept: case CALL_accept4: {
            if (result < 0) return false;
            u16 family = family_of(task, result);
            return family == AF_INET || family == AF_INET6 || family == AF_VSOCK;
        }
        case CALL_sendto: case CALL_sendmsg: case CALL_sendmmsg:
            return result >= 0 && goes_to_dns(task, call, arguments);
        case CALL_fcntl:
            if (arguments->at[1] != 0 && arguments->at[1] != 1030) return false;
            return result >= 0 && result <= 2 && family_of(task, result) != 0;
        case CALL_dup: case CALL_dup2: case CALL_dup3:
            return result >= 0 && result <= 2 && family_of(task, result) != 0;
        case CALL_ptrace:
            return ptrace_matters(arguments->at[0]);
        default:
            return class_of[call & 127] == CLASS_RARE || result >= 0 || is_refused(result);
    }
}

static __always_inline void set_arguments(const struct arguments *arguments) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return;
    struct record *head = (void *)buffer->data;
    for (int i = 0; i < 4; i++) head->args[i] = arguments->at[i];
}

static __always_inline void put_descriptor(struct task_struct *task, s64 descriptor) {
    struct file *file = file_of(task, descriptor);
    if (file != NULL) put_file(address_of(file));
}

static __always_inline void put_socket_of(struct task_struct *task, s64 descriptor) {
    struct file *file = file_of(task, descriptor);
    if (file != NULL) put_socket(address_of(file), 0);
}

static __always_inline void put_capabilities(struct task_struct *task) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return;
    u64 *mask = NEW_PART(buffer, PART_CAPABILITIES, u64);
    const struct cred *cred = READ(task, cred);
    if (mask != NULL) bpf_probe_read_kernel(mask, sizeof *mask, __builtin_preserve_access_index(&cred->cap_effective));
}

static __always_inline void put_opened(struct task_struct *task, u32 call, s64 result, const struct arguments *arguments) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return;
    struct file *file = file_of(task, result);
    struct open_part *part = NEW_PART(buffer, PART_OPEN, struct open_part);
    bool by_folder = call == CALL_openat || call == CALL_openat2;
    if (part != NULL) {
        u64 flags = 0;
        if (call == CALL_openat2) bpf_probe_read_user(&flags, sizeof flags, (void *)arguments->at[2]);
        else flags = call == CALL_creat ? O_CREAT | O_TRUNC | 1 : call == CALL_open ? arguments->at[1] : arguments->at[2];
        part->flags = flags;
        if (file != NULL) {
            part->mode = READ(file, f_mode);
            part->sensitive = is_sensitive(address_of(file));
        }
    }
    if (file != NULL) put_file(address_of(file));
    else if (by_folder) put_claim(arguments->at[0], arguments->at[1]);
    else if (call != CALL_open_by_handle_at) put_claim(AT_FDCWD, arguments->at[0]);
}

static __always_inline void put_sent(struct task_struct *task, u32 call, const struct arguments *arguments) {
    struct outgoing out = outgoing_of(call, arguments);
    put_socket_of(task, (s32)arguments->at[0]);
    if (out.address != 0) put_user_bytes(out.address, out.address_size > 128 ? 128 : out.address_size, PART_ADDRESS);
    put_user_bytes(out.text, out.size > MAX_PAYLOAD ? MAX_PAYLOAD : out.size, PART_PAYLOAD);
}

static __noinline int put_call(struct task_struct *task, u32 call, s64 result, const struct arguments *arguments) {
    const u64 *at = arguments->at;
    switch (call) {
        case CALL_open: case CALL_openat: case CALL_openat2: case CALL_creat: case CALL_open_by_handle_at:
            put_opened(task, call, result, arguments);
            break;
        case CALL_unlink: case CALL_rmdir: case CALL_mkdir: case CALL_mknod: case CALL_chmod: case CALL_chown: case CALL_lchown:
        case CALL_truncate: case CALL_execve:
            put_claim(AT_FDCWD, at[0]);
            break;
        case CALL_unlinkat: case CALL_mkdirat: case CALL_mknodat: case CALL_fchmodat: case CALL_fchmodat2: case CALL_fchownat:
        case CALL_execveat: case CALL_open_tree: case CALL_fspick: case CALL_mount_setattr:
            put_claim(at[0], at[1]);
            break;
        case CALL_rename: case CALL_link:
            put_claim(AT_FDCWD, at[0]);
            put_claim(AT_FDCWD, at[1]);
            break;
        case CALL_renameat: case CALL_renameat2: case CALL_linkat: case CALL_move_mount:
            put_claim(at[0], at[1]);
            put_claim(at[2], at[3]);
            break;
        case CALL_symlink:
            put_claim(AT_FDCWD, at[1]);
            put_user_text(at[0], PART_CLAIM);
            break;
        case CALL_symlinkat:
            put_claim(at[1], at[2]);
            put_user_text(at[0], PART_CLAIM);
            break;
        case CALL_setxattr: case CALL_lsetxattr:
            put_claim(AT_FDCWD, at[0]);
            put_user_text(at[1], PART_CLAIM);
            break;
        case CALL_setxattrat:
            put_claim(at[0], at[1]);
            put_user_text(at[3], PART_CLAIM);
            break;
        case CALL_fsetxattr:
            put_descriptor(task, (s32)at[0]);
            put_user_text(at[1], PART_CLAIM);
            break;
        case CALL_fchmod: case CALL_fchown: case CALL_ftruncate: case CALL_setns: case CALL_finit_module:
            put_descriptor(task, (s32)at[0]);
            break;
        case CALL_connect: case CALL_bind:
            put_socket_of(task, (s32)at[0]);
            put_user_bytes(at[1], at[2] > 128 ? 128 : at[2], PART_ADDRESS);
            break;
        case CALL_accept: case CALL_accept4: case CALL_dup: case CALL_dup2: case CALL_dup3: case CALL_fcntl:
            put_socket_of(task, result);
            break;
        case CALL_sendto: case CALL_sendmsg: case CALL_sendmmsg:
            put_sent(task, call, arguments);
            break;
        case CALL_mount:
            put_user_text(at[0], PART_CLAIM);
            put_user_text(at[1], PART_CLAIM);
            put_user_text(at[2], PART_CLAIM);
            break;
        case CALL_pivot_root: case CALL_add_key: case CALL_request_key:
            put_user_text(at[0], PART_CLAIM);
            put_user_text(at[1], PART_CLAIM);
            break;
        case CALL_umount2: case CALL_chroot: case CALL_fsopen: case CALL_delete_module: case CALL_memfd_create: case CALL_sethostname:
        case CALL_swapon: case CALL_swapoff: case CALL_acct:
            put_user_text(at[0], PART_CLAIM);
            break;
        case CALL_fsconfig:
            put_user_text(at[2], PART_CLAIM);
            if (at[1] == 1) put_user_text(at[3], PART_CLAIM);
            break;
        case CALL_setuid: case CALL_setgid: case CALL_setreuid: case CALL_setregid: case CALL_setresuid: case CALL_setresgid:
        case CALL_setfsuid: case CALL_setfsgid: case CALL_setgroups: case CALL_capset:
            put_capabilities(task);
            break;
        default:
            break;
    }
    return 0;
}

#endif
