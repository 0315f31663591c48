/**
 * Refusals are never sampled, so whoever provokes them could fill the disk with them. The first ones of an actor are recorded
 * each for itself; further ones in the same minute are counted, and once a second one event holds the count. Nobody is told
 * that a refusal is recorded before the event that counts it is on the disk: a flood waits for itself.
 */
import type { Clock } from "../foundation/index.ts";
import type { AuditEvent, AuditEventInput } from "./event.ts";

/** Events of one actor and kind that are recorded singly within {@link WINDOW}. */
export const BURST = 20;
const WINDOW = 60_000;
/** How long refusals are counted before the count is recorded, ms. */
const COLLECT = 1000;
/** Actors that are told apart; those beyond share one count. */
const MAX_ACTORS = 1000;
/** Resources that are named in one count. */
const MAX_NAMED = 20;

interface Collected {
  count: number;
  readonly first: AuditEventInput;
  readonly since: string;
  until: string;
  readonly resources: Set<string>;
  /** More resources than are named. */
  more: boolean;
  readonly recorded: Promise<AuditEvent>;
  flush(): void;
}

interface Actor {
  windowStart: number;
  inWindow: number;
  collected: Collected | undefined;
}

export class Denials {
  readonly #log: (event: AuditEventInput) => Promise<AuditEvent>;
  readonly #clock: Clock;
  readonly #actors = new Map<string, Actor>();

  constructor(log: (event: AuditEventInput) => Promise<AuditEvent>, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Resolves with the event that stands for this refusal: its own, or the one that counts it. */
  async log(event: AuditEventInput): Promise<AuditEvent> {
    const actor = this.#actor(event);
    const now = this.#clock.monotonic();
    if (now - actor.windowStart > WINDOW) {
      actor.windowStart = now;
      actor.inWindow = 0;
    }
    if (actor.collected === undefined && actor.inWindow < BURST) {
      actor.inWindow += 1;
      return await this.#log(event);
    }
    actor.collected ??= this.#collect(actor, event);
    count(actor.collected, event, new Date(this.#clock.now()).toISOString());
    return await actor.collected.recorded;
  }

  /** Records at once what is being counted. */
  async flush(): Promise<void> {
    const collected = [...this.#actors.values()].flatMap((actor) => actor.collected ?? []);
    for (const one of collected) one.flush();
    await Promise.allSettled(collected.map((one) => one.recorded));
  }

  #actor({ userId, sessionId, category, action }: AuditEventInput): Actor {
    const key = JSON.stringify([userId ?? sessionId ?? "", category, action]);
    const known = this.#actors.get(key);
    if (known !== undefined) return known;
    if (this.#actors.size >= MAX_ACTORS) this.#forgetQuiet();
    // Whoever invents a name for every try is counted under none.
    const shared = this.#actors.size >= MAX_ACTORS ? JSON.stringify(["", category, action]) : key;
    const actor = this.#actors.get(shared) ?? { windowStart: this.#clock.monotonic(), inWindow: shared === key ? 0 : BURST, collected: undefined };
    this.#actors.set(shared, actor);
    return actor;
  }

  #forgetQuiet(): void {
    const now = this.#clock.monotonic();
    for (const [key, actor] of this.#actors) if (actor.collected === undefined && now - actor.windowStart > WINDOW) this.#actors.delete(key);
  }

  #collect(actor: Actor, first: AuditEventInput): Collected {
    const now = new Date(this.#clock.now()).toISOString();
    const { promise, resolve } = Promise.withResolvers<AuditEvent>();
    const flush = (): void => {
      clearTimeout(timer);
      if (actor.collected === collected) actor.collected = undefined;
      resolve(this.#log(counted(collected)));
    };
    const timer = setTimeout(flush, COLLECT);
    const collected: Collected = { count: 0, first, since: now, until: now, resources: new Set(), more: false, recorded: promise, flush };
    return collected;
  }
}

function count(collected: Collected, { resourceId }: AuditEventInput, now: string): void {
  collected.count += 1;
  collected.until = now;
  if (resourceId === undefined || collected.resources.has(resourceId)) return;
  if (collected.resources.size < MAX_NAMED) collected.resources.add(resourceId);
  else collected.more = true;
}

function counted({ count: number, first, since, until, resources, more }: Collected): AuditEventInput {
  if (number === 1) return first;
  const { resourceId: _resource, details, ...same } = first;
  return {
    ...same,
    details: { coalesced: { count: number, since, until, resources: [...resources], ...(more ? { moreResources: true } : {}) }, first: details ?? {} },
  };
}
