/*
 * Attacks from inside a container, one a run: `attack NAME`. Prints WON when it worked, LACKS when this kernel has no such
 * thing, else LOST and why. Each does no harm when it works: it proves the access and gives it back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static bool lacks(void) {
    return errno == ENOSYS || errno == EAFNOSUPPORT || errno == ENODEV || errno == EPROTONOSUPPORT || errno == EOPNOTSUPP;
}

/* Success of a call that returns a descriptor or 0. */
static void settle(long result) {
    puts(result >= 0 ? "WON" : lacks() ? "LACKS" : "LOST");
    if (result < 0) printf("errno %d %s\n", errno, strerror(errno));
    exit(0);
}

static void write_same(const char *path) {
    char text[4096];
    int fd = open(path, O_RDWR);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (length < 0) settle(-1);
    lseek(fd, 0, SEEK_SET);
    settle(write(fd, text, (size_t)length));
}

static void in_child(int (*run)(void *), int flags) {
    static char stack[65536];
    settle(clone(run, stack + sizeof stack, flags | SIGCHLD, NULL));
}

static int nothing(void *unused) {
    (void)unused;
    return 0;
}

static void keyring(void) { settle(syscall(SYS_add_key, "user", "cofferdam-attack", "x", 1, -4)); }
static void io_uring(void) {
    char parameters[120] = {0};
    settle(syscall(SYS_io_uring_setup, 1, parameters));
}
static void userfault(void) { settle(syscall(SYS_userfaultfd, 1)); }
static void bpf_map(void) {
    union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    settle(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}
static void perf(void) {
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1};
    settle(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}
static void handle(void) {
    struct file_handle *found = calloc(1, sizeof *found + 128);
    int mount;
    found->handle_bytes = 128;
    settle(name_to_handle_at(AT_FDCWD, "/dev/shm", found, &mount, 0));
}
static void no_random(void) { settle(personality(ADDR_NO_RANDOMIZE)); }
static void vsock(void) { settle(socket(AF_VSOCK, SOCK_STREAM, 0)); }
/* A filter that compares 64 bits with "not vsock" lets this pass; the kernel reads 32. */
static void vsock_high(void) { settle(syscall(SYS_socket, AF_VSOCK | 1L << 32, SOCK_STREAM, 0)); }
static void packet(void) { settle(socket(AF_PACKET, SOCK_RAW, htons(3))); }
static void raw(void) { settle(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static void crypto(void) { settle(socket(AF_ALG, SOCK_SEQPACKET, 0)); }
static void audit(void) { settle(socket(AF_NETLINK, SOCK_RAW, 9)); }
static void new_user(void) { settle(unshare(CLONE_NEWUSER)); }
static void clone_user(void) { in_child(nothing, CLONE_NEWUSER); }
static void new_mounts(void) { settle(unshare(CLONE_NEWNS)); }
static void mount_tmpfs(void) { settle(mount("tmpfs", "/tmp", "tmpfs", 0, NULL)); }
static void new_mount_api(void) { settle(syscall(SYS_fsopen, "tmpfs", 0)); }
static void rename_host(void) { settle(sethostname("attack", 6)); }
static void core_pattern(void) { write_same("/proc/sys/kernel/core_pattern"); }
static void sysrq(void) {
    int fd = open("/proc/sysrq-trigger", O_WRONLY);
    if (fd < 0 && errno == ENOENT) errno = ENODEV;
    settle(fd);
}
static void kernel_symbols(void) {
    char text[64] = {0};
    int fd = open("/proc/kallsyms", O_RDONLY);
    settle(fd >= 0 && read(fd, text, sizeof text) > 10 ? 0 : -1);
}
static void hosts_file(void) { settle(open("/etc/hosts", O_WRONLY | O_APPEND)); }
static void make_device(void) { settle(mknod("/tmp/attack-null", S_IFCHR | 0666, makedev(1, 3))); }
static void become_root(void) {
    /* The copy of this program that the image made set-user-id. */
    if (geteuid() == 0 && getuid() != 0) settle(0);
    if (strcmp(program_invocation_short_name, "suid") == 0) settle(-1);
    execl("/bin/suid", "suid", "become_root", (char *)NULL);
    settle(-1);
}
static void release_agent(void) {
    mkdir("/tmp/cg", 0700);
    if (mount("cgroup", "/tmp/cg", "cgroup", 0, "memory") != 0) settle(-1);
    settle(open("/tmp/cg/release_agent", O_WRONLY));
}
static void trace_sibling(void) {
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    /* A cousin, not a child of the tracer. */
    pid_t tracer = fork();
    if (tracer == 0) settle(ptrace(PTRACE_ATTACH, child, 0, 0));
    waitpid(tracer, NULL, 0);
    kill(child, SIGKILL);
    exit(0);
}
static void trace_init(void) {
    /* Plainly run we may be process 1 ourselves: then a child does it. */
    if (getpid() == 1) {
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        if (fork() == 0) settle(ptrace(PTRACE_SEIZE, 1, 0, 0));
        wait(NULL);
        exit(0);
    }
    settle(ptrace(PTRACE_SEIZE, 1, 0, 0));
}
static void read_init(void) {
    char text[65536] = {0};
    int fd = open("/proc/1/environ", O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    settle(length > 0 && memmem(text, (size_t)length, "TOKEN=", 6) != NULL ? 0 : -1);
}
static void forks(void) {
    int count = 0;
    while (count < 1500) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) {
            pause();
            _exit(0);
        }
        count++;
    }
    puts(count == 1500 ? "WON" : "LOST");
    fflush(stdout);
    signal(SIGTERM, SIG_IGN);
    kill(-1, SIGKILL);
    exit(0);
}
static void memory(void) {
    char *all = malloc(256 << 20);
    if (all == NULL) settle(-1);
    for (size_t i = 0; i < 256UL << 20; i += 4096) all[i] = 1;
    settle(0);
}
static void fill(const char *path) {
    static char piece[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0) settle(-1);
    for (int i = 0; i < 128; i++)
        if (write(fd, piece, sizeof piece) != sizeof piece) settle(-1);
    unlink(path);
    settle(0);
}
static void fill_root(void) { fill("/filler"); }
static void fill_tmp(void) { fill("/tmp/filler"); }
static void inodes(void) {
    char path[64];
    for (int i = 0; i < 2000; i++) {
        snprintf(path, sizeof path, "/run/file%d", i);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        if (fd < 0) settle(-1);
        close(fd);
    }
    settle(0);
}
static void replace_shell(void) { settle(open("/bin/busybox", O_WRONLY)); }
static void engine_socket(void) {
    struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "/engine.sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    settle(fd < 0 ? fd : connect(fd, (struct sockaddr *)&place, sizeof place));
}
static void interfaces(void) {
    char text[8192] = {0};
    int fd = open("/proc/net/dev", O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);
    settle(length > 0 && strstr(text, "eth0") != NULL ? 0 : -1);
}
#ifdef __x86_64__
/* getpid by the table of i386, which a filter for x86-64 alone does not look at. */
static void foreign_table(void) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
    settle(result > 0 ? 0 : -1);
}
#endif

static const struct {
    const char *name;
    void (*run)(void);
} ATTACKS[] = {
    {"keyring", keyring}, {"io_uring", io_uring}, {"userfault", userfault}, {"bpf_map", bpf_map}, {"perf", perf}, {"handle", handle},
    {"no_random", no_random}, {"vsock", vsock}, {"vsock_high", vsock_high}, {"packet", packet}, {"raw", raw}, {"crypto", crypto}, {"audit", audit},
    {"new_user", new_user}, {"clone_user", clone_user}, {"new_mounts", new_mounts}, {"mount_tmpfs", mount_tmpfs}, {"new_mount_api", new_mount_api},
    {"rename_host", rename_host}, {"core_pattern", core_pattern}, {"sysrq", sysrq}, {"kernel_symbols", kernel_symbols}, {"hosts_file", hosts_file},
    {"make_device", make_device}, {"become_root", become_root}, {"release_agent", release_agent}, {"trace_sibling", trace_sibling},
    {"trace_init", trace_init}, {"read_init", read_init}, {"forks", forks}, {"memory", memory}, {"fill_root", fill_root}, {"fill_tmp", fill_tmp},
    {"inodes", inodes}, {"replace_shell", replace_shell}, {"engine_socket", engine_socket}, {"interfaces", interfaces},
#ifdef __x86_64__
    {"foreign_table", foreign_table},
#endif
};

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc > 1 && i < sizeof ATTACKS / sizeof *ATTACKS; i++)
        if (strcmp(argv[1], ATTACKS[i].name) == 0) ATTACKS[i].run();
    puts("no such attack");
    return 2;
}
