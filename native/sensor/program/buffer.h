/*
 * Where a record is put together: one buffer a processor, since a program's stack has 512 bytes. Functions that are checked
 * once for all callers (global ones) take plain numbers and find the buffer themselves.
 */
#ifndef COFFERDAM_SENSOR_BUFFER_H
#define COFFERDAM_SENSOR_BUFFER_H

#define ROOM 16384
#define SLACK 8192

/* How far a path is read (file.h). Kept here so that the verifier need not follow it. */
struct climb {
    u64 entry, mount;
    u32 start, used, names, state;
};

struct buffer {
    u32 busy;
    u32 used;
    u32 job;
    u32 class;
    struct climb climb;
    u8 data[ROOM + SLACK];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct buffer);
} buffers SEC(".maps");

static __always_inline struct buffer *buffer_here(void) {
    u32 zero = 0;
    return bpf_map_lookup_elem(&buffers, &zero);
}

/* The verifier follows a bound only when the compiler does not think it away. */
#define BOUND(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))

static __always_inline void *room_at(struct buffer *buffer, u32 offset) {
    BOUND(offset, ROOM - 1);
    return buffer->data + offset;
}

static __always_inline u32 padded(u32 length) { return (length + 7) & ~7U; }

/* Opens a part; close_part settles its length. Content starts 8 bytes behind. @returns its offset, or -1 when the record is full. */
static __always_inline s64 open_part(struct buffer *buffer, u16 type) {
    u32 at = buffer->used;
    if (at > ROOM - 512) return -1;
    struct part *part = room_at(buffer, at);
    part->type = type;
    part->length = 0;
    part->nothing = 0;
    return at;
}

static __always_inline void close_part(struct buffer *buffer, u32 at, u32 length) {
    struct part *part = room_at(buffer, at);
    part->length = length;
    buffer->used = at + sizeof *part + padded(length);
}

/* A part of fixed size, zeroed, to be filled in. */
#define NEW_PART(buffer, type, kind)                                               \
    ({                                                                             \
        kind *content = NULL;                                                      \
        s64 part_at = open_part(buffer, type);                                     \
        if (part_at >= 0) {                                                        \
            close_part(buffer, part_at, sizeof(kind));                             \
            content = room_at(buffer, part_at + sizeof(struct part));              \
            __builtin_memset(content, 0, sizeof(kind));                            \
        }                                                                          \
        content;                                                                   \
    })

/* Memory of the process, `size` bytes of at most 8191; less when part of it is not there. @returns how much. */
__noinline int put_user_bytes(u64 from, u32 size, u32 type) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return 0;
    s64 at = open_part(buffer, type);
    if (at < 0) return 0;
    u32 left = ROOM - (u32)at - sizeof(struct part);
    if (size > left) size = left;
    BOUND(size, 8191);
    u32 content = (u32)at + sizeof(struct part);
    if (size == 0 || bpf_probe_read_user(room_at(buffer, content), size, (void *)from) != 0) {
        if (size > 256) size = 256;
        BOUND(size, 511);
        if (size == 0 || bpf_probe_read_user(room_at(buffer, content), size, (void *)from) != 0) size = 0;
    }
    close_part(buffer, at, size);
    return size;
}

/* A text of the process. @returns its length, or -1 when it cannot be read. */
__noinline int put_user_text(u64 from, u32 type) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return -1;
    s64 at = open_part(buffer, type);
    if (at < 0) return -1;
    s64 length = bpf_probe_read_user_str(room_at(buffer, (u32)at + sizeof(struct part)), 4096, (void *)from);
    close_part(buffer, at, length > 0 ? (u32)length - 1 : 0);
    return length > 0 ? (int)length - 1 : -1;
}

__noinline int put_kernel_text(u64 from, u32 type) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return -1;
    s64 at = open_part(buffer, type);
    if (at < 0) return -1;
    s64 length = bpf_probe_read_kernel_str(room_at(buffer, (u32)at + sizeof(struct part)), 4096, (void *)from);
    close_part(buffer, at, length > 0 ? (u32)length - 1 : 0);
    return 0;
}

#endif
