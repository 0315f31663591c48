/** Attacks on files that are none of a script's business: reading, changing, and ways round a path that is closed. */
import { closeSync, existsSync, openSync, readdirSync, statfsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Attack, capabilities, needsPath, outerFilter, text } from "./attack.ts";
import { call, numbers } from "./kernel-call.ts";
import { appends, perl, pl, reads, secretPattern, shell } from "./programs.ts";
import { STRANGER, type Victim } from "./victim.ts";

const key = (victim: Victim): string => join(victim.home, ".ssh", "id_rsa");
const MARK = "planted by an attack";
/** Where a device node cannot be opened, whoever made it. */
const NODEV = {
  by: "root",
  unless: "the temporary folder is mounted without devices",
  refused: () => outerFilter() || /^\S+ \/tmp \S+ \S*nodev/m.test(text("/proc/mounts")),
} as const;
const DISK = {
  by: "root",
  unless: "this machine has no disk of its own that root may open, or its temporary folder is mounted without devices",
  refused: () => NODEV.refused() || !opensDisk(),
} as const;
/** Virtual machines and containers keep the disk from root in ways that no file tells. */
function opensDisk(): boolean {
  const [, name] = /\n +\d+ +\d+ +\d+ (\S+)/.exec(text("/proc/partitions")) ?? [];
  if (name === undefined || !readdirSync("/dev").includes(name)) return false;
  try {
    closeSync(openSync(`/dev/${name}`, "r"));
    return true;
  } catch {
    return false;
  }
}
const disk = `my ($major, $minor) = slurp('/proc/partitions') =~ /\\n\\s+(\\d+)\\s+(\\d+)/ or lost 'no disk';`;
const firstBlock = `open(my $d, '<', $node) or lost 'open'; my $n = sysread($d, my $block, 512); unlink $node if $made; $n == 512 and won;`;
const shutUnlink = "sub done { unlink $_[0]; won }";

const READING: readonly Omit<Attack, "group">[] = [
  { name: "reads a key of the user's home", works: "anyone", program: "perl", code: (v) => reads(key(v), "home") },
  {
    name: "reads ~/.npmrc by $HOME",
    works: "anyone",
    program: "sh",
    code: () => `grep -Eq ${shell(secretPattern("home"))} "$HOME/.npmrc" && echo WON`,
  },
  { name: "reads a key by a relative path", works: "anyone", program: "perl", code: () => reads("../../../home/.ssh/id_rsa", "home") },
  {
    name: "reads a key through a symbolic link of its own",
    works: "anyone",
    program: "sh",
    code: (v) => `ln -s ${shell(key(v))} link && grep -Eq ${shell(secretPattern("home"))} link && echo WON`,
  },
  {
    name: "reads a key through a hard link of its own",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`link(${pl(key(v))}, 'hard') or lost 'link'; slurp('hard') =~ /${secretPattern("home")}/ and won;`),
  },
  { name: "reads /etc/shadow", works: "root", program: "sh", code: () => `grep -q '^root:' /etc/shadow && echo WON` },
  {
    name: "lists /root",
    works: "root",
    program: "perl",
    code: () => perl(`opendir(my $d, '/root') or lost 'opendir'; grep(!/^\\.\\.?$/, readdir $d) and won;`),
  },
  { name: "reads another user's file", works: "root", program: "perl", code: (v) => reads(join(v.stranger, "diary"), "stranger") },
  { name: "reads a key of the state directory", works: "anyone", program: "perl", code: (v) => reads(join(v.state, "keys", "seal.key"), "state") },
  { name: "reads another program's file in the temporary folder", works: "anyone", program: "perl", code: (v) => reads(v.temporary, "temporary") },
  { name: "reads another program's shared memory file", works: "anyone", program: "perl", code: (v) => reads(v.shared, "shared") },
  {
    name: "reads who has an account on this machine",
    works: "anyone",
    program: "perl",
    // The last line of the real list: a list made up for the jail has root and its own user.
    code: () => perl(`index(slurp('/etc/passwd'), ${pl(text("/etc/passwd").trim().split("\n").at(-1) ?? "")}) >= 0 and won;`),
  },
  {
    name: "reads the identity of this machine",
    works: needsPath("anyone", "/etc/machine-id"),
    program: "perl",
    code: () => perl(`slurp('/etc/machine-id') =~ /${text("/etc/machine-id").trim() || "absent"}/ and won;`),
  },
  {
    name: "reads a key by /proc/1/root",
    works: {
      by: "root",
      unless: "the first process has capabilities that root here lacks",
      refused: () => outerFilter() || (capabilities(1) & ~capabilities()) !== 0n,
    },
    program: "perl",
    code: (v) => reads(`/proc/1/root${key(v)}`, "home"),
  },
  {
    name: "reads a key by the root of a process of the host",
    works: "anyone",
    program: "perl",
    code: (v) => reads(`/proc/${v.host.pid}/root${key(v)}`, "home"),
  },
  {
    name: "reads a key by the working folder of a process of the host",
    works: "anyone",
    program: "perl",
    code: (v) => reads(`/proc/${v.host.pid}/cwd/../home/.ssh/id_rsa`, "home"),
  },
  { name: "reads a file that a process of the host has open", works: "anyone", program: "perl", code: (v) => reads(`/proc/${v.host.pid}/fd/9`, "host") },
  {
    name: "reads the kernel's memory",
    works: needsPath("root", "/proc/kcore"),
    program: "perl",
    code: () => perl("open(my $f, '<', '/proc/kcore') or lost 'open'; sysread($f, my $t, 64) and won;"),
  },
  {
    name: "learns where the kernel lies in memory",
    works: needsPath("root", "/proc/kallsyms"),
    program: "perl",
    code: () => perl("open(my $f, '<', '/proc/kallsyms') or lost 'open'; while (<$f>) { /^0*[1-9a-f]/ and won; $. > 100 and last }"),
  },
];

