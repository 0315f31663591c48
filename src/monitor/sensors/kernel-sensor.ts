/**
 * Events of the kernel, for whoever watches jobs. The sensor itself (native/sensor) is a child of a thread of its own, so that
 * nothing that this thread does can make the kernel's ring run full.
 */
import { EventEmitter } from "node:events";
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { CofferdamError, errnoOf, packageFolder, parseInput } from "../../foundation/index.ts";
import type { ExecEvent, GapEvent, LossEvent, ProcessEvent, SensorSource, SensorStatus } from "../event.ts";
import { decodeRecord } from "../reader/decode.ts";
import { AT, SensorRecord } from "../reader/record.ts";
import { inOrder } from "./batch.ts";
import type { FromThread, Refusal, ToThread, WatchOrder } from "./messages.ts";
import { EVENT_BYTES } from "./outbox.ts";
import { OwnReader } from "./own-reader.ts";
import { ReaderThread, type ReaderThreadOptions } from "./reader-thread.ts";
import { SENSITIVE, type SensitiveNames, sensitiveSchema, sensitiveWords } from "./sensitive.ts";

export interface KernelSensorEvents {
  /** What a process did. Records of one thread come in their order; those of two processors may be some microseconds off. */
  event: [event: ProcessEvent];
  loss: [loss: LossEvent];
  gap: [gap: GapEvent];
  status: [status: SensorStatus];
}

export interface KernelSensorOptions {
  /** The sensor's executable. Default: the one of this package. */
  readonly program?: string;
  /** What may be used, the best first; default: all there are. */
  readonly sources?: readonly SensorSource[];
  /** Names whose reading is told as well, besides whatever is written. Default: {@link SENSITIVE}. */
  readonly sensitive?: SensitiveNames;
  /** Records a second and class (files, network, processes, programs, rare) of one watch that are told; more is counted. Default 20,000. */
  readonly rate?: number;
  /** Whether the environment of each program is told. It holds secrets. Default false. */
  readonly env?: boolean;
  /**
   * Whether a thread of its own reads, as it should in a process that does other things too. Without it there are 12 MB less; only
   * the kernel's ring holds what happens while this process is busy, and what fails is not started again. Default true.
   */
  readonly thread?: boolean;
}

export interface WatchRequest {
  readonly job: string;
  readonly container?: string;
  /** A process of the container, on the host: its first one. It and whatever is in its namespaces is watched. */
  readonly pid: number;
}

/** A container under watch. */
export interface Watch extends AsyncDisposable {
  readonly id: number;
  readonly job: string;
  readonly container: string | undefined;
  /** After it nothing more comes of this container; what was on its way has come. Until then its namespaces stay, and mounts in them. */
  close(): Promise<void>;
}

interface Watched {
  readonly job: string;
  readonly container: string | undefined;
  readonly order: WatchOrder;
  readonly spaces: Spaces;
}

interface Waiting {
  resolve(): void;
  reject(error: CofferdamError): void;
}

const DEFAULT_RATE = 20_000;
const SOURCES: readonly SensorSource[] = ["ebpf", "audit", "connector"];
const schema: z.ZodType<KernelSensorOptions> = z.strictObject({
  program: z.string().min(1).exactOptional(),
  sources: z.array(z.enum(SOURCES)).min(1).max(SOURCES.length).exactOptional(),
  sensitive: sensitiveSchema.exactOptional(),
  rate: z.int().min(1).max(1_000_000).exactOptional(),
  env: z.boolean().exactOptional(),
  thread: z.boolean().exactOptional(),
});
const requestSchema: z.ZodType<WatchRequest> = z.strictObject({
  job: z.string().min(1).max(256),
  container: z.string().min(1).max(256).exactOptional(),
  pid: z.int().min(1).max(4_194_304),
});

/**
 * @example
 * ```ts
 * await using sensor = new KernelSensor();
 * sensor.on("event", (event) => { if (event.kind === "exec") report(event.program.path, event.args); });
 * await sensor.initialize();
 * await using watch = await sensor.watch({ job: "8f2c", pid: container.pid });
 * ```
 */
export class KernelSensor extends EventEmitter<KernelSensorEvents> implements AsyncDisposable {
  readonly #options: KernelSensorOptions;
  readonly #watches = new Map<number, Watched>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #hashing = new Map<number, (sha256: string | undefined) => void>();
  #thread: ReaderThread | OwnReader | undefined;
  #starting: Promise<SensorStatus> | undefined;
  #status: SensorStatus | undefined;
  /** Since when nobody reads, and why. */
  #missing: { readonly from: number; readonly why: string } | undefined;
  #lastSign = 0;
  #next = 1;
  #closed = false;

  /** No I/O. Throws INVALID_ARGUMENT. */
  constructor(options: KernelSensorOptions = {}) {
    super();
    this.#options = parseInput(schema, options, "options of KernelSensor");
  }

