/* Sockets and what else a descriptor may lead to. */
#ifndef COFFERDAM_SENSOR_SOCKET_H
#define COFFERDAM_SENSOR_SOCKET_H

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

static __always_inline bool is_socket(struct inode *inode) {
    return (READ(inode, i_mode) & S_IFMT) == S_IFSOCK && READ(inode, i_sb, s_magic) == SOCKFS_MAGIC;
}

static __always_inline struct sock *sock_of(struct file *file) {
    struct inode *inode = READ(file, f_inode);
    if (inode == NULL || !is_socket(inode)) return NULL;
    struct socket *socket = READ(file, private_data);
    return READ(socket, sk);
}

static __always_inline u16 swapped(u16 port) { return __builtin_bswap16(port); }

static __always_inline void put_unix_name(struct unix_sock *sock, u32 type) {
    struct buffer *buffer = buffer_here();
    struct unix_address *address = READ(sock, addr);
    if (buffer == NULL || address == NULL) return;
    s64 at = open_part(buffer, type);
    if (at < 0) return;
    u32 length = READ(address, len);
    length = length < 2 ? 0 : length - 2;
    if (length > 108) length = 108;
    BOUND(length, 127);
    if (length > 0) bpf_probe_read_kernel(room_at(buffer, (u32)at + sizeof(struct part)), length, address->name[0].sun_path);
    close_part(buffer, at, length);
}

/* Addresses as the kernel has them. `slot` says whose socket it is, see struct socket_part. */
__noinline int put_socket(u64 file_at, u32 slot) {
    struct buffer *buffer = buffer_here();
    struct file *file = (struct file *)file_at;
    if (buffer == NULL || file == NULL) return 0;
    struct sock *sock = sock_of(file);
    if (sock == NULL) return 0;
    struct socket_part *part = NEW_PART(buffer, PART_SOCKET, struct socket_part);
    if (part == NULL) return 0;
    part->slot = slot;
    part->family = READ(sock, __sk_common.skc_family);
    part->type = READ(sock, sk_type);
    part->protocol = READ(sock, sk_protocol);
    part->state = READ(sock, __sk_common.skc_state);
    part->inode = READ(file, f_inode, i_ino);
    if (part->family == AF_INET || part->family == AF_INET6) {
        part->local_port = READ(sock, __sk_common.skc_num);
        part->remote_port = swapped(READ(sock, __sk_common.skc_dport));
    }
    if (part->family == AF_INET) {
        BPF_CORE_READ_INTO((u32 *)part->local, sock, __sk_common.skc_rcv_saddr);
        BPF_CORE_READ_INTO((u32 *)part->remote, sock, __sk_common.skc_daddr);
    } else if (part->family == AF_INET6) {
        bpf_probe_read_kernel(part->local, 16, __builtin_preserve_access_index(&sock->__sk_common.skc_v6_rcv_saddr));
        bpf_probe_read_kernel(part->remote, 16, __builtin_preserve_access_index(&sock->__sk_common.skc_v6_daddr));
    } else if (part->family == AF_UNIX) {
        struct unix_sock *own = (struct unix_sock *)sock;
        put_unix_name(own, PART_NAME_LOCAL);
        struct unix_sock *peer = (struct unix_sock *)READ(own, peer);
        if (peer != NULL) put_unix_name(peer, PART_NAME_REMOTE);
    }
    return 1;
}

/* Descriptor 0, 1 or 2 of whoever runs now. */
__noinline int put_stream(u32 descriptor) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return 0;
    struct file *file = file_of((void *)bpf_get_current_task(), descriptor);
    struct stream_part *part = NEW_PART(buffer, PART_STREAM, struct stream_part);
    if (part == NULL) return 0;
    part->descriptor = descriptor;
    if (file == NULL) return 0;
    struct inode *inode = READ(file, f_inode);
    part->mode = READ(inode, i_mode);
    part->device = READ(inode, i_sb, s_dev);
    part->inode = READ(inode, i_ino);
    part->rdev = READ(inode, i_rdev);
    part->magic = READ(inode, i_sb, s_magic);
    put_socket(address_of(file), descriptor + 1);
    return 0;
}

#endif
