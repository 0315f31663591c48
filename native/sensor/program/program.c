/*
 * The part of the sensor that runs in the kernel: what processes of watched jobs do, told when it is done, with its result.
 * A call is looked at when it returns, and what it left in the kernel is read instead of what the process says; where only the
 * process's own memory has it, the part's type says that it is claimed.
 *
 * Tracepoints alone: they load on every kernel from 5.13 on that describes its types, also where probes of functions are off.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "../record.h"
#include "tables.h"
#include "buffer.h"
#include "file.h"
#include "socket.h"
#include "watch.h"
#include "emit.h"
#include "calls.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAX_ARGV 6144
#define MAX_ENV 4096

SEC("tp_btf/sys_exit")
int BPF_PROG(call_returns, struct pt_regs *regs, long result) {
    struct task_struct *task = bpf_get_current_task_btf();
    s64 number = number_of(regs);
    if (is_foreign(task, number)) {
        struct member *member = member_of(task);
        if (member == NULL || (member->flags & (MEMBER_ENTERED | MEMBER_FOREIGN_TOLD)) != 0) return 0;
        member->flags |= MEMBER_FOREIGN_TOLD;
        if (!begin(task, member, KIND_FOREIGN, CLASS_RARE)) return 0;
        set_call(CALL_NONE, number, result);
        return submit();
    }
    if (number < 0 || number >= CALL_NUMBERS) return 0;
    u32 call = call_of[number];
    if (call == CALL_NONE) return 0;
    struct member *member = member_of(task);
    if (member == NULL || (member->flags & MEMBER_ENTERED) != 0) return 0;
    struct arguments arguments = arguments_of(regs);
    if (!worth_telling(task, call, result, &arguments)) return 0;
    if (!begin(task, member, KIND_CALL, class_of[call & 127])) return 0;
    set_call(call, number, result);
    set_arguments(&arguments);
    put_call(task, call, result, &arguments);
    return submit();
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(runs, struct task_struct *task, int old_pid, struct linux_binprm *binary) {
    struct member *member = member_of(task);
    if (member == NULL) return 0;
    member->flags &= ~MEMBER_ENTERED;
    if (!begin(task, member, KIND_EXEC, CLASS_PROGRAMS)) return 0;
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return 0;
    put_file(address_of(READ(binary, file)));
    put_kernel_text(address_of(READ(binary, filename)), PART_ASKED);
    struct mm_struct *memory = READ(task, mm);
    u64 argv = READ(memory, arg_start), argv_end = READ(memory, arg_end);
    u64 env = READ(memory, env_start), env_end = READ(memory, env_end);
    struct program_part *program = NEW_PART(buffer, PART_PROGRAM, struct program_part);
    if (program != NULL) {
        program->argv_bytes = argv_end - argv;
        program->env_bytes = env_end - env;
        program->gained = BPF_CORE_READ_BITFIELD_PROBED(binary, secureexec);
    }
    put_capabilities(task);
    put_folder(task, PART_CWD);
    put_stream(0);
    put_stream(1);
    put_stream(2);
    put_user_bytes(argv, argv_end - argv > MAX_ARGV ? MAX_ARGV : argv_end - argv, PART_ARGV);
    struct job_state *job = job_of(member);
    if (job != NULL && (job->flags & JOB_ENV) != 0) put_user_bytes(env, env_end - env > MAX_ENV ? MAX_ENV : env_end - env, PART_ENV);
    return submit();
}

#define CLONE_NEWTIME 0x00000080
#define CLONE_NEWNS 0x00020000
#define CLONE_NEWCGROUP 0x02000000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000

static __always_inline u32 new_namespaces(struct task_struct *parent, struct task_struct *child) {
    u32 found = 0;
    struct nsproxy *one = READ(parent, nsproxy), *other = READ(child, nsproxy);
    if (one != other) {
        if (READ(one, mnt_ns) != READ(other, mnt_ns)) found |= CLONE_NEWNS;
        if (READ(one, net_ns) != READ(other, net_ns)) found |= CLONE_NEWNET;
        if (READ(one, uts_ns) != READ(other, uts_ns)) found |= CLONE_NEWUTS;
        if (READ(one, ipc_ns) != READ(other, ipc_ns)) found |= CLONE_NEWIPC;
        if (READ(one, cgroup_ns) != READ(other, cgroup_ns)) found |= CLONE_NEWCGROUP;
        if (READ(one, time_ns) != READ(other, time_ns)) found |= CLONE_NEWTIME;
    }
    if (READ(parent, thread_pid, level) != READ(child, thread_pid, level)) found |= CLONE_NEWPID;
    if (READ(parent, cred, user_ns) != READ(child, cred, user_ns)) found |= CLONE_NEWUSER;
    return found;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(forks, struct task_struct *parent, struct task_struct *child) {
    struct member *member = member_of(parent);
    if (member == NULL) return 0;
    struct job_state *job = job_of(member);
    if (job == NULL) return 0;
    struct member *own = bpf_task_storage_get(&members, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (own == NULL) {
        __sync_fetch_and_add(&job->untracked, 1);
    } else {
        own->watch = member->watch;
        own->job = member->job;
        own->flags = member->flags & MEMBER_ENTERED;
    }
    if (child->pid != child->tgid || (member->flags & MEMBER_ENTERED) != 0) return 0;
    if (!begin(parent, member, KIND_FORK, CLASS_PROCESSES)) return 0;
    struct buffer *buffer = buffer_here();
    if (buffer == NULL) return 0;
    set_call(CALL_NONE, 0, child->pid);
    struct child_part *part = NEW_PART(buffer, PART_CHILD, struct child_part);
    if (part != NULL) {
        part->start = child->start_boottime;
        part->pid = child->tgid;
        part->tid = child->pid;
        struct pid *numbers = READ(child, thread_pid);
        part->in_pid = part->in_tid = number_in(numbers, READ(numbers, level));
        part->namespaces = new_namespaces(parent, child);
    }
    return submit();
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(ends, struct task_struct *task) {
    /* The last thread of its process. */
    if (READ(task, signal, live.counter) != 0) return 0;
    struct member *member = member_of(task);
    if (member == NULL || (member->flags & MEMBER_ENTERED) != 0) return 0;
    if (!begin(task, member, KIND_EXIT, CLASS_PROCESSES)) return 0;
    u32 code = READ(task, signal, group_exit_code);
    set_call(CALL_NONE, 0, code != 0 ? code : READ(task, exit_code));
    return submit();
}
