/**
 * What honest scripts do. Each works outside and must work inside too: a jail in which nothing runs would block every attack,
 * and the attacks' own tools have to be there for a failure of theirs to mean anything.
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { Attack } from "./attack.ts";
import { perl } from "./programs.ts";

const CONTROLLED: readonly Omit<Attack, "group">[] = [
  {
    name: "has a shell and the tools of every build",
    works: "anyone",
    program: "sh",
    code: () => "for t in grep timeout mkfifo mknod ln mv cp rm chmod mkdir printf perl node; do command -v $t > /dev/null || echo no $t; done; echo WON",
  },
  { name: "has Perl with its base modules", works: "anyone", program: "perl", code: () => perl("won;") },
  { name: "has Node", works: "anyone", program: "node", code: () => `console.log(require("os").platform() === "linux" ? "WON" : "")` },
  {
    name: "writes into its own package",
    works: "anyone",
    program: "node",
    code: () => `require("fs").mkdirSync("build/Release", { recursive: true }); require("fs").writeFileSync("build/Release/addon.node", "built")`,
    won: (v) => v.has("project/node_modules/own/build/Release/addon.node"),
  },
  {
    name: "changes a file of its own package",
    works: "anyone",
    program: "sh",
    code: () => "echo built >> package.json && echo built > lib/new.js",
    won: (v) => v.read("project/node_modules/own/package.json").includes("built") && v.has("project/node_modules/own/lib/new.js"),
  },
  {
    name: "leaves a program, and a link inside its package",
    works: "anyone",
    program: "sh",
    code: () => "mkdir bin && cp /bin/true bin/tool && chmod 755 bin/tool && ln -s bin/tool tool",
    won: (v) => {
      const [link, program] = ["tool", "bin/tool"].map((path) => lstatSync(join(v.own, path), { throwIfNoEntry: false }));
      return link?.isSymbolicLink() === true && program !== undefined && (program.mode & 0o777) === 0o755;
    },
  },
  { name: "runs what it just built", works: "anyone", program: "sh", code: () => "cp /bin/echo ./built && ./built WON" },
  {
    name: "uses the temporary folder",
    works: "anyone",
    program: "node",
    code: () => `const { mkdtempSync, writeFileSync, readFileSync } = require("fs"); const d = mkdtempSync(require("os").tmpdir() + "/build-");
      writeFileSync(d + "/x", "WON"); console.log(readFileSync(d + "/x", "utf8"))`,
  },
  {
    name: "finds the packages beside it",
    works: "anyone",
    program: "node",
    code: () => `console.log(require("sibling") === 1 ? "WON" : "")`,
  },
  {
    name: "has children, pipes and socket pairs",
    works: "anyone",
    program: "perl",
    code: () =>
      perl(`socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or lost 'socketpair'; my @c; for (1 .. 20) { my $c = fork; defined $c or lost 'fork';
        if (!$c) { syswrite($b, 'x'); POSIX::_exit(0) } push @c, $c } waitpid($_, 0) for @c; sysread($a, my $t, 64) == 20 and won;`),
  },
  {
    name: "talks to a server of its own",
    works: "anyone",
    program: "node",
    code: () => `const net = require("net"); const s = net.createServer((c) => c.end("WON\\n")).listen(0, "127.0.0.1", () =>
      net.connect(s.address().port, "127.0.0.1").on("data", (d) => process.stdout.write(d)).on("close", () => s.close()))`,
  },
  {
    name: "has threads and 100 MB of memory",
    works: "anyone",
    program: "node",
    code: () => `const { Worker } = require("worker_threads"); let n = 0; const b = Buffer.alloc(1e8, 1);
      for (let i = 0; i < 3; i++) new Worker("", { eval: true }).on("exit", () => { if (++n === 3 && b.length === 1e8) console.log("WON"); })`,
  },
  {
    name: "builds in the project, as its own script",
    works: "anyone",
    program: "sh",
    at: "project",
    code: () => "mkdir dist && echo built > dist/index.js",
    won: (v) => v.has("project/dist/index.js"),
  },
];

export const CONTROLS: readonly Attack[] = CONTROLLED.map((control) => ({ ...control, group: "controls" }));
