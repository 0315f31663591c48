/** Attacks on what a process is born with: variables, the environment of others, and descriptors that somebody left open. */
import { type Attack, needsTracing } from "./attack.ts";
import { call } from "./kernel-call.ts";
import { perl, secretPattern, shell } from "./programs.ts";
import { INHERITED } from "./victim.ts";

const MARK = "planted by an attack";

const ATTACKS: readonly Omit<Attack, "group">[] = [
  {
    name: "finds a token among its variables",
    works: "anyone",
    program: "node",
    code: () => `console.log(Object.values(process.env).some((value) => /${secretPattern("env")}/.test(value)) ? "WON" : "")`,
  },
  {
    name: "finds a token in /proc/self/environ",
    works: "anyone",
    program: "perl",
    code: () => perl(`slurp('/proc/self/environ') =~ /${secretPattern("env")}/ and won;`),
  },
  {
    name: "finds a registry token among npm's own variables",
    works: "anyone",
    program: "node",
    // What starts with npm_config_ looks like something that a script is meant to have.
    code: () => `console.log(/${secretPattern("npmenv")}/.test(process.env.npm_config__authToken ?? "") ? "WON" : "")`,
  },
  { name: "inherits the caller's NODE_OPTIONS", works: "anyone", program: "sh", code: () => `[ "$NODE_OPTIONS" = --no-deprecation ] && echo WON` },
  {
    name: "learns where the user's agent and engine listen",
    works: "anyone",
    program: "sh",
    code: (v) => `[ "$SSH_AUTH_SOCK" = ${shell(v.agentSocket)} ] && [ -n "$DOCKER_HOST" ] && echo WON`,
  },
  {
    name: "learns the file that sets variables of later steps",
    works: "anyone",
    program: "sh",
    code: (v) => `[ "$GITHUB_ENV" = ${shell(v.stepFile)} ] && echo WON`,
  },
  {
    name: "reads the environment of any process",
    works: "anyone",
    program: "perl",
    code: () => perl(`for (</proc/[0-9]*/environ>) { slurp($_) =~ /${secretPattern("host")}/ and won } $! = 0; lost 'none';`),
  },
  {
    name: "reads the command line of any process",
    works: "anyone",
    program: "perl",
    code: () => perl(`for (</proc/[0-9]*/cmdline>) { slurp($_) =~ /${secretPattern("host")}/ and won } $! = 0; lost 'none';`),
  },
  {
    name: "reads a file that the caller left open",
    works: "anyone",
    program: "perl",
    code: () =>
      perl(`open(my $f, '<&=', ${INHERITED.secretFile}) or lost 'open'; sysseek($f, 0, 0); sysread($f, my $t, 4096); $t =~ /${secretPattern("fd")}/ and won;`),
  },
  {
    name: "reads what any descriptor leads to",
    works: "anyone",
    program: "node",
    code: () => `for (let fd = 3; fd < 1024; fd++) try {
      const bytes = Buffer.alloc(4096);
      if (/${secretPattern("fd")}/.test(bytes.toString("latin1", 0, require("fs").readSync(fd, bytes, 0, 4096, 0)))) { console.log("WON"); break; }
    } catch {}`,
  },
  {
    name: "reopens a descriptor by /proc/self/fd",
    works: "anyone",
    program: "perl",
    // The folder that hides the file by path is not asked on this way.
    code: () => perl(`slurp('/proc/self/fd/${INHERITED.secretFile}') =~ /${secretPattern("fd")}/ and won;`),
  },
  {
    name: "writes into the home by a descriptor that the caller left open",
    works: "anyone",
    program: "perl",
    code: () => perl(`open(my $f, '>>&=', ${INHERITED.writableFile}) or lost 'open'; syswrite($f, "${MARK}\\n") or lost 'write';`),
    won: (v) => v.read("home", ".profile").includes(MARK),
  },
  {
    name: "walks out by a folder that the caller left open",
    works: "anyone",
    program: "perl",
    code: () =>
      perl(`my $p = 'home/.ssh/id_rsa'; my $fd = ${call("openat", `${INHERITED.folder}, $p, 0`)}; $fd >= 0 or lost 'openat';
        open(my $f, '<&=', $fd) or lost 'open'; sysread($f, my $t, 4096); $t =~ /${secretPattern("home")}/ and won;`),
  },
  {
    name: "makes a folder that the caller left open its working folder",
    works: "anyone",
    program: "node",
    code: () => `process.chdir("/proc/self/fd/${INHERITED.folder}");
      console.log(/${secretPattern("home")}/.test(require("fs").readFileSync("home/.npmrc", "utf8")) ? "WON" : "")`,
  },
  {
    name: "takes an open file from a process of the host",
    works: needsTracing,
    program: "perl",
    code: (v) =>
      perl(`my $p = ${call("pidfd_open", `${v.host.pid}, 0`)}; $p >= 0 or lost 'pidfd_open';
        my $fd = ${call("pidfd_getfd", "$p, 9, 0")}; $fd >= 0 or lost 'pidfd_getfd';
        open(my $f, '<&=', $fd) or lost 'open'; sysseek($f, 0, 0); sysread($f, my $t, 4096); $t =~ /${secretPattern("host")}/ and won;`),
  },
];

export const ENVIRONMENT: readonly Attack[] = ATTACKS.map((attack) => ({ ...attack, group: "environment" }));
