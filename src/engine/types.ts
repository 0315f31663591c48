/**
 * What a container engine is to the rest: the calls of the Docker Engine API that we use, typed. Bodies (`bodies.ts`) and
 * answers (`answers.ts`) keep the API's own spelling, so that they read as its reference does; options are ours.
 * {@link EngineClient} is the implementation. Every call throws a CofferdamError; see docs/engine.md for which code means what.
 */
import type { Readable, Writable } from "node:stream";
import type {
  ContainerChange,
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  Created,
  DiskUsage,
  EngineEvent,
  EngineInfo,
  EngineVersion,
  ExecInspect,
  ImageInspect,
  ImageLayer,
  ImageRemoval,
  ImageSummary,
  NetworkInspect,
  PathStat,
  ProcessTable,
  VolumeInspect,
} from "./answers.ts";
import type { ContainerCreate, ContainerUpdate, ExecCreate, NetworkConnect, NetworkCreate, VolumeCreate } from "./bodies.ts";

/** What every call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Time for the whole call, or for a stream until it is open, ms. Default: what is usual for the call. Past it: DEADLINE_EXCEEDED. */
  readonly timeoutMs?: number | undefined;
}

/** Filters of a list, by the names of the API: `{ label: ["cofferdam.job=8f2c"], status: ["running"] }`. */
export type Filters = Readonly<Record<string, readonly string[]>>;

export interface ContainerEngine extends AsyncDisposable {
  readonly containers: ContainerCalls;
  readonly execs: ExecCalls;
  readonly images: ImageCalls;
  readonly networks: NetworkCalls;
  readonly volumes: VolumeCalls;
  /** Which engine answers, and the API version that both sides speak. */
  ping(options?: CallOptions): Promise<EnginePing>;
  version(options?: CallOptions): Promise<EngineVersion>;
  info(options?: CallOptions): Promise<EngineInfo>;
  diskUsage(options?: CallOptions): Promise<DiskUsage>;
  /** Events until the signal ends it, over cuts and restarts of the engine; where some may be lost a `gap` says so. */
  events(options?: EventOptions): AsyncIterable<EngineNews>;
  /** Ends every open call with CANCELLED. */
  close(): Promise<void>;
}

export interface EnginePing {
  /** Which family answers: Podman serves the same API with differences (docs/engine.md). */
  readonly engine: "docker" | "podman";
  /** Version of the API that is spoken from now on: the lower of ours and the engine's. */
  readonly apiVersion: string;
  /** The highest that the engine knows. */
  readonly engineApiVersion: string;
}

