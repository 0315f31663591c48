/** Attacks on what belongs to the whole machine: kernel settings, control groups, its name, clock, modules, swap and log. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Attack, type Conditional, needsPath, text } from "./attack.ts";
import { call, reaches } from "./kernel-call.ts";
import { perl, pl } from "./programs.ts";

/** Perl: writes the first line of the file that can be opened back into it. An empty one gets a line's end, which is the same. */
const rewrites = (paths: readonly string[]): string =>
  perl(`for my $p (map { glob } ${paths.map(pl).join(", ")}) { my ($t) = slurp($p) =~ /^(.*\\n?)/; $t eq '' and $t = "\\n";
    sysopen(my $f, $p, O_WRONLY) or next; defined(syswrite($f, $t)) or next; won } lost 'write';`);
const knob = (name: string, path: string): Omit<Attack, "group"> => ({
  name,
  works: needsPath("root", path),
  program: "perl",
  code: () => rewrites([path]),
});
/** What it would do is not done: opening it for writing is the attack. */
const opens = (name: string, path: string): Omit<Attack, "group"> => ({
  name,
  works: needsPath("root", path),
  program: "perl",
  code: () => perl(`sysopen(my $f, ${pl(path)}, O_WRONLY) or lost 'open'; won;`),
});

const CGROUPS = "/sys/fs/cgroup";
const inGroups = (file: string): boolean =>
  existsSync(join(CGROUPS, file)) || (existsSync(CGROUPS) && readdirSync(CGROUPS).some((name) => existsSync(join(CGROUPS, name, file))));
const needsGroupFile = (file: string): Conditional => ({
  by: "root",
  unless: `no control group here has ${file}`,
  refused: () => !inGroups(file) || !/^cgroup2? \S+ \S+ rw/m.test(text("/proc/mounts")),
});
const groupFiles = (file: string): readonly string[] => [`${CGROUPS}/${file}`, `${CGROUPS}/*/${file}`];

const SETTINGS: readonly Omit<Attack, "group">[] = [
  knob("names a program to start when anything crashes (core_pattern)", "/proc/sys/kernel/core_pattern"),
  knob("names the program that loads modules (modprobe)", "/proc/sys/kernel/modprobe"),
  knob("names a program to start for device events (uevent_helper)", "/sys/kernel/uevent_helper"),
  knob("changes the randomisation of addresses for everybody", "/proc/sys/kernel/randomize_va_space"),
  knob("changes how memory is overcommitted", "/proc/sys/vm/overcommit_memory"),
  knob("changes who may see the kernel's log", "/proc/sys/kernel/dmesg_restrict"),
  knob("changes which links may be followed", "/proc/sys/fs/protected_symlinks"),
  knob("makes the machine a router", "/proc/sys/net/ipv4/ip_forward"),
  knob("changes the machine's name by /proc/sys", "/proc/sys/kernel/hostname"),
  knob("changes what the keyboard's SysRq may do", "/proc/sys/kernel/sysrq"),
  opens("presses SysRq", "/proc/sysrq-trigger"),
  opens("sends the machine to sleep", "/sys/power/state"),
  opens("registers a binary format", "/proc/sys/fs/binfmt_misc/register"),
  opens("drops the kernel's caches", "/proc/sys/vm/drop_caches"),
  {
    name: "changes a disk's settings in /sys",
    works: { by: "root", unless: "this machine has no disk in /sys", refused: () => !existsSync("/sys/block") || readdirSync("/sys/block").length === 0 },
    program: "perl",
    code: () => rewrites(["/sys/block/*/queue/read_ahead_kb"]),
  },
];

