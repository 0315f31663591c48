/** One call of the API: version, path, query and body out; status, checked answer or stream back. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { z } from "zod";
import { CofferdamError } from "../foundation/index.ts";
import { parseAnswer } from "./answer-schemas.ts";
import { refusedByEngine, tidy, unreachable } from "./failure.ts";
import { type Answer, collect, type Exchange, type Transport } from "./transport.ts";
import type { CallOptions, EnginePing, Filters } from "./types.ts";

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface Call {
  /** What is asked, as "cannot ..." needs it; names no value of the body. */
  readonly what: string;
  readonly method: Exchange["method"];
  /** Below the version, each part encoded. */
  readonly path: string;
  readonly query?: Query;
  readonly json?: Buffer | undefined;
  readonly tar?: Uint8Array | Readable | undefined;
  /** Values of the body that must not show in an error, should the engine repeat them. */
  readonly secrets?: readonly string[];
  readonly options?: CallOptions | undefined;
  /** Unless the options say otherwise, ms; undefined for no limit. */
  readonly timeoutMs?: number | undefined;
  /** Also fine, beside 2xx. */
  readonly fine?: readonly number[];
}

export type Spoken = Pick<EnginePing, "engine" | "apiVersion">;

export interface Body {
  readonly headers: IncomingHttpHeaders;
  /** Throws what the call would: CANCELLED, UPSTREAM_UNAVAILABLE. After a close it ends. */
  readonly chunks: AsyncIterable<Buffer>;
  close(): void;
}

export const DEFAULT_TIMEOUT_MS = 30_000;
/** An inspect has some 10 kB, a list of a thousand containers 2 MB. */
const MAX_ANSWER_BYTES: number = 32 * 2 ** 20;
const MAX_ERROR_BYTES: number = 64 * 1024;

const filtersSchema = z.array(z.tuple([z.string().max(100), z.array(z.string().max(4096)).max(1000)])).max(50);

export class Caller {
  readonly #transport: Transport;
  readonly #spoken: (signal: AbortSignal | undefined) => Promise<Spoken>;
  readonly #outdated: () => void;

  /** @param spoken what was negotiated. @param outdated called when the engine no longer speaks it. */
  constructor(transport: Transport, spoken: (signal: AbortSignal | undefined) => Promise<Spoken>, outdated: () => void) {
    this.#transport = transport;
    this.#spoken = spoken;
    this.#outdated = outdated;
  }

  get where(): string {
    return this.#transport.where;
  }

