/*
 * Reading is not told by audit's other rules: it would be everything. So the files of a container that have sensitive names, in the places where such
 * files are, get a rule each as its watch begins. Audit resolves a path where whoever adds the rule is: this process goes into the container's
 * root for it, adds, and ends. The rules are the sensor's by their key, and go with the watch.
 *
 *   sensor audit-names SENSOR PID WATCH    names on standard input, as lines of FLAGS NAME
 */
#define _GNU_SOURCE
#include "audit-rules.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 128
#define MAX_IN_FOLDER 32
#define MAX_HOMES 16
#define MAX_NAMES 1024
/* A file system of the container may never answer. */
#define SECONDS 2

struct name {
    unsigned flags;
    char text[NAME_SIZE];
};

static struct name names[MAX_NAMES];
static size_t name_count;
static struct stat added[MAX_FILES];
static size_t added_count;

static void add(const char *folder, const char *name) {
    char path[PATH_MAX], real[PATH_MAX];
    struct stat found;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path || realpath(path, real) == NULL) return;
    if (added_count == MAX_FILES || stat(real, &found) != 0 || !S_ISREG(found.st_mode)) return;
    for (size_t i = 0; i < added_count; i++)
        if (added[i].st_dev == found.st_dev && added[i].st_ino == found.st_ino) return;
    if (rules_add_file(real) == 0) added[added_count++] = found;
}

/* @param each called with what is in a folder, up to a bound. */
static void walk(const char *folder, unsigned most, void (*each)(const char *folder, const char *name)) {
    DIR *open_folder = opendir(folder);
    if (open_folder == NULL) return;
    for (const struct dirent *entry; most > 0 && (entry = readdir(open_folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        each(folder, entry->d_name);
        most--;
    }
    closedir(open_folder);
}

static void look_in(const char *place) {
    char folder[PATH_MAX];
    for (size_t i = 0; i < name_count; i++) {
        if ((names[i].flags & NAME_FILE) != 0) add(place, names[i].text);
        if ((names[i].flags & NAME_FOLDER) == 0 || snprintf(folder, sizeof folder, "%s/%s", place, names[i].text) >= (int)sizeof folder) continue;
        walk(folder, MAX_IN_FOLDER, add);
    }
}

static void look_in_home(const char *folder, const char *name) {
    char home[PATH_MAX];
    if (snprintf(home, sizeof home, "%s/%s", folder, name) < (int)sizeof home) look_in(home);
}

/* A path has to be a name of a file, and no way out of the folder that it is looked for in. */
static void read_names(void) {
    char line[128];
    while (name_count < MAX_NAMES && fgets(line, sizeof line, stdin) != NULL) {
        struct name *name = &names[name_count];
        if (sscanf(line, "%u %47s", &name->flags, name->text) == 2 && strchr(name->text, '/') == NULL) name_count++;
    }
}

int run_audit_names(unsigned sensor, unsigned pid, unsigned watch) {
    char path[64], folder[PATH_MAX];
    alarm(SECONDS);
    read_names();
    struct found found;
    audit_open();
    if (owner_look(&found, GONE_NONE, sensor) != 0 || *found.key == '\0') die(EXIT_FAILED, "no sensor %u", sensor);
    owner_is(found.key, watch);
    snprintf(path, sizeof path, "/proc/%u/cwd", pid);
    ssize_t length = readlink(path, folder, sizeof folder - 1);
    folder[length < 0 ? 0 : length] = '\0';
    snprintf(path, sizeof path, "/proc/%u/root", pid);
    if (chdir(path) != 0 || chroot(".") != 0) die(EXIT_FAILED, "the root of process %u: %s", pid, strerror(errno));
    keep_privileges(UINT64_C(1) << CAP_AUDIT_CONTROL | UINT64_C(1) << CAP_DAC_READ_SEARCH);
    restrict_calls(ROLE_NAMES);
    const char *const places[] = {"/etc", "/root", "/run", "/var/run", folder};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (*places[i] == '/') look_in(places[i]);
    walk("/home", MAX_HOMES, look_in_home);
    /* Nothing is left to be written, and an end by the library would ask where standard input is. */
    _exit(0);
}
