/** Attacks that work later: what a script leaves behind for the next program or person of the host to run, follow or trust. */
import { lstatSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Attack, outerFilter, text } from "./attack.ts";
import { call } from "./kernel-call.ts";
import { perl, pl, shell } from "./programs.ts";
import type { Victim } from "./victim.ts";

const MARK = "planted by an attack";
const kind = (path: string): "link" | "fifo" | "socket" | "device" | "other" | "none" => {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return "none";
  if (stats.isSymbolicLink()) return "link";
  if (stats.isFIFO()) return "fifo";
  if (stats.isSocket()) return "socket";
  return stats.isCharacterDevice() || stats.isBlockDevice() ? "device" : "other";
};
const mode = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
/** Writes into an output as any later tool of the host would, and says whether the user's .bashrc changed. */
const followed = (victim: Victim, output: string): boolean => {
  writeFileSync(join(victim.own, output), MARK);
  return victim.read("home", ".bashrc").includes(MARK);
};
/** Shell: a line at the end of a file, and a change of the file on the host. */
const edits = (name: string, at: "package" | "project", path: string, fromProject: string): Omit<Attack, "group"> => ({
  name,
  works: "anyone",
  program: "sh",
  at,
  code: () => `echo ${shell(MARK)} >> ${shell(path)}`,
  won: (v) => v.has("project", fromProject) && v.read("project", fromProject).includes(MARK),
});

const LINKS: readonly Omit<Attack, "group">[] = [
  {
    name: "leaves a link to the user's .bashrc where a log is expected",
    works: "anyone",
    program: "sh",
    code: (v) => `ln -s ${shell(join(v.home, ".bashrc"))} build.log`,
    won: (v) => followed(v, "build.log"),
  },
  {
    name: "leaves a relative link out of the tree",
    works: "anyone",
    program: "sh",
    code: () => "ln -s ../../../home/.bashrc build.log",
    won: (v) => followed(v, "build.log"),
  },
  {
    name: "leaves a chain of links out of the tree",
    works: "anyone",
    program: "sh",
    // Each step stays inside as a text; only the last leaves.
    code: () => "mkdir a && ln -s .. a/up && ln -s a/up/../../../home/.bashrc build.log",
    won: (v) => followed(v, "build.log"),
  },
  {
    name: "leaves a link instead of a folder that gets outputs",
    works: "anyone",
    program: "sh",
    code: (v) => `rm -r lib && ln -s ${shell(v.home)} lib`,
    won: (v) => followed(v, "lib/.bashrc"),
  },
  {
    name: "leaves a link instead of its own package",
    works: "anyone",
    program: "sh",
    code: (v) => `mv ../own ../own-old && ln -s ${shell(v.home)} ../own`,
    won: (v) => kind(v.own) === "link",
  },
  {
    name: "leaves a hard link to the user's .bashrc",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`link(${pl(join(v.home, ".bashrc"))}, 'build.log') or lost 'link';`),
    won: (v) => followed(v, "build.log"),
  },
];

