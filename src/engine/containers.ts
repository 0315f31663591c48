/** Calls on containers. */
import { Readable } from "node:stream";
import { CofferdamError } from "../foundation/index.ts";
import {
  changesSchema,
  containerSchema,
  containersSchema,
  createdSchema,
  exitSchema,
  parseAnswer,
  pathStatSchema,
  processesSchema,
  statsSchema,
  warningsSchema,
} from "./answer-schemas.ts";
import type { ContainerChange, ContainerInspect, ContainerStats, ContainerSummary, Created, PathStat, ProcessTable } from "./answers.ts";
import { attachment } from "./attachment.ts";
import type { ContainerCreate, ContainerUpdate } from "./bodies.ts";
import { containerCreateSchema, containerUpdateSchema, valuesOf, writeBody } from "./body-schemas.ts";
import { type Call, type Caller, DEFAULT_TIMEOUT_MS, filtersOf } from "./caller.ts";
import { unreachable } from "./failure.ts";
import { objectPath } from "./names.ts";
import { outputStream } from "./output.ts";
import type { Attachment, AttachOptions, CallOptions, ContainerCalls, ContainerExit, LogOptions, OutputStream, TerminalSize, WaitOptions } from "./types.ts";

/** A create may copy the image's content into volumes, a start waits for the runtime: slow machines need their time, ms. */
const SLOW_MS = 120_000;
/** A tar's time is as long as it is. */
const UNLIMITED = undefined;
const DEFAULT_GRACE = 10;

type With<T> = CallOptions & { readonly [Key in keyof T]?: T[Key] | undefined };

export class Containers implements ContainerCalls {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  async create(body: ContainerCreate, options: With<{ name: string }> = {}): Promise<Created> {
    const name = options.name === undefined ? undefined : decodeURIComponent(objectPath("container", options.name));
    const json = writeBody(containerCreateSchema, body, "container to create");
    const call: Call = {
      what: "create a container",
      method: "POST",
      path: "/containers/create",
      query: { name },
      json,
      secrets: valuesOf(body.Env),
      options,
      timeoutMs: SLOW_MS,
    };
    return await this.#caller.json(call, createdSchema);
  }

  async inspect(id: string, options: With<{ size: boolean }> = {}): Promise<ContainerInspect> {
    return await this.#caller.json(
      { ...this.#of(id, "inspect", options), method: "GET", path: this.#path(id, "json"), query: { size: options.size } },
      containerSchema,
    );
  }

  async start(id: string, options?: CallOptions): Promise<boolean> {
    const status = await this.#caller.status({ ...this.#of(id, "start", options), path: this.#path(id, "start"), timeoutMs: SLOW_MS, fine: [304] });
    return status !== 304;
  }

