/**
 * The gate's own HTTP client towards registries. It follows redirects itself, binds credentials to the origin and path
 * they were configured for, honours the client's proxy and CA settings, and bounds size and time of every answer.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";
import type { Dispatcher } from "undici";
import { CofferdamError, errnoOf, messageOf } from "../../foundation/index.ts";
import { type GateLimits, MAX_REDIRECTS } from "./limits.ts";
import { assertRedirect, type RedirectRule } from "./redirect.ts";

/** Connection settings, as read from the client's own configuration. */
export interface UpstreamSettings {
  /** Value of the Authorization header for a URL, or undefined. Asked again for every hop. */
  authorization(url: URL): string | undefined;
  /** Client certificate for a URL, or undefined. */
  clientCertificate?(url: URL): { cert: string; key: string } | undefined;
  /** Proxy for a URL, or undefined for a direct connection. */
  proxyFor(url: URL): string | undefined;
  /** PEM certificates to trust instead of the built-in ones; empty for the built-in ones. */
  readonly ca: readonly string[];
  /** False only when the user's own configuration (never a project's) says strict-ssl=false. */
  readonly verifyTls: boolean;
  readonly userAgent: string;
}

export interface UpstreamRequest {
  readonly url: URL;
  readonly accept: string;
  readonly redirects: RedirectRule;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Accept gzip and unpack it; for metadata. Tarballs are taken as they are sent. */
  readonly unpack?: boolean;
  /** A file that bodies past {@link SPILL_BYTES} are written to, so that memory stays bounded. It must not exist. */
  readonly spillTo?: string;
}

/** A body is in memory, or in the file that the request named when it is large. */
export type UpstreamBody = { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "file"; readonly path: string; readonly length: number };

export interface UpstreamResponse {
  readonly status: number;
  readonly url: URL;
  readonly contentType: string | undefined;
  readonly body: UpstreamBody;
}

export class Upstream {
  readonly #settings: UpstreamSettings;
  readonly #limits: GateLimits;
  readonly #dispatchers = new Map<string, Dispatcher>();

  constructor(settings: UpstreamSettings, limits: GateLimits) {
    this.#settings = settings;
    this.#limits = limits;
  }

  /**
   * GETs a document whole. Retries what may pass (connection errors, 408, 429, 5xx) up to the limit.
   * Any final status is returned; throws UPSTREAM_UNAVAILABLE, PAYLOAD_TOO_LARGE, SECURITY_VIOLATION (redirect) or CANCELLED.
   */
  async get(request: UpstreamRequest): Promise<UpstreamResponse> {
    for (let attempt = 1; ; attempt++) {
      const last = attempt >= this.#limits.attempts;
      try {
        const response = await this.#follow(request);
        if (last || !mayPass(response.status)) return response;
      } catch (error) {
        if (request.signal.aborted) throw new CofferdamError("CANCELLED", "interrupted");
        if (last || (error instanceof CofferdamError && !error.retryable)) throw error;
      }
      await pause(200 * 4 ** (attempt - 1), request.signal);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
    this.#dispatchers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #follow(request: UpstreamRequest): Promise<UpstreamResponse> {
    let url = request.url;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const step = await this.#once(url, request);
      if (step.location === undefined) return { status: step.status, url, contentType: step.contentType, body: step.body };
      const next = URL.parse(step.location, url.href);
      if (next === null)
        throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${url.host} redirects to something that is not a URL`, { details: { url: withoutQuery(url) } });
      assertRedirect(url, next, request.redirects);
      url = next;
    }
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${request.url.host} redirects more than ${MAX_REDIRECTS} times`, {
      details: { url: withoutQuery(request.url) },
    });
  }

