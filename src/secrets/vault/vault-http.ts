/** One exchange with a vault: bounded in time and size, no redirects, the certificate always looked at. */
import { setTimeout as delay } from "node:timers/promises";
import type { Agent, Dispatcher } from "undici";
import { CofferdamError, messageOf } from "../../foundation/index.ts";

export interface VaultPlace {
  /** `https://vault.example:8200`; `http://` to this host alone. */
  readonly address: string;
  /** `X-Vault-Namespace`. */
  readonly namespace?: string | undefined;
  /** Certificates (PEM) that are trusted instead of the usual ones. */
  readonly ca?: string | undefined;
  /** Longest time of one try, ms. Default 10,000. */
  readonly timeout?: number | undefined;
}

export interface VaultCall {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below `/v1/`. */
  readonly path: string;
  readonly token?: string | undefined;
  readonly body?: object | undefined;
  /** Whether asking twice is the same as asking once. Default: GET. */
  readonly repeatable?: boolean | undefined;
}

export interface VaultAnswer {
  readonly status: number;
  /** JSON, or undefined where there is none. */
  readonly body: unknown;
}

const TIMEOUT = 10_000;
const MAX_ANSWER = 8_000_000;
/** Waits between tries, ms. */
const WAITS = [100, 300, 900];
const LONGEST_WAIT = 5000;
/** Nothing was done: asking again cannot do it twice. */
const NOT_DONE: ReadonlySet<number> = new Set([412, 429, 472, 473, 503]);
/** Perhaps something was done. */
const UNCLEAR: ReadonlySet<number> = new Set([500, 502, 504]);

export class VaultHttp {
  readonly #place: VaultPlace;
  readonly #base: string;
  /** Latest time that the vault said, ms since the epoch. */
  latestDate = 0;
  #agent: Promise<Agent> | undefined;

  /** Throws INVALID_ARGUMENT for an address that would show the token to the network. */
  constructor(place: VaultPlace) {
    this.#place = place;
    this.#base = baseOf(place.address);
  }

  /**
   * The last answer of at most four tries, whatever its status. Throws UPSTREAM_UNAVAILABLE when there is none or it is no
   * vault's, DEADLINE_EXCEEDED, PAYLOAD_TOO_LARGE.
   */
  async exchange(call: VaultCall): Promise<VaultAnswer> {
    const { method, repeatable = method === "GET" } = call;
    for (let tried = 0; ; tried++) {
      const wait = WAITS[tried];
      try {
        const { answer, retryAfter } = await this.#once(call);
        const again = NOT_DONE.has(answer.status) || (repeatable && UNCLEAR.has(answer.status));
        if (wait === undefined || !again || retryAfter > LONGEST_WAIT) return answer;
        await delay(Math.max(wait, retryAfter));
      } catch (error) {
        const again = error instanceof CofferdamError && error.code === "UPSTREAM_UNAVAILABLE" && (repeatable || error.details["refused"] === true);
        if (wait === undefined || !again) throw error;
        await delay(wait);
      }
    }
  }

  async close(): Promise<void> {
    await (await this.#agent)?.close();
    this.#agent = undefined;
  }

  async #once({ method, path, token, body }: VaultCall): Promise<{ readonly answer: VaultAnswer; readonly retryAfter: number }> {
    const { namespace, timeout = TIMEOUT } = this.#place;
    const signal = AbortSignal.timeout(timeout);
    try {
      // Loaded here: most processes have no vault.
      const { request } = await import("undici");
      const {
        statusCode,
        headers,
        body: stream,
      } = await request(`${this.#base}/v1/${path}`, {
        ...{ method, dispatcher: await this.#dispatcher(), signal, headersTimeout: timeout, bodyTimeout: timeout },
        headers: {
          "x-vault-request": "true",
          ...(token !== undefined && { "x-vault-token": token }),
          ...(namespace !== undefined && { "x-vault-namespace": namespace }),
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await readText(stream);
      this.latestDate = Math.max(this.latestDate, Date.parse(String(headers["date"])) || 0);
      if (statusCode >= 300 && statusCode < 400) throw redirected(this.#base, String(headers["location"]));
      return { answer: { status: statusCode, body: parsed(text, statusCode, this.#base) }, retryAfter: 1000 * (Number(headers["retry-after"]) || 0) };
    } catch (error) {
      if (error instanceof CofferdamError) throw error;
      if (signal.aborted) throw new CofferdamError("DEADLINE_EXCEEDED", `${this.#base} did not answer within ${timeout} ms`);
      const refused = error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
      throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${this.#base}: ${messageOf(error)}`, { details: { refused } });
    }
  }

  async #dispatcher(): Promise<Agent> {
    this.#agent ??= import("undici").then(
      ({ Agent: Made }) => new Made({ connections: 16, connect: this.#place.ca === undefined ? {} : { ca: this.#place.ca } }),
    );
    return await this.#agent;
  }
}

function baseOf(address: string): string {
  const url = URL.parse(address);
  if (url === null || !["https:", "http:"].includes(url.protocol) || url.username !== "" || url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw new CofferdamError("INVALID_ARGUMENT", "the vault's address is like https://vault.example:8200");
  if (url.protocol === "http:" && !/^(?:127(?:\.\d+){3}|\[::1\]|localhost)$/.test(url.hostname))
    throw new CofferdamError("INVALID_ARGUMENT", "http:// shows the vault's token to the network: https://, or http:// to this host alone");
  return url.origin;
}

async function readText(stream: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MAX_ANSWER) throw new CofferdamError("PAYLOAD_TOO_LARGE", `the vault answered with more than ${MAX_ANSWER} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string, status: number, base: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page about a fault says no more than its status.
    if (status >= 400) return undefined;
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${base} answered with something that is no vault's`);
  }
}

function redirected(base: string, location: string): CofferdamError {
  // The token is not shown to another address because the first one says so.
  const to = URL.parse(location)?.origin ?? "elsewhere";
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `${base} is a standby and points to ${to}`, { hint: `secrets: {vault: {address: ${to}}}` });
}
