/**
 * Events of the engine over cuts. The engine remembers some 256 and forgets all when it restarts: after a cut its history
 * is asked for the last event that we had. When that is there, nothing is missing; else a `gap` is reported.
 */
import { setTimeout as pause } from "node:timers/promises";
import { CofferdamError } from "../foundation/index.ts";
import { eventSchema, exactNano, parseAnswer } from "./answer-schemas.ts";
import type { EngineEvent } from "./answers.ts";
import { type Call, type Caller, DEFAULT_TIMEOUT_MS, filtersOf } from "./caller.ts";
import { jsonLines } from "./json-lines.ts";
import type { CallOptions, EngineNews, EventOptions } from "./types.ts";

const HEARTBEAT_MS = 15_000;
const MAX_OUTAGE_MS = 60_000;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;
/** More than the engine remembers, so that nothing it repeats is new to us. */
const REMEMBERED = 1024;
const SECOND = 1_000_000_000n;
const WHAT = "follow the engine's events";

export interface EventSource {
  readonly caller: Caller;
  /** The engine's own time, whole seconds since the epoch; throws when it does not answer. */
  now(options: CallOptions): Promise<bigint>;
}

/** See {@link ContainerEngine.events}. */
export async function* followEvents(source: EventSource, options: EventOptions = {}): AsyncGenerator<EngineNews> {
  const { signal, maxOutageMs = MAX_OUTAGE_MS } = options;
  const filters = filtersOf(options.filters);
  const seen = new Seen();
  let since = options.since;
  let lost = false;
  let down: { readonly from: number; waitMs: number } | undefined;
  while (!isOver(signal)) {
    try {
      if (down !== undefined) {
        lost = !(yield* catchUp(source, seen, filters, signal));
        since = lost ? undefined : seen.resumeAt;
      }
      // Its stream opens a moment before it listens: the second before it is asked for as well.
      since ??= (await source.now({ signal })) * SECOND;
      for await (const news of connection(source, seen, since, filters, options)) {
        if (lost) yield { kind: "gap", why: "the engine was away and does not remember what came last" };
        lost = false;
        down = undefined;
        yield news;
      }
    } catch (error) {
      if (isOver(signal)) return;
      if (!(error instanceof CofferdamError) || !mayPass(error) || (down === undefined && !seen.opened)) throw error;
      down ??= { from: performance.now(), waitMs: FIRST_PAUSE_MS };
      if (performance.now() - down.from > maxOutageMs) throw error;
    }
    down ??= { from: performance.now(), waitMs: FIRST_PAUSE_MS };
    await pause(down.waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    down.waitMs = Math.min(MAX_PAUSE_MS, down.waitMs * 2);
  }
}

/** What the engine remembers since shortly before the last event. @returns whether the last event is among it. */
async function* catchUp(source: EventSource, seen: Seen, filters: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<EngineNews, boolean> {
  const { last } = seen;
  if (last === undefined) return false;
  const until = (await source.now({ signal })) + 1n;
  const call: Call = { ...eventCall(filters, seen.resumeAt), options: { signal } };
  const { chunks } = await source.caller.stream({ ...call, query: { ...call.query, until: String(until) } });
  const missed: EngineEvent[] = [];
  let found = false;
  for await (const line of jsonLines(chunks, WHAT)) {
    const event = readEvent(line);
    if (keyOf(event) === last) found = true;
    if (missed.push(event) > REMEMBERED) return false;
  }
  if (!found) return false;
  for (const event of missed) if (seen.isNew(event)) yield { kind: "event", event };
  return true;
}

async function* connection(source: EventSource, seen: Seen, since: bigint, filters: string | undefined, options: EventOptions): AsyncGenerator<EngineNews> {
  const { chunks, close } = await source.caller.quietStream({ ...eventCall(filters, since), options: { signal: options.signal } });
  seen.opened = true;
  yield { kind: "open" };
  const alive = withHeartbeat(chunks, close, options.heartbeatMs ?? HEARTBEAT_MS, (ms) => source.now({ timeoutMs: ms }));
  for await (const line of jsonLines(alive, WHAT)) {
    const event = readEvent(line);
    if (seen.isNew(event)) yield { kind: "event", event };
  }
}

/** Silence is usual, and a stopped engine is silent too: it is asked, and one that does not answer counts as a cut. */
async function* withHeartbeat(
  chunks: AsyncIterable<Buffer>,
  close: () => void,
  everyMs: number,
  ask: (ms: number) => Promise<unknown>,
): AsyncGenerator<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = iterator.next();
      next.catch(() => undefined);
      for (;;) {
        const stop = new AbortController();
        const silence = pause(everyMs, "silence" as const, { signal: stop.signal }).catch(() => "silence" as const);
        const first = await Promise.race([next.finally(() => stop.abort()), silence]);
        if (first !== "silence") {
          if (first.done === true) return;
          yield first.value;
          break;
        }
        await ask(everyMs);
      }
    }
  } finally {
    close();
    await iterator.return?.().then(undefined, () => undefined);
  }
}

/** What was seen last, to tell what the engine repeats from what is new. */
class Seen {
  opened = false;
  readonly #keys = new Set<string>();
  #last: { readonly key: string; readonly at: bigint } | undefined;

  get last(): string | undefined {
    return this.#last?.key;
  }

  /** A second early: events of one moment may come in another order. */
  get resumeAt(): bigint {
    return this.#last === undefined ? 0n : this.#last.at - SECOND;
  }

  isNew(event: EngineEvent): boolean {
    const key = keyOf(event);
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    for (const oldest of this.#keys) {
      if (this.#keys.size <= REMEMBERED) break;
      this.#keys.delete(oldest);
    }
    this.#last = { key, at: event.timeNano };
    return true;
  }
}

function isOver(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function keyOf({ timeNano, Type, Action, Actor }: EngineEvent): string {
  return JSON.stringify([String(timeNano), Type, Action, Actor.ID]);
}

function readEvent(line: string): EngineEvent {
  return parseAnswer(eventSchema, line, WHAT, exactNano);
}

function eventCall(filters: string | undefined, since: bigint): Call {
  return {
    what: WHAT,
    method: "GET",
    path: "/events",
    query: { since: `${since / SECOND}.${String(since % SECOND).padStart(9, "0")}`, filters },
    timeoutMs: DEFAULT_TIMEOUT_MS,
  };
}

function mayPass(error: CofferdamError): boolean {
  return error.code === "UPSTREAM_UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED" || error.code === "RATE_LIMITED";
}
