/**
 * The registry gate: between the client and its registries, it hands out only what was verified. Known packages are
 * fetched and checked ahead of the client; what the client asks for beyond that is checked before its first byte leaves.
 */
import { timingSafeEqual } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Server as NetServer } from "node:net";
import { pipeline } from "node:stream/promises";
import { CofferdamError, ERROR_TABLE, nodeHttp, wrapError } from "../../foundation/index.ts";
import { judgedMetadata, tarballsOf, type WantedTarball } from "./metadata.ts";
import type { Registries } from "./registries.ts";
import type { TarballSource } from "./source.ts";
import type { Upstream } from "./upstream.ts";

/** Something the client asked for and did not get. */
export interface GateRefusal {
  readonly what: string;
  readonly error: CofferdamError;
}

export interface GateOptions {
  readonly registries: Registries;
  readonly upstream: Upstream;
  readonly source: TarballSource;
  /** The judged set. */
  readonly judged: readonly WantedTarball[];
  /** `judged`: metadata is made from the judged set alone (npm ci). `upstream`: the client may choose new versions (npm install). */
  readonly metadata: "judged" | "upstream";
  /** Decides on a tarball outside the judged set; throws to refuse it. */
  readonly admit: (wanted: WantedTarball) => void;
  /** Most bytes of one metadata document. */
  readonly maxMetadataBytes: number;
  /** What the client must present; a fresh one for every run. */
  readonly token: string;
  readonly signal: AbortSignal;
  /** Records a refusal; the client is answered afterwards, so that a flood of them waits for its record. Must not throw. */
  readonly refused: (refusal: GateRefusal) => Promise<void>;
}

/** Refusals that are kept to be told; every one is recorded. */
const MAX_REFUSALS = 100;

export class Gate {
  readonly #options: GateOptions;
  readonly #byPath = new Map<string, WantedTarball>();
  readonly #byName = new Map<string, WantedTarball[]>();
  readonly #refusals: GateRefusal[] = [];
  readonly #admitted = new Map<string, WantedTarball>();
  #server: Server | undefined;

  constructor(options: GateOptions) {
    this.#options = options;
    for (const wanted of options.judged) {
      this.#byPath.set(wanted.url.pathname, wanted);
      const versions = this.#byName.get(wanted.name);
      if (versions === undefined) this.#byName.set(wanted.name, [wanted]);
      else versions.push(wanted);
    }
  }

  /** The first of them. */
  get refusals(): readonly GateRefusal[] {
    return this.#refusals;
  }

  /** Tarballs that the client got beyond the judged set (npm install of something new). */
  get admitted(): readonly WantedTarball[] {
    return [...this.#admitted.values()];
  }

  /** Serves on a listening socket, which the gate closes in the end. */
  serve(door: NetServer): void {
    this.#server = nodeHttp().createServer(
      { maxHeaderSize: 16 * 1024, keepAliveTimeout: 30_000, requestTimeout: 60_000 },
      (request, response) => void this.#handle(request, response),
    );
    this.#server.listen(door);
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? "", "http://gate");
    const what = url?.pathname ?? "?";
    try {
      if (!this.#authorised(request)) throw new CofferdamError("UNAUTHENTICATED", "the gate serves the client of its own run only");
      if (request.method !== "GET" && request.method !== "HEAD") throw new CofferdamError("SECURITY_VIOLATION", "the gate passes reads only");
      if (url === null || what.length > 2048) throw new CofferdamError("INVALID_ARGUMENT", "not a path");
      await this.#route(request, response, url.pathname);
    } catch (error) {
      const known = wrapError(error, "INTERNAL", "gate");
      if (known.code !== "NOT_FOUND" && known.code !== "CANCELLED") {
        if (this.#refusals.length < MAX_REFUSALS) this.#refusals.push({ what, error: known });
        await this.#options.refused({ what, error: known });
      }
      answer(response, ERROR_TABLE[known.code].http, "application/json", JSON.stringify({ error: known.message }));
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const wanted = this.#byPath.get(path);
    if (wanted !== undefined) return await this.#tarball(request, response, wanted);
    const name = packageName(path);
    if (name === undefined) throw new CofferdamError("SECURITY_VIOLATION", "not a judged tarball");
    await this.#metadata(response, name, request.headers.accept ?? "application/json");
  }

  async #metadata(response: ServerResponse, name: string, accept: string): Promise<void> {
    if (this.#options.metadata === "judged") {
      const versions = this.#byName.get(name);
      if (versions === undefined) throw new CofferdamError("SECURITY_VIOLATION", `${name} is not in the judged lockfile`);
      const judged = await Promise.all(versions.map(async (wanted) => ({ wanted, summary: await this.#options.source.ensure(wanted, this.#options.signal) })));
      return answer(response, 200, "application/json", judgedMetadata(name, judged));
    }
    const url = this.#options.registries.metadataUrl(name);
    const { maxMetadataBytes: maxBytes, signal } = this.#options;
    const upstream = await this.#options.upstream.get({ url, accept: accept.slice(0, 200), redirects: "same-origin", maxBytes, signal, unpack: true });
    if (upstream.status === 404) throw new CofferdamError("NOT_FOUND", `${name} is not on ${url.host}`);
    if (upstream.status === 401 || upstream.status === 403) throw new CofferdamError("PERMISSION_DENIED", `${url.host} answers ${upstream.status} for ${name}`);
    if (upstream.status !== 200 || upstream.body.kind !== "bytes")
      throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${url.host} answers ${upstream.status} for ${name}`);
    for (const wanted of tarballsOf(upstream.body.bytes, name, this.#options.registries.of(name).base)) {
      // The lockfile's word on a version stands against whatever the registry says today.
      if (!this.#byPath.has(wanted.url.pathname)) this.#byPath.set(wanted.url.pathname, wanted);
    }
    answer(response, 200, upstream.contentType ?? "application/json", upstream.body.bytes);
  }

  async #tarball(request: IncomingMessage, response: ServerResponse, wanted: WantedTarball): Promise<void> {
    const { source, signal } = this.#options;
    if (!this.#byName.get(wanted.name)?.includes(wanted)) {
      this.#options.admit(wanted);
      this.#admitted.set(`${wanted.name}@${wanted.version}`, wanted);
    }
    const path = await source.open(wanted, signal);
    const { size } = await stat(path);
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": size });
    if (request.method === "HEAD") return void response.end();
    await pipeline(createReadStream(path), response);
  }

  #authorised(request: IncomingMessage): boolean {
    const got = Buffer.from(request.headers.authorization ?? "");
    const want = Buffer.from(`Bearer ${this.#options.token}`);
    return got.length === want.length && timingSafeEqual(got, want);
  }
}

/** `/name`, `/@scope%2fname` or `/@scope/name`; anything else is not a metadata request. */
function packageName(path: string): string | undefined {
  const name = path.slice(1).replace(/%2f/i, "/");
  return /^(?:@[a-z0-9~._-]{1,213}\/)?[A-Za-z0-9~._-]{1,213}$/.test(name) && !name.startsWith("-") && !name.includes("..") ? name : undefined;
}

function answer(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
}
