/** API tokens: for programs, limited to what they are for, with an end. Shown once, stored as a hash. */
import { z } from "zod";
import { CofferdamError, newId, parseInput } from "../../foundation/index.ts";
import type { Row, Store, Transaction } from "../../store/index.ts";
import type { AccessLimits } from "../contract.ts";
import { accessLimitsSchema, line } from "../schemas.ts";
import type { IdentityClock } from "./identity-clock.ts";
import { hashSecret, newSecret, sameHash } from "./secret-text.ts";

const DAY: number = 24 * 3_600_000;
const DEFAULT_LIFE: number = 90 * DAY;
const LONGEST_LIFE: number = 366 * DAY;
const SHORTEST_LIFE = 60_000;
const PER_USER = 50;
/** Those that are over are kept up to so many: a clock that is ahead for a moment must take no good one away. */
const KEPT = 200;
/** "Last used" is as exact as this, ms: a write for every use would cost more than it says. */
const USE_IS_NOTED_EVERY: number = 3_600_000;

/** What a token is made with. */
export interface TokenInput {
  /** What it is for. */
  readonly name: string;
  /** Less than its user may. Default: everything that the user may, as long as the user may. */
  readonly limits?: AccessLimits | undefined;
  /** ms, a minute to 366 days. Default 90 days. */
  readonly life?: number | undefined;
}

export const tokenInputSchema: z.ZodType<TokenInput> = z.strictObject({
  name: line(100),
  limits: accessLimitsSchema.optional(),
  life: z.int().min(SHORTEST_LIFE, "a token lives for a minute at least").max(LONGEST_LIFE, "a token lives for 366 days at most").optional(),
});

export interface TokenRecord {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly limits: AccessLimits;
  readonly createdAt: string;
  readonly expiresAt: string;
  /** To the hour. */
  readonly lastUsedAt?: string;
}

export interface NewToken extends TokenRecord {
  /** The token itself. There is no second look at it. */
  readonly token: string;
}

export class Tokens {
  readonly #store: Store;
  readonly #clock: IdentityClock;

  constructor(store: Store, clock: IdentityClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Throws RESOURCE_EXHAUSTED when the user has too many. */
  async create(tx: Transaction, userId: string, { name, limits = {}, life = DEFAULT_LIFE }: TokenInput): Promise<NewToken> {
    const now = this.#clock.now();
    const row = await tx.get("SELECT count(*) AS n FROM identity_tokens WHERE user_id = ? AND expires_at > ?", [userId, now]);
    if (Number(row?.["n"] ?? 0) >= PER_USER)
      throw new CofferdamError("RESOURCE_EXHAUSTED", `a user has at most ${PER_USER} tokens`, { hint: "revoke one: cofferdam rbac token revoke ID" });
    await tx.run(
      "DELETE FROM identity_tokens WHERE user_id = ? AND id NOT IN (SELECT id FROM identity_tokens WHERE user_id = ? ORDER BY expires_at DESC LIMIT ?)",
      [userId, userId, KEPT - 1],
    );
    const { text, hash } = newSecret("token");
    const id = newId("tok");
    const expiresAt = now + life;
    await tx.run("INSERT INTO identity_tokens (id, hash, user_id, name, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)", [
      id,
      hash,
      userId,
      name,
      JSON.stringify(limits),
      now,
      expiresAt,
    ]);
    return { id, userId, name, limits, createdAt: new Date(now).toISOString(), expiresAt: new Date(expiresAt).toISOString(), token: text };
  }

  /** @returns the record of a token that is good now, or why it is not. */
  async find(text: string): Promise<{ readonly record: TokenRecord; readonly useIsDue: boolean } | "malformed" | "unknown" | "expired"> {
    const hash = hashSecret("token", text);
    if (hash === undefined) return "malformed";
    const row = await this.#store.read((tx) => tx.get("SELECT * FROM identity_tokens WHERE hash = ?", [hash]));
    if (row === undefined || !sameHash(String(row["hash"]), hash)) return "unknown";
    const now = this.#clock.now();
    if (Number(row["expires_at"]) <= now) return "expired";
    const used = row["used_at"];
    return { record: recordOf(row), useIsDue: used === null || now - Number(used) >= USE_IS_NOTED_EVERY };
  }

  async noteUse(tx: Transaction, id: string): Promise<void> {
    await tx.run("UPDATE identity_tokens SET used_at = ? WHERE id = ?", [this.#clock.now(), id]);
  }

  async get(id: string): Promise<TokenRecord | undefined> {
    const row = await this.#store.read((tx) => tx.get("SELECT * FROM identity_tokens WHERE id = ?", [id]));
    return row === undefined ? undefined : recordOf(row);
  }

  /** Newest first. */
  async list(userId: string | undefined, limit: number): Promise<readonly TokenRecord[]> {
    const rows = await this.#store.read((tx) =>
      tx.all("SELECT * FROM identity_tokens WHERE (? IS NULL OR user_id = ?) AND expires_at > ? ORDER BY created_at DESC, id LIMIT ?", [
        userId ?? null,
        userId ?? null,
        this.#clock.now(),
        limit,
      ]),
    );
    return rows.map(recordOf);
  }

  /** Its sessions end with it. @returns whether it was there. */
  async revoke(tx: Transaction, id: string): Promise<boolean> {
    return (await tx.run("DELETE FROM identity_tokens WHERE id = ?", [id])).changes > 0;
  }
}

function recordOf(row: Row): TokenRecord {
  const time = (value: unknown): string => new Date(Number(value)).toISOString();
  const used = row["used_at"];
  return {
    id: String(row["id"]),
    userId: String(row["user_id"]),
    name: String(row["name"]),
    limits: limitsOf(String(row["scope"])),
    createdAt: time(row["created_at"]),
    expiresAt: time(row["expires_at"]),
    ...(used === null || used === undefined ? {} : { lastUsedAt: time(used) }),
  };
}

/** Of a stored text. Throws INTEGRITY_FAILURE: limits that cannot be read are not no limits. */
export function limitsOf(text: string): AccessLimits {
  return parseInput(accessLimitsSchema, JSON.parse(text), "stored limits of a token", "INTEGRITY_FAILURE");
}
