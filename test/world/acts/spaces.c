/* Many processes, each in pid and mount namespaces of its own, as containers are: their numbers, a line each; then they wait for a line of
   input, and each runs `/bin/true NUMBER`. They end with this one. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 0, begin[2], ready[2];
  char byte;
  if (pipe(begin) != 0 || pipe(ready) != 0) return 1;
  for (int i = 0; i < count; i++) {
    pid_t pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (pid < 0) return 1;
    if (pid == 0) {
      char number[16];
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(begin[1]);
      if (write(ready[1], "", 1) != 1) return 1;
      if (read(begin[0], &byte, 1) != 0) return 1;
      snprintf(number, sizeof number, "%d", i);
      execl("/bin/true", "/bin/true", number, (char *)0);
      return 1;
    }
    if (read(ready[0], &byte, 1) != 1) return 1;
    printf("%d\n", pid);
  }
  fflush(stdout);
  if (read(0, &byte, 1) != 1) return 1;
  close(begin[1]);
  while (wait(0) > 0) { }
  return 0;
}
