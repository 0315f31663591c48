/**
 * Runs one command in a jail: namespaces and mounts by bubblewrap, memory and processes by a cgroup, and by our own helper
 * (native/jail/) a size-limited stage, resource limits, Landlock, the system call filter, proof of all that, and the record
 * of what was refused. Nothing runs unless every layer that the level needs is proven.
 *
 * @example
 * ```ts
 * const result = await runJail({
 *   command: ["node", "build.js"], cwd: "/srv/app", env: { PATH: "/usr/bin:/bin" },
 *   readable: ["/srv/app"], writable: [{ path: "/srv/app/out", mode: "staged", except: [] }], net: [],
 *   level: "medium", keep: "on-success", output: "capture", signal: AbortSignal.timeout(60_000),
 * });
 * ```
 */
import { type ChildProcess, spawn } from "node:child_process";
import { statfsSync } from "node:fs";
import { Server as NetServer, Socket } from "node:net";
import type { Readable } from "node:stream";
import { BoundedText, CofferdamError, homeFolder, messageOf } from "../foundation/index.ts";
import { Cgroup } from "./cgroup.ts";
import { DirectTree } from "./direct-tree.ts";
import { type Identity, jailIdentity } from "./identity.ts";
import {
  DEFAULT_LIMITS,
  type JailLayers,
  type JailLimits,
  type JailRequest,
  type JailResult,
  type KilledBy,
  type Refusal,
  type TreeOutput,
} from "./jail-types.ts";
import { type Ended, type Ready, readMessage } from "./messages.ts";
import { takeOver } from "./outputs.ts";
import { JailProxy, type ProxyEvent, type ProxyOptions } from "./proxy.ts";
import { refusalOf, refusalOfProxy } from "./refusals.ts";
import { seccompFilter } from "./seccomp/filter.ts";
import { stageFolder } from "./stage-folder.ts";
import { JAIL_HELPER, JAIL_HOME, type View, viewOf } from "./view.ts";

export interface JailTools {
  /** Absolute path of bubblewrap, 0.8 or newer. */
  readonly bubblewrap: string;
  /** Absolute path of cofferdam-jail; see helper.ts. */
  readonly helper: string;
  /** How granted names are resolved, and which addresses they may not lead to; see {@link ProxyOptions}. */
  readonly resolver?: Pick<ProxyOptions, "resolve" | "blocked">;
}

const CAPTURED = 256 * 1024;
/** How long the jail may take to come up, and to go after it was told to; ms. */
const START_TIME = 20_000;
const END_TIME = 4000;
const MAX_REFUSED = 1000;
const DOOR = "http://127.0.0.1:3128";

/**
 * Throws ENVIRONMENT_UNFIT when a layer cannot be had that the level needs, RESOURCE_EXHAUSTED when the staged trees do not
 * fit, CANCELLED when the signal ended it before it began. What happens inside is a result.
 */
export async function runJail(request: JailRequest, tools: JailTools): Promise<JailResult> {
  request.signal.throwIfAborted();
  try {
    return await runOnce(request, tools, true);
  } catch (error) {
    // In a chroot, and where an administrator switched user namespaces off, root can still make the others. What the uid of
    // the jail may do is then bounded by one layer less, and the result says so.
    const lesser = process.geteuid?.() === 0 && (request.level === "low" || request.level === "medium");
    if (!lesser || !(error instanceof CofferdamError) || error.code !== "ENVIRONMENT_UNFIT" || !/namespace/.test(error.message)) throw error;
    return await runOnce(request, tools, false);
  }
}

async function runOnce(request: JailRequest, tools: JailTools, userns: boolean): Promise<JailResult> {
  const run = new JailRun(request, tools, userns);
  try {
    return await run.run();
  } finally {
    await run.close();
  }
}