  /** What can be seen now; undefined before {@link initialize}. */
  get status(): SensorStatus | undefined {
    return this.#status;
  }

  /**
   * Starts the thread and waits for the first word of the sensor. Where the kernel or the rights allow less, or nothing, that is
   * what the status says: this never throws for it.
   */
  initialize(): Promise<SensorStatus> {
    if (this.#closed) return Promise.reject(new CofferdamError("NOT_INITIALIZED", "the sensor is closed"));
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Watches a container: every process in its pid or mount namespace, and whatever those start, wherever it goes. Processes
   * that enter later count from the first program that they run.
   *
   * Throws NOT_FOUND when there is no such process, FAILED_PRECONDITION when it shares a namespace with this process (then the
   * host would be watched), PERMISSION_DENIED without root, CONFLICT when it is watched already, RESOURCE_EXHAUSTED when 4,096 are,
   * ENVIRONMENT_UNFIT when its thread does not start, NOT_INITIALIZED. While the sensor is absent a watch waits for it: see {@link status}.
   */
  async watch(request: WatchRequest): Promise<Watch> {
    const { job, container, pid } = parseInput(requestSchema, request, "watch");
    const spaces = spacesOf(pid);
    const id = this.#next++;
    const { pidns, mntns } = spaces;
    const order = { id, pidns, mntns, pid, rate: this.#options.rate ?? DEFAULT_RATE, env: this.#options.env ?? false };
    this.#watches.set(id, { job, container, order, spaces });
    try {
      await this.#ask(`watched ${id}`, { type: "watch", order });
    } catch (error) {
      this.#watches.delete(id);
      spaces.release();
      throw error;
    }
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => {
      closing ??= this.#unwatch(id);
      return closing;
    };
    return { id, job, container, close, [Symbol.asyncDispose]: close };
  }

  /** Returns when everything that happened before was told to the listeners. Nothing is waited for while the sensor is absent. */
  async sync(): Promise<void> {
    const serial = this.#next++;
    await this.#ask(`synced ${serial}`, { type: "sync", serial });
  }

  /**
   * SHA-256, hexadecimal, of the program that an exec started, read now. undefined when it is gone or was changed meanwhile, is
   * over 1 GiB, or the sensor is not there. Nothing is kept: {@link HashCache} does that.
   */
  hash(event: ExecEvent): Promise<string | undefined> {
    if (this.#thread?.runs !== true || this.#closed) return Promise.resolve(undefined);
    const { path, size, mtime, ctime, anonymous } = event.program;
    const watch = [...this.#watches.values()].find((one) => one.job === event.job && one.container === event.container);
    const serial = this.#next++;
    return new Promise((resolve) => {
      this.#hashing.set(serial, resolve);
      const request = { pid: event.actor.pid, neighbour: watch?.order.pid ?? event.actor.ppid, file: { path, size, mtime, ctime, anonymous } };
      this.#send({ type: "hash", serial, request });
    });
  }

  /** Ends the sensor and its thread. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { spaces } of this.#watches.values()) spaces.release();
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    await thread.close();
    this.#settleAll();
    this.#becomeAbsent("closed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(): Promise<SensorStatus> {
    const program = this.#options.program ?? join(packageFolder(), "dist", "native", `cofferdam-sensor-${process.arch}`);
    this.#lastSign = Date.now();
    const told = new Promise<SensorStatus>((resolve) => {
      this.once("status", resolve);
    });
    const parts: ReaderThreadOptions = {
      data: { program, sources: this.#options.sources ?? SOURCES, sensitive: sensitiveWords(this.#options.sensitive ?? SENSITIVE) },
      hear: (message) => this.#hear(message),
      died: (why, again) => this.#died(why, again),
      returned: () => {
        for (const { order } of this.#watches.values()) this.#send({ type: "watch", order });
      },
    };
    const thread = this.#options.thread === false ? new OwnReader(parts) : new ReaderThread(parts);
    this.#thread = thread;
    const status = await told;
    // Only who waits for an answer keeps the process going.
    thread.keepProcess(this.#waiting.size > 0);
    return status;
  }

  async #unwatch(id: number): Promise<void> {
    const spaces = this.#watches.get(id)?.spaces;
    try {
      if (!this.#closed && this.#thread !== undefined) await this.#ask(`unwatched ${id}`, { type: "unwatch", id });
    } finally {
      this.#watches.delete(id);
      spaces?.release();
    }
  }

  #ask(name: string, message: ToThread): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) {
      if (this.#closed || this.#status === undefined) throw new CofferdamError("NOT_INITIALIZED", "KernelSensor.initialize() was not called");
      throw new CofferdamError("ENVIRONMENT_UNFIT", `nothing can be watched: ${this.#status.why}`);
    }
    // The next thread is told of every watch as it begins.
    if (!thread.runs) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.set(name, { resolve, reject });
      thread.keepProcess(true);
      this.#send(message);
    });
  }

  #send(message: ToThread): void {
    this.#thread?.send(message);
  }

  #hear(message: FromThread): void {
    this.#lastSign = Date.now();
    switch (message.type) {
      case "batch":
        this.#decode(Buffer.from(message.bytes.buffer), message.clockOffset);
        this.#send({ type: "done", bytes: message.bytes.length });
        break;
      case "event": {
        const owner = this.#watches.get(message.id);
        if (owner !== undefined) this.#tell("event", { ...message.event, job: owner.job, container: owner.container });
        this.#send({ type: "done", bytes: EVENT_BYTES });
        break;
      }
      case "status":
        if (message.status.state !== "absent") this.#tellMissing();
        this.#status = message.status;
        this.#tell("status", message.status);
        break;
      case "gap":
        this.#tell("gap", message.gap);
        break;
      case "loss":
        this.#lose(message.id, message.where, message.count);
        break;
      case "watched":
      case "unwatched":
        this.#settle(`${message.type} ${message.id}`, message.error);
        break;
      case "synced":
        this.#settle(`synced ${message.serial}`, undefined);
        break;
      case "hashed":
        this.#hashing.get(message.serial)?.(message.sha256);
        this.#hashing.delete(message.serial);
        break;
    }
  }

  #decode(bytes: Buffer, clockOffset: bigint): void {
    for (const one of inOrder(bytes)) {
      const id = one.readUInt32LE(AT.watch);
      const owner = this.#watches.get(id);
      if (owner === undefined) continue;
      let event: ProcessEvent;
      try {
        event = decodeRecord(new SensorRecord(one), { job: owner.job, container: owner.container, clockOffset });
      } catch {
        // One record that makes no sense is one that nobody saw.
        this.#lose(id, "reader", 1);
        continue;
      }
      this.#tell("event", event);
    }
  }

  #lose(id: number | undefined, where: LossEvent["where"], count: number): void {
    const job = id === undefined ? undefined : this.#watches.get(id)?.job;
    this.#tell("loss", { kind: "loss", time: Date.now(), job, where, count });
  }

  #settle(name: string, error: Refusal | undefined): void {
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    if (this.#waiting.size === 0) this.#thread?.keepProcess(false);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(new CofferdamError(error.code, error.message));
  }

  #died(why: string, again: boolean): void {
    const sentence = `the monitor's reader ended: ${why}`;
    this.#missing ??= { from: this.#lastSign, why: sentence };
    if (!again) this.#thread = undefined;
    this.#settleAll();
    this.#becomeAbsent(again ? `${sentence}; it is started again` : sentence);
  }

  /** Nobody answers any more: what was asked is the next thread's to know from its beginning. */
  #settleAll(): void {
    for (const { resolve } of this.#waiting.values()) resolve();
    this.#waiting.clear();
    for (const resolve of this.#hashing.values()) resolve(undefined);
    this.#hashing.clear();
  }

  #becomeAbsent(why: string): void {
    this.#status = { kind: "status", time: Date.now(), state: "absent", source: "none", why, lacks: ["everything"] };
    this.#tell("status", this.#status);
  }

  /** Somebody reads again. */
  #tellMissing(): void {
    const missing = this.#missing;
    this.#missing = undefined;
    if (missing !== undefined && this.#watches.size > 0) this.#tell("gap", { kind: "gap", ...missing, to: Date.now() });
  }

  /** A listener's failure is its own. */
  #tell<K extends keyof KernelSensorEvents>(name: K, ...args: KernelSensorEvents[K]): void {
    for (const listener of this.rawListeners(name)) {
      try {
        Promise.resolve(Reflect.apply(listener, this, args)).catch(() => undefined);
      } catch {
        // Not ours to say.
      }
    }
  }
}

interface Spaces {
  readonly pidns: number;
  readonly mntns: number;
  release(): void;
}

/** Held until they are released: the number of a namespace that is gone is soon another container's. */
function spacesOf(pid: number): Spaces {
  const held: number[] = [];
  const release = (): void => {
    for (const one of held.splice(0)) closeSync(one);
  };
  try {
    const hold = (name: string): number => {
      const space = openSync(`/proc/${pid}/ns/${name}`, "r");
      held.push(space);
      return fstatSync(space).ino;
    };
    const [pidns, mntns] = [hold("pid"), hold("mnt")];
    if (pidns !== statSync("/proc/self/ns/pid").ino && mntns !== statSync("/proc/self/ns/mnt").ino) return { pidns, mntns, release };
  } catch (error) {
    release();
    if (errnoOf(error) === "EACCES")
      throw new CofferdamError("PERMISSION_DENIED", `the namespaces of process ${pid} can be read by root alone`, { cause: error });
    throw new CofferdamError("NOT_FOUND", `there is no process ${pid}`, { cause: error });
  }
  release();
  throw new CofferdamError("FAILED_PRECONDITION", `process ${pid} is in a namespace of the host: to watch it would be to watch the host`);
}