  /** The answer, checked. */
  async json<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    const bytes = await collect(await this.open(call), call.what, this.where, MAX_ANSWER_BYTES);
    return parseAnswer(schema, bytes.toString("utf8"), call.what);
  }

  /** For a call whose answer says nothing but its status. */
  async status(call: Call): Promise<number> {
    const answer = await this.open(call);
    await collect(answer, call.what, this.where, MAX_ERROR_BYTES);
    return answer.status;
  }

  /** A good answer, its body unread; whoever reads it releases the deadline. */
  async open(call: Call): Promise<Answer> {
    const answer = await this.#transport.send(await this.#exchange(call));
    if (isFine(call, answer.status)) return answer;
    throw await this.#refusal(call, answer);
  }

  /** A body that is read as it comes: time matters until here, the signals to the end. Leaving the loop ends it. */
  async stream(call: Call): Promise<Body> {
    const { response, deadline } = await this.open(call);
    deadline.disarm();
    response.once("close", () => deadline.release());
    let closed = false;
    const fail = (error: unknown): CofferdamError | undefined => deadline.reason ?? (closed ? undefined : unreachable(call.what, this.where, error));
    const close = (): void => {
      closed = true;
      response.destroy();
    };
    return { headers: response.headers, chunks: chunksOf(response, fail), close };
  }

  /**
   * As {@link stream}, for one that may stay silent. Podman sends the head of its answer with the first thing that it has to
   * say: there the body is handed out at once, and a refusal comes with its first chunk.
   */
  async quietStream(call: Call): Promise<Body> {
    const { engine } = await this.#spoken(call.options?.signal);
    if (engine === "docker") return await this.stream(call);
    const stop = new AbortController();
    const signals = call.options?.signal === undefined ? [stop.signal] : [stop.signal, call.options.signal];
    const opening = this.stream({ ...call, options: { ...call.options, signal: AbortSignal.any(signals) }, timeoutMs: undefined });
    opening.catch(() => undefined);
    let closed = false;
    const close = (): void => {
      closed = true;
      stop.abort();
    };
    const chunks = async function* (): AsyncGenerator<Buffer> {
      try {
        yield* (await opening).chunks;
      } catch (error) {
        if (!closed) throw error;
      } finally {
        close();
      }
    };
    return { headers: {}, chunks: chunks(), close };
  }

  async upgrade(call: Call): Promise<Duplex> {
    const answer = await this.#transport.upgrade(await this.#exchange(call));
    if (!("status" in answer)) return answer;
    if (answer.status >= 300) throw await this.#refusal(call, answer);
    answer.response.destroy();
    answer.deadline.release();
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${call.what}: the engine, or a proxy before it, does not hand the connection over`);
  }

  async #exchange({ what, method, path, query = {}, json, tar, options = {}, timeoutMs }: Call): Promise<Exchange> {
    const { apiVersion } = await this.#spoken(options.signal).catch((error: unknown) => {
      if (tar !== undefined && !(tar instanceof Uint8Array)) tar.destroy();
      throw error;
    });
    const pairs = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [value].flat().map((one) => [key, String(one)])));
    const search = pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
    const type = json !== undefined ? "application/json" : tar !== undefined ? "application/x-tar" : undefined;
    return {
      what,
      method,
      path: `/v${apiVersion}${path}${search}`,
      headers: type === undefined ? {} : { "content-type": type },
      // A POST without a body has to say so.
      body: json ?? tar ?? (method === "POST" ? Buffer.alloc(0) : undefined),
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? timeoutMs,
    };
  }

  async #refusal(call: Call, answer: Answer): Promise<CofferdamError> {
    const { status } = answer;
    const text = await collect(answer, call.what, this.where, MAX_ERROR_BYTES).then(
      (bytes) => bytes.toString("utf8"),
      (error: unknown) => unreadable(error),
    );
    if (text instanceof CofferdamError) return text;
    if (status === 400 && /client version \S+ is too old/.test(text))
      return new CofferdamError("FAILED_PRECONDITION", `cannot ${call.what}: the engine no longer speaks the newest API that we do`, {
        details: { status, engine: tidy(text, []) },
      });
    if (status === 400 && /client version \S+ is too new/.test(text)) {
      this.#outdated();
      return new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${call.what}: the engine speaks another version of its API now; the next call asks which`, {
        details: { status, engine: tidy(text, []) },
      });
    }
    return refusedByEngine(call.what, status, text, call.secrets ?? []);
  }
}

/** @param fail undefined for an end that was wanted. */
async function* chunksOf(response: IncomingMessage, fail: (error: unknown) => CofferdamError | undefined): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    const failure = fail(error);
    if (failure !== undefined) throw failure;
  }
}

function isFine(call: Call, status: number): boolean {
  return (status >= 200 && status < 300) || call.fine?.includes(status) === true;
}

/** An error page that cannot be read leaves its status; an interruption stays one. */
function unreadable(error: unknown): string | CofferdamError {
  return error instanceof CofferdamError && error.code !== "PAYLOAD_TOO_LARGE" && error.code !== "UPSTREAM_UNAVAILABLE" ? error : "";
}

/** The filters of a list as its query wants them. Throws INVALID_ARGUMENT for what is none. */
export function filtersOf(filters: Filters | undefined): string | undefined {
  if (filters === undefined) return undefined;
  const parsed = filtersSchema.safeParse(Object.entries(filters));
  if (!parsed.success) throw new CofferdamError("INVALID_ARGUMENT", "filters: names with lists of texts are needed");
  return JSON.stringify(Object.fromEntries(parsed.data));
}
