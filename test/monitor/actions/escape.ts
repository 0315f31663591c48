/** More rights, other namespaces, the kernel. */
import { type Action, CALL } from "./action.ts";

export const ESCAPE: readonly Action[] = [
  {
    // A program that is run without arguments at all; kernels since 5.18 give it an empty one.
    name: "PolkitLocalPrivilegeEscalationVulnerability",
    script: `perl -e '$p = "/usr/bin/pkexec"; $a = pack "Q", 0; $e = pack "p Q", "E=" . "x", 0; syscall ${CALL.execve}, $p, $a, $e; die $!' < /dev/null; echo ran $?`,
    shows: /^ran 0$/m,
  },
  {
    name: "PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse",
    script: "GLIBC_TUNABLES=glibc.malloc.mxfast=glibc.malloc.mxfast=A su -c 'echo $GLIBC_TUNABLES'",
    shows: /^glibc\.malloc/m,
  },
  { name: "SudoPotentialPrivilegeEscalation", script: `echo 'echo $BASH' | sudoedit -s 'AAAA\\'`, shows: /sudoedit$/m },
  {
    name: "NonSudoSetuid",
    script: "perl -MPOSIX -e 'POSIX::setuid(2) or die; print `id -u`'",
    shows: /^2$/m,
    capabilities: ["SETUID"],
  },
  { name: "SetSetuidOrSetgidBit", script: "cp /bin/busybox /tmp/su; chmod 4755 /tmp/su; ls -l /tmp/su", shows: /^-rwsr-xr-x/m },
  {
    name: "PtraceAttachedToProcess",
    script: `sleep 30 & perl -e 'syscall(${CALL.ptrace}, 16, $ARGV[0] + 0, 0, 0) == 0 or die $!; waitpid $ARGV[0], 0x40000000; open F, "/proc/$ARGV[0]/status"; print grep /Tracer/, <F>' $!; kill -9 $!`,
    shows: /^TracerPid:\s+[1-9]/m,
    capabilities: ["SYS_PTRACE"],
  },
  {
    name: "PtraceAntiDebugAttempt",
    script: `perl -e 'syscall(${CALL.ptrace}, 0, 0, 0, 0) == 0 or die $!; open F, "/proc/self/status"; print grep /Tracer/, <F>'`,
    shows: /^TracerPid:\s+[1-9]/m,
  },
  {
    name: "UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess",
    script: `perl -e '$f = syscall ${CALL.userfaultfd}, 1; print readlink "/proc/self/fd/$f"'`,
    shows: /userfaultfd/,
    user: "65534",
    unfiltered: true,
  },
  {
    name: "ChangeThreadNamespace",
    script: `unshare -u sleep 30 & sleep 0.3; perl -e 'open F, "/proc/$ARGV[0]/ns/uts" or die; syscall(${CALL.setns}, fileno(F), 0) == 0 or die $!;
      print readlink("/proc/self/ns/uts") eq readlink("/proc/$ARGV[0]/ns/uts") ? "joined" : "not"' $!; kill $!`,
    shows: /joined/,
    capabilities: ["SYS_ADMIN", "SYS_PTRACE"],
  },
  {
    name: "ChangeNamespacePrivilegesViaUnshare",
    script: "unshare -m readlink /proc/self/ns/mnt; readlink /proc/self/ns/mnt",
    shows: /^(mnt:\[\d+\])\n(?!\1)mnt/m,
    capabilities: ["SYS_ADMIN"],
  },
  // In a folder of its own: the name is what is to be seen, and the machine's own file is not to be touched.
  { name: "DetectReleaseAgentFileContainerEscapes", script: "mkdir /tmp/cg; echo /cmd > /tmp/cg/release_agent; cat /tmp/cg/release_agent", shows: /^\/cmd$/m },
  {
    name: "LinuxKernelModuleInjectionDetected",
    script: `perl -e '$m = "module"; $o = ""; syscall ${CALL.init_module}, $m, 6, $o; print $!'`,
    shows: /not (permitted|implemented)/i,
    unfiltered: true,
  },
  {
    name: "PacketSocketCreatedInContainer",
    script: `perl -e 'socket(P, 17, 3, 0x300) or die $!; bind P, pack("SnlSCCx8", 17, 3, 1, 0, 0, 0) or die $!; open F, "/proc/net/packet"; print scalar(() = <F>) - 1'`,
    shows: /^[1-9]/m,
    capabilities: ["NET_RAW"],
  },
  {
    name: "ModifyContainerEntrypoint",
    script: "echo 'echo planted' >> /docker-entrypoint.sh; sh /docker-entrypoint.sh",
    shows: /^planted$/m,
    changes: ["/docker-entrypoint.sh"],
  },
];
