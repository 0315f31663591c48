/**
 * Attacks that take more than their share. Outside each is bounded, cleans up after itself and takes seconds; inside it meets
 * the small limit that it names.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "./attack.ts";
import { call } from "./kernel-call.ts";
import { perl, pl } from "./programs.ts";
import type { Victim } from "./victim.ts";

const MIB = 1024 * 1024;
const MEMORY = { memoryBytes: 256 * MIB };
const TMP = { tmpBytes: 64 * MIB };
/** Perl: starts $n children that run the block and then wait; all end at the end, and after 8 s in any case. */
const children = (count: number, block: string): string =>
  `my @c; my $fail = sub { my $why = $! + 0; kill 'KILL', @c if @c; waitpid($_, 0) for @c; $! = $why; lost @_ };
   pipe(my $r, my $w); for (1 .. ${count}) { my $c = fork; defined $c or $fail->('fork');
     if (!$c) { alarm 8; close $r; ${block}; syswrite($w, 'x'); sleep 8; POSIX::_exit(0) } push @c, $c }
   close $w; my $ready = 0; while ($ready < ${count}) { my $n = sysread($r, my $t, 4096); $n or $fail->('children ended'); $ready += $n }
   kill 'KILL', @c; waitpid($_, 0) for @c; won;`;
/** Perl: $n files of $size in a folder of their own, removed at the end. */
const filesIn = (folder: string, count: number, bytes: number): string =>
  perl(`my $d = ${folder} . "/fill-$$"; mkdir $d or lost 'mkdir'; my $data = 'x' x ${bytes}; my $made = 0; my $why = '';
    for my $i (1 .. ${count}) { sysopen(my $f, "$d/$i", O_WRONLY | O_CREAT) or do { $why = "open: $!"; last }; ++$made;
      ${bytes} == 0 or (syswrite($f, $data) // 0) == ${bytes} or do { $why = "write: $!"; last } }
    my $all = $made == ${count} && $why eq ''; unlink "$d/$_" for 1 .. $made; rmdir $d; $all and won; print "lost: $why\\n"; POSIX::_exit(0);`);
/** Inside, the private one; outside, a folder of the test's instead of everybody's. */
const TMP_FOLDER = "(grep({ defined && -d && -w } $ENV{TMPDIR}, '/tmp'))[0]";
/** Still there after a moment: what is being killed may be seen to die. */
const lives = async (victim: Victim): Promise<boolean> => {
  for (let i = 0; i < 10 && victim.survivors().length > 0; i++) await sleep(30);
  return victim.survivors().length > 0;
};

const MEMORY_AND_PROCESSES: readonly Omit<Attack, "group">[] = [
  { name: "starts 300 processes", works: "anyone", program: "perl", code: () => perl(children(300, "1")), limits: { pids: 64 } },
  {
    name: "leaves 300 ended processes unburied",
    works: "anyone",
    program: "perl",
    code: () =>
      perl(`my @c; my $why = ''; for (1 .. 300) { my $c = fork; defined $c or do { $why = "$!"; last }; $c or POSIX::_exit(0); push @c, $c }
        waitpid($_, 0) for @c; @c == 300 and won; print "lost: $why\\n"; POSIX::_exit(0);`),
    limits: { pids: 64 },
  },
  {
    name: "starts 100 threads",
    works: "anyone",
    program: "node",
    code: () => `let done = 0; process.env.UV_THREADPOOL_SIZE = "100"; const { pbkdf2 } = require("crypto");
      for (let i = 0; i < 100; i++) pbkdf2("a", "b", 1, 8, "sha1", () => {
        if (++done === 100 && require("fs").readdirSync("/proc/self/task").length > 100) console.log("WON"); });`,
    limits: { pids: 64 },
  },
  {
    name: "touches 1 GiB of memory",
    works: "anyone",
    program: "perl",
    code: () => perl(`my $n = ${MIB}; my @m; push @m, 'x' x $n for 1 .. 1024; @m == 1024 and won;`),
    limits: MEMORY,
  },
  {
    name: "touches 1 GiB of memory in eight processes",
    works: "anyone",
    program: "perl",
    // A limit on the addresses of one process does not see this.
    code: () => perl(children(8, `my $m = 'x' x ${128 * MIB}`)),
    limits: MEMORY,
  },
  {
    name: "keeps 600 MiB in a file in memory (memfd)",
    works: "anyone",
    program: "perl",
    code: () =>
      perl(`my $n = 'm'; my $fd = ${call("memfd_create", "$n, 0")}; $fd >= 0 or lost 'memfd'; open(my $f, '>&=', $fd) or lost 'open';
        my $m = 'x' x ${MIB}; for (1 .. 600) { (syswrite($f, $m) // 0) == ${MIB} or lost 'write' } won;`),
    limits: MEMORY,
  },
  {
    name: "keeps 300 MB in /dev/shm",
    works: "anyone",
    program: "perl",
    code: (v) =>
      perl(`my $p = ${pl(`${v.shared}-fill`)}; open(my $f, '>', $p) or lost 'open'; unlink $p; my $m = 'x' x ${MIB};
        for (1 .. 300) { (syswrite($f, $m) // 0) == ${MIB} or lost 'write' } won;`),
    limits: { ...TMP, ...MEMORY },
  },
];

