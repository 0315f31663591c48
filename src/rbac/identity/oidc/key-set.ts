/**
 * The keys of an issuer (RFC 7517), fetched from its one address and kept in memory. They are fetched again after an hour, and
 * for a key id that is not there, at most once a minute: tokens of strangers must not make us ask all the time. Keys that are
 * older than the limit are not used, whatever the reason that there are no newer ones.
 */
import type { importJWK } from "jose";
import { z } from "zod";
import { type Clock, CofferdamError, messageOf, parseInput } from "../../../foundation/index.ts";
import type { Algorithm } from "./jwt.ts";
import { parseStrictJson } from "./strict-json.ts";

/** Gets the text behind an https address. Throws when it cannot, or when it is more than `maxBytes`. */
export type KeyFetcher = (url: string, maxBytes: number) => Promise<string>;

export interface KeySetOptions {
  readonly url: string;
  readonly fetch: KeyFetcher;
  /** ms. */
  readonly maxAge: number;
  readonly clock: Clock;
}

const MAX_BYTES: number = 256 * 1024;
const MAX_KEYS = 100;
/** ms. */
const FRESH = 3_600_000;
const ASK_EVERY = 60_000;

type VerifyKey = Awaited<ReturnType<typeof importJWK>>;

interface PublicKey {
  readonly kid: string;
  readonly alg: Algorithm;
  readonly jwk: Readonly<Record<string, string>>;
}

const base64url = (bytes: { readonly min: number; readonly max: number }): z.ZodType<string> =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .min(Math.ceil((bytes.min * 4) / 3))
    .max(Math.ceil((bytes.max * 4) / 3));
const about = { kid: z.string().min(1).max(256), use: z.literal("sig").optional() };
/** What else stands in a key is left out, so that nothing of it has an effect. */
const keySchema = z.discriminatedUnion("kty", [
  z.object({ ...about, kty: z.literal("RSA"), alg: z.literal("RS256").optional(), n: base64url({ min: 256, max: 1024 }), e: z.literal("AQAB") }),
  z.object({
    ...about,
    kty: z.literal("EC"),
    alg: z.literal("ES256").optional(),
    crv: z.literal("P-256"),
    x: base64url({ min: 32, max: 32 }),
    y: base64url({ min: 32, max: 32 }),
  }),
]);
const setSchema = z.object({ keys: z.array(z.unknown()).min(1).max(MAX_KEYS) });

export class KeySet {
  readonly #options: KeySetOptions;
  #keys: readonly PublicKey[] = [];
  #fetched: Moment | undefined;
  #asked: Moment | undefined;
  #asking: Promise<void> | undefined;
  /** Why the last question got no keys. */
  #problem: string | undefined;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** Throws UNAUTHENTICATED for a key that the issuer does not have, UPSTREAM_UNAVAILABLE when its keys cannot be had or are too old. */
  async keyOf(kid: string, alg: Algorithm): Promise<VerifyKey> {
    const age = (): number => this.#since(this.#fetched);
    if (age() > FRESH || !this.#keys.some((key) => key.kid === kid)) await this.#refresh();
    if (age() > this.#options.maxAge)
      throw new CofferdamError("UPSTREAM_UNAVAILABLE", `the issuer's keys cannot be fetched: ${this.#problem ?? "nobody asked yet"}`, {
        hint: `is ${this.#options.url} to be reached from here?`,
      });
    const [found, second] = this.#keys.filter((key) => key.kid === kid);
    if (found === undefined) throw new CofferdamError("UNAUTHENTICATED", "job token: its key is none of the issuer's");
    if (second !== undefined) throw new CofferdamError("UNAUTHENTICATED", "job token: the issuer has two keys of that id");
    if (found.alg !== alg) throw new CofferdamError("UNAUTHENTICATED", "job token: its key is of another algorithm");
    return await (await import("jose")).importJWK(found.jwk, alg);
  }

  /** At most once a minute; who comes while it is under way waits for the same answer. */
  async #refresh(): Promise<void> {
    if (this.#asking === undefined) {
      if (this.#since(this.#asked) < ASK_EVERY) return;
      this.#asked = this.#now();
      this.#asking = this.#fetch().finally(() => {
        this.#asking = undefined;
      });
    }
    await this.#asking;
  }

  async #fetch(): Promise<void> {
    const { url, fetch } = this.#options;
    // Age counts from before the question: an answer that was long on its way is no younger for that.
    const asked = this.#now();
    try {
      const text = await fetch(url, MAX_BYTES);
      if (Buffer.byteLength(text) > MAX_BYTES) throw new CofferdamError("UPSTREAM_UNAVAILABLE", `more than ${MAX_BYTES} bytes`);
      this.#keys = keysOf(text);
      this.#fetched = asked;
      this.#problem = undefined;
    } catch (error) {
      this.#problem = messageOf(error);
    }
  }

  #now(): Moment {
    const { clock } = this.#options;
    return { wall: clock.now(), monotonic: clock.monotonic() };
  }

  /** ms, by the clock that says more: one can be set, the other stands still while the machine sleeps. */
  #since(moment: Moment | undefined): number {
    if (moment === undefined) return Number.POSITIVE_INFINITY;
    const now = this.#now();
    return Math.max(now.wall - moment.wall, now.monotonic - moment.monotonic);
  }
}

interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

/** Keys of other kinds and for other uses are none for us. */
function keysOf(text: string): readonly PublicKey[] {
  const { keys } = parseInput(setSchema, parseStrictJson(text, "keys of the issuer", "UPSTREAM_UNAVAILABLE"), "keys of the issuer", "UPSTREAM_UNAVAILABLE");
  return keys.flatMap((one): PublicKey[] => {
    const parsed = keySchema.safeParse(one);
    if (!parsed.success) return [];
    const { kid, kty } = parsed.data;
    const jwk = parsed.data.kty === "RSA" ? { kty, n: parsed.data.n, e: parsed.data.e } : { kty, crv: parsed.data.crv, x: parsed.data.x, y: parsed.data.y };
    return [{ kid, alg: kty === "RSA" ? "RS256" : "ES256", jwk }];
  });
}
