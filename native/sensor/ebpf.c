/* The loader: brings the program into the kernel, lets go of its rights, and hands on what comes out of the rings. */
#define _GNU_SOURCE
#include "sensor.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PULSE_MS 500
/* How many records are handed on before orders and the other ring have their turn. */
#define TURN 8192
/* Turns that empty a ring of 32 MiB, whatever is in it. */
#define FULL_RING (((32U << 20) / sizeof(struct record)) / TURN + 1)
/* After a turn records gather for so long, ns: fewer wake-ups of everybody. */
#define PAUSE 700000

extern const unsigned char program_start[], program_end[];

struct watched {
    uint32_t watch, job;
};

static struct bpf_object *object;
static struct bpf_link *links[8];
static size_t link_count;
static struct job_state *jobs;
static struct order placed[MAX_JOBS];
static struct counters_part told[MAX_JOBS];
/* Watches; the program is attached while there are any. */
static unsigned watching;
static int watches, names;
static char last_words[512];
static struct ring_buffer *records, *rare_records;
static unsigned turn;

static int keep_words(enum libbpf_print_level level, const char *format, va_list arguments) {
    if (level == LIBBPF_WARN) {
        vsnprintf(last_words, sizeof last_words, format, arguments);
        last_words[strcspn(last_words, "\n")] = '\0';
    }
    return 0;
}

static int map_of(const char *name) {
    int fd = bpf_object__find_map_fd_by_name(object, name);
    if (fd < 0) die(EXIT_FAILED, "no map %s", name);
    return fd;
}

static void load(void) {
    libbpf_set_print(keep_words);
    if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) die(EXIT_LACKING, "the kernel does not describe its types (/sys/kernel/btf/vmlinux)");
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "cofferdam");
    object = bpf_object__open_mem(program_start, (size_t)(program_end - program_start), &options);
    if (object == NULL) die(EXIT_FAILED, "the program cannot be read: %s", last_words);
    int error = bpf_object__load(object);
    if (error == -EPERM || error == -EACCES) die(EXIT_REFUSED, "the kernel refuses the program (%s): %s", strerror(-error), last_words);
    if (error != 0) die(EXIT_FAILED, "the kernel does not take the program (%s): %s", strerror(-error), last_words);
    watches = map_of("watches");
    names = map_of("names");
    jobs = mmap(NULL, sizeof *jobs * MAX_JOBS, PROT_READ | PROT_WRITE, MAP_SHARED, map_of("jobs"), 0);
    if (jobs == MAP_FAILED) die(EXIT_FAILED, "mapping the table of jobs: %s", strerror(errno));
}

static int attach(void) {
    struct bpf_program *program;
    bpf_object__for_each_program(program, object) {
        if (link_count == sizeof links / sizeof links[0]) return E2BIG;
        struct bpf_link *link = bpf_program__attach(program);
        if (link == NULL) return errno;
        links[link_count++] = link;
    }
    return 0;
}

static void detach(void) {
    while (link_count > 0) bpf_link__destroy(links[--link_count]);
}

static int hand_on(void *context, void *data, size_t size) {
    (void)context;
    out_bytes(data, size);
    return ++turn >= TURN ? -EAGAIN : 0;
}

static struct ring_buffer *ring_of(const char *name) {
    struct ring_buffer *ring = ring_buffer__new(map_of(name), hand_on, NULL, NULL);
    if (ring == NULL) die(EXIT_FAILED, "ring %s: %s", name, strerror(errno));
    return ring;
}

/* Of one job, when they differ from what was told. */
static void tell_counters(uint32_t at) {
    struct counters_part part = {.watch = placed[at].watch, .untracked = jobs[at].untracked};
    memcpy(part.over_budget, jobs[at].over_budget, sizeof part.over_budget);
    memcpy(part.no_room, jobs[at].no_room, sizeof part.no_room);
    if (memcmp(&part, &told[at], sizeof part) == 0) return;
    told[at] = part;
    struct record *head = out_begin(KIND_COUNTERS);
    head->watch = part.watch;
    out_part(PART_COUNTERS, &part, sizeof part);
    out_end();
}

/* One turn of both rings; rare ones last, so that whoever did them is known to the reader. @returns how many of the fuller one. */
static unsigned take(void) {
    turn = 0;
    ring_buffer__consume(records);
    unsigned first = turn;
    turn = 0;
    ring_buffer__consume(rare_records);
    return first > turn ? first : turn;
}

