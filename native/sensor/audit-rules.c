/*
 * Which calls audit is asked about: those that change something or that builds have no use for; not the flood of plain reads. What audit
 * shows nothing of has no rule: accept, dup, and what is sent.
 */
#define _GNU_SOURCE
#include "audit-rules.h"
#include "program/numbers.h"
#include <errno.h>
#include <string.h>

#define WRITING 0103 /* O_ACCMODE | O_CREAT */

static union rule rule_of(uint32_t arch) {
    union rule rule = {.bytes = {0}};
    struct audit_rule_data *data = &rule.data;
    data->flags = AUDIT_FILTER_EXIT;
    data->action = AUDIT_ALWAYS;
    data->fields[0] = AUDIT_ARCH;
    data->fieldflags[0] = AUDIT_EQUAL;
    data->values[0] = arch;
    data->field_count = 1;
    return rule;
}

static void also(union rule *rule, uint32_t field, uint32_t how, uint32_t value) {
    struct audit_rule_data *data = &rule->data;
    data->fields[data->field_count] = field;
    data->fieldflags[data->field_count] = how;
    data->values[data->field_count++] = value;
}

static void about(union rule *rule, unsigned number) {
    /* The place of calls that this kind of processor does not have. */
    if (number < CALL_NUMBERS) rule->data.mask[AUDIT_WORD(number)] |= AUDIT_BIT(number);
}

/* What a field says by a text. */
static void also_text(union rule *rule, uint32_t field, const char *text) {
    size_t length = strlen(text);
    also(rule, field, AUDIT_EQUAL, (uint32_t)length);
    memcpy(rule->bytes + sizeof rule->data + rule->data.buflen, text, length);
    rule->data.buflen += (uint32_t)length;
}

static int add(union rule rule) {
    also_text(&rule, AUDIT_FILTERKEY, owner_key());
    return audit_rule(AUDIT_ADD_RULE, &rule.data);
}

/* Opens have a rule of their own, what audit shows nothing of has none: accept, send, dup. */
static bool is_change(unsigned call, unsigned class) {
    if (class != CLASS_FILES) return false;
    switch (call) {
        case CALL_open: case CALL_openat: case CALL_ftruncate: case CALL_execve: case CALL_execveat: return false;
        default: return true;
    }
}

static int add_changes(void) {
    union rule rule = rule_of(NATIVE_ARCH);
#define CALL(name, class) if (is_change(CALL_##name, CLASS_##class)) about(&rule, __NR_##name);
    CALLS(CALL)
#undef CALL
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-ENOENT);
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-EEXIST);
    return add(rule);
}

static int add_rare(void) {
    union rule rule = rule_of(NATIVE_ARCH);
#define CALL(name, class) if (CLASS_##class == CLASS_RARE && CALL_##name != CALL_ptrace) about(&rule, __NR_##name);
    CALLS(CALL)
#undef CALL
    return add(rule);
}

/* @param argument which one has the flags. */
static int add_opens(unsigned number, uint32_t argument) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, number);
    also(&rule, argument, AUDIT_BIT_MASK, WRITING);
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-ENOENT);
    return add(rule);
}

static int add_refused_opens(int error) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_open);
    about(&rule, __NR_openat);
    also(&rule, AUDIT_EXIT, AUDIT_EQUAL, (uint32_t)-error);
    return add(rule);
}

static int add_open(void) { return add_opens(__NR_open, AUDIT_ARG1); }

static int add_openat(void) { return add_opens(__NR_openat, AUDIT_ARG2); }

static int add_denied_opens(void) { return add_refused_opens(EACCES); }

static int add_forbidden_opens(void) { return add_refused_opens(EPERM); }

static int add_programs(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_execve);
    about(&rule, __NR_execveat);
    also(&rule, AUDIT_EXIT, AUDIT_NOT_EQUAL, (uint32_t)-ENOENT);
    return add(rule);
}

static int add_network(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_connect);
    about(&rule, __NR_bind);
    return add(rule);
}

/* Without what a debugger does at each step. */
static int add_ptrace(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_ptrace);
    for (uint32_t peek = 1; peek <= 3; peek++) also(&rule, AUDIT_ARG0, AUDIT_NOT_EQUAL, peek);
    also(&rule, AUDIT_ARG0, AUDIT_NOT_EQUAL, 7);  /* PTRACE_CONT */
    also(&rule, AUDIT_ARG0, AUDIT_NOT_EQUAL, 24); /* PTRACE_SYSCALL */
    return add(rule);
}

/* The door for programs of 32 bits. Its numbers are others, and every call of theirs would be a flood: what starts or opens something is enough. */
static int add_foreign(void) {
    union rule rule = rule_of(FOREIGN_ARCH);
    /* open, execve, brk, socketcall, mmap2, openat: the same numbers on i386 and arm. */
    const unsigned numbers[] = {5, 11, 45, 102, 192, FOREIGN_ARCH == AUDIT_ARCH_I386 ? 295 : 322};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) about(&rule, numbers[i]);
    return add(rule);
}

int rules_add_mark(void) {
    union rule rule = rule_of(NATIVE_ARCH);
    about(&rule, __NR_fchdir);
    also(&rule, AUDIT_ARG0, AUDIT_EQUAL, MARK_DESCRIPTOR);
    return add(rule);
}

int rules_add(unsigned *placed) {
    int (*const each[])(void) = {add_programs, add_changes, add_open, add_openat, add_denied_opens, add_forbidden_opens, add_network, add_rare, add_ptrace, add_foreign};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        /* Newer kinds of processors lack that call. */
        if (each[i] == add_open && __NR_open >= CALL_NUMBERS) continue;
        int error = each[i]();
        if (error != 0) return error;
        ++*placed;
    }
    return 0;
}

int rules_add_file(const char *path) {
    union rule rule = rule_of(NATIVE_ARCH);
    if (strlen(path) >= MAX_PATH) return ENAMETOOLONG;
    about(&rule, __NR_open);
    about(&rule, __NR_openat);
    about(&rule, __NR_openat2);
    also_text(&rule, AUDIT_WATCH, path);
    also(&rule, AUDIT_PERM, AUDIT_EQUAL, AUDIT_PERM_READ);
    return add(rule);
}