const DISK: readonly Omit<Attack, "group">[] = [
  {
    name: "fills the temporary folder with one file of 300 MB",
    works: "anyone",
    program: "perl",
    code: () =>
      perl(`my $p = ${TMP_FOLDER} . "/fill-$$"; open(my $f, '>', $p) or lost 'open'; unlink $p; my $m = 'x' x ${MIB};
        for (1 .. 300) { (syswrite($f, $m) // 0) == ${MIB} or lost 'write' } won;`),
    limits: TMP,
  },
  {
    name: "fills the temporary folder with 300 files of 1 MB",
    works: "anyone",
    program: "perl",
    // A limit on the size of one file does not see this.
    code: () => filesIn(TMP_FOLDER, 300, MIB),
    limits: TMP,
  },
  {
    name: "makes 50,000 files in the temporary folder",
    works: "anyone",
    program: "perl",
    code: () => filesIn(TMP_FOLDER, 50_000, 0),
    limits: { tmpInodes: 10_000 },
  },
  {
    name: "leaves a file that claims 1 TiB",
    works: "anyone",
    program: "perl",
    // Nothing is written; whoever copies it naively fills the disk.
    code: () => perl(`open(my $f, '>', 'huge') or lost 'open'; truncate($f, ${1024 ** 4}) or lost 'truncate';`),
    won: (v) => v.has("project", "node_modules", "own", "huge") && statSync(join(v.own, "huge")).size >= 1024 ** 4,
    limits: { fileBytes: 64 * MIB },
  },
];

const TIME: readonly Omit<Attack, "group">[] = [
  {
    name: "spins past the time-out",
    works: "anyone",
    program: "node",
    code: () => "const end = Date.now() + 1500; while (Date.now() < end); console.log('WON')",
    limits: { timeoutMs: 600 },
  },
  {
    name: "takes more CPU time than it has",
    works: "anyone",
    program: "perl",
    // Ignoring the warning that comes first.
    code: () => perl("$SIG{XCPU} = 'IGNORE'; my $end = POSIX::clock() + 2_500_000; 1 while POSIX::clock() < $end; won;"),
    limits: { cpuSeconds: 1 },
  },
  {
    name: "takes more CPU time than it has, in children",
    works: "anyone",
    program: "perl",
    // A limit of each process does not see this.
    code: () =>
      perl(`for (1 .. 3) { my $c = fork; defined $c or lost 'fork'; if (!$c) { my $end = POSIX::clock() + 600_000; 1 while POSIX::clock() < $end; POSIX::_exit(0) }
          waitpid($c, 0); $? == 0 or lost 'killed' } won;`),
    limits: { cpuSeconds: 1 },
  },
  {
    name: "hangs and ignores every signal that it can",
    works: "anyone",
    program: "perl",
    // Longer than the time-out and a polite moment after it together.
    code: () => perl("$SIG{$_} = 'IGNORE' for qw(TERM INT HUP QUIT USR1 USR2 ALRM XCPU PIPE); sleep 3; won;"),
    limits: { timeoutMs: 600 },
  },
  {
    name: "hangs in a child while it ends itself",
    works: "anyone",
    program: "perl",
    // The child holds the output open: whoever waits for its end waits for the child.
    code: (v) => perl(`my $c = fork; defined $c or lost 'fork'; if (!$c) { $SIG{TERM} = 'IGNORE'; sleep 3; POSIX::_exit(0) } POSIX::_exit(0); # ${v.token}`),
    won: lives,
    limits: { timeoutMs: 600 },
  },
  {
    name: "outlives its job as a daemon",
    works: "anyone",
    program: "perl",
    code: (v) =>
      perl(`my $name = ${pl(`daemon-${v.token}`)}; fork and POSIX::_exit(0); POSIX::setsid(); fork and POSIX::_exit(0); $0 = $name;
        open(STDOUT, '>', '/dev/null'); open(STDERR, '>', '/dev/null'); sleep 5; POSIX::_exit(0);`),
    won: lives,
  },
  {
    name: "outlives its job in a session of its own, with no output held",
    works: "anyone",
    program: "node",
    code: (v) => `require("child_process").spawn("sh", ["-c", "sleep 5; : daemon-${v.token}"], { detached: true, stdio: "ignore" }).unref()`,
    won: lives,
  },
];

const OUTPUT: readonly Omit<Attack, "group">[] = (["STDOUT", "STDERR"] as const).map((stream) => ({
  name: `floods ${stream.toLowerCase()} with 50 MB`,
  works: "anyone",
  program: "perl",
  code: () => perl(`my $m = 'x' x ${MIB}; for (1 .. 50) { syswrite(${stream}, $m) or lost 'write' }`),
  won: (_victim, output) => output.length > 40 * MIB,
  limits: { outputBytes: MIB },
}));

export const RESOURCES: readonly Attack[] = [...MEMORY_AND_PROCESSES, ...DISK, ...TIME, ...OUTPUT].map((attack) => ({ ...attack, group: "resources" }));
