/**
 * One name to its addresses: aliases are followed by us, each alias's own records only, and what came of it is kept for as
 * long as the records say, within bounds.
 */
import type { Clock } from "../../foundation/index.ts";
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import type { Address } from "../rules/index.ts";
import type { NameServers } from "./name-servers.ts";
import { RCODE, TYPE } from "./record-type.ts";
import type { UpstreamAnswer } from "./upstream-message.ts";

export interface Found {
  /** `failed`: no server gave an answer that counts. */
  readonly state: "found" | "no-name" | "no-address" | "failed";
  readonly addresses: readonly Address[];
  /** The names that it went through, without the one asked for. */
  readonly aliases: readonly string[];
  /** Monotonic ms until which it counts. */
  readonly until: number;
  readonly why?: string | undefined;
}

/** Seconds. An answer of 0 s is kept for 5, so that what the job was told is what the relay finds. */
export const TTL_FLOOR = 5;
export const TTL_CAP = 300;
const NEGATIVE_TTL = 5;
const MAX_ALIASES = 12;
const MAX_ASKS = 8;
/** Addresses of one name; an answer with more is cut to these. */
const MAX_ADDRESSES = 64;
const MAX_CACHED = 2000;
const MAX_PENDING = 256;

export interface LookupParts {
  readonly servers: Pick<NameServers, "ask">;
  readonly clock: Clock;
  /** Whether one more question may go out; false is an answer of `failed`. */
  readonly mayAsk: (name: string) => boolean;
  readonly signal: AbortSignal;
}

export class NameLookup {
  readonly #parts: LookupParts;
  /** By family and name; the oldest first. */
  readonly #cache = new Map<string, Found>();
  readonly #pending = new Map<string, Promise<Found>>();

  constructor(parts: LookupParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  async find(name: string, family: 4 | 6): Promise<Found> {
    const key = `${family} ${name}`;
    const known = this.#cache.get(key);
    if (known !== undefined && known.until > this.#parts.clock.monotonic()) return known;
    const pending = this.#pending.get(key);
    if (pending !== undefined) return await pending;
    if (this.#pending.size >= MAX_PENDING) return this.#failed("too many look-ups at once");
    if (!this.#parts.mayAsk(name)) return this.#failed("rate");
    const asking = this.#ask(name, family).finally(() => this.#pending.delete(key));
    this.#pending.set(key, asking);
    const found = await asking;
    this.#keep(key, found);
    return found;
  }

  async #ask(name: string, family: 4 | 6): Promise<Found> {
    try {
      return await this.#follow(name, family);
    } catch (error) {
      if (error instanceof CofferdamError) return this.#failed(messageOf(error));
      throw error;
    }
  }

  async #follow(name: string, family: 4 | 6): Promise<Found> {
    const type = family === 4 ? TYPE.A : TYPE.AAAA;
    const aliases: string[] = [];
    let current = name;
    let ttl = TTL_CAP;
    for (let asks = 0; asks < MAX_ASKS; asks++) {
      const answer = await this.#parts.servers.ask(current, type, this.#parts.signal);
      const step = walk(answer, current, [name, ...aliases]);
      if (step === undefined) return this.#failed("its aliases go in a circle, or too far");
      aliases.push(...step.aliases);
      ttl = Math.min(ttl, step.ttl);
      const addresses = step.addresses.filter((address) => address.family === family).slice(0, MAX_ADDRESSES);
      if (addresses.length > 0) return { state: "found", addresses, aliases, until: this.#until(ttl) };
      if (answer.rcode === RCODE.NXDOMAIN) return this.#nothing("no-name", aliases);
      if (step.aliases.length === 0) return this.#nothing("no-address", aliases);
      current = aliases.at(-1) ?? current;
    }
    return this.#failed("its aliases go too far");
  }

  #until(ttl: number): number {
    return this.#parts.clock.monotonic() + Math.max(TTL_FLOOR, Math.min(TTL_CAP, ttl)) * 1000;
  }

  #nothing(state: "no-name" | "no-address", aliases: readonly string[]): Found {
    return { state, addresses: [], aliases, until: this.#until(NEGATIVE_TTL) };
  }

  /** Not kept: the next question is asked again. */
  #failed(why: string): Found {
    return { state: "failed", addresses: [], aliases: [], until: 0, why };
  }

  #keep(key: string, found: Found): void {
    if (found.state === "failed") return;
    this.#cache.delete(key);
    this.#cache.set(key, found);
    const oldest = this.#cache.size > MAX_CACHED ? this.#cache.keys().next().value : undefined;
    if (oldest !== undefined) this.#cache.delete(oldest);
  }
}

interface Step {
  readonly aliases: readonly string[];
  readonly addresses: readonly Address[];
  readonly ttl: number;
}

/** From alias to alias within one answer. Records of any other name in it say nothing. Undefined for a circle. */
function walk({ records }: UpstreamAnswer, name: string, before: readonly string[]): Step | undefined {
  const aliases: string[] = [];
  let ttl = TTL_CAP;
  for (let owner = name; ; ) {
    const own = records.filter((record) => record.owner === owner);
    const addresses = own.flatMap(({ data }) => (data.kind === "address" ? [data.address] : []));
    for (const record of own) ttl = Math.min(ttl, record.ttl);
    const alias = own.map(({ data }) => data).find((data) => data.kind === "alias");
    if (addresses.length > 0 || alias === undefined) return { aliases, addresses, ttl };
    if (before.includes(alias.target) || aliases.includes(alias.target) || before.length + aliases.length > MAX_ALIASES) return undefined;
    aliases.push(alias.target);
    owner = alias.target;
  }
}
