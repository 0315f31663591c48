/**
 * The gate: nothing of a job runs before the host has proven its container and said so. A folder of ours is mounted read-only
 * at /.cofferdam; it holds the shim (native/shim), which is process 1, and a socket. The shim is the only thing that runs and
 * the first to connect; the socket is taken away with that connection, and no second one is ever served.
 */
import { chmodSync, copyFileSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { CofferdamError, errnoOf, messageOf } from "../../foundation/index.ts";
import { HOSTNAME } from "./create-body.ts";
import { locateNative } from "./native.ts";
import { trustFiles } from "./trust.ts";

/** What the filter answered to calls that do nothing: errno by name of the call, 0 for success. */
export type Probes = Readonly<Record<string, number>>;

/** How the workload began. `failed`: it could not be executed, with the errno; the container exits 126 or 127. */
export type Started = { readonly kind: "started" } | { readonly kind: "failed"; readonly errno: number };

export interface Ended {
  /** Undefined when a signal ended it. */
  readonly exit: number | undefined;
  readonly signal: number | undefined;
  /** Processes that it left behind, which were killed. */
  readonly leftovers: number;
}

/** sun_path holds 108 bytes with its NUL. */
const MAX_SOCKET_PATH = 107;
/** The shim's lines are short; a longer one is not the shim's. */
const MAX_LINE = 8192;
const MAX_LINES = 8;
const MAX_WORD = 4 * 2 ** 20;

const helloSchema = z.strictObject({ hello: z.literal(1), probes: z.record(z.string().max(64), z.int().min(0).max(4095)) });
const startedSchema = z.union([z.strictObject({ started: z.literal(true) }), z.strictObject({ failed: z.int().min(1).max(4095) })]);
const endedSchema = z.strictObject({
  ended: z.literal(true),
  exit: z.int().min(-1).max(255),
  signal: z.int().min(0).max(127),
  leftovers: z.int().min(0),
});

export class Gate {
  /** Device and inode of the shim that lies in the folder: what /proc/PID/exe of process 1 must be. */
  readonly shim: { readonly device: bigint; readonly inode: bigint };
  readonly #folder: string;
  readonly #server: Server;
  #socket: Socket | undefined;
  #connections = 0;
  #text = "";
  readonly #lines: string[] = [];
  #failure: CofferdamError | undefined;
  #wake: () => void = () => undefined;
  #look: (() => Promise<unknown>) | undefined;

  private constructor(folder: string, server: Server) {
    this.#folder = folder;
    this.#server = server;
    const { dev, ino } = statSync(join(folder, "shim"), { bigint: true });
    this.shim = { device: dev, inode: ino };
  }

  /**
   * Fills `folder`, which must not exist, and listens. Its parent must be ours alone (0700): the folder itself can be entered
   * by whoever the job runs as. @param nameServer of the job, where it has a network. @param authority
   * of the job (PEM), where its requests are checked inside TLS. Throws INVALID_ARGUMENT for a path that no socket can have, ENVIRONMENT_UNFIT without a shim.
   */
  static async open(folder: string, nameServer?: string, authority?: string): Promise<Gate> {
    const place = join(folder, "gate");
    if (Buffer.byteLength(place) > MAX_SOCKET_PATH)
      throw new CofferdamError("INVALID_ARGUMENT", `a path of a socket is at most ${MAX_SOCKET_PATH} bytes: ${place}`);
    const program = locateNative("shim");
    mkdirSync(folder, { mode: 0o755 });
    chmodSync(folder, 0o755);
    // A copy: the container gets no inode that others of ours use.
    copyFileSync(program, join(folder, "shim"));
    chmodSync(join(folder, "shim"), 0o555);
    for (const [name, text] of [
      ["hosts", `127.0.0.1 localhost ${HOSTNAME}\n`],
      ["hostname", `${HOSTNAME}\n`],
      ["resolv.conf", nameServer === undefined ? "" : `nameserver ${nameServer}\n`],
      ...(authority === undefined ? [] : trustFiles(authority)),
    ] as const) {
      writeFileSync(join(folder, name), text);
      chmodSync(join(folder, name), 0o444);
    }
    const server = createServer({ pauseOnConnect: false });
    const gate = new Gate(folder, server);
    server.on("connection", (socket) => gate.#arrived(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(new CofferdamError("ENVIRONMENT_UNFIT", `no socket at ${place}: ${messageOf(error)}`, { cause: error })));
      server.listen(place, resolve);
    });
    server.on("error", (error) => gate.#fail(new CofferdamError("INTERNAL", `the gate: ${messageOf(error)}`, { cause: error })));
    chmodSync(place, 0o666);
    return gate;
  }

  /**
   * Waits for process 1. Throws DEADLINE_EXCEEDED after `timeout` ms, CANCELLED by the signal, SECURITY_VIOLATION when
   * something else than the shim came.
   */
  async arrival(timeout: number, signal: AbortSignal): Promise<Probes> {
    const line = await this.#line(signal, timeout);
    return read(helloSchema, line, "SECURITY_VIOLATION").probes;
  }

  /** Opens the gate. @param variables only the workload gets them: they are in no configuration and in no other process. */
  async go(variables: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Started> {
    const texts = ["go", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`)];
    if (texts.some((text) => text.includes("\0")) || Object.keys(variables).some((name) => name === "" || name.includes("=")))
      throw new CofferdamError("INVALID_ARGUMENT", "a variable with a NUL byte, or without a name");
    const word = Buffer.from(`${texts.join("\0")}\0`);
    if (word.length > MAX_WORD) throw new CofferdamError("PAYLOAD_TOO_LARGE", `variables of ${word.length} bytes; at most ${MAX_WORD}`);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(word.length);
    const socket = this.#socket;
    if (socket === undefined || this.#failure !== undefined) throw this.#failure ?? new CofferdamError("FAILED_PRECONDITION", "nobody is at the gate");
    this.#server.close();
    socket.write(Buffer.concat([head, word]), () => word.fill(0));
    const started = read(startedSchema, await this.#line(signal), "SECURITY_VIOLATION");
    return "failed" in started ? { kind: "failed", errno: started.failed } : { kind: "started" };
  }

  /**
   * Done when the workload has ended, while its container still stands: for at most a second, then its cgroup goes with what
   * was counted in it. Set it before {@link go}. What it throws is nobody's.
   */
  lastLook(look: () => Promise<unknown>): void {
    this.#look = look;
  }

  /** The workload's own end; undefined when process 1 was killed and could not tell. */
  async ended(signal: AbortSignal): Promise<Ended | undefined> {
    try {
      const { exit, signal: by, leftovers } = read(endedSchema, await this.#line(signal), "SECURITY_VIOLATION");
      return by > 0 ? { exit: undefined, signal: by, leftovers } : { exit, signal: undefined, leftovers };
    } catch (error) {
      if (error instanceof CofferdamError && error.code === "UPSTREAM_UNAVAILABLE") return undefined;
      throw error;
    }
  }

  /** Ends it: a shim that still waits exits 125, and a workload that runs is killed. Removes the folder. Idempotent. */
  close(): void {
    this.#socket?.destroy();
    this.#server.close();
    this.#fail(new CofferdamError("CANCELLED", "the gate is closed"));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #arrived(socket: Socket): void {
    this.#connections++;
    if (this.#connections > 1) {
      socket.destroy();
      this.#fail(new CofferdamError("SECURITY_VIOLATION", "two came to the gate: something else runs in the container", { details: { control: "gate" } }));
      return;
    }
    this.#socket = socket;
    // From here on nobody finds it. Who connected already is still accepted, and seen above, until the word is given.
    rmSync(join(this.#folder, "gate"), { force: true });
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#heard(text));
    socket.on("error", (error) => this.#gone(errnoOf(error)));
    socket.on("close", () => this.#gone(undefined));
  }

  #heard(text: string): void {
    this.#text += text;
    for (let at = this.#text.indexOf("\n"); at >= 0; at = this.#text.indexOf("\n")) {
      const line = this.#text.slice(0, at);
      this.#lines.push(line);
      if (line.startsWith('{"ended"')) void this.#answer();
      this.#text = this.#text.slice(at + 1);
    }
    if (this.#text.length > MAX_LINE || this.#lines.length > MAX_LINES)
      this.#fail(new CofferdamError("SECURITY_VIOLATION", "what came to the gate is not the shim", { details: { control: "gate" } }));
    this.#wake();
  }

  async #answer(): Promise<void> {
    await this.#look?.().catch(() => undefined);
    this.#socket?.write("\n");
  }

  #gone(errno: string | undefined): void {
    this.#fail(new CofferdamError("UPSTREAM_UNAVAILABLE", `process 1 of the container is gone${errno === undefined ? "" : ` (${errno})`}`));
  }

  /** The first reason stays. */
  #fail(error: CofferdamError): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #line(signal: AbortSignal, timeout?: number): Promise<string> {
    const deadline = timeout === undefined ? undefined : AbortSignal.timeout(timeout);
    const stop = deadline === undefined ? signal : AbortSignal.any([signal, deadline]);
    for (;;) {
      const violation = this.#failure?.code === "SECURITY_VIOLATION" ? this.#failure : undefined;
      if (violation !== undefined) throw violation;
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#failure !== undefined) throw this.#failure;
      if (signal.aborted) throw new CofferdamError("CANCELLED", "cancelled while waiting at the gate");
      if (stop.aborted) throw new CofferdamError("DEADLINE_EXCEEDED", "process 1 of the container did not come to the gate in time");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        stop.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }
}

function read<T>(schema: z.ZodType<T>, line: string, code: "SECURITY_VIOLATION"): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (error) {
    throw new CofferdamError(code, "what came to the gate is not the shim", { details: { control: "gate" }, cause: error });
  }
}