class JailRun {
  readonly #request: JailRequest;
  readonly #limits: JailLimits;
  readonly #view: View;
  readonly #identity: Identity;
  readonly #userns: boolean;
  readonly #cgroup: Cgroup | undefined;
  readonly #proxy: JailProxy | undefined;
  readonly #child: ChildProcess;
  readonly #refused: Refusal[] = [];
  readonly #notes: string[] = [];
  /** What the proxy was asked, and who made each of its connections; put together at the end, when all of both is known. */
  readonly #asked: ProxyEvent[] = [];
  readonly #knocks: string[] = [];
  readonly #stdout = new BoundedText(CAPTURED);
  readonly #stderr = new BoundedText(CAPTURED);
  readonly #started: number = performance.now();
  readonly #closed: Promise<void>;
  /** Places in the host's own trees that were empty, and must be so afterwards. */
  readonly #planted: readonly DirectTree[];
  /** Output that came before the command is known to run; undefined from then on. */
  #held: (() => void)[] | undefined = [];
  #bytes = 0;
  #killedBy: KilledBy | undefined;
  #hardKill: NodeJS.Timeout | undefined;

  constructor(request: JailRequest, tools: JailTools, userns: boolean) {
    this.#request = request;
    this.#userns = userns;
    this.#limits = { ...DEFAULT_LIMITS, ...request.limits };
    const identity = jailIdentity();
    this.#identity = identity;
    const stage = stageFolder();
    this.#view = viewOf({
      stage,
      helper: tools.helper,
      identity,
      readable: request.readable,
      writable: request.writable,
      masked: request.masked,
    });
    this.#planted = request.writable.filter((tree) => tree.mode === "direct").map((tree) => new DirectTree(tree));
    this.#cgroup = Cgroup.create(this.#limits);
    this.#requireMemoryBound();
    this.#proxy =
      request.net.length === 0 ? undefined : new JailProxy({ ...tools.resolver, allowed: request.net, onEvent: (event) => this.#asked.push(event) });
    const enter = [
      ...(this.#cgroup?.joins ?? []).flatMap((file) => ["-c", file]),
      ...(identity.dropped ? this.#asUser() : []),
      ...(userns ? [] : ["-R"]),
      ...(this.#proxy === undefined ? ["-n"] : ["-n", "-d"]),
      ...["-s", stage, "-z", String(this.#limits.disk), "-i", String(this.#limits.inodes)],
      ...this.#view.enter,
    ];
    const streams = request.output === "capture" ? undefined : request.output;
    this.#child = spawn(
      tools.helper,
      ["enter", ...enter, "--", tools.bubblewrap, "--args", "4", "--", JAIL_HELPER, "init", ...this.#initArguments(), "--", ...request.command],
      {
        env: {},
        cwd: "/",
        stdio: [
          request.stdin ?? "ignore",
          streams?.stdout.isTTY === true ? "inherit" : "pipe",
          streams?.stderr.isTTY === true ? "inherit" : "pipe",
          "ipc",
          "pipe",
        ],
      },
    );
    this.#closed = goneOf(this.#child, this.#stderr);
  }

  async run(): Promise<JailResult> {
    this.#collect();
    const deadline = setTimeout(() => this.#end("timeout"), this.#limits.timeout);
    const cancel = (): void => this.#end(isDeadline(this.#request.signal.reason) ? "timeout" : "cancelled");
    this.#request.signal.addEventListener("abort", cancel, { once: true });
    try {
      const { ready, ended } = await this.#conversation();
      return await this.#result(ready, ended);
    } finally {
      clearTimeout(deadline);
      this.#request.signal.removeEventListener("abort", cancel);
    }
  }

  /** Ends whatever still runs. The jail's pid 1 leaves when its channel closes, and everything in it ends with pid 1. */
  async close(): Promise<void> {
    this.#proxy?.close();
    if (this.#child.connected) this.#child.disconnect();
    await this.#gone();
    clearTimeout(this.#hardKill);
    await this.#cgroup?.remove();
  }

  async #gone(): Promise<void> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), END_TIME);
    await this.#closed;
    clearTimeout(late);
  }

  #requireMemoryBound(): void {
    if (this.#cgroup !== undefined) return;
    const { level } = this.#request;
    if (level === "high" || level === "paranoid") {
      throw new CofferdamError("ENVIRONMENT_UNFIT", `no cgroup can be made here, and level ${level} needs the kernel to bound memory`, {
        hint: "run as root, or under a delegated cgroup: systemd-run --user --scope -p Delegate=yes ...; cofferdam doctor says more",
      });
    }
    this.#notes.push("memory is watched ten times a second, not bounded by the kernel: no cgroup can be made here");
  }

  #initArguments(): string[] {
    const { request, limits } = { request: this.#request, limits: this.#limits };
    const filter = seccompFilter({
      architecture: process.arch === "arm64" ? "arm64" : "x64",
      unixSockets: request.unixSockets ?? false,
      observe: request.observe ?? "all",
    });
    // Pid 1 and its first child count too.
    const rlimits: Record<string, number> = { core: 0, nproc: limits.pids + 2, fsize: limits.fileSize, nofile: limits.openFiles, memlock: 65_536, msgqueue: 0 };
    // The kernel's own limit is for each process, in whole seconds: a second line, a little above the first.
    if (limits.cpuTime !== undefined) rlimits["cpu"] = Math.ceil(limits.cpuTime / 1000) + 1;
    return [
      ...["-f", filter.toString("hex")],
      ...["-C", request.cwd],
      ...this.#view.landlock,
      ...(this.#userns ? [] : this.#asUser()),
      ...[...new Set([homeFolder(process.env), ...(request.hidden ?? [])])].flatMap((path) => ["-h", path]),
      ...Object.entries(rlimits).flatMap(([name, value]) => ["-l", `${name}=${value}`]),
      ...(this.#cgroup === undefined ? ["-m", String(limits.memory)] : []),
      ...(limits.cpuTime === undefined ? [] : ["-t", String(limits.cpuTime)]),
    ];
  }

  #asUser(): string[] {
    return ["-u", String(this.#identity.uid), "-g", String(this.#identity.gid)];
  }

  /** Options go through a pipe: the values of variables are nobody's business who lists processes. */
  #sendOptions(): void {
    const net = this.#proxy === undefined ? {} : proxyEnvironment();
    const env = { ...this.#request.env, ...net, HOME: JAIL_HOME, TMPDIR: "/tmp", USER: "jail", LOGNAME: "jail" };
    const options = [
      ...["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"],
      ...["--die-with-parent", "--new-session", "--as-pid-1", "--hostname", "jail", "--clearenv", "--cap-drop", "ALL"],
      // Pid 1 becomes the jail's uid with these two, and loses them by it.
      ...(this.#userns ? ["--unshare-user", "--disable-userns"] : ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]),
      ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
      ...this.#view.bubblewrap,
    ];
    const pipe = this.#child.stdio[4];
    if (!(pipe instanceof Socket)) throw new CofferdamError("INTERNAL", "no pipe for the jail's options");
    // A jail that is gone already says so in its exit.
    pipe.on("error", () => undefined);
    pipe.resume();
    pipe.end(`${options.join("\0")}\0`);
  }

  /** What is printed before the command runs is bubblewrap's or ours: it explains a failure, and is nobody's output. */
  #collect(): void {
    const { output } = this.#request;
    const pipes = [
      { from: this.#child.stdout, text: this.#stdout, to: output === "capture" ? undefined : output.stdout },
      { from: this.#child.stderr, text: this.#stderr, to: output === "capture" ? undefined : output.stderr },
    ];
    for (const { from, text, to } of pipes) {
      from?.on("data", (piece: Buffer) => {
        this.#bytes += piece.length;
        if (this.#bytes > this.#limits.output) this.#end("output");
        text.add(piece.toString("utf8"));
        if (this.#held === undefined) this.#pass(from, piece, to);
        else this.#held.push(() => this.#pass(from, piece, to));
      });
    }
  }

  #pass(from: Readable, piece: Buffer, to: NodeJS.WriteStream | undefined): void {
    this.#request.onOutput?.(piece.toString("utf8"));
    if (to === undefined || to.write(piece)) return;
    from.pause();
    to.once("drain", () => from.resume());
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const pass of held) pass();
  }

  async #conversation(): Promise<{ ready: Ready | undefined; ended: Ended | undefined }> {
    let ready: Ready | undefined;
    const outcome = new Promise<Ended | undefined>((resolve) => {
      this.#child.on("message", (raw: unknown, handle: unknown) => {
        const message = readMessage(raw);
        if (message === undefined) this.#end("cancelled");
        else if (message.kind === "ready") {
          ready = message;
          this.#release();
        } else if (message.kind === "ended") resolve(message);
        else if (message.kind === "refused") this.#addRefusal(refusalOf(message));
        else if (message.kind === "knocked") this.#knocks.push(message.by);
        else if (message.kind === "overflow") this.#notes.push("more was refused than could be recorded");
        else if (handle instanceof NetServer) this.#proxy?.serve(handle);
      });
      this.#closed.then(() => resolve(undefined));
    });
    this.#sendOptions();
    const starting = setTimeout(() => {
      if (ready === undefined) this.#child.kill("SIGKILL");
    }, START_TIME);
    try {
      return { ended: await outcome, ready };
    } finally {
      clearTimeout(starting);
    }
  }

  async #result(ready: Ready | undefined, ended: Ended | undefined): Promise<JailResult> {
    if (ready === undefined) throw this.#startFailure();
    const layers = this.#layers(ready);
    if (this.#limits.cpus !== undefined && !layers.cgroup.includes("cpu"))
      this.#notes.push(`the share of ${this.#limits.cpus} cpus was not enforced, or not to the end: there is no cgroup with the cpu controller`);
    if (this.#cgroup?.oomKilled === true) this.#killedBy ??= "memory";
    else if (ended !== undefined && ended.killedBy !== null && ended.killedBy !== "term") this.#killedBy ??= ended.killedBy;
    if (ended === undefined && this.#killedBy === undefined)
      throw new CofferdamError("INTERNAL", `the jail ended without a word: ${this.#stderr.text().trim().slice(-300)}`);
    const outputs = [...this.#takeOver(ended), ...this.#planted.map((tree) => tree.remove())];
    // pid 1 still holds the pipes open; what was printed last is read only when it is gone.
    if (this.#child.connected) this.#child.disconnect();
    await this.#gone();
    for (const event of this.#asked) this.#addRefusal(refusalOfProxy(event, this.#knocks[event.connection]));
    if (this.#killedBy !== undefined) this.#addRefusal({ kind: "limit", what: this.#killedBy, why: "reached", by: undefined });
    if (this.#cgroup?.pidsExhausted === true) this.#addRefusal({ kind: "limit", what: "pids", why: "reached", by: undefined });
    const signal = ended === undefined ? 9 : ended.signal === 0 ? undefined : ended.signal;
    return {
      exit: ended === undefined || signal !== undefined ? undefined : ended.exit,
      signal,
      timedOut: this.#killedBy === "timeout",
      killedBy: this.#killedBy,
      cpuMs: ended?.cpuMs ?? 0,
      maxRssBytes: Math.max(ended?.maxRss ?? 0, this.#cgroup?.peakMemory ?? 0),
      wallMs: Math.round(performance.now() - this.#started),
      refused: this.#refused,
      reached: this.#reached(),
      leftovers: ended?.leftovers ?? 0,
      layers,
      stdout: this.#request.output === "capture" ? this.#stdout.text() : "",
      stderr: this.#request.output === "capture" ? this.#stderr.text() : "",
      outputs,
      notes: this.#notes,
    };
  }

  #reached(): JailResult["reached"] {
    const reached = new Map<string, string | undefined>();
    for (const { target, refused, connection } of this.#asked) if (refused === undefined && !reached.has(target)) reached.set(target, this.#knocks[connection]);
    return [...reached].map(([target, by]) => ({ target, by }));
  }

  #layers({ landlock }: Ready): JailLayers {
    if (landlock === 0 && this.#request.level === "paranoid")
      throw new CofferdamError("ENVIRONMENT_UNFIT", "the kernel has no Landlock, and level paranoid needs it", {
        hint: "Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK",
      });
    // bubblewrap ends before the command when one of these cannot be had; pid 1 proved the filter, the privileges and its pid.
    return {
      ...{ userns: this.#userns, mount: true, net: true, pid: true, seccomp: true, limits: true },
      cgroup: this.#cgroup?.controllers ?? [],
      landlock,
      dropped: this.#identity.dropped,
      memory: this.#cgroup === undefined ? "watched" : "kernel",
    };
  }

  /** The stage can be read through the process that holds its mount namespace, for as long as pid 1 waits. */
  #takeOver(ended: Ended | undefined): TreeOutput[] {
    if (ended === undefined || this.#child.pid === undefined) return [];
    const root = `/proc/${this.#child.pid}/root`;
    try {
      const { bavail, ffree } = statfsSync(`${root}${stageFolder()}`);
      if (bavail === 0) this.#addRefusal({ kind: "limit", what: "disk", why: "reached", by: undefined });
      if (ffree === 0) this.#addRefusal({ kind: "limit", what: "inodes", why: "reached", by: undefined });
    } catch {
      // Only says that a limit was met; the limit itself stood.
    }
    const clean = ended.exit === 0 && ended.signal === 0 && this.#killedBy === undefined;
    if (this.#killedBy === "cancelled" || (this.#request.keep === "on-success" && !clean)) return [];
    return this.#view.staged.map(({ tree, place }) => takeOver(tree, `${root}${place}`));
  }

  #startFailure(): CofferdamError {
    if (this.#request.signal.aborted) return new CofferdamError("CANCELLED", "interrupted");
    const said = this.#stderr.text().trim();
    const [, limit, detail = ""] = /LIMIT (disk|depth): (.*)/.exec(said) ?? [];
    if (limit === "disk")
      return new CofferdamError("RESOURCE_EXHAUSTED", `what the jail may write is larger than its disk limit (${this.#limits.disk} bytes): ${detail}`, {
        hint: "raise the disk limit",
      });
    if (limit === "depth")
      return new CofferdamError("RESOURCE_EXHAUSTED", `what the jail may write cannot be copied: ${detail}`, { hint: "show a smaller folder" });
    return new CofferdamError("ENVIRONMENT_UNFIT", `the jail did not start: ${said.slice(0, 500) || "no word of why"}`, { hint: "cofferdam doctor" });
  }

  #end(why: KilledBy): void {
    if (this.#killedBy !== undefined) return;
    this.#killedBy = why;
    // Who is interrupted may tidy up for two seconds; who broke a limit may not. When pid 1 does not answer, the jail goes as a whole.
    if (this.#child.connected) this.#child.send(why === "cancelled" ? { end: true } : { kill: true }, () => undefined);
    this.#hardKill = setTimeout(() => {
      if (this.#child.connected) this.#child.disconnect();
      this.#child.kill("SIGKILL");
    }, END_TIME);
  }

  #addRefusal(refusal: Refusal | undefined): void {
    if (refusal === undefined || this.#refused.length >= MAX_REFUSED) return;
    const known = this.#refused.some((one) => one.kind === refusal.kind && one.what === refusal.what && one.why === refusal.why);
    if (!known) this.#refused.push(refusal);
  }
}

function isDeadline(reason: unknown): boolean {
  return (reason instanceof CofferdamError && reason.code === "DEADLINE_EXCEEDED") || (reason instanceof DOMException && reason.name === "TimeoutError");
}

function proxyEnvironment(): Record<string, string> {
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "npm_config_proxy", "npm_config_https_proxy"];
  return {
    ...Object.fromEntries(names.map((name) => [name, DOOR])),
    NO_PROXY: "127.0.0.1,localhost",
    no_proxy: "127.0.0.1,localhost",
    // Node's own fetch and https obey the variables above only when told to.
    NODE_USE_ENV_PROXY: "1",
  };
}

/** When the process is gone and its output has been read. (Node's own "close" never comes after a disconnect from our side.) */
async function goneOf(child: ChildProcess, stderr: BoundedText): Promise<void> {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  const started = await new Promise<boolean>((resolve) => {
    child.once("spawn", () => resolve(true));
    child.once("error", (error) => {
      stderr.add(messageOf(error));
      resolve(false);
    });
  });
  if (!started) return;
  await Promise.all([
    new Promise<void>((resolve) => child.once("exit", () => resolve())),
    ...streams.map((stream) => new Promise<void>((resolve) => stream.once("close", () => resolve()))),
  ]);
}