const DEVICES: readonly Omit<Attack, "group">[] = [
  {
    name: "reads the raw disk by its device file",
    works: DISK,
    program: "perl",
    code: () =>
      perl(
        `${disk} my ($made, $node); for (</dev/*>) { -b $_ or next; (stat _)[6] == $major * 256 + $minor and $node = $_ } $node or lost 'no node'; ${firstBlock}`,
      ),
  },
  {
    name: "reads the raw disk by a device node of its own",
    works: DISK,
    program: "perl",
    code: () =>
      perl(`${disk} my ($made, $node) = (1, 'disk'); my $path = $node;
        syscall(${numbers("mknodat")}, -100, $path, 060600, $major * 256 + $minor) == 0 or lost 'mknod'; ${firstBlock} unlink $node;`),
  },
  {
    name: "makes a device node",
    works: "root",
    program: "perl",
    code: () => perl(`${shutUnlink} my $p = 'null'; syscall(${numbers("mknodat")}, -100, $p, 020666, 0x103) == 0 or lost 'mknod'; done $p;`),
  },
  {
    name: "reads the kernel's log by a device node of its own",
    works: NODEV,
    program: "perl",
    code: () =>
      perl(`my $p = 'log'; syscall(${numbers("mknodat")}, -100, $p, 020600, 0x10b) == 0 or lost 'mknod';
        sysopen(my $f, $p, O_RDONLY | O_NONBLOCK) or lost 'open'; sysread($f, my $t, 8192) and won; lost 'read';`),
  },
  {
    name: "opens the machine's physical memory",
    works: { by: "root", unless: "this kernel has no /dev/mem", refused: () => NODEV.refused() || !existsSync("/dev/mem") },
    program: "perl",
    code: () => perl("sysopen(my $f, '/dev/mem', O_RDONLY) or lost 'open'; won;"),
  },
  ...(["/dev/kmsg", "/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/kvm"] as const).map((path) => ({
    name: `opens ${path}`,
    works: needsPath("root", path),
    program: "perl" as const,
    code: () => perl(`sysopen(my $f, '${path}', O_WRONLY | O_NONBLOCK) or lost 'open'; won;`),
  })),
];