/* Everything that is in the rings now. What others add meanwhile could keep this up for ever: so many turns empty a full ring. */
static void take_all(void) {
    for (unsigned i = 0; i < FULL_RING && take() >= TURN; i++) continue;
}

static int forget(uint32_t at) {
    const struct order *order = &placed[at];
    if (order->watch == 0) return ENOENT;
    bpf_map_delete_elem(watches, &order->pidns);
    bpf_map_delete_elem(watches, &order->mntns);
    __atomic_store_n(&jobs[at].watch, 0, __ATOMIC_RELEASE);
    take_all();
    tell_counters(at);
    placed[at].watch = 0;
    if (--watching == 0) detach();
    return 0;
}

/* Both namespaces, or neither: another watch may have one of them. Whoever gives the order holds them until the watch ends. */
static int claim_spaces(const struct order *order) {
    const struct watched value = {.watch = order->watch, .job = order->job};
    if (bpf_map_update_elem(watches, &order->pidns, &value, BPF_NOEXIST) != 0) return errno;
    if (bpf_map_update_elem(watches, &order->mntns, &value, BPF_NOEXIST) == 0) return 0;
    int error = errno;
    bpf_map_delete_elem(watches, &order->pidns);
    return error;
}

static int watch(const struct order *order) {
    struct job_state *job = &jobs[order->job];
    if (placed[order->job].watch != 0) return EEXIST;
    memset(job, 0, sizeof *job);
    memset(&told[order->job], 0, sizeof told[0]);
    job->flags = order->flags;
    job->rate = order->rate;
    /* Until all is in place, whoever is met was there before. */
    job->since = UINT64_MAX;
    __atomic_store_n(&job->watch, order->watch, __ATOMIC_RELEASE);
    int error = claim_spaces(order);
    if (error != 0) {
        job->watch = 0;
        return error;
    }
    placed[order->job] = *order;
    if (++watching == 1) error = attach();
    if (error != 0) forget(order->job);
    job->since = boot_ns();
    return error;
}

static int obey(const struct order *order) {
    switch (order->verb) {
        case ORDER_WATCH: return watch(order);
        case ORDER_UNWATCH: return forget(order->job);
        case ORDER_SYNC: take_all(); return 0;
        case ORDER_NAME: return bpf_map_update_elem(names, order->name, &order->flags, BPF_ANY) == 0 ? 0 : errno;
    }
    return EINVAL;
}

static void pulse(void) {
    out_pulse(0);
    for (uint32_t i = 0; i < MAX_JOBS; i++)
        if (placed[i].watch != 0) tell_counters(i);
    out_flush();
}

__attribute__((noreturn)) static void serve(void) {
    const struct timespec pause = {.tv_nsec = PAUSE};
    uint64_t next = 0;
    unsigned taken = 0;
    for (;;) {
        uint64_t now = boot_ns();
        if (now >= next) {
            pulse();
            next = now + PULSE_MS * UINT64_C(1000000);
        }
        int wait = taken >= TURN ? 0 : (int)((next - now) / 1000000) + 1;
        struct pollfd ready[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = ring_buffer__epoll_fd(records), .events = POLLIN},
            {.fd = ring_buffer__epoll_fd(rare_records), .events = POLLIN},
        };
        if (poll(ready, 3, wait) < 0 && errno != EINTR) die(EXIT_FAILED, "poll: %s", strerror(errno));
        if (ready[0].revents != 0) control_read(obey);
        taken = take();
        out_flush();
        if (taken > 0 && taken < TURN) nanosleep(&pause, NULL);
    }
}

/* Since 5.19 descriptors are enough; before, an order needs the right to use bpf(2) at all. */
static bool orders_work(void) {
    uint32_t key = 0;
    struct watched value;
    return bpf_map_lookup_elem(watches, &key, &value) == 0 || errno == ENOENT;
}

int run_ebpf(void) {
    load();
    records = ring_of("records");
    rare_records = ring_of("rare_records");
    const char *note = drop_privileges(CAP_BPF, orders_work) ? "" : "CAP_BPF is kept: this kernel wants it for every order";
    restrict_calls(ROLE_EBPF);
    out_hello("ebpf", note);
    serve();
}
