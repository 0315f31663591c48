/** `cofferdam doctor`: tries what the product needs, and names the fix for what fails. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, lstat, readFile, statfs } from "node:fs/promises";
import { promisify } from "node:util";
import { CofferdamError, formatBytes, makeFolder, messageOf } from "../../foundation/index.ts";
import { jailTools, locateBubblewrap, locateNpm } from "../../packages/index.ts";
import { runJail } from "../../sandbox/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { advisories } from "./doctor-advisories.ts";
import { copies } from "./doctor-copies.ts";
import { engine } from "./doctor-engine.ts";
import { identity } from "./doctor-identity.ts";
import { network } from "./doctor-network.ts";
import { secrets } from "./doctor-secrets.ts";
import { sensor } from "./doctor-sensor.ts";
import { openPolicy, withState } from "./session.ts";
import { scriptShellState } from "./shell-init.ts";

export interface Check {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  /** What does not work because of it. */
  readonly costs?: string;
  readonly fix?: string;
}

const LOW_SPACE = 1e9;

export const doctorCommand: Command = {
  name: "doctor",
  summary: "Tries what Cofferdam needs on this machine and says how to get what is missing.",
  usage: "",
  examples: ["cofferdam doctor", "cofferdam doctor --json"],
  options: {},
  async run(context) {
    const checks: Check[] = [];
    for (const check of [node, npm, box, jail, scriptShell, engine, network, sensor, stateDirectory, trail, copies, secrets, identity, advisories, policy])
      checks.push(await check(context));
    if (context.globals.json) context.out.json({ schema: "cofferdam/doctor/v1", checks });
    else for (const check of checks) context.out.data(line(check));
    return checks.some((check) => check.status === "fail") ? 7 : 0;
  },
};

function line({ name, status, detail, costs, fix }: Check): string {
  return `${status.padEnd(5)} ${name}: ${detail}\n${costs === undefined ? "" : `      without it: ${costs}\n`}${fix === undefined ? "" : `      fix: ${fix}\n`}`;
}

async function node(): Promise<Check> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > 24 || (major === 24 && minor >= 12);
  return { name: "node", status: ok ? "ok" : "fail", detail: `${process.version} (needs 24.12 or newer)`, ...(ok ? {} : { fix: "install a newer Node" }) };
}

async function npm({ env }: CommandContext): Promise<Check> {
  try {
    const client = locateNpm(env["PATH"] ?? "");
    return { name: "npm", status: "ok", detail: `${client.version}, ${client.script}, run by ${client.node}` };
  } catch (error) {
    return { name: "npm", status: "fail", detail: messageOf(error), costs: "guarded installs", fix: "install Node with npm, or put it on PATH" };
  }
}

/** Not whether it is installed but whether it starts: kernels and distributions switch off what it needs. */
async function box({ env }: CommandContext): Promise<Check> {
  const costs = "guarded installs at level medium and above; level low runs the client unboxed";
  const bubblewrap = locateBubblewrap(env["PATH"] ?? "");
  if (bubblewrap === undefined)
    return { name: "box", status: "fail", detail: "bubblewrap is not installed", costs, fix: "apt-get install bubblewrap (or dnf, apk add, pacman -S)" };
  const args = [
    "--unshare-user",
    "--disable-userns",
    "--unshare-net",
    "--unshare-pid",
    "--unshare-ipc",
    "--ro-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--",
    "/bin/true",
  ];
  try {
    await promisify(execFile)(bubblewrap, args, { timeout: 10_000, env: {} });
    return { name: "box", status: "ok", detail: `${bubblewrap}: user, network, pid and ipc namespaces start` };
  } catch (error) {
    const said = typeof error === "object" && error !== null && "stderr" in error ? String(error.stderr).trim().slice(0, 300) : messageOf(error);
    return { name: "box", status: "fail", detail: `${bubblewrap} does not start: ${said}`, costs, fix: await userNamespaceFix() };
  }
}

