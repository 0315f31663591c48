/** Attacks on other processes of the host: seeing, signalling, reading, changing them. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Attack, needsTracing, text } from "./attack.ts";
import { call } from "./kernel-call.ts";
import { perl, secretPattern } from "./programs.ts";
import type { Victim } from "./victim.ts";

const HOST = secretPattern("host");
const stack = (pid: number): string =>
  `my ($from, $to) = slurp('/proc/${pid}/maps') =~ /^([0-9a-f]+)-([0-9a-f]+) .*\\[stack\\]/m or lost 'maps'; $from = hex $from; $to = hex $to;`;
const stopped = (victim: Victim): boolean => /^State:\s+T/m.test(text(`/proc/${victim.host.pid}/status`));
/** A signal takes a moment to work. */
const gone = async (victim: Victim): Promise<boolean> => {
  for (let i = 0; i < 10 && victim.host.alive(); i++) await sleep(20);
  return !victim.host.alive();
};

const ATTACKS: readonly Omit<Attack, "group">[] = [
  {
    name: "sees processes of the host",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`slurp('/proc/${v.host.pid}/comm') =~ /^perl$/m and won;`),
  },
  {
    name: "sees more processes than its own",
    works: "anyone",
    program: "perl",
    // The jail's own first processes are fewer; a host has kernel threads alone by the dozen.
    code: () => perl("my @p = </proc/[0-9]*>; @p > 8 and won; $! = 0; lost 'few';"),
  },
  { name: "ends a process of the host", works: "anyone", program: "sh", code: (v) => `kill -TERM ${v.host.pid}`, won: gone },
  { name: "kills a process of the host", works: "anyone", program: "node", code: (v) => `process.kill(${v.host.pid}, "SIGKILL")`, won: gone },
  {
    name: "stops a process of the host",
    works: "anyone",
    program: "sh",
    code: (v) => `kill -STOP ${v.host.pid}`,
    won: async (v) => {
      for (let i = 0; i < 10 && !stopped(v); i++) await sleep(20);
      return stopped(v);
    },
  },
  {
    name: "kills a process of the host by a pidfd",
    works: "anyone",
    program: "perl",
    code: (v) =>
      perl(
        `my $p = ${call("pidfd_open", `${v.host.pid}, 0`)}; $p >= 0 or lost 'pidfd_open'; ${call("pidfd_send_signal", "$p, 9, 0, 0")} == 0 or lost 'signal';`,
      ),
    won: gone,
  },
  {
    name: "has the kernel signal a process of the host (F_SETOWN)",
    works: "anyone",
    program: "perl",
    // The kernel sends SIGIO, which ends it, when the pair becomes readable.
    code: (v) =>
      perl(`socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or lost 'socketpair'; fcntl($a, 8, ${v.host.pid}) or lost 'F_SETOWN';
        fcntl($a, F_SETFL, O_ASYNC | O_NONBLOCK) or lost 'O_ASYNC'; syswrite($b, 'x'); select(undef, undef, undef, 0.1);`),
    won: gone,
  },
  {
    name: "traces a process of the host",
    works: needsTracing,
    program: "perl",
    // PTRACE_SEIZE; it ends with the tracer.
    code: (v) => perl(`${call("ptrace", `0x4206, ${v.host.pid}, 0, 0`)} == 0 or lost 'ptrace'; won;`),
  },
  {
    name: "reads the memory of a process of the host by /proc",
    works: needsTracing,
    program: "perl",
    code: (v) =>
      perl(`${stack(v.host.pid)} open(my $m, '<', '/proc/${v.host.pid}/mem') or lost 'open'; sysseek($m, $from, 0); sysread($m, my $t, $to - $from);
        $t =~ /${HOST}/ and won;`),
  },
  {
    name: "reads the memory of a process of the host by process_vm_readv",
    works: needsTracing,
    program: "perl",
    code: (v) =>
      perl(`${stack(v.host.pid)} my $n = 65536; my $t = "\\0" x $n; my $local = pack('PQ', $t, $n); my $remote = pack('QQ', $to - $n, $n);
        ${call("process_vm_readv", `${v.host.pid}, $local, 1, $remote, 1, 0`)} > 0 or lost 'process_vm_readv'; $t =~ /${HOST}/ and won;`),
  },
  {
    name: "writes the memory of a process of the host",
    works: needsTracing,
    program: "perl",
    code: (v) => perl(`sysopen(my $m, '/proc/${v.host.pid}/mem', O_RDWR) or lost 'open'; won;`),
  },
  {
    name: "slows a process of the host down",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`setpriority(0, ${v.host.pid}, 7) or lost 'setpriority';`),
    won: (v) => text(`/proc/${v.host.pid}/stat`).split(") ").at(-1)?.split(" ")[16] === "7",
  },
  {
    name: "takes open files from a process of the host by its limits",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`my $new = pack('QQ', 12, 12); ${call("prlimit64", `${v.host.pid}, 7, $new, 0`)} == 0 or lost 'prlimit';`),
    won: (v) => /^Max open files\s+12\s/m.test(text(`/proc/${v.host.pid}/limits`)),
  },
  {
    name: "has the kernel prefer a process of the host when memory ends",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`open(my $f, '>', '/proc/${v.host.pid}/oom_score_adj') or lost 'open'; syswrite($f, '900') or lost 'write';`),
    won: (v) => text(`/proc/${v.host.pid}/oom_score_adj`).trim() === "900",
  },
  {
    name: "reads a System V segment of the host",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`shmread(${v.host.segment}, my $t, 0, 64) or lost 'shmread'; $t =~ /${HOST}/ and won;`),
  },
  {
    name: "enters the namespaces of a process of the host",
    works: "root",
    program: "perl",
    code: (v) => perl(`open(my $n, '<', '/proc/${v.host.pid}/ns/mnt') or lost 'open'; ${call("setns", "fileno($n), 0")} == 0 or lost 'setns'; won;`),
  },
  {
    name: "raises its own priority above the host's",
    works: "root",
    program: "perl",
    code: () => perl("setpriority(0, 0, -5) or lost 'setpriority'; won;"),
  },
];

export const PROCESSES: readonly Attack[] = ATTACKS.map((attack) => ({ ...attack, group: "processes" }));