const FILES: readonly Omit<Attack, "group">[] = [
  {
    name: "leaves a set-user-ID program",
    works: "anyone",
    program: "sh",
    code: () => "cp /bin/sh helper && chmod 4755 helper",
    won: (v) => (mode(join(v.own, "helper")) & 0o4000) !== 0,
  },
  {
    name: "leaves a set-group-ID folder",
    works: "anyone",
    program: "sh",
    code: () => "mkdir shared && chmod 2777 shared",
    won: (v) => (mode(join(v.own, "shared")) & 0o2000) !== 0,
  },
  {
    name: "leaves a program with capabilities",
    works: {
      by: "root",
      unless: "a filter or a container is around the tests already",
      refused: () => outerFilter() || !/^CapEff:\s*0*1ff/m.test(text("/proc/self/status")),
    },
    program: "perl",
    // VFS_CAP_REVISION_2 with CAP_DAC_OVERRIDE permitted and effective. setxattr(path, name, value, size, flags).
    code: () =>
      perl(`open(my $f, '>', 'helper') or lost 'open'; close $f; my ($p, $n) = ('helper', 'security.capability'); my $v = pack('L5', 0x02000001, 2, 0, 0, 0);
        ${call("setxattr", "$p, $n, $v, 20, 0")} == 0 or lost 'setxattr'; won;`),
  },
  {
    name: "leaves a FIFO where a file is expected",
    works: "anyone",
    program: "sh",
    code: () => "mkfifo output.json",
    won: (v) => kind(join(v.own, "output.json")) === "fifo",
  },
  {
    name: "leaves a socket where a file is expected",
    works: "anyone",
    program: "perl",
    code: () => perl("socket(my $s, AF_UNIX, SOCK_STREAM, 0) or lost 'socket'; bind($s, pack_sockaddr_un('output.sock')) or lost 'bind';"),
    won: (v) => kind(join(v.own, "output.sock")) === "socket",
  },
  {
    name: "leaves a socket made by one end of a pair",
    works: "anyone",
    program: "perl",
    code: () => perl("socketpair(my $a, my $b, AF_UNIX, SOCK_DGRAM, 0) or lost 'socketpair'; bind($a, pack_sockaddr_un('pair.sock')) or lost 'bind';"),
    won: (v) => kind(join(v.own, "pair.sock")) === "socket",
  },
  { name: "leaves a device node", works: "root", program: "sh", code: () => "mknod zero c 1 5", won: (v) => kind(join(v.own, "zero")) === "device" },
  {
    name: "leaves a shared memory segment",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`defined shmget(${v.segmentKey}, 4096, 01600) or lost 'shmget';`),
    won: (v) => new RegExp(`^\\s*${v.segmentKey}\\s`, "m").test(text("/proc/sysvipc/shm")),
  },
];

const hook = (at: "package" | "project"): Omit<Attack, "group"> => ({
  name: at === "project" ? "plants a git hook" : "plants a git hook from a dependency",
  works: "anyone",
  program: "sh",
  at,
  code: () => {
    const path = `${at === "project" ? "" : "../../"}.git/hooks/post-checkout`;
    return `printf '#!/bin/sh\\necho ${MARK}\\n' > ${path} && chmod 755 ${path}`;
  },
  won: (v) => v.has("project", ".git/hooks/post-checkout") && (mode(join(v.project, ".git/hooks/post-checkout")) & 0o111) !== 0,
});

const TREE: readonly Omit<Attack, "group">[] = [
  hook("project"),
  hook("package"),
  {
    name: "exchanges the folder of git hooks",
    works: "anyone",
    program: "sh",
    at: "project",
    code: () => `mv .git/hooks .git/old && mkdir .git/hooks && echo ${shell(MARK)} > .git/hooks/pre-commit`,
    won: (v) => v.has("project", ".git/hooks/pre-commit"),
  },
  edits("has git run a program by its configuration", "project", ".git/config", ".git/config"),
  {
    name: "exchanges the whole .git",
    works: "anyone",
    program: "sh",
    at: "project",
    code: () => `mv .git old && mkdir -p .git/hooks && echo ${shell(MARK)} > .git/config`,
    won: (v) => v.has("project", ".git/config") && v.read("project", ".git/config").includes(MARK),
  },
  edits("edits a workflow", "project", ".github/workflows/ci.yml", ".github/workflows/ci.yml"),
  edits("adds a workflow", "project", ".github/workflows/planted.yml", ".github/workflows/planted.yml"),
  edits("edits the lockfile", "project", "package-lock.json", "package-lock.json"),
  {
    name: "exchanges the lockfile by renaming",
    works: "anyone",
    program: "sh",
    at: "project",
    code: () => `echo ${shell(MARK)} > new && mv -f new package-lock.json`,
    won: (v) => v.read("project", "package-lock.json").includes(MARK),
  },
  edits("edits the lockfile from a dependency", "package", "../../package-lock.json", "package-lock.json"),
  edits("edits the project's manifest from a dependency", "package", "../../package.json", "package.json"),
  edits("plants npm's configuration from a dependency", "package", "../../.npmrc", ".npmrc"),
  edits("edits a sibling package", "package", "../sibling/index.js", "node_modules/sibling/index.js"),
  edits("adds a package that nobody asked for", "package", "../planted.js", "node_modules/planted.js"),
  edits("puts a command on the scripts' path", "package", "../.bin/git", "node_modules/.bin/git"),
];

export const LEFTOVERS: readonly Attack[] = [...LINKS, ...FILES, ...TREE].map((attack) => ({ ...attack, group: "leftovers" }));
