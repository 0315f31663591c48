/* Once it is set up, the sensor only reads and writes a pipe: it becomes nobody, without a capability. What has to stay stays in a process of its own. */
#define _GNU_SOURCE
#include "sensor.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

/* What it may do now, and what it could take up again. */
static void set_capabilities(uint64_t effective, uint64_t permitted) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted},
        {.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32)},
    };
    if (syscall(SYS_capset, &head, data) != 0) die(EXIT_FAILED, "capabilities: %s", strerror(errno));
}

/* @param mask capabilities that it may take up again. */
static void become_nobody(uint64_t mask) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) die(EXIT_FAILED, "prctl: %s", strerror(errno));
    for (int one = 0; one < 64 && prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; one++) prctl(PR_CAPBSET_DROP, one, 0, 0, 0);
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0) die(EXIT_FAILED, "becoming nobody: %s", strerror(errno));
    set_capabilities(0, mask);
    /* A change of identity clears both; the parent may be gone by now, which shows as a closed standard input. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool drop_privileges(int needed, bool (*works)(void)) {
    uint64_t mask = needed < 0 ? 0 : UINT64_C(1) << needed;
    become_nobody(mask);
    bool without = works == NULL || works();
    if (without) set_capabilities(0, 0);
    else set_capabilities(mask, mask);
    return without;
}

void keep_privileges(uint64_t mask) {
    become_nobody(mask);
    set_capabilities(mask, mask);
}
