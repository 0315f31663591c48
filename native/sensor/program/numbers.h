/* Numbers of the calls on this machine's kind of processor, and where their arguments are. */
#ifndef COFFERDAM_SENSOR_NUMBERS_H
#define COFFERDAM_SENSOR_NUMBERS_H

#include <asm/unistd.h>

/* Newer than the headers of some distributions; the same number everywhere. */
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_setxattrat
#define __NR_setxattrat 463
#endif

#define CALL_NUMBERS 512

/* Calls that only older kinds of processors have get a number that no call has. */
#ifndef __NR_open
#define __NR_open 511
#define __NR_creat 511
#define __NR_unlink 511
#define __NR_rmdir 511
#define __NR_rename 511
#define __NR_link 511
#define __NR_symlink 511
#define __NR_mkdir 511
#define __NR_mknod 511
#define __NR_chmod 511
#define __NR_chown 511
#define __NR_lchown 511
#define __NR_dup2 511
#define __NR_iopl 511
#define __NR_ioperm 511
#endif

const volatile u8 call_of[CALL_NUMBERS] = {
#define CALL(name, class) [__NR_##name] = CALL_##name,
    CALLS(CALL)
#undef CALL
    [511] = CALL_NONE,
};

const volatile u8 class_of[128] = {
#define CALL(name, class) [CALL_##name] = CLASS_##class,
    CALLS(CALL)
#undef CALL
};

struct arguments {
    u64 at[6];
};

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 2
static __always_inline s64 number_of(const struct pt_regs *regs) { return (s64)regs->orig_ax; }
static __always_inline bool is_foreign(struct task_struct *task, s64 number) {
    return (task->thread_info.status & TS_COMPAT) != 0 || (number > 0 && (number & 0x40000000) != 0);
}
static __always_inline struct arguments arguments_of(const struct pt_regs *regs) {
    return (struct arguments){{regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9}};
}
#elif defined(__TARGET_ARCH_arm64)
#define TIF_32BIT 22
static __always_inline s64 number_of(const struct pt_regs *regs) { return regs->syscallno; }
static __always_inline bool is_foreign(struct task_struct *task, s64 number) {
    return (task->thread_info.flags & (1UL << TIF_32BIT)) != 0;
}
static __always_inline struct arguments arguments_of(const struct pt_regs *regs) {
    return (struct arguments){{regs->orig_x0, regs->regs[1], regs->regs[2], regs->regs[3], regs->regs[4], regs->regs[5]}};
}
#endif

#endif