const CHANGING: readonly Omit<Attack, "group">[] = [
  {
    name: "adds to the user's .bashrc",
    works: "anyone",
    program: "perl",
    code: (v) => appends(join(v.home, ".bashrc"), MARK),
    won: (v) => v.read("home", ".bashrc").includes(MARK),
  },
  {
    name: "makes a file in the user's home",
    works: "anyone",
    program: "sh",
    code: (v) => `: > ${shell(join(v.home, "new"))}`,
    won: (v) => v.has("home", "new"),
  },
  { name: "makes a file above the project", works: "anyone", program: "sh", code: () => ": > ../../../new", won: (v) => v.has("new") },
  {
    name: "deletes a file of the user's home",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`unlink(${pl(key(v))}) or lost 'unlink';`),
    won: (v) => !v.has("home", ".ssh", "id_rsa"),
  },
  {
    name: "opens the user's home to everybody",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`chmod(0777, ${pl(v.home)}) or lost 'chmod';`),
    won: (v) => (statSync(v.home).mode & 0o777) === 0o777,
  },
  {
    name: "writes into the audit trail",
    works: "anyone",
    program: "perl",
    code: (v) => appends(join(v.state, "cofferdam.db"), MARK),
    won: (v) => v.read("state", "cofferdam.db").includes(MARK),
  },
  {
    name: "changes a package manager's store through a hard link",
    works: "anyone",
    program: "perl",
    code: () => appends("index.js", MARK),
    won: (v) => v.read("store", "index.js").includes(MARK),
  },
  {
    name: "sets variables for the job's later steps",
    works: "anyone",
    program: "perl",
    code: (v) => appends(v.stepFile, `BASH_ENV=${MARK}`),
    won: (v) => v.read("run", "step-environment").includes(MARK),
  },
  {
    name: "makes a file in /etc",
    works: "root",
    program: "perl",
    code: (v) => appends(v.plantedEtc, MARK),
    won: (v) => existsSync(v.plantedEtc),
  },
  {
    name: "puts a program on everybody's path",
    works: "root",
    program: "perl",
    code: (v) => appends(v.plantedProgram, MARK),
    won: (v) => existsSync(v.plantedProgram),
  },
  // Opening for writing is the whole attack: nothing is written.
  {
    name: "can write a program of the system",
    works: "root",
    program: "perl",
    code: () => perl("sysopen(my $f, '/usr/bin/env', O_WRONLY) or lost 'open'; won;"),
  },
  {
    name: "changes the program that it runs in, by its own link to it",
    works: "root",
    program: "perl",
    code: () => perl("my $real = readlink('/proc/self/exe') or lost 'readlink'; utime((stat $real)[8, 9], $real) or lost 'utime'; won;"),
  },
];

const PRIVILEGE: readonly Omit<Attack, "group">[] = [
  {
    name: "becomes another user by a set-user-ID program",
    works: {
      by: "anyone",
      unless: "only root can make such a program, or the temporary folder is mounted nosuid",
      refused: () => process.getuid?.() !== 0 || /^\S+ \/tmp \S+ \S*nosuid/m.test(text("/proc/mounts")),
    },
    program: "sh",
    at: "project",
    code: () => `[ "$(node_modules/sibling/id -u)" = ${STRANGER} ] && echo WON`,
  },
  {
    name: "can gain privileges by su, sudo or mount",
    works: { by: "anyone", unless: "the tests themselves run without new privileges", refused: () => /^NoNewPrivs:\s*1/m.test(text("/proc/self/status")) },
    program: "perl",
    code: () => perl("slurp('/proc/self/status') =~ /^NoNewPrivs:\\s*0/m and won;"),
  },
  { name: "has capabilities", works: "root", program: "perl", code: () => perl("slurp('/proc/self/status') =~ /^CapEff:\\s*0*[1-9a-f]/m and won;") },
  { name: "becomes another user by setuid", works: "root", program: "perl", code: () => perl(`POSIX::setuid(${STRANGER}); $> == ${STRANGER} and won;`) },
  {
    name: "opens files by handle, past every mount",
    works: {
      by: "root",
      unless: "the temporary folder is on a file system whose root has no known handle (ext4 has)",
      refused: () => outerFilter() || statfsSync(tmpdir()).type !== 0xef53,
    },
    program: "perl",
    // Inode 2 is the root of an ext4 file system, whatever part of it is bound here.
    code: () =>
      perl(`open(my $here, '<', '.') or lost 'open'; my $handle = pack('LlLL', 8, 1, 2, 0);
        my $fd = ${call("open_by_handle_at", "fileno($here), $handle, 0200000")}; $fd >= 0 or lost 'open_by_handle_at'; won;`),
  },
];

export const FILES: readonly Attack[] = [...READING, ...DEVICES, ...CHANGING, ...PRIVILEGE].map((attack) => ({ ...attack, group: "files" }));