/** Runs `true` in a jail, and says which layers held it. */
async function jail({ env, signal }: CommandContext): Promise<Check> {
  const costs = "install scripts (they are skipped) and sandbox run";
  try {
    const { layers, wallMs } = await runJail(
      {
        ...{ command: ["true"], cwd: "/tmp", env: { PATH: "/usr/bin:/bin" }, readable: [], writable: [], net: [] },
        ...{ level: "medium", keep: "on-success", output: "capture", signal },
      },
      jailTools(env["PATH"] ?? ""),
    );
    const landlock = layers.landlock === 0 ? "no Landlock in this kernel" : `Landlock ${layers.landlock}`;
    const detail = `starts in ${wallMs} ms: namespaces, system call filter, ${landlock}, ${layers.cgroup.length === 0 ? "memory watched" : `cgroup ${layers.cgroup.join(", ")}`}`;
    if (layers.memory === "kernel") return { name: "jail", status: "ok", detail };
    return {
      name: "jail",
      status: "warn",
      detail,
      costs: "the kernel's bound on memory; level high refuses",
      fix: "run as root, or: systemd-run --user --scope -p Delegate=yes -- cofferdam ...",
    };
  } catch (error) {
    const hint = error instanceof CofferdamError && error.hint !== undefined && error.hint !== "cofferdam doctor" ? error.hint : await userNamespaceFix();
    return { name: "jail", status: "fail", detail: messageOf(error), costs, fix: hint };
  }
}

async function userNamespaceFix(): Promise<string> {
  if ((await setting("kernel/apparmor_restrict_unprivileged_userns")) === "1") {
    return "AppArmor restricts user namespaces here: give bubblewrap a profile (apparmor.d/bwrap with `userns,`), or sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if ((await setting("kernel/unprivileged_userns_clone")) === "0") return "sysctl kernel.unprivileged_userns_clone=1";
  if ((await setting("user/max_user_namespaces")) === "0") return "sysctl user.max_user_namespaces=10000";
  return "in a container: allow user namespaces and mounts for it (its seccomp profile refuses them)";
}

async function setting(name: string): Promise<string | undefined> {
  return await readFile(`/proc/sys/${name}`, "utf8").then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** Off is a choice: the guarded install does without it. */
async function scriptShell({ env }: CommandContext): Promise<Check> {
  return { name: "script shell", ...scriptShellState(env) };
}

async function stateDirectory({ globals }: CommandContext): Promise<Check> {
  const name = "state directory";
  try {
    makeFolder(globals.state, 0o700);
    await access(globals.state, constants.W_OK);
    const { uid, mode } = await lstat(globals.state);
    if (uid !== process.getuid?.())
      return {
        name,
        status: "fail",
        detail: `${globals.state} belongs to uid ${uid}`,
        costs: "everything that is recorded",
        fix: "choose another one with --state",
      };
    if ((mode & 0o077) !== 0)
      return {
        name,
        status: "warn",
        detail: `${globals.state} can be entered by others (mode ${(mode & 0o777).toString(8)})`,
        fix: `chmod 700 ${globals.state}`,
      };
    const { bavail, bsize } = await statfs(globals.state);
    const free = bavail * bsize;
    return {
      name,
      status: free < LOW_SPACE ? "warn" : "ok",
      detail: `${globals.state}, ${formatBytes(free)} free`,
      ...(free < LOW_SPACE ? { fix: "free space, or move it with --state" } : {}),
    };
  } catch (error) {
    return { name, status: "fail", detail: messageOf(error), costs: "everything that is recorded", fix: "choose a writable one with --state" };
  }
}

async function trail(context: CommandContext): Promise<Check> {
  try {
    const report = await withState(context, ({ audit }) => audit.verifyIntegrity());
    if (report.failed > 0)
      return { name: "audit trail", status: "fail", detail: `${report.failed} of ${report.size} events do not verify`, fix: "cofferdam audit verify" };
    return { name: "audit trail", status: "ok", detail: `${report.verified} events, chain whole` };
  } catch (error) {
    return { name: "audit trail", status: "fail", detail: messageOf(error), costs: "guarded actions are refused", fix: "see the state directory above" };
  }
}

async function policy(context: CommandContext): Promise<Check> {
  try {
    const loaded = await openPolicy(context);
    const sources = loaded.sources.length === 0 ? "no policy file" : loaded.sources.join(", ");
    return {
      name: "policy",
      status: loaded.notices.length === 0 ? "ok" : "warn",
      detail: `level ${loaded.values.level}, ${sources}${loaded.notices.map((notice) => `; ${notice}`).join("")}`,
    };
  } catch (error) {
    return {
      name: "policy",
      status: "fail",
      detail: messageOf(error),
      ...(error instanceof CofferdamError && error.hint !== undefined ? { fix: error.hint } : {}),
    };
  }
}
