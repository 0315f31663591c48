/*
 * A record from its head to the ring. Budgets are by watch and class, so that a flood is lost by whoever makes it; rare records
 * have a ring of their own. What does not get through is counted where the loader sees it.
 */
#ifndef COFFERDAM_SENSOR_EMIT_H
#define COFFERDAM_SENSOR_EMIT_H

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 32 << 20);
} records SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4 << 20);
} rare_records SEC(".maps");

#define RING (32ULL << 20)
#define RARE_RING (4ULL << 20)
#define WINDOW 1000000000ULL

/*
 * Once a ring is half full, a job that had more than an eighth of its rate in this second waits. The last quarter of the large one is
 * for processes and programs, of whoever had little. @param used by this job, of this class, in this second.
 */
static __always_inline bool may_enter(const struct job_state *job, u32 class, u64 used) {
    bool modest = used < job->rate / 8;
    if (class == CLASS_RARE) return modest || bpf_ringbuf_query(&rare_records, BPF_RB_AVAIL_DATA) < RARE_RING / 2;
    u64 waiting = bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA);
    if (class > CLASS_NETWORK) return modest || waiting < RING / 4 * 3;
    return waiting < RING / 2 || (modest && waiting < RING / 4 * 3);
}

/* Counts of one second. Two processors may both begin it; the one that is later only counts a little less. */
static __always_inline bool within_budget(struct job_state *job, u32 class) {
    u64 now = bpf_ktime_get_boot_ns(), window = job->window;
    if (now - window >= WINDOW && __sync_val_compare_and_swap(&job->window, window, now) == window) {
        for (int i = 0; i < CLASSES; i++) job->used[i] = 0;
    }
    u64 used = __sync_fetch_and_add(&job->used[class], 1);
    return used < job->rate && may_enter(job, class, used);
}

static __always_inline u32 number_in(struct pid *pid, u32 level) {
    if (pid == NULL || READ(pid, level) < level) return 0;
    struct upid *own = upid_at(pid, level);
    return READ(own, nr);
}

static __noinline void fill_head(struct task_struct *task, struct record *head) {
    struct task_struct *leader = READ(task, group_leader), *parent = READ(task, real_parent);
    struct pid *own = READ(task, thread_pid), *first = READ(leader, thread_pid);
    u32 level = READ(own, level);
    const struct cred *cred = READ(task, cred);
    head->time = bpf_ktime_get_boot_ns();
    head->pid = READ(task, tgid);
    head->tid = READ(task, pid);
    head->ppid = READ(parent, tgid);
    head->start = READ(leader, start_boottime);
    head->parent_start = READ(parent, group_leader, start_boottime);
    head->in_pid = number_in(first, level);
    head->in_tid = number_in(own, level);
    head->in_ppid = number_in(READ(parent, group_leader, thread_pid), level);
    head->uid = READ(cred, uid.val);
    head->euid = READ(cred, euid.val);
    head->gid = READ(cred, gid.val);
    head->egid = READ(cred, egid.val);
    head->pidns = pid_space_of(task);
    head->mntns = READ(task, nsproxy, mnt_ns, ns.inum);
    head->cgroup = bpf_get_current_cgroup_id();
    bpf_probe_read_kernel(head->name, sizeof head->name, __builtin_preserve_access_index(&task->comm));
}

/* @returns false when the record is not to be: over budget, or this processor is in the middle of another one. */
static __always_inline bool begin(struct task_struct *task, const struct member *member, u16 kind, u32 class) {
    struct job_state *job = job_of(member);
    struct buffer *buffer = buffer_here();
    class &= CLASSES - 1;
    if (job == NULL || buffer == NULL) return false;
    if (!within_budget(job, class)) {
        __sync_fetch_and_add(&job->over_budget[class], 1);
        return false;
    }
    if (buffer->busy != 0) {
        __sync_fetch_and_add(&job->no_room[class], 1);
        return false;
    }
    buffer->busy = 1;
    buffer->job = member->job;
    buffer->class = class;
    struct record *head = (void *)buffer->data;
    __builtin_memset(head, 0, sizeof *head);
    head->kind = kind;
    head->watch = member->watch;
    buffer->used = sizeof *head;
    fill_head(task, head);
    return true;
}

static __always_inline void set_call(u32 call, s64 number, s64 result) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return;
    struct record *head = (void *)buffer->data;
    head->call = call;
    head->number = number;
    head->result = result;
}

static __always_inline int submit(void) {
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return 0;
    u32 size = buffer->used, class = buffer->class & (CLASSES - 1), at = buffer->job;
    struct record *head = (void *)buffer->data;
    head->size = size;
    if (size > ROOM + SLACK) size = ROOM + SLACK;
    s64 failed = class == CLASS_RARE ? bpf_ringbuf_output(&rare_records, buffer->data, size, 0) : bpf_ringbuf_output(&records, buffer->data, size, 0);
    buffer->busy = 0;
    struct job_state *job = bpf_map_lookup_elem(&jobs, &at);
    if (failed != 0 && job != NULL) __sync_fetch_and_add(&job->no_room[class], 1);
    return 0;
}

#endif