  async stop(id: string, options: With<{ graceSeconds: number }> = {}): Promise<boolean> {
    const grace = wholeNumber("graceSeconds", options.graceSeconds ?? DEFAULT_GRACE);
    const call = {
      ...this.#of(id, "stop", options),
      path: this.#path(id, "stop"),
      query: { t: grace },
      timeoutMs: grace * 1000 + DEFAULT_TIMEOUT_MS,
      fine: [304],
    };
    return (await this.#caller.status(call)) !== 304;
  }

  async kill(id: string, options: With<{ killSignal: string }> = {}): Promise<void> {
    const signal = options.killSignal ?? "SIGKILL";
    if (!/^(SIG[A-Z0-9+-]{1,12}|\d{1,2})$/.test(signal)) throw new CofferdamError("INVALID_ARGUMENT", "killSignal: not a signal's name or number");
    await this.#caller.status({ ...this.#of(id, "kill", options), path: this.#path(id, "kill"), query: { signal } });
  }

  async wait(id: string, options?: WaitOptions): Promise<ContainerExit> {
    const { exit } = await this.startWait(id, options);
    return await exit;
  }

  async startWait(id: string, options: WaitOptions = {}): Promise<{ readonly exit: Promise<ContainerExit> }> {
    const { condition = "not-running" } = options;
    const call = { ...this.#of(id, "wait for", options), path: this.#path(id, "wait"), query: { condition }, timeoutMs: UNLIMITED };
    const body = await this.#caller.stream(call);
    const exit = readExit(body.chunks, call.what);
    // Whoever never asks for it must not end the process.
    exit.catch(() => undefined);
    return { exit };
  }

  async remove(id: string, options: With<{ force: boolean; volumes: boolean }> = {}): Promise<void> {
    const query = { force: options.force, v: options.volumes };
    await this.#caller.status({ ...this.#of(id, "remove", options), method: "DELETE", path: this.#path(id), query, timeoutMs: SLOW_MS });
  }

  async list(options: Parameters<ContainerCalls["list"]>[0] = {}): Promise<readonly ContainerSummary[]> {
    const query = { all: options.all, limit: options.limit, filters: filtersOf(options.filters) };
    return await this.#caller.json(
      { what: "list containers", method: "GET", path: "/containers/json", query, options, timeoutMs: DEFAULT_TIMEOUT_MS },
      containersSchema,
    );
  }

  async logs(id: string, options: LogOptions = {}): Promise<OutputStream> {
    const { stdout = true, stderr = true, follow = false, timestamps = false, tty = false, since, until, tail } = options;
    const query = {
      stdout,
      stderr,
      follow,
      timestamps,
      since: seconds("since", since),
      until: seconds("until", until),
      tail: tail === undefined ? "all" : wholeNumber("tail", tail),
    };
    const call: Call = { ...this.#of(id, "read the log of", options), method: "GET", path: this.#path(id, "logs"), query };
    const { chunks, close } = follow ? await this.#caller.quietStream(call) : await this.#caller.stream(call);
    return outputStream(chunks, close, { tty, timestamps, what: call.what });
  }

  async attach(id: string, options: AttachOptions): Promise<Attachment> {
    const { stdin = false, stdout = true, stderr = true, logs = false, tty } = options;
    const call: Call = { ...this.#of(id, "attach to", options), path: this.#path(id, "attach"), query: { stream: true, stdin, stdout, stderr, logs } };
    return attachment(await this.#caller.upgrade(call), this.#caller.where, { tty, what: call.what });
  }

  async resize(id: string, size: TerminalSize, options?: CallOptions): Promise<void> {
    await this.#caller.status({ ...this.#of(id, "resize the terminal of", options), path: this.#path(id, "resize"), query: sizeQuery(size) });
  }

  async update(id: string, body: ContainerUpdate, options?: CallOptions): Promise<readonly string[]> {
    const json = writeBody(containerUpdateSchema, body, "container limits");
    const answer = await this.#caller.json({ ...this.#of(id, "update", options), path: this.#path(id, "update"), json }, warningsSchema);
    return answer.Warnings;
  }

  async pause(id: string, options?: CallOptions): Promise<void> {
    await this.#caller.status({ ...this.#of(id, "pause", options), path: this.#path(id, "pause") });
  }

  async unpause(id: string, options?: CallOptions): Promise<void> {
    await this.#caller.status({ ...this.#of(id, "unpause", options), path: this.#path(id, "unpause") });
  }

  async rename(id: string, name: string, options?: CallOptions): Promise<void> {
    const query = { name: decodeURIComponent(objectPath("container", name)) };
    await this.#caller.status({ ...this.#of(id, "rename", options), path: this.#path(id, "rename"), query });
  }

  async top(id: string, options: With<{ psArgs: string }> = {}): Promise<ProcessTable> {
    const call: Call = { ...this.#of(id, "list the processes of", options), method: "GET", path: this.#path(id, "top"), query: { ps_args: options.psArgs } };
    return await this.#caller.json(call, processesSchema);
  }

  async stats(id: string, options?: CallOptions): Promise<ContainerStats> {
    const query = { stream: false, "one-shot": true };
    return await this.#caller.json({ ...this.#of(id, "read the counters of", options), method: "GET", path: this.#path(id, "stats"), query }, statsSchema);
  }

  async changes(id: string, options?: CallOptions): Promise<readonly ContainerChange[]> {
    const call: Call = { ...this.#of(id, "list the changes of", options), method: "GET", path: this.#path(id, "changes"), timeoutMs: SLOW_MS };
    return await this.#caller.json(call, changesSchema);
  }

  async statPath(id: string, path: string, options?: CallOptions): Promise<PathStat> {
    const call: Call = { ...this.#of(id, "look at a path of", options), method: "HEAD", path: this.#path(id, "archive"), query: { path } };
    const { headers, close } = await this.#caller.stream(call);
    close();
    return pathStat(headers["x-docker-container-path-stat"], call.what);
  }

  async getArchive(id: string, path: string, options?: CallOptions): Promise<{ readonly stat: PathStat; readonly tar: Readable }> {
    const call: Call = { ...this.#of(id, "read files of", options), method: "GET", path: this.#path(id, "archive"), query: { path } };
    const { headers, chunks } = await this.#caller.stream(call);
    return { stat: pathStat(headers["x-docker-container-path-stat"], call.what), tar: Readable.from(chunks, { objectMode: false }) };
  }

  async putArchive(id: string, path: string, tar: Readable | Uint8Array, options?: CallOptions): Promise<void> {
    const query = { path, noOverwriteDirNonDir: true };
    await this.#caller.status({
      ...this.#of(id, "write files into", options),
      method: "PUT",
      path: this.#path(id, "archive"),
      query,
      tar,
      timeoutMs: UNLIMITED,
    });
  }

  #path(id: string, verb?: string): string {
    const place = `/containers/${objectPath("container", id)}`;
    return verb === undefined ? place : `${place}/${verb}`;
  }

  #of(id: string, verb: string, options: CallOptions | undefined): Pick<Call, "what" | "method" | "options" | "timeoutMs"> {
    objectPath("container", id);
    return { what: `${verb} container ${id.slice(0, 64)}`, method: "POST", options, timeoutMs: DEFAULT_TIMEOUT_MS };
  }
}

export function sizeQuery({ rows, columns }: TerminalSize): { readonly h: number; readonly w: number } {
  return { h: wholeNumber("rows", rows), w: wholeNumber("columns", columns) };
}

/** An exit is one small document; the engine may send spaces before it to keep the connection alive. */
async function readExit(chunks: AsyncIterable<Buffer>, what: string): Promise<ContainerExit> {
  let text = "";
  for await (const chunk of chunks) {
    text = (text + chunk.toString("utf8")).trimStart();
    if (text.length > 64 * 1024) throw new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${what}: the engine's answer is too long`);
  }
  const { StatusCode, Error: error } = parseAnswer(exitSchema, text, what);
  const message = error?.Message ?? "";
  return { exitCode: StatusCode, ...(message === "" ? {} : { error: message.slice(0, 1000) }) };
}

function pathStat(header: string | string[] | undefined, what: string): PathStat {
  if (typeof header !== "string") throw unreachable(what, "the engine", new Error("the answer lacks what the path is"));
  return parseAnswer(pathStatSchema, Buffer.from(header, "base64").toString("utf8"), what);
}

function wholeNumber(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new CofferdamError("INVALID_ARGUMENT", `${name} must be a whole number, not ${String(value)}`);
  return value;
}

function seconds(name: string, value: number | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (!Number.isFinite(value) || value < 0) throw new CofferdamError("INVALID_ARGUMENT", `${name} must be seconds since the epoch, not ${String(value)}`);
  return value.toFixed(9);
}
