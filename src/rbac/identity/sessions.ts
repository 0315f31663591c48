/**
 * Sessions of those who were authenticated. The id is a secret of 256 bits and stored as a hash. Every use asks the store, so
 * that what one process ends is over in all of them at once; there is no cache to be stale.
 */
import { newId } from "../../foundation/index.ts";
import type { Row, Store, Transaction } from "../../store/index.ts";
import type { AccessLimits } from "../contract.ts";
import type { Client } from "./client.ts";
import type { IdentityClock } from "./identity-clock.ts";
import type { ProvenFacts } from "./proofs.ts";
import type { SessionRules } from "./rules.ts";
import { hashSecret, newSecret, sameHash } from "./secret-text.ts";
import { limitsOf } from "./tokens.ts";

/** Most between two notes of a use, ms: an idle session may end this much early, never late. */
const NOTED_EVERY = 60_000;

export type SessionMethod = ProvenFacts["method"] | "vouched";

/** A session without its secret: for lists, and for records. */
export interface SessionRecord {
  /** Not the secret: names the session in lists, in events, and to end it. */
  readonly handle: string;
  readonly userId: string;
  readonly method: SessionMethod;
  readonly mfa: boolean;
  /** Of the token that it was made with. Undefined: whatever the user may. */
  readonly limits?: AccessLimits;
  readonly tokenId?: string;
  readonly vouchedBy?: string;
  readonly ipAddress?: string;
  readonly userAgent?: string;
  readonly createdAt: string;
  /** To the minute. */
  readonly lastSeenAt: string;
  readonly expiresAt: string;
}

export type NewSessionFacts = Omit<ProvenFacts, "method"> & { readonly method: SessionMethod; readonly vouchedBy?: string };

export type Refusal = "malformed" | "unknown" | "expired" | "idle" | "moved" | "unplaced";

export class Sessions {
  readonly #store: Store;
  readonly #clock: IdentityClock;
  readonly #rules: SessionRules;

  constructor(store: Store, clock: IdentityClock, rules: SessionRules) {
    this.#store = store;
    this.#clock = clock;
    this.#rules = rules;
  }

  /** @returns the session, its secret, and those that ended for it. */
  async create(
    tx: Transaction,
    facts: NewSessionFacts,
    client: Client,
  ): Promise<{ readonly record: SessionRecord; readonly secret: string; readonly ended: readonly SessionRecord[] }> {
    const { absolute, idle, perUser } = this.#rules;
    const now = this.#clock.now();
    await tx.run("DELETE FROM identity_sessions WHERE expires_at <= ? OR seen_at + idle <= ?", [now, now]);
    const oldest = await tx.all("SELECT * FROM identity_sessions WHERE user_id = ? ORDER BY created_at DESC, id LIMIT 1000 OFFSET ?", [
      facts.userId,
      perUser - 1,
    ]);
    for (const row of oldest) await tx.run("DELETE FROM identity_sessions WHERE id = ?", [row["id"] ?? null]);
    const { text, hash } = newSecret("session");
    const row = {
      id: newId("ses"),
      hash,
      user_id: facts.userId,
      method: facts.method,
      mfa: facts.mfa ? 1 : 0,
      scope: facts.limits === undefined ? "" : JSON.stringify(facts.limits),
      token_id: facts.tokenId ?? null,
      vouched_by: facts.vouchedBy ?? null,
      ip: client.ipAddress ?? null,
      user_agent: client.userAgent ?? null,
      created_at: now,
      seen_at: now,
      idle,
      expires_at: Math.min(now + absolute, facts.notAfter ?? Number.POSITIVE_INFINITY),
    };
    await tx.run(
      "INSERT INTO identity_sessions (id, hash, user_id, method, mfa, scope, token_id, vouched_by, ip, user_agent, created_at, seen_at, idle, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      Object.values(row),
    );
    return { record: recordOf(row), secret: text, ended: oldest.map(recordOf) };
  }

