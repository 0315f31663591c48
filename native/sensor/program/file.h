/* Files as the kernel holds them: what they are, and the path that leads to them in their mount namespace. */
#ifndef COFFERDAM_SENSOR_FILE_H
#define COFFERDAM_SENSOR_FILE_H

#define MAX_NAMES 64
#define MAX_MOUNTS 16
#define MAX_PATH 4096
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define OVERLAYFS_MAGIC 0x794c7630
#define SOCKFS_MAGIC 0x534f434b

#define READ(from, field...) BPF_CORE_READ(from, field)

static __always_inline u64 address_of(const void *pointer) { return (u64)pointer; }

static __always_inline struct mount *mount_of(u64 vfsmount) { return (struct mount *)(vfsmount - bpf_core_field_offset(struct mount, mnt)); }

/* One name further up, or out of one mount. @returns whether there is more. Checked once, not once a name. */
__noinline int climb(void) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return 0;
    struct climb *at = &buffer->climb;
    struct dentry *entry = (struct dentry *)at->entry;
    struct mount *mount = (struct mount *)at->mount;
    struct dentry *above = READ(entry, d_parent);
    if (entry == READ(mount, mnt.mnt_root)) {
        struct mount *parent = READ(mount, mnt_parent);
        if (parent == mount) {
            at->state = PATH_WHOLE;
            return 0;
        }
        at->entry = address_of(READ(mount, mnt_mountpoint));
        at->mount = address_of(parent);
        return 1;
    }
    if (at->names >= MAX_NAMES || at->used > MAX_PATH) return 0;
    s64 length = bpf_probe_read_kernel_str(room_at(buffer, at->start + at->used), 256, READ(entry, d_name.name));
    if (length <= 0) return 0;
    at->used += length & 511;
    at->names++;
    if (above == entry || above == NULL) {
        /* The root of a file system that is not where its mount starts: outside of what is mounted. */
        at->state = PATH_DETACHED;
        return 0;
    }
    at->entry = address_of(above);
    return 1;
}

/* Up from a folder entry over all mounts; names come out last first. Whatever moves meanwhile, it ends. */
__noinline int put_path(u64 entry_at, u64 mount_at, u32 type) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL || entry_at == 0 || mount_at == 0) return 0;
    s64 at = open_part(buffer, type);
    if (at < 0) return 0;
    buffer->climb.entry = entry_at;
    buffer->climb.mount = address_of(mount_of(mount_at));
    buffer->climb.start = (u32)at + sizeof(struct part) + sizeof(struct path_part);
    buffer->climb.used = buffer->climb.names = 0;
    buffer->climb.state = PATH_CUT;
    for (int i = 0; i < MAX_NAMES + MAX_MOUNTS; i++)
        if (climb() == 0) break;
    struct path_part *part = room_at(buffer, (u32)at + sizeof(struct part));
    part->state = buffer->climb.state;
    part->names = buffer->climb.names;
    close_part(buffer, at, sizeof(struct path_part) + buffer->climb.used);
    return 0;
}

static __always_inline void fill_times(struct file_part *part, struct inode *inode) {
    if (bpf_core_field_exists(inode->i_mtime_sec)) {
        part->mtime = READ(inode, i_mtime_sec);
        part->ctime = READ(inode, i_ctime_sec);
        part->mtime_ns = READ(inode, i_mtime_nsec);
        /* Its highest bit says that somebody asked for it (multigrain time stamps). */
        part->ctime_ns = READ(inode, i_ctime_nsec) & 0x7fffffff;
        return;
    }
    struct inode___middle *middle = (void *)inode;
    struct inode___old *old = (void *)inode;
    if (bpf_core_field_exists(middle->__i_mtime)) {
        part->mtime = READ(middle, __i_mtime.tv_sec);
        part->mtime_ns = READ(middle, __i_mtime.tv_nsec);
    } else if (bpf_core_field_exists(old->i_mtime)) {
        part->mtime = READ(old, i_mtime.tv_sec);
        part->mtime_ns = READ(old, i_mtime.tv_nsec);
    }
    if (bpf_core_field_exists(middle->__i_ctime)) {
        part->ctime = READ(middle, __i_ctime.tv_sec);
        part->ctime_ns = READ(middle, __i_ctime.tv_nsec);
    } else if (bpf_core_field_exists(old->i_ctime)) {
        part->ctime = READ(old, i_ctime.tv_sec);
        part->ctime_ns = READ(old, i_ctime.tv_nsec);
    }
}

/* Whether an inode of an overlay is in its upper layer: made or changed since it was mounted. */
static __always_inline u32 overlay_flags(struct inode *inode, u64 magic) {
    if (magic != OVERLAYFS_MAGIC || !bpf_core_type_exists(struct ovl_inode)) return 0;
    struct ovl_inode *overlay = (void *)((u64)inode - bpf_core_field_offset(struct ovl_inode, vfs_inode));
    return READ(overlay, __upperdentry) == NULL ? FILE_OVERLAY : FILE_OVERLAY | FILE_UPPER;
}

/* A struct file: its facts and its path. */
__noinline int put_file(u64 file_at) {
    struct buffer *buffer = buffer_here();
    struct file *file = (struct file *)file_at;
    if (buffer == NULL || file == NULL) return 0;
    struct inode *inode = READ(file, f_inode);
    struct file_part *part = NEW_PART(buffer, PART_FILE, struct file_part);
    if (part == NULL || inode == NULL) return 0;
    u64 magic = READ(inode, i_sb, s_magic);
    part->device = READ(inode, i_sb, s_dev);
    part->inode = READ(inode, i_ino);
    part->size = READ(inode, i_size);
    part->mode = READ(inode, i_mode);
    part->uid = READ(inode, i_uid.val);
    part->links = READ(inode, i_nlink);
    part->magic = magic;
    part->flags = overlay_flags(inode, magic);
    fill_times(part, inode);
    /* A mount of the kernel's own (memfd, pipes) is in no namespace: its number there is an error pointer. */
    struct mount *mount = mount_of(address_of(READ(file, f_path.mnt)));
    u64 space = address_of(READ(mount, mnt_ns));
    if (space == 0 || space >= (u64)-4095) part->flags |= FILE_INTERNAL;
    put_path(address_of(READ(file, f_path.dentry)), address_of(READ(file, f_path.mnt)), PART_PATH);
    return 0;
}

static __always_inline struct file *file_of(struct task_struct *task, s64 descriptor) {
    struct fdtable *table = READ(task, files, fdt);
    u32 most = READ(table, max_fds);
    if (descriptor < 0 || descriptor >= most) return NULL;
    struct file **slot = READ(table, fd) + descriptor;
    struct file *file = NULL;
    bpf_probe_read_kernel(&file, sizeof file, slot);
    return file;
}

static __always_inline void put_folder(struct task_struct *task, u32 type) {
    put_path(address_of(READ(task, fs, pwd.dentry)), address_of(READ(task, fs, pwd.mnt)), type);
}

#define AT_FDCWD (-100)

/* A name that the process gave, and the folder it starts from. */
__noinline int put_claim(u64 folder, u64 text) {
    struct task_struct *task = (void *)bpf_get_current_task();
    char first = 0;
    bpf_probe_read_user(&first, 1, (void *)text);
    if (first != '/') {
        struct file *file = (s32)folder == AT_FDCWD ? NULL : file_of(task, (s32)folder);
        if (file == NULL) put_folder(task, PART_BASE);
        else put_path(address_of(READ(file, f_path.dentry)), address_of(READ(file, f_path.mnt)), PART_BASE);
    }
    put_user_text(text, PART_CLAIM);
    return 0;
}

#endif
