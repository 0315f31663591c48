/*
 * One system call after the other, by number, as no shell makes them; each says what it returned (negative: an errno), so that a
 * test can hold what the sensor told against what was. Run as `acts NAME...` in namespaces of its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *call, long result) {
    printf("%s %ld\n", call, result < 0 ? -(long)errno : result);
    fflush(stdout);
}
#define DO(call, ...) ({ long result_ = syscall(SYS_##call, ##__VA_ARGS__); say(#call, result_); result_; })

static struct sockaddr_in local(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A server of this process and a client of the same; then the client becomes standard input, as a reverse shell does it. */
static void act_sockets(void) {
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = local(0), refused = local(1);
    socklen_t size = sizeof at;
    DO(bind, server, &at, sizeof at);
    getsockname(server, (struct sockaddr *)&at, &size);
    listen(server, 1);
    printf("port %d\n", ntohs(at.sin_port));
    DO(connect, client, &at, sizeof at);
    DO(accept4, server, NULL, NULL, 0);
    DO(connect, other, &refused, sizeof refused);
    DO(dup2, client, 0);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(7), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    DO(connect, socket(AF_INET6, SOCK_DGRAM, 0), &six, sizeof six);
    struct sockaddr_un hidden = {.sun_family = AF_UNIX, .sun_path = "\0acts\nof \xff"};
    DO(bind, socket(AF_UNIX, SOCK_STREAM, 0), &hidden, offsetof(struct sockaddr_un, sun_path) + 10);
    struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = "/run/not-there.sock"};
    DO(connect, socket(AF_UNIX, SOCK_STREAM, 0), &named, sizeof named);
    struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_port = 7, .svm_cid = 2};
    int guest = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (guest >= 0) DO(connect, guest, &vm, sizeof vm);
    struct sockaddr_in resolver = local(53);
    char question[] = "a question", more[] = "another one";
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    DO(sendto, udp, question, sizeof question, 0, &resolver, sizeof resolver);
    struct iovec part = {.iov_base = more, .iov_len = sizeof more};
    struct msghdr message = {.msg_name = &resolver, .msg_namelen = sizeof resolver, .msg_iov = &part, .msg_iovlen = 1};
    DO(sendmsg, udp, &message, 0);
    /* To another port: of no interest. */
    struct sockaddr_in echo = local(7);
    syscall(SYS_sendto, udp, question, sizeof question, 0, &echo, sizeof echo);
}

/* A program that is in no file system. */
static void act_fileless(void) {
    int source = open("/bin/true", O_RDONLY), fd = (int)DO(memfd_create, "in memory", 0);
    char buffer[65536];
    for (ssize_t size; (size = read(source, buffer, sizeof buffer)) > 0;)
        if (write(fd, buffer, (size_t)size) != size) exit(1);
    char *argv[] = {"fileless", NULL}, *env[] = {NULL};
    pid_t child = fork();
    if (child == 0) {
        syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
        _exit(127);
    }
    waitpid(child, NULL, 0);
}

static void act_processes(void) {
    pid_t child = fork();
    if (child == 0) for (;;) pause();
    char here[8], there[8] = "secret!";
    struct iovec mine = {here, sizeof here}, its = {there, sizeof there};
    DO(ptrace, PTRACE_SEIZE, child, 0, 0);
    DO(process_vm_readv, child, &mine, 1, &its, 1, 0);
    DO(process_vm_writev, child, &mine, 1, &its, 1, 0);
    DO(ptrace, PTRACE_SEIZE, 1, 0, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void act_namespaces(void) {
    int own = open("/proc/self/ns/uts", O_RDONLY);
    DO(setns, own, CLONE_NEWUTS);
    DO(unshare, CLONE_NEWUTS | CLONE_NEWIPC);
    DO(sethostname, "renamed", 7);
    DO(mount, "source", "/mnt", "tmpfs", 0, "size=4k");
    DO(umount2, "/mnt", MNT_DETACH);
    DO(pivot_root, "/not/there", "/neither");
    DO(chroot, "/proc/self/fdinfo");
    DO(fsopen, "tmpfs", 0);
}

static void act_kernel(void) {
    DO(keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    DO(add_key, "user", "the name", "x", 1, KEY_SPEC_PROCESS_KEYRING);
    DO(bpf, 0, NULL, 0);
    DO(io_uring_setup, 1, NULL);
    DO(userfaultfd, 0x7fffffff);
    DO(perf_event_open, NULL, 0, -1, -1, 0);
    DO(finit_module, open("/bin/true", O_RDONLY), "", 0);
    DO(delete_module, "no-such-module", O_NONBLOCK);
}

static void act_identity(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    DO(setgroups, 0, NULL);
    DO(setresgid, 7, 7, 7);
    DO(setresuid, 8, 8, 8);
    DO(setuid, 0);
    DO(capset, &head, none);
}

/* A name that another thread exchanges while the kernel reads it: the sensor tells the file that was opened. */
static char name[64];
static volatile int started, stop;
static void *exchange(void *unused) {
    (void)unused;
    while (!stop) {
        name[10] = 'a';
        __asm__ volatile("" : : : "memory");
        name[10] = 'b';
        __asm__ volatile("" : : : "memory");
        started = 1;
    }
    return NULL;
}

static void act_race(void) {
    pthread_t thread;
    strcpy(name, "/tmp/acts-a");
    pthread_create(&thread, NULL, exchange, NULL);
    while (!started) continue;
    for (int i = 0; i < 200; i++) {
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        if (fd < 0) continue;
        char link[64], path[128] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, path, sizeof path - 1) > 0) printf("opened %s\n", path);
        close(fd);
        usleep(50);
    }
    stop = 1;
    pthread_join(thread, NULL);
}

/* By the door for 32-bit programs, where a number means another call. */
static void act_foreign(void) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
    printf("getpid32 %ld\n", result);
#endif
}

/* `visit PID`: into the mount namespace of a container and out again, as an engine does it; and then a program outside. */
static void visit(const char *pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/mnt", pid);
    int own = open("/proc/self/ns/mnt", O_RDONLY), other = open(path, O_RDONLY);
    DO(setns, other, CLONE_NEWNS);
    close(open("/dev/zero", O_WRONLY));
    DO(setns, own, CLONE_NEWNS);
    if (fork() == 0) {
        execl("/bin/true", "/bin/true", "outside", NULL);
        _exit(127);
    }
    wait(NULL);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "visit") == 0) visit(argv[2]);
    static const struct { const char *name; void (*act)(void); } acts[] = {
        {"sockets", act_sockets}, {"fileless", act_fileless}, {"processes", act_processes}, {"namespaces", act_namespaces},
        {"kernel", act_kernel}, {"identity", act_identity}, {"race", act_race}, {"foreign", act_foreign},
    };
    for (int i = 1; i < argc; i++)
        for (size_t at = 0; at < sizeof acts / sizeof acts[0]; at++)
            if (strcmp(argv[i], acts[at].name) == 0) acts[at].act();
    return 0;
}
