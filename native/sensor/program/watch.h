/*
 * Whose process it is. A watch names a pid and a mount namespace; who is in one of them is in the job, and so is from then
 * on, in whatever namespace, every process that it makes: membership is kept with the task and handed on at fork.
 */
#ifndef COFFERDAM_SENSOR_WATCH_H
#define COFFERDAM_SENSOR_WATCH_H

/* MAX_PID_NS_LEVEL of the kernel. */
#define MAX_LEVELS 32

struct member {
    u32 watch;
    u32 job;
    u32 flags;
    u32 nothing;
};

enum {
    /* It came in from outside (an engine's exec) and is still the engine's program, until it runs another. */
    MEMBER_ENTERED = 1,
    MEMBER_FOREIGN_TOLD = 2,
};

struct watched {
    u32 watch;
    u32 job;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4 * MAX_JOBS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u32);
    __type(value, struct watched);
} watches SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct member);
} members SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MAX_JOBS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, u32);
    __type(value, struct job_state);
} jobs SEC(".maps");

static __always_inline struct job_state *job_of(const struct member *member) {
    struct job_state *job = bpf_map_lookup_elem(&jobs, &member->job);
    return job != NULL && job->watch == member->watch && job->watch != 0 ? job : NULL;
}

/* What a pid is at a level; its list is as long as the running kernel's types say. */
static __always_inline struct upid *upid_at(struct pid *pid, u32 level) {
    u64 numbers = (u64)pid + bpf_core_field_offset(struct pid, numbers);
    return (void *)(numbers + (u64)(level & 63) * bpf_core_type_size(struct upid));
}

static __always_inline u32 pid_space_at(struct pid *pid, u32 level) {
    struct upid *at = upid_at(pid, level);
    return READ(at, ns, ns.inum);
}

static __always_inline u32 pid_space_of(struct task_struct *task) {
    struct pid *pid = READ(task, thread_pid);
    return pid_space_at(pid, READ(pid, level));
}

/* The watch of this mount namespace, or of the pid namespace or one above it: who is in an inner one was in the outer one. */
static __always_inline struct watched *watched_of(struct task_struct *task) {
    u32 space = READ(task, nsproxy, mnt_ns, ns.inum);
    struct watched *watched = bpf_map_lookup_elem(&watches, &space);
    if (watched != NULL) return watched;
    struct pid *pid = READ(task, thread_pid);
    u32 level = READ(pid, level);
    for (int i = 0; i < MAX_LEVELS; i++) {
        if (level - i == 0) return NULL;
        space = pid_space_at(pid, level - i);
        watched = bpf_map_lookup_elem(&watches, &space);
        if (watched != NULL) return watched;
    }
    return NULL;
}

/* For a task that nobody told us of yet. */
static __noinline struct member *enter(struct task_struct *task) {
    struct watched *watched = watched_of(task);
    if (watched == NULL) return NULL;
    struct member fresh = {.watch = watched->watch, .job = watched->job};
    struct job_state *job = job_of(&fresh);
    if (job == NULL) return NULL;
    if (task->start_boottime > job->since) fresh.flags = MEMBER_ENTERED;
    struct member *member = bpf_task_storage_get(&members, task, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (member == NULL) __sync_fetch_and_add(&job->untracked, 1);
    else *member = fresh;
    return member;
}

/*
 * @returns NULL for one that is in no watched job. Who only came in from outside is in it for as long as he is inside: a thread of the
 * engine that looked in and left makes other processes of its own afterwards.
 */
static __always_inline struct member *member_of(struct task_struct *task) {
    struct member *member = bpf_task_storage_get(&members, task, NULL, 0);
    if (member == NULL || job_of(member) == NULL) return enter(task);
    if ((member->flags & MEMBER_ENTERED) == 0) return member;
    struct watched *watched = watched_of(task);
    if (watched != NULL && watched->watch == member->watch) return member;
    bpf_task_storage_delete(&members, task);
    return NULL;
}

#endif
