/**
 * How long until `true` ran in the jail: against bare `true`, against bubblewrap with the same layers made by hand (cgroups,
 * another uid, limits, a filter, the same mounts), and against the best-known sandbox package and a container.
 * As root, and as an ordinary user where root runs it.
 */
import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SandboxManager } from "@anthropic-ai/sandbox-runtime";
import { Cgroup } from "../dist/sandbox/cgroup.js";
import { locateJailHelper, runJail } from "../dist/sandbox/index.js";
import { seccompFilter } from "../dist/sandbox/seccomp/filter.js";
import { systemBinds } from "../dist/sandbox/view.js";
import { type Contender, interleaved, print, timed } from "./measure.ts";

const ROUNDS = Number(process.env["COFFERDAM_BENCH_ROUNDS"] ?? 40);
const BUBBLEWRAP = "/usr/bin/bwrap";
const root = process.geteuid?.() === 0;
const work = mkdtempSync(join(tmpdir(), "cofferdam-bench-jail-"));
const tools = { bubblewrap: BUBBLEWRAP, helper: locateJailHelper() };

function run(command: string, args: readonly string[], extra: readonly number[] = []): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe", ...extra], env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } });
    let said = "";
    child.stdout?.resume();
    child.stderr?.on("data", (piece: Buffer) => {
      said += piece.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${command}: exit ${code}: ${said.slice(0, 500)}`))));
  });
}

async function ours(): Promise<void> {
  const { exit } = await runJail(
    {
      ...{ command: ["true"], cwd: "/tmp", env: { PATH: "/usr/bin:/bin" }, readable: [], writable: [], net: [] },
      ...{ level: "medium", keep: "on-success", output: "capture", signal: AbortSignal.timeout(20_000) },
    },
    tools,
  );
  if (exit !== 0) throw new Error(`the jail: exit ${exit}`);
}

/** The same layers from what a distribution ships. A filter without a listener: refused calls fail, nobody hears of them. */
const filterFile = join(work, "filter");
const refuseInstead = seccompFilter({ architecture: process.arch === "arm64" ? "arm64" : "x64", unixSockets: false, observe: "writes" });
writeFileSync(filterFile, withoutListener(refuseInstead));
function withoutListener(filter: Buffer): Buffer {
  const copy = Buffer.from(filter);
  // Every "ask the listener" becomes "allow": bubblewrap has none, and the number of instructions stays the same.
  for (let at = 0; at < copy.length; at += 8)
    if (copy.readUInt16LE(at) === 0x06 && copy.readUInt32LE(at + 4) === 0x7fc00000) copy.writeUInt32LE(0x7fff0000, at + 4);
  return copy;
}

async function byHand(): Promise<void> {
  const cgroup = Cgroup.create({ memory: 2 ** 31, pids: 512, cpus: undefined });
  const filter = openSync(filterFile, "r");
  const join_ = (cgroup?.joins ?? []).map((file) => `echo 0 > ${file}`).join("; ");
  const drop = root ? "setpriv --reuid 2046820999 --regid 2046820999 --clear-groups" : "";
  const mounts = [
    ...systemBinds(),
    ...[
      "--dir",
      "/etc",
      "--ro-bind",
      "/etc/ld.so.cache",
      "/etc/ld.so.cache",
      "--ro-bind",
      "/etc/ssl",
      "/etc/ssl",
      "--ro-bind",
      "/etc/alternatives",
      "/etc/alternatives",
    ],
    ...[
      "--proc",
      "/proc",
      "--ro-bind",
      "/proc/sys",
      "/proc/sys",
      "--dev",
      "/dev",
      "--size",
      "1073741824",
      "--tmpfs",
      "/tmp",
      "--tmpfs",
      "/home/jail",
      "--remount-ro",
      "/",
    ],
  ];
  const bubblewrap = [
    ...[BUBBLEWRAP, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"],
    ...["--seccomp", "3", "--setenv", "PATH", "/usr/bin:/bin", ...mounts, "--chdir", "/tmp", "--", "true"],
  ];
  const line = `${join_ === "" ? "" : `${join_}; `}exec prlimit --core=0 --nofile=4096 --fsize=1073741824 --memlock=65536 ${drop} "$@"`;
  try {
    await run("/bin/sh", ["-c", line, "sh", ...bubblewrap], [filter]);
  } finally {
    closeSync(filter);
    await cgroup?.remove();
  }
}

const settings = { network: { allowedDomains: [], deniedDomains: [] }, filesystem: { denyRead: ["/root"], allowWrite: [work], denyWrite: [] } };
const settingsFile = join(work, "settings.json");
writeFileSync(settingsFile, JSON.stringify(settings));

async function peers(): Promise<Contender[]> {
  const list: Contender[] = [];
  const missing = ["rg", "socat"].filter((name) => !existsSync(`/usr/bin/${name}`));
  if (missing.length > 0) process.stdout.write(`bench jail-start vs sandbox-runtime: not run, ${missing.join(" and ")} missing\n`);
  else {
    try {
      await SandboxManager.initialize(settings);
      const library = async (): Promise<void> => run("/bin/sh", ["-c", await SandboxManager.wrapWithSandbox("true")]);
      await library();
      list.push({ name: "sandbox-runtime library", run: () => timed(library) });
      const cli = join(import.meta.dirname, "node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js");
      const command = (): Promise<void> => run(process.execPath, [cli, "--settings", settingsFile, "true"]);
      await command();
      list.push({ name: "sandbox-runtime CLI", run: () => timed(command) });
    } catch (error) {
      process.stdout.write(`bench jail-start vs sandbox-runtime: not run, ${error instanceof Error ? error.message.split("\n")[0] : "it does not start"}\n`);
    }
  }
  const image = dockerImage();
  if (image === undefined) process.stdout.write("bench jail-start vs docker run: not run, no engine answers\n");
  else list.push({ name: "docker run", run: () => timed(() => run("docker", ["run", "--rm", "--network=none", image, "true"])) });
  return list;
}

/** A container of the host's own busybox, so that nothing is pulled. */
function dockerImage(): string | undefined {
  try {
    execFileSync("docker", ["version"], { stdio: "ignore", timeout: 5000 });
    const folder = join(work, "image", "bin");
    mkdirSync(folder, { recursive: true });
    execFileSync("cp", ["/bin/busybox", join(folder, "busybox")]);
    execFileSync("ln", ["-s", "busybox", join(folder, "true")]);
    const tar = execFileSync("tar", ["-C", join(work, "image"), "-c", "."], { maxBuffer: 64 * 2 ** 20 });
    return execFileSync("docker", ["import", "-", "cofferdam-bench:true"], { input: tar, encoding: "utf8" }).trim() === "" ? undefined : "cofferdam-bench:true";
  } catch {
    return undefined;
  }
}

try {
  const others = await peers();
  const results = await interleaved(
    [
      { name: "ours", run: () => timed(ours) },
      { name: "bare true", run: () => timed(() => run("/usr/bin/true", [])) },
      { name: "by hand", run: () => timed(byHand) },
      ...others,
    ],
    ROUNDS,
  );
  const [jail = 0, bare = 0, hand = 0, ...rest] = results;
  print({ name: "jail-start over bare true, vs 25 ms", ours: jail - bare, peer: 25, unit: "ms", goal: { kind: "at-most", ratio: 1 } });
  print({ name: "jail-start vs bwrap with the same layers", ours: jail, peer: hand, unit: "ms", goal: { kind: "at-most", ratio: 1.5 } });
  for (const [i, peer] of others.entries()) print({ name: `jail-start vs ${peer.name}`, ours: jail, peer: rest[i] ?? 0, unit: "ms" });
} finally {
  await SandboxManager.reset();
  rmSync(work, { recursive: true, force: true });
}
