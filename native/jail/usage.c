/* What the processes of the jail use together, read from its own /proc; for limits that no cgroup enforces. */
#define _GNU_SOURCE
#include "jail.h"
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory files are seen once for each descriptor; of more than this many, some count twice. */
#define MAX_FILES 256

struct files {
    ino_t inode[MAX_FILES];
    size_t count;
};

/* Calls `look` with the name of each process but our own. */
static void each_process(void (*look)(const char *pid, void *into), void *into) {
    DIR *processes = opendir("/proc");
    if (processes == NULL) return;
    for (struct dirent *entry = readdir(processes); entry != NULL; entry = readdir(processes))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && strcmp(entry->d_name, "1") != 0) look(entry->d_name, into);
    closedir(processes);
}

/* memfd_create(2) makes files that no mount limits and that are nobody's resident memory unless mapped. */
static uint64_t memory_files(const char *pid, struct files *seen) {
    char path[PATH_MAX], target[64];
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *descriptors = opendir(path);
    if (descriptors == NULL) return 0;
    for (struct dirent *entry = readdir(descriptors); entry != NULL; entry = readdir(descriptors)) {
        struct stat stat;
        ssize_t length = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target);
        if (length < 7 || memcmp(target, "/memfd:", 7) != 0 || fstatat(dirfd(descriptors), entry->d_name, &stat, 0) != 0) continue;
        bool known = false;
        for (size_t i = 0; i < seen->count; i++) known = known || seen->inode[i] == stat.st_ino;
        if (known) continue;
        if (seen->count < MAX_FILES) seen->inode[seen->count++] = stat.st_ino;
        bytes += (uint64_t)stat.st_blocks * 512;
    }
    closedir(descriptors);
    return bytes;
}

struct memory {
    uint64_t bytes;
    struct files files;
};

static void add_memory(const char *pid, void *into) {
    struct memory *sum = into;
    char path[PATH_MAX];
    unsigned long long total = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%.20s/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    if (fscanf(file, "%llu %llu", &total, &resident) == 2) sum->bytes += resident * (uint64_t)sysconf(_SC_PAGESIZE);
    fclose(file);
    sum->bytes += memory_files(pid, &sum->files);
}

/* System V segments live without anybody attached; column 15 of /proc/sysvipc/shm is what is resident of each. */
static uint64_t shared_segments(void) {
    char line[512];
    uint64_t bytes = 0;
    FILE *segments = fopen("/proc/sysvipc/shm", "re");
    if (segments == NULL) return 0;
    while (fgets(line, sizeof line, segments) != NULL) {
        unsigned long long resident = 0;
        if (sscanf(line, "%*d %*d %*o %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &resident) == 1) bytes += resident;
    }
    fclose(segments);
    return bytes;
}

/* Bytes: resident pages (shared ones for each who shares them), memory files, System V segments. */
uint64_t memory_in_use(void) {
    struct memory sum;
    memset(&sum, 0, sizeof sum);
    each_process(add_memory, &sum);
    return sum.bytes + shared_segments();
}

static void add_cpu(const char *pid, void *into) {
    uint64_t *ticks = into;
    char path[PATH_MAX], text[1024];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *after = strrchr(text, ')');
    unsigned long long own_user = 0, own_system = 0;
    long long waited_user = 0, waited_system = 0;
    if (after != NULL && sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld", &own_user, &own_system, &waited_user, &waited_system) == 4)
        *ticks += own_user + own_system + (uint64_t)waited_user + (uint64_t)waited_system;
}

/* Milliseconds of CPU: of the living, of those they waited for, and of those that we reaped. */
uint64_t cpu_used(void) {
    struct rusage reaped;
    uint64_t ticks = 0;
    getrusage(RUSAGE_CHILDREN, &reaped);
    each_process(add_cpu, &ticks);
    uint64_t ms = (uint64_t)(reaped.ru_utime.tv_sec + reaped.ru_stime.tv_sec) * 1000 + (uint64_t)(reaped.ru_utime.tv_usec + reaped.ru_stime.tv_usec) / 1000;
    return ms + ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}