export interface ContainerCalls {
  /** Throws NOT_FOUND when there is no such image, CONFLICT when the name is taken. Never pulls. */
  create(body: ContainerCreate, options?: CallOptions & { readonly name?: string | undefined }): Promise<Created>;
  inspect(id: string, options?: CallOptions & { readonly size?: boolean | undefined }): Promise<ContainerInspect>;
  /** @returns false when it ran already. INVALID_ARGUMENT with `details.reason` when the command cannot be executed. */
  start(id: string, options?: CallOptions): Promise<boolean>;
  /** SIGTERM (or the container's own signal), and SIGKILL after `graceSeconds` (10). @returns false when it had ended already. */
  stop(id: string, options?: CallOptions & { readonly graceSeconds?: number | undefined }): Promise<boolean>;
  /** @param options.killSignal name or number, SIGKILL unless told. CONFLICT when it does not run. */
  kill(id: string, options?: CallOptions & { readonly killSignal?: string | undefined }): Promise<void>;
  /** The exit, once it has come. See {@link startWait} for one that cannot come too early. */
  wait(id: string, options?: WaitOptions): Promise<ContainerExit>;
  /** Returns when the engine holds the wait, so that a start after it is not missed; `exit` is the answer. */
  startWait(id: string, options?: WaitOptions): Promise<{ readonly exit: Promise<ContainerExit> }>;
  /** CONFLICT when it runs and `force` is not set, or when it is being removed already. */
  remove(id: string, options?: CallOptions & { readonly force?: boolean | undefined; readonly volumes?: boolean | undefined }): Promise<void>;
  list(
    options?: CallOptions & { readonly all?: boolean | undefined; readonly limit?: number | undefined; readonly filters?: Filters | undefined },
  ): Promise<readonly ContainerSummary[]>;
  logs(id: string, options?: LogOptions): Promise<OutputStream>;
  attach(id: string, options: AttachOptions): Promise<Attachment>;
  resize(id: string, size: TerminalSize, options?: CallOptions): Promise<void>;
  /** Live limits. The engine answers well and ignores some: prove them from the cgroup's files. @returns its warnings. */
  update(id: string, body: ContainerUpdate, options?: CallOptions): Promise<readonly string[]>;
  pause(id: string, options?: CallOptions): Promise<void>;
  unpause(id: string, options?: CallOptions): Promise<void>;
  rename(id: string, name: string, options?: CallOptions): Promise<void>;
  /** The engine runs `ps` on its host, where that must be installed. */
  top(id: string, options?: CallOptions & { readonly psArgs?: string | undefined }): Promise<ProcessTable>;
  /** One sample, without waiting for a second one. */
  stats(id: string, options?: CallOptions): Promise<ContainerStats>;
  /** What differs from the image. Slow on large trees: the engine walks them. */
  changes(id: string, options?: CallOptions): Promise<readonly ContainerChange[]>;
  statPath(id: string, path: string, options?: CallOptions): Promise<PathStat>;
  /** A tar of a path inside. It is untrusted: read it with `archive/`. Destroy the stream to stop early. */
  getArchive(id: string, path: string, options?: CallOptions): Promise<{ readonly stat: PathStat; readonly tar: Readable }>;
  /** Unpacks a tar into a folder inside. Into a tmpfs it lands on the layer below it, where the job cannot read it. */
  putArchive(id: string, path: string, tar: Readable | Uint8Array, options?: CallOptions): Promise<void>;
}

export interface WaitOptions extends CallOptions {
  /** `not-running` (default) answers at once for one that does not run; `next-exit` waits for the next; `removed` until it is gone. */
  readonly condition?: "not-running" | "next-exit" | "removed" | undefined;
}

export interface ContainerExit {
  readonly exitCode: number;
  /** What the engine says went wrong with the wait or the container. */
  readonly error?: string;
}

export interface LogOptions extends CallOptions {
  /** Both are on unless set to false. */
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  readonly follow?: boolean | undefined;
  /** Seconds since the epoch, with a fraction. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Lines from the end; everything unless told. */
  readonly tail?: number | undefined;
  /** Each chunk is then one whole record of the log with its `time`; with `tty` the bytes come as the engine sends them. */
  readonly timestamps?: boolean | undefined;
  /** True for a container with a terminal: its output has no frames. */
  readonly tty?: boolean | undefined;
}

export interface AttachOptions extends CallOptions {
  /** Must be what the container was made with. */
  readonly tty: boolean;
  readonly stdin?: boolean | undefined;
  /** Both are on unless set to false. */
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  /** Begin with what it has written so far. */
  readonly logs?: boolean | undefined;
}

export interface OutputChunk {
  /** With a terminal everything is `stdout`. */
  readonly source: "stdout" | "stderr";
  readonly bytes: Buffer;
  /** RFC 3339 with nanoseconds, for logs with timestamps. */
  readonly time?: string;
}

/** Output as it comes; it is read from the engine only as fast as it is taken. Leaving the loop closes it. Throws UPSTREAM_UNAVAILABLE when it is cut. */
export interface OutputStream extends AsyncIterable<OutputChunk>, AsyncDisposable {
  close(): void;
}

