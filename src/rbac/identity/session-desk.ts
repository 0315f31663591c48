/** Opening, checking and ending sessions, each of it on record. */
import { z } from "zod";
import { CofferdamError, parseInput, type TrailEvent } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import type { AccessLimits, Actor, Authentication, Session, SessionMetadata, SessionPort, User, VerifiedSession } from "../contract.ts";
import { line } from "../schemas.ts";
import { type Client, clientSchema, ipAddressSchema, userAgentSchema } from "./client.ts";
import { actorName, attempt, changed, type IdentityParts, isSelf } from "./parts.ts";
import type { NewSessionFacts, Refusal, SessionRecord } from "./sessions.ts";

export interface OpenedSession extends Session {
  /** Names the session where the secret has no business: lists, events, `revoke`. */
  readonly handle: string;
}

export interface KnownSession extends VerifiedSession {
  readonly handle: string;
  /** Of the token that it was made with. */
  readonly limits?: AccessLimits;
}

const metadataSchema: z.ZodType<SessionMetadata> = z.strictObject({
  ipAddress: ipAddressSchema.optional(),
  userAgent: userAgentSchema.optional(),
  vouchedBy: line(200).optional(),
  authentication: z.custom<Authentication>((value) => typeof value === "object" && value !== null).optional(),
});

const REFUSALS: Readonly<Record<Refusal, string>> = {
  malformed: "that is no session id",
  unknown: "there is no such session",
  expired: "the session is over",
  idle: "the session was not used for too long",
  moved: "the session belongs to another client; it was ended",
  unplaced: "the session is bound to its client, and nobody said which one shows it",
};

const SELF: Actor = { kind: "embedding", vouchedBy: "cofferdam" };

export class SessionDesk implements SessionPort {
  readonly #parts: () => IdentityParts;

  constructor(parts: () => IdentityParts) {
    this.#parts = parts;
  }

