/** The engine client: where the engine is, which version is spoken, and the calls in their groups. */
import { CofferdamError } from "../foundation/index.ts";
import { diskUsageSchema, infoSchema, versionSchema } from "./answer-schemas.ts";
import type { DiskUsage, EngineInfo, EngineVersion } from "./answers.ts";
import { negotiate } from "./api-version.ts";
import { Caller, DEFAULT_TIMEOUT_MS, type Spoken } from "./caller.ts";
import { Containers } from "./containers.ts";
import { Deadline } from "./deadline.ts";
import { followEvents } from "./events.ts";
import { Execs } from "./execs.ts";
import { refusedByEngine } from "./failure.ts";
import { Images } from "./images.ts";
import { Networks, Volumes } from "./networks.ts";
import { connectionOf, type EngineTarget } from "./target.ts";
import { collect, Transport } from "./transport.ts";
import type {
  CallOptions,
  ContainerCalls,
  ContainerEngine,
  EngineNews,
  EnginePing,
  EventOptions,
  ExecCalls,
  ImageCalls,
  NetworkCalls,
  VolumeCalls,
} from "./types.ts";

const PING_MS = 10_000;
const MAX_PING_BYTES = 4096;
/** The engine adds up the size of everything it has, ms. */
const DISK_USAGE_MS = 300_000;

interface Pong extends EnginePing {
  /** The engine's time, whole seconds since the epoch. */
  readonly seconds: bigint;
}

/**
 * @example
 * ```ts
 * await using engine = new EngineClient("unix:///run/docker.sock");
 * const { Id } = await engine.containers.create({ Image: "busybox:1.36", Cmd: ["true"], HostConfig: { NetworkMode: "none" } });
 * const { exit } = await engine.containers.startWait(Id, { condition: "next-exit" });
 * await engine.containers.start(Id);
 * console.log((await exit).exitCode);
 * await engine.containers.remove(Id, { volumes: true });
 * ```
 */
export class EngineClient implements ContainerEngine {
  readonly containers: ContainerCalls;
  readonly execs: ExecCalls;
  readonly images: ImageCalls;
  readonly networks: NetworkCalls;
  readonly volumes: VolumeCalls;
  readonly #transport: Transport;
  readonly #caller: Caller;
  #negotiated: Promise<Pong> | undefined;

  /** Opens nothing. Throws INVALID_ARGUMENT for a target that is none. */
  constructor(target: EngineTarget) {
    this.#transport = new Transport(connectionOf(target));
    this.#caller = new Caller(
      this.#transport,
      (signal) => this.#spoken(signal),
      () => {
        this.#negotiated = undefined;
      },
    );
    this.containers = new Containers(this.#caller);
    this.execs = new Execs(this.#caller);
    this.images = new Images(this.#caller);
    this.networks = new Networks(this.#caller);
    this.volumes = new Volumes(this.#caller);
  }

  /** The engine's address, for messages. */
  get where(): string {
    return this.#transport.where;
  }

  async ping(options: CallOptions = {}): Promise<EnginePing> {
    const full = await this.#ping(options);
    this.#negotiated = Promise.resolve(full);
    const { seconds: _, ...pong } = full;
    return pong;
  }

  async version(options?: CallOptions): Promise<EngineVersion> {
    return await this.#caller.json(
      { what: "ask the engine's version", method: "GET", path: "/version", options, timeoutMs: DEFAULT_TIMEOUT_MS },
      versionSchema,
    );
  }

  async info(options?: CallOptions): Promise<EngineInfo> {
    return await this.#caller.json({ what: "ask about the engine", method: "GET", path: "/info", options, timeoutMs: DEFAULT_TIMEOUT_MS }, infoSchema);
  }

  async diskUsage(options?: CallOptions): Promise<DiskUsage> {
    return await this.#caller.json(
      { what: "ask the engine's disk usage", method: "GET", path: "/system/df", options, timeoutMs: DISK_USAGE_MS },
      diskUsageSchema,
    );
  }

  events(options?: EventOptions): AsyncIterable<EngineNews> {
    const now = async (limits: CallOptions): Promise<bigint> => (await this.#ping(limits)).seconds;
    return followEvents({ caller: this.#caller, now }, options);
  }

  async close(): Promise<void> {
    this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Asked once, and again after it failed. One caller's signal ends that caller's wait, not the others'. */
  async #spoken(signal: AbortSignal | undefined): Promise<Spoken> {
    this.#negotiated ??= this.#ping({}).catch((error: unknown) => {
      this.#negotiated = undefined;
      throw error;
    });
    const negotiated = this.#negotiated;
    return await new Promise<Pong>((resolve, reject) => {
      const deadline = new Deadline("ask which API the engine speaks", [signal], undefined, reject);
      negotiated.then(resolve, reject).finally(() => deadline.release());
    });
  }

  async #ping({ signal, timeoutMs = PING_MS }: CallOptions): Promise<Pong> {
    const what = "ping the engine";
    const answer = await this.#transport.send({ what, method: "GET", path: "/_ping", signal, timeoutMs });
    const { headers } = answer.response;
    const text = await collect(answer, what, this.where, MAX_PING_BYTES);
    if (answer.status !== 200) throw noPong(what, this.where, answer.status, text.toString("utf8"));
    const theirs = one(headers["api-version"]);
    const apiVersion = negotiate(theirs, this.where);
    const date = Date.parse(one(headers["date"]) ?? "");
    const seconds = BigInt(Math.floor((Number.isNaN(date) ? Date.now() : date) / 1000));
    return { engine: one(headers["libpod-api-version"]) === undefined ? "docker" : "podman", apiVersion, engineApiVersion: theirs ?? apiVersion, seconds };
  }
}

/** Nothing of a ping is the caller's: whatever refuses it is no engine, or does not let us in. */
function noPong(what: string, where: string, status: number, text: string): CofferdamError {
  const refusal = refusedByEngine(what, status, text, []);
  if (refusal.code === "PERMISSION_DENIED" || refusal.code === "UPSTREAM_UNAVAILABLE") return refusal;
  const hint = /HTTP request to an HTTPS server/i.test(text)
    ? "it speaks TLS: https://host:port, or ca, cert and key"
    : "is this the address of a container engine?";
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${what}: what answers at ${where} says HTTP ${status}`, { hint, details: refusal.details });
}

function one(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}
