/**
 * The box that the package manager itself runs in: its own user, mount, pid, ipc, uts, cgroup and network namespaces,
 * no capabilities, no home, no host environment, and one door: a loopback socket whose other end is the gate.
 * (Install scripts do not run here; they are off.)
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { Server as NetServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { BoundedText, CofferdamError, messageOf, packageFolder } from "../../foundation/index.ts";
import { parentsOf } from "../../sandbox/index.ts";
import { systemMounts } from "./filesystem.ts";

export interface Bind {
  readonly from: string;
  readonly to: string;
  readonly writable: boolean;
}

export interface BoxRequest {
  /** Absolute path of bubblewrap, or undefined to run unboxed (level low only). */
  readonly bubblewrap: string | undefined;
  readonly node: string;
  /** The client's script on the host and, in the box, where `binds` put it. */
  readonly script: string;
  readonly args: readonly string[];
  /** File, as the box sees it, that tells the launcher which content links to make. See bin/box-launcher.mjs. */
  readonly links: string;
  readonly binds: readonly Bind[];
  /** Empty folders in memory, writable and gone with the box. */
  readonly scratch: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Owner of the project when it is not the caller and the caller is root. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** False where the kernel gives no user namespace: then only root can make a box, and the client is uid 0 without capabilities. */
  readonly userns: boolean;
  /** Longest wait for the box to come up, ms. */
  readonly startTimeout: number;
  /** Called with every piece of the client's output. */
  readonly onOutput?: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A client that waits at the door: its listening socket is ours, and it starts when told. */
export interface WaitingBox {
  /** Port on 127.0.0.1 as the client sees it. */
  readonly port: number;
  /** The listening socket inside the box. The gate serves it and closes it. */
  readonly door: NetServer;
  /** Lets the client run to its end. */
  go(): Promise<BoxResult>;
  kill(): void;
}

export interface BoxResult {
  readonly exit: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** The client's own output, both streams, bounded; the middle is cut first. */
  readonly output: string;
}

/** Which layers hold the client. Said in the report, so that nobody has to assume. */
export interface BoxLayers {
  readonly userns: boolean;
  readonly mount: boolean;
  readonly pid: boolean;
  readonly net: boolean;
}

const INNER_LAUNCHER = "/run/cofferdam/launcher.mjs";
const INNER_NODE = "/run/cofferdam/node";
const OUTPUT_LIMIT = 256 * 1024;

export function layersOf(request: Pick<BoxRequest, "bubblewrap" | "owner" | "userns">): BoxLayers {
  const boxed = request.bubblewrap !== undefined;
  return { userns: boxed && request.userns && request.owner === undefined, mount: boxed, pid: boxed, net: boxed };
}

/** Whether bubblewrap can make a user namespace here. Not so inside a chroot, and where an administrator switched them off. */
export async function userNamespacesWork(bubblewrap: string): Promise<boolean> {
  const args = ["--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "--", "/bin/true"];
  return await promisify(execFile)(bubblewrap, args, { timeout: 10_000, env: {} }).then(
    () => true,
    () => false,
  );
}

/** Starts the box and waits until its door is ours. Throws ENVIRONMENT_UNFIT when it cannot start. */
export async function startBox(request: BoxRequest): Promise<WaitingBox> {
  request.signal.throwIfAborted();
  const [command, args] = commandLine(request);
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: request.bubblewrap === undefined ? { ...request.env } : {},
    cwd: request.bubblewrap === undefined ? request.cwd : "/",
  });
  const output = new BoundedText(OUTPUT_LIMIT);
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output.add(text);
      request.onOutput?.(text);
    });
  }
  // SIGKILL on bubblewrap ends its pid namespace and with it everything inside.
  const kill = (): void => {
    child.kill("SIGKILL");
    // A launcher that outlived a bubblewrap killed too early sees its channel close, and ends.
    if (child.connected) child.disconnect();
  };
  request.signal.addEventListener("abort", kill, { once: true });
  const ended = exitOf(child, output).finally(() => request.signal.removeEventListener("abort", kill));
  const { port, door } = await doorOf(child, ended, request);
  return {
    port,
    door,
    kill: () => {
      kill();
      // The socket outlives its maker: nobody will serve it now, and it would keep this process alive.
      door.close();
    },
    go: async () => {
      child.send(request.owner ?? {}, () => {
        // A child that is already gone shows in `ended`; the failed send says nothing more.
      });
      return await ended;
    },
  };
}