/** An open terminal or pipe into a container. */
export interface Attachment extends AsyncDisposable {
  /** `end()` closes the container's stdin; output goes on. */
  readonly stdin: Writable;
  readonly output: OutputStream;
  /** Detaches; the container goes on. */
  close(): void;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface ExecCalls {
  /** @returns its id. CONFLICT when the container does not run. */
  create(containerId: string, body: ExecCreate, options?: CallOptions): Promise<string>;
  /** Runs it with its streams here. @param options.tty as it was created. */
  start(execId: string, options: CallOptions & { readonly tty: boolean }): Promise<Attachment>;
  /** Runs it and does not wait. */
  startDetached(execId: string, options?: CallOptions): Promise<void>;
  inspect(execId: string, options?: CallOptions): Promise<ExecInspect>;
  resize(execId: string, size: TerminalSize, options?: CallOptions): Promise<void>;
}

export interface ImageCalls {
  inspect(reference: string, options?: CallOptions): Promise<ImageInspect>;
  list(options?: CallOptions & { readonly all?: boolean | undefined; readonly filters?: Filters | undefined }): Promise<readonly ImageSummary[]>;
  history(reference: string, options?: CallOptions): Promise<readonly ImageLayer[]>;
  /** An archive of `docker save`. @returns tags or ids that it held. INVALID_ARGUMENT when the engine does not take it. */
  load(archive: Readable | Uint8Array, options?: CallOptions): Promise<readonly string[]>;
  /** A tar of a root file system becomes an image of one layer. @returns its id. */
  import(rootfs: Readable | Uint8Array, options?: ImportOptions): Promise<string>;
  /** CONFLICT when a container uses it and `force` is not set. */
  remove(
    reference: string,
    options?: CallOptions & { readonly force?: boolean | undefined; readonly noPrune?: boolean | undefined },
  ): Promise<readonly ImageRemoval[]>;
  /** @param target repository with an optional tag. */
  tag(reference: string, target: string, options?: CallOptions): Promise<void>;
}

export interface ImportOptions extends CallOptions {
  /** Name and tag that it gets. */
  readonly reference?: string | undefined;
  /** Dockerfile instructions for its configuration: `CMD ["/bin/sh"]`. */
  readonly changes?: readonly string[] | undefined;
}

export interface NetworkCalls {
  /** @returns its id. CONFLICT when the name or the subnet is taken. */
  create(body: NetworkCreate, options?: CallOptions): Promise<string>;
  inspect(id: string, options?: CallOptions): Promise<NetworkInspect>;
  list(options?: CallOptions & { readonly filters?: Filters | undefined }): Promise<readonly NetworkInspect[]>;
  connect(id: string, body: NetworkConnect, options?: CallOptions): Promise<void>;
  disconnect(id: string, containerId: string, options?: CallOptions & { readonly force?: boolean | undefined }): Promise<void>;
  remove(id: string, options?: CallOptions): Promise<void>;
}

export interface VolumeCalls {
  create(body: VolumeCreate, options?: CallOptions): Promise<VolumeInspect>;
  list(options?: CallOptions & { readonly filters?: Filters | undefined }): Promise<readonly VolumeInspect[]>;
  inspect(name: string, options?: CallOptions): Promise<VolumeInspect>;
  remove(name: string, options?: CallOptions & { readonly force?: boolean | undefined }): Promise<void>;
}

export interface EventOptions {
  readonly signal?: AbortSignal | undefined;
  /** Begin with what the engine remembers since then: nanoseconds since the epoch, `timeNano` of an event. */
  readonly since?: bigint | undefined;
  readonly filters?: Filters | undefined;
  /** After so much silence the engine is asked whether it lives, ms (15,000). */
  readonly heartbeatMs?: number | undefined;
  /** How long the engine may be away before the iteration throws UPSTREAM_UNAVAILABLE, ms (60,000). */
  readonly maxOutageMs?: number | undefined;
}

/**
 * `open` comes with every connection: from then on nothing is missed. `gap` comes before it when events between the last
 * one and this connection may be lost (the engine keeps few, and none over its restart): look at everything anew.
 */
export type EngineNews = { readonly kind: "open" } | { readonly kind: "gap"; readonly why: string } | { readonly kind: "event"; readonly event: EngineEvent };