  async #once(url: URL, request: UpstreamRequest): Promise<Hop> {
    const authorization = this.#settings.authorization(url);
    const deadline = AbortSignal.timeout(this.#limits.totalTimeout);
    try {
      const dispatcher = await this.#dispatcher(url);
      const response = await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: "GET",
        headers: {
          accept: request.accept,
          "user-agent": this.#settings.userAgent,
          ...(request.unpack === true ? { "accept-encoding": "gzip" } : {}),
          ...(authorization === undefined ? {} : { authorization }),
        },
        signal: AbortSignal.any([request.signal, deadline]),
      });
      const { statusCode: status, headers } = response;
      if (status >= 300 && status < 400 && status !== 304) {
        // An unread body would hold the connection; a redirect's body means nothing to us.
        await response.body.dump({ limit: 64 * 1024 });
        return { status, location: header(headers["location"]), contentType: undefined, body: NO_BODY };
      }
      const declared = Number(header(headers["content-length"]) ?? Number.NaN);
      if (declared > request.maxBytes) {
        response.body.destroy();
        throw tooLarge(url, request.maxBytes);
      }
      // An error page is not content: it never spills and never needs to be large.
      const ok = status === 200;
      const collected = await collect(response.body, ok ? request.maxBytes : Math.min(request.maxBytes, SPILL_BYTES), url, ok ? request.spillTo : undefined);
      const body =
        header(headers["content-encoding"]) === "gzip" && collected.kind === "bytes" && request.unpack === true
          ? unpack(collected.bytes, request.maxBytes, url)
          : collected;
      return { status, location: undefined, contentType: header(headers["content-type"]), body };
    } catch (error) {
      if (error instanceof CofferdamError) throw error;
      if (deadline.aborted)
        throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${url.host} took longer than ${this.#limits.totalTimeout} ms`, {
          details: { url: withoutQuery(url) },
        });
      throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${url.host}: ${messageOf(error)}`, { details: { url: withoutQuery(url) }, cause: error });
    }
  }

  async #dispatcher(url: URL): Promise<Dispatcher> {
    // Loaded with the first request: an install that finds everything verified asks nobody, and this is a third of its modules.
    const { Agent, ProxyAgent } = await import("undici");
    const proxy = this.#settings.proxyFor(url);
    const key = `${url.origin} ${proxy ?? ""}`;
    const known = this.#dispatchers.get(key);
    if (known !== undefined) return known;
    const certificate = this.#settings.clientCertificate?.(url);
    const tls = {
      ...(this.#settings.ca.length === 0 ? {} : { ca: [...this.#settings.ca] }),
      ...(certificate ?? {}),
      rejectUnauthorized: this.#settings.verifyTls,
    };
    const shared = {
      headersTimeout: this.#limits.headersTimeout,
      bodyTimeout: this.#limits.idleTimeout,
      connections: this.#limits.concurrency,
      maxHeaderSize: 64 * 1024,
    };
    const connectTimeout = this.#limits.headersTimeout;
    const made =
      proxy === undefined
        ? new Agent({ ...shared, connect: { ...tls, timeout: connectTimeout } })
        : new ProxyAgent({ ...shared, uri: proxy, requestTls: { ...tls, timeout: connectTimeout }, connect: { timeout: connectTimeout } });
    this.#dispatchers.set(key, made);
    return made;
  }
}

/** Bodies past this many bytes go to a file when the request names one. */
export const SPILL_BYTES: number = 4 * 2 ** 20;

const NO_BODY: UpstreamBody = { kind: "bytes", bytes: Buffer.alloc(0) };

interface Hop {
  readonly status: number;
  readonly location: string | undefined;
  readonly contentType: string | undefined;
  readonly body: UpstreamBody;
}

async function collect(body: Readable, maxBytes: number, url: URL, spillTo: string | undefined): Promise<UpstreamBody> {
  let chunks: Buffer[] = [];
  let length = 0;
  let spill: FileHandle | undefined;
  try {
    for await (const chunk of body) {
      if (!Buffer.isBuffer(chunk)) throw new CofferdamError("INTERNAL", "response body is not bytes");
      length += chunk.length;
      if (length > maxBytes) throw tooLarge(url, maxBytes);
      chunks.push(chunk);
      if (spillTo !== undefined && length > SPILL_BYTES) {
        // "w" and not "wx": a retry starts the same file again.
        spill ??= await open(spillTo, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
        await spill.writev(chunks);
        chunks = [];
      }
    }
  } finally {
    body.destroy();
    await spill?.close();
  }
  if (spill !== undefined && spillTo !== undefined) return { kind: "file", path: spillTo, length };
  return { kind: "bytes", bytes: chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length) };
}

function unpack(packed: Buffer, maxBytes: number, url: URL): UpstreamBody {
  try {
    return { kind: "bytes", bytes: gunzipSync(packed, { maxOutputLength: maxBytes }) };
  } catch (error) {
    if (errnoOf(error) === "ERR_BUFFER_TOO_LARGE") throw tooLarge(url, maxBytes);
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${url.host} sends gzip that does not unpack`, { details: { url: withoutQuery(url) } });
  }
}

function mayPass(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function tooLarge(url: URL, maxBytes: number): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `${url.host} sends more than ${maxBytes} bytes for one document`, {
    details: { url: withoutQuery(url), maxBytes },
  });
}

/** A query may carry a signature that is a credential (storage redirects do); messages go without it. */
export function withoutQuery(url: URL): string {
  return `${url.origin}${url.pathname}`.slice(0, 500);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