  /** The session of a secret that is good now, or why it is not, with the session where there is one. */
  async find(
    secret: string,
    client: Client,
  ): Promise<{ readonly record: SessionRecord; readonly isSeenDue: boolean } | { readonly refusal: Refusal; readonly record?: SessionRecord }> {
    const hash = hashSecret("session", secret);
    if (hash === undefined) return { refusal: "malformed" };
    const row = await this.#store.read((tx) => tx.get("SELECT * FROM identity_sessions WHERE hash = ?", [hash]));
    if (row === undefined || !sameHash(String(row["hash"]), hash)) return { refusal: "unknown" };
    const record = recordOf(row);
    const now = this.#clock.now();
    // A level that became stricter since counts for sessions that are open already.
    const idle = Math.min(Number(row["idle"]), this.#rules.idle);
    const end = Math.min(Number(row["expires_at"]), Number(row["created_at"]) + this.#rules.absolute);
    if (now >= end) return { refusal: "expired", record };
    const pause = now - Number(row["seen_at"]);
    if (pause >= idle) return { refusal: "idle", record };
    const differing = this.#rules.boundTo.filter((what) => record[what] !== client[what]);
    if (differing.length > 0) return { refusal: differing.some((what) => client[what] !== undefined) ? "moved" : "unplaced", record };
    return { record: { ...record, expiresAt: new Date(end).toISOString() }, isSeenDue: pause >= Math.min(NOTED_EVERY, idle / 10) };
  }

  async noteSeen(tx: Transaction, handle: string): Promise<void> {
    await tx.run("UPDATE identity_sessions SET seen_at = ? WHERE id = ? AND seen_at < ?", [this.#clock.now(), handle, this.#clock.now()]);
  }

  /** Newest first, those that are over left out. */
  async list(userId: string | undefined, limit: number): Promise<readonly SessionRecord[]> {
    const now = this.#clock.now();
    const rows = await this.#store.read((tx) =>
      tx.all(
        "SELECT * FROM identity_sessions WHERE (? IS NULL OR user_id = ?) AND expires_at > ? AND seen_at + idle > ? ORDER BY created_at DESC, id LIMIT ?",
        [userId ?? null, userId ?? null, now, now, limit],
      ),
    );
    return rows.map(recordOf);
  }

  async get(handle: string): Promise<SessionRecord | undefined> {
    const row = await this.#store.read((tx) => tx.get("SELECT * FROM identity_sessions WHERE id = ?", [handle]));
    return row === undefined ? undefined : recordOf(row);
  }

  async end(tx: Transaction, handle: string): Promise<boolean> {
    return (await tx.run("DELETE FROM identity_sessions WHERE id = ?", [handle])).changes > 0;
  }

  /** @returns those that ended. */
  async endAllOf(tx: Transaction, userId: string): Promise<readonly SessionRecord[]> {
    const rows = await tx.all("SELECT * FROM identity_sessions WHERE user_id = ?", [userId]);
    await tx.run("DELETE FROM identity_sessions WHERE user_id = ?", [userId]);
    return rows.map(recordOf);
  }
}

function recordOf(row: Row): SessionRecord {
  const time = (name: string): string => new Date(Number(row[name])).toISOString();
  const text = (name: string): string | undefined => (typeof row[name] === "string" && row[name] !== "" ? row[name] : undefined);
  const [scope, tokenId, vouchedBy, ipAddress, userAgent] = [text("scope"), text("token_id"), text("vouched_by"), text("ip"), text("user_agent")];
  return {
    handle: String(row["id"]),
    userId: String(row["user_id"]),
    method: methodOf(row["method"]),
    mfa: row["mfa"] === 1,
    ...(scope === undefined ? {} : { limits: limitsOf(scope) }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(vouchedBy === undefined ? {} : { vouchedBy }),
    ...(ipAddress === undefined ? {} : { ipAddress }),
    ...(userAgent === undefined ? {} : { userAgent }),
    createdAt: time("created_at"),
    lastSeenAt: time("seen_at"),
    expiresAt: time("expires_at"),
  };
}

function methodOf(value: unknown): SessionMethod {
  return value === "password" || value === "token" || value === "oidc" ? value : "vouched";
}