function commandLine(request: BoxRequest): [string, string[]] {
  if (request.bubblewrap === undefined) return [request.node, [launcher(), request.links, request.script, ...request.args]];
  const args = ["--cap-drop", "ALL"];
  // As root for a project of somebody else: the launcher gives up the identity, and with it these two.
  if (request.owner !== undefined) args.push("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID");
  else if (request.userns) args.push("--unshare-user", "--disable-userns");
  args.push("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv");
  args.push(...systemMounts());
  // Left to itself bubblewrap makes them for root alone, and the client may be somebody else.
  for (const folder of parentsOf([INNER_NODE, ...request.scratch, ...request.binds.map((bind) => bind.to)])) args.push("--perms", "0755", "--dir", folder);
  args.push("--ro-bind", request.node, INNER_NODE, "--ro-bind", launcher(), INNER_LAUNCHER);
  // Open to every uid: which one the client gives up to is no concern of the mount, and nobody else is in the box.
  for (const path of request.scratch) args.push("--perms", "0777", "--tmpfs", path);
  for (const bind of request.binds) args.push(bind.writable ? "--bind" : "--ro-bind", bind.from, bind.to);
  for (const [name, value] of Object.entries(request.env)) args.push("--setenv", name, value);
  args.push("--setenv", "NODE_CHANNEL_FD", "3", "--setenv", "NODE_CHANNEL_SERIALIZATION_MODE", "json");
  args.push("--chdir", request.cwd, "--", INNER_NODE, INNER_LAUNCHER, request.links, request.script, ...request.args);
  return [request.bubblewrap, args];
}

function exitOf(child: ChildProcess, output: BoundedText): Promise<BoxResult> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      output.add(messageOf(error));
      resolve({ exit: undefined, signal: undefined, output: output.text() });
    });
    child.once("close", (exit, signal) => resolve({ exit: exit ?? undefined, signal: signal ?? undefined, output: output.text() }));
  });
}

async function doorOf(child: ChildProcess, ended: Promise<BoxResult>, request: BoxRequest): Promise<{ port: number; door: NetServer }> {
  const opened = new Promise<{ port: number; door: NetServer }>((resolve, reject) => {
    child.once("message", (message: unknown, handle: unknown) => {
      if (handle instanceof NetServer && typeof message === "object" && message !== null && "port" in message && typeof message.port === "number") {
        resolve({ port: message.port, door: handle });
      } else reject(new CofferdamError("INTERNAL", "the box answered something unexpected"));
    });
  });
  const late = AbortSignal.timeout(request.startTimeout);
  const timedOut = new Promise<never>((_, reject) => {
    late.addEventListener("abort", () => reject(new CofferdamError("ENVIRONMENT_UNFIT", `the box did not start within ${request.startTimeout} ms`)), {
      once: true,
    });
  });
  const died = ended.then((result): never => {
    if (request.signal.aborted) throw new CofferdamError("CANCELLED", "interrupted");
    throw new CofferdamError("ENVIRONMENT_UNFIT", `the box did not start: ${result.output.trim().slice(0, 500) || `exit ${result.exit ?? result.signal}`}`, {
      hint: "cofferdam doctor",
    });
  });
  try {
    return await Promise.race([opened, died, timedOut]);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    // The losers of the race must not become unhandled rejections later.
    died.catch(() => undefined);
    timedOut.catch(() => undefined);
  }
}

/** The first thing that runs inside a box. */
function launcher(): string {
  return join(packageFolder(), "bin", "box-launcher.mjs");
}
