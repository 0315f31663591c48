/**
 * The process that stands between a test and its dockerd. It runs in a mount and a network namespace of its own, starts the
 * daemon in them, and takes everything down when its stdin ends: on dispose, and when the test was killed.
 *
 * argv: the engine's folder. stdin: lines `start` and `signal NAME`. stdout: one JSON document a line.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { cgroupName, hierarchiesToMount, makeCgroup, removeCgroup, sweepCgroups } from "./docker-cgroups.ts";

const [folder = ""] = process.argv.slice(2);
const socket = join(folder, "docker.sock");
/** The namespaces of the test, which we have left: what it mounted is taken away there, and a port is opened there. */
const outside = openSync(`/proc/${process.ppid}/ns/mnt`, "r");
const outsideNet = openSync(`/proc/${process.ppid}/ns/net`, "r");
const cgroup = cgroupName(process.pid);
let daemon: ChildProcess | undefined;

await prepare();
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const [word, name = ""] = line.split(" ");
  if (word === "start") void forgetContainerd().then(start);
  else if (word === "signal" && daemon?.pid !== undefined) process.kill(daemon.pid, name);
});
input.on("close", () => {
  takeDown().then(
    () => process.exit(0),
    (error: unknown) => {
      say({ event: "left-over", why: String(error) });
      process.exit(1);
    },
  );
});
// The keeper ends by its stdin and by nothing softer than SIGKILL; then the next one sweeps.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => undefined);
process.stdout.on("error", () => undefined);
start();

function say(document: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

async function prepare(): Promise<void> {
  // dockerd, containerd and runc keep things in /run beside what they are told.
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
  const missing = hierarchiesToMount();
  if (missing.length > 0) {
    if (!existsSync("/sys/fs/cgroup")) execFileSync("mount", ["-t", "sysfs", "sysfs", "/sys"]);
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"]);
    for (const { folder: name, type, options } of missing) {
      mkdirSync(join("/sys/fs/cgroup", name));
      execFileSync("mount", ["-t", type, "-o", options, "cgroup", join("/sys/fs/cgroup", name)]);
    }
  }
  await sweepCgroups();
}

function start(): void {
  const joined = makeCgroup(cgroup);
  const options = [
    ["--host", `unix://${socket}`],
    ["--data-root", join(folder, "data")],
    ["--exec-root", join(folder, "exec")],
    ["--pidfile", join(folder, "dockerd.pid")],
    // A file that a machine's own daemon reads must not reach into a test.
    ["--config-file", join(folder, "daemon.json")],
    ["--cgroup-parent", `/${cgroup}`],
    ["--exec-opt", "native.cgroupdriver=cgroupfs"],
    // Not every machine has iptables, and the namespace leads nowhere.
    ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"],
  ].flat();
  const secure = join(folder, "tls");
  const tls = existsSync(secure)
    ? ["--host", "fd://", "--tlsverify", "--tlscacert", join(secure, "ca.pem"), "--tlscert", join(secure, "server.pem"), "--tlskey", join(secure, "server.key")]
    : [];
  if (!existsSync(join(folder, "daemon.json"))) writeFileSync(join(folder, "daemon.json"), "{}");
  const script = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 9; shift; done; shift; exec "$@"';
  const command = [...(tls.length === 0 ? [] : listening()), "dockerd", ...options, ...tls];
  const child = spawn("sh", ["-c", script, "sh", ...joined, "--", ...command], {
    stdio: ["ignore", "ignore", "pipe", ...(tls.length === 0 ? [] : [outsideNet])],
    env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin` },
  });
  daemon = child;
  let port = 0;
  let said = false;
  if (child.stderr === null) throw new Error("no log of dockerd");
  createInterface({ input: child.stderr }).on("line", (line) => {
    say({ event: "log", line: line.slice(0, 2000) });
    if (line.startsWith("port ")) port = Number(line.slice("port ".length));
    // One line for each of its sockets; the first says that all of them are open.
    if (line.includes("API listen on") && !said) say({ event: "listening", pid: child.pid, port });
    said ||= line.includes("API listen on");
  });
  child.on("error", (error) => say({ event: "ended", why: error.message }));
  child.on("exit", (code, signal) => say({ event: "ended", why: `exit ${code ?? signal}` }));
}

/** dockerd is handed a socket that listens where the test is: a socket stays in the namespace that it was made in. */
function listening(): string[] {
  const program = [
    "use Socket; $^F = 255; my $inside = shift;",
    "socket(my $s, PF_INET, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($s, 64) or die;",
    "my ($port) = unpack_sockaddr_in(getsockname($s)); print STDERR qq(port $port\n);",
    "require POSIX; POSIX::dup2(fileno($s), 3) or die;",
    "$ENV{LISTEN_FDS} = 1; $ENV{LISTEN_PID} = $$; exec('nsenter', qq(--net=$inside), @ARGV) or die;",
  ].join(" ");
  return ["nsenter", "--net=/proc/self/fd/3", "perl", "-e", program, `/proc/${process.pid}/ns/net`];
}

/** A containerd dies with its dockerd, but one that nobody reaped still looks alive by its pid, and the next dockerd waits for it. */
async function forgetContainerd(): Promise<void> {
  const file = join(folder, "exec/containerd/containerd.pid");
  if (!existsSync(file)) return;
  const stat = `/proc/${readFileSync(file, "utf8").trim()}/stat`;
  while (existsSync(stat) && !readFileSync(stat, "utf8").includes(") Z")) await pause(5);
  rmSync(file, { force: true });
}

/** Processes first, then mounts, then files: nothing is deleted through a mount. */
async function takeDown(): Promise<void> {
  await removeCgroup(cgroup);
  const inside = (command: string): void => {
    execFileSync("nsenter", [`--mount=/proc/self/fd/3`, "sh", "-c", command, "sh", folder], { stdio: ["ignore", "ignore", "inherit", outside] });
  };
  inside('grep -F " $1/" /proc/self/mountinfo | cut -d " " -f 5 | tac | while read -r place; do umount -l "$place"; done; true');
  if (mountedBelow(folder)) throw new Error(`something is still mounted below ${folder}`);
  inside('rm -rf --one-file-system "$1"');
}

/** In our own namespace the daemon made mounts too; those are gone with it, except what only we see. */
function mountedBelow(place: string): boolean {
  const below = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .filter((mount) => mount.startsWith(`${place}/`));
  for (const mount of below.reverse()) execFileSync("umount", ["-l", mount]);
  return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${place}/`);
}