const GROUPS: readonly Omit<Attack, "group">[] = [
  {
    name: "names a program to start when a control group empties (release_agent)",
    works: needsGroupFile("release_agent"),
    program: "perl",
    code: () => rewrites(groupFiles("release_agent")),
  },
  {
    name: "asks to be told when a control group empties (notify_on_release)",
    works: needsGroupFile("notify_on_release"),
    program: "perl",
    code: () => rewrites(groupFiles("notify_on_release")),
  },
  {
    name: "leaves its control group",
    works: needsGroupFile("cgroup.procs"),
    program: "perl",
    code: () =>
      perl(`for my $p (glob('${groupFiles("cgroup.procs").join(" ")}')) { sysopen(my $f, $p, O_WRONLY) or next; syswrite($f, "$$\\n") and won } lost 'write';`),
  },
  {
    name: "makes a control group of its own",
    works: needsGroupFile("cgroup.procs"),
    program: "perl",
    code: () => perl(`for my $p (glob('${CGROUPS} ${CGROUPS}/*')) { my $g = "$p/cofferdam-$$"; mkdir($g) or next; rmdir $g; won } lost 'mkdir';`),
  },
];

const CALLS: readonly Omit<Attack, "group">[] = [
  reaches("sethostname", {
    title: "sets the machine's name",
    by: "root",
    // To what it is.
    before: "my $n = (POSIX::uname())[1];",
    args: "$n, length $n",
  }),
  reaches("setdomainname", {
    title: "sets the machine's domain",
    by: "root",
    before: "my ($n) = slurp('/proc/sys/kernel/domainname') =~ /^(.*)/;",
    args: "$n, length $n",
  }),
  {
    name: "steers the machine's clock",
    works: "root",
    program: "perl",
    // struct timex: read, then ADJ_TICK with the tick that it has (its 12th word).
    code: () =>
      perl(`my $t = "\\0" x 208; ${call("adjtimex", "$t")} >= 0 or lost 'read'; substr($t, 0, 4) = pack('L', 0x4000);
        ${call("adjtimex", "$t")} >= 0 or lost 'adjtimex'; won;`),
  },
  {
    name: "reads the kernel's log",
    works: "root",
    program: "perl",
    code: () => perl(`my $b = "\\0" x 4096; ${call("syslog", "3, $b, 4096")} > 0 or lost 'syslog'; won;`),
  },
  reaches("init_module", { title: "loads a module", by: "root", before: "my $b = 'no module'; my $o = '';", args: "$b, 9, $o" }),
  reaches("finit_module", { title: "loads a module from a file", by: "root", before: "my $o = '';", args: "-1, $o, 0" }),
  reaches("delete_module", { title: "removes a module", by: "root", before: "my $n = 'cofferdam_no_such_module';", args: "$n, 04000" }),
  // More segments than there may be: EINVAL, after the permission was checked.
  reaches("kexec_load", { title: "loads another kernel", by: "root", args: "0, 1000, 0, 0" }),
  reaches("kexec_file_load", { title: "loads another kernel from a file", by: "root", before: "my $c = '';", args: "-1, -1, 0, $c, 0" }),
  // Not one of the magic numbers: EINVAL, after the permission was checked.
  reaches("reboot", { title: "gets to reboot", by: "root", args: "0x0badcafe, 0, 0, 0" }),
  reaches("swapon", { by: "root", before: "my $p = '/proc/nowhere';", args: "$p, 0" }),
  reaches("swapoff", { by: "root", before: "my $p = '/proc/nowhere';", args: "$p" }),
  reaches("acct", { title: "names a file for process accounting", by: "root", before: "my $p = '/proc/nowhere';", args: "$p" }),
  {
    name: "gives itself real-time priority",
    works: {
      by: "root",
      unless: "this process's control group has no real-time budget",
      refused: () => existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us") && !/^\d+:[^:]*\bcpu\b[^:]*:\/$/m.test(text("/proc/self/cgroup")),
    },
    program: "perl",
    code: () => perl(`my $p = pack('l', 1); ${call("sched_setscheduler", "0, 1, $p")} == 0 or lost 'sched_setscheduler'; won;`),
  },
];

export const HOST_KNOBS: readonly Attack[] = [...SETTINGS, ...GROUPS, ...CALLS].map((attack) => ({ ...attack, group: "host-knobs" }));
