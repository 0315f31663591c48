/* What a number means on this machine's kind of processor, and where the arguments are. */
#ifndef COFFERDAM_SENSOR_TABLES_H
#define COFFERDAM_SENSOR_TABLES_H

#include "numbers.h"

const volatile u8 call_of[CALL_NUMBERS + 16] = {
#define CALL(name, class) [__NR_##name] = CALL_##name,
    CALLS(CALL)
#undef CALL
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