  /**
   * Opens a session for who was authenticated: `metadata.authentication` from a login, a token or a job's identity, or
   * `vouchedBy`. A user has at most 5; the oldest ends. Throws UNAUTHENTICATED.
   */
  async createSession(userId: string, metadata: SessionMetadata): Promise<OpenedSession> {
    const { authentication, vouchedBy, ...client } = parseInput(metadataSchema, metadata, "metadata of a session");
    const { users, book, sessions } = this.#parts();
    const user = await users.getUser(userId);
    if (user === undefined || user.disabled)
      throw await this.#refuse("session_created", undefined, client, user === undefined ? "unknown user" : "disabled user", "no such user, or a disabled one");
    const facts = this.#factsOf(user.id, authentication, vouchedBy);
    if (facts === undefined)
      throw await this.#refuse(
        "session_created",
        user.id,
        client,
        "no good proof",
        "a session needs a proof of authentication: of this user, used once, within a minute",
        {
          hint: "log in first, or say who vouches for the user (vouchedBy)",
        },
      );
    if (await this.#lacksFactor(user, facts))
      throw await this.#refuse("session_created", user.id, client, "second factor not enrolled", "this level asks for a second factor, and the user has none", {
        hint: `cofferdam rbac user totp ${user.username}`,
      });
    const opened = await book.make(async (tx) => {
      if (!(await isStillGood(tx, facts))) return { result: undefined, events: [] };
      const { record, secret, ended } = await sessions.create(tx, facts, client);
      const details = {
        method: facts.method,
        mfa: facts.mfa,
        expiresAt: record.expiresAt,
        ...(vouchedBy === undefined ? {} : { vouchedBy }),
        ...(facts.tokenId === undefined ? {} : { tokenId: facts.tokenId }),
      };
      const event: TrailEvent = { ...attempt("session_created", user.id, client, details), result: "success", sessionId: record.handle };
      return { result: { record, secret }, events: [event, ...ended.map((one) => endOf(one, SELF, "the oldest of too many"))] };
    });
    if (opened === undefined)
      throw await this.#refuse(
        "session_created",
        user.id,
        client,
        "changed since the proof",
        "the password was changed, or the token revoked: authenticate again",
      );
    const { handle, createdAt, expiresAt, mfa } = opened.record;
    return { id: opened.secret, handle, userId: user.id, createdAt, expiresAt, mfa };
  }

  /** Throws UNAUTHENTICATED for a session that is none, over, or shown from somewhere else; then it ends. */
  async verifySession(sessionId: string, from: Client = {}): Promise<KnownSession> {
    const { sessions, users, store, clock } = this.#parts();
    const client = parseInput(clientSchema, from, "client of a session");
    const found = await sessions.find(sessionId, client);
    if ("refusal" in found) {
      const { refusal, record } = found;
      if (refusal === "moved" && record !== undefined) await this.#end(record, SELF, "shown by another client");
      throw await this.#refuse("session_refused", record?.userId, client, refusal, REFUSALS[refusal], {}, record?.handle);
    }
    const { record, isSeenDue } = found;
    const user = await users.getUser(record.userId);
    if (user === undefined || user.disabled)
      throw await this.#refuse("session_refused", record.userId, client, "disabled user", "the user is disabled", {}, record.handle);
    if (await this.#lacksFactor(user, record))
      throw await this.#refuse(
        "session_refused",
        user.id,
        client,
        "second factor missing",
        "the user needs a second factor by now: log in again",
        {},
        record.handle,
      );
    if (isSeenDue || clock.isMarkDue)
      await store.write(async (tx) => {
        if (isSeenDue) await sessions.noteSeen(tx, record.handle);
        await clock.mark(tx);
      });
    return {
      handle: record.handle,
      userId: user.id,
      mfa: record.mfa,
      expiresAt: record.expiresAt,
      ...(record.limits === undefined ? {} : { limits: record.limits }),
    };
  }

  /** @param sessionId the secret, or a handle. @returns whether there was one. */
  async revokeSession(sessionId: string, actor: Actor = SELF): Promise<boolean> {
    const { sessions, users } = this.#parts();
    const record = String(sessionId).startsWith("ses_") ? await sessions.get(sessionId) : await this.#bySecret(sessionId);
    if (record === undefined) return false;
    if (actor !== SELF && !isSelf(actor, record.userId)) await users.requireAuthority(actor, "sessions:revoke", record.userId);
    return await this.#end(record, actor, "revoked");
  }

  /** @returns how many there were. */
  async revokeUserSessions(userId: string, actor: Actor = SELF): Promise<number> {
    const { sessions, users, book } = this.#parts();
    if (actor !== SELF && !isSelf(actor, userId)) await users.requireAuthority(actor, "sessions:revoke", userId);
    return await book.make(async (tx) => {
      const ended = await sessions.endAllOf(tx, userId);
      return { result: ended.length, events: ended.map((one) => endOf(one, actor, "revoked")) };
    });
  }

  /** Newest first, without their secrets. @param limit 1 to 10,000. */
  async listSessions(userId?: string, limit = 1000): Promise<readonly SessionRecord[]> {
    return await this.#parts().sessions.list(userId, Math.min(Math.max(limit, 1), 10_000));
  }

  #factsOf(userId: string, authentication: Authentication | undefined, vouchedBy: string | undefined): NewSessionFacts | undefined {
    if (authentication !== undefined) return this.#parts().proofs.take(authentication, userId);
    return vouchedBy === undefined ? undefined : { method: "vouched", userId, mfa: false, vouchedBy };
  }

  /** Programs with tokens have no phones, and who vouches has asked already: the rule is about passwords. */
  async #lacksFactor(user: User, { method, mfa }: Pick<NewSessionFacts, "method" | "mfa">): Promise<boolean> {
    const { rules, users } = this.#parts();
    if (method !== "password" || mfa || rules.mfa === "nobody") return false;
    return rules.mfa === "everybody" || (await users.isAdministrator(user.id));
  }

  async #bySecret(secret: string): Promise<SessionRecord | undefined> {
    // Whoever has the secret may end the session, from wherever.
    const found = await this.#parts().sessions.find(secret, {});
    return found.record;
  }

  async #end(record: SessionRecord, actor: Actor, reason: string): Promise<boolean> {
    const { sessions, book } = this.#parts();
    return await book.make(async (tx) => {
      const result = await sessions.end(tx, record.handle);
      return { result, events: result ? [endOf(record, actor, reason)] : [] };
    });
  }

  async #refuse(
    action: string,
    userId: string | undefined,
    client: Client,
    reason: string,
    message: string,
    options: { readonly hint?: string } = {},
    handle?: string,
  ): Promise<CofferdamError> {
    await this.#parts().trail.denied({ ...attempt(action, userId, client, { reason }), ...(handle === undefined ? {} : { sessionId: handle }) });
    return new CofferdamError("UNAUTHENTICATED", message, options);
  }
}

/** A password that was changed since, or a token that was revoked, begins nothing any more. */
async function isStillGood(tx: Transaction, { userId, passwordHash, tokenId }: NewSessionFacts): Promise<boolean> {
  if (passwordHash !== undefined)
    return (await tx.get("SELECT 1 AS one FROM identity_passwords WHERE user_id = ? AND hash = ?", [userId, passwordHash])) !== undefined;
  return tokenId === undefined || (await tx.get("SELECT 1 AS one FROM identity_tokens WHERE id = ?", [tokenId])) !== undefined;
}

/** The event of a session's end. */
export function endOf(record: SessionRecord, actor: Actor, reason: string): TrailEvent {
  return { ...changed("session_ended", actor, record.userId, { reason }), userId: actor === SELF ? record.userId : actorName(actor), sessionId: record.handle };
}
