/** Making, showing and revoking API tokens, each of it on record. */
import { CofferdamError, parseInput } from "../../foundation/index.ts";
import type { AccessLimits, Actor, Authentication } from "../contract.ts";
import { type Client, clientSchema } from "./client.ts";
import { activeUser, attempt, changed, type IdentityParts, isSelf, requireSelfOr } from "./parts.ts";
import { type NewToken, type TokenInput, type TokenRecord, tokenInputSchema } from "./tokens.ts";

/** Whom a token stands for, and what it is limited to. */
export interface TokenIdentity {
  readonly userId: string;
  readonly tokenId: string;
  /** To be given to every check; `{}` for a token that may whatever its user may. */
  readonly limits: AccessLimits;
  readonly expiresAt: string;
  /** For {@link SessionDesk.createSession}: the session has the same limits, and ends with the token. */
  readonly authentication: Authentication;
}

export class TokenDesk {
  readonly #parts: () => IdentityParts;

  constructor(parts: () => IdentityParts) {
    this.#parts = parts;
  }

  /** Throws PERMISSION_DENIED, NOT_FOUND, INVALID_ARGUMENT, RESOURCE_EXHAUSTED past 50 tokens of one user. */
  async createToken(userId: string, input: TokenInput, actor: Actor): Promise<NewToken> {
    const parsed = parseInput(tokenInputSchema, input, "token");
    const { users, tokens, book } = this.#parts();
    const user = await activeUser(users, userId);
    await requireSelfOr(users, actor, "tokens:create", user.id);
    return await book.make(async (tx) => {
      const token = await tokens.create(tx, user.id, parsed);
      const { permissions, repositories } = token.limits;
      const details = {
        tokenId: token.id,
        name: token.name,
        expiresAt: token.expiresAt,
        ...(permissions === undefined ? {} : { permissions: permissions.slice(0, 100) }),
        ...(repositories === undefined ? {} : { repositories: repositories.slice(0, 100) }),
      };
      return { result: token, events: [changed("token_created", actor, user.id, details)] };
    });
  }

  /** Throws UNAUTHENTICATED. */
  async verifyToken(token: string, from: Client = {}): Promise<TokenIdentity> {
    const client = parseInput(clientSchema, from, "client of a token");
    const { tokens, users, trail, book, proofs } = this.#parts();
    const found = await tokens.find(token);
    if (typeof found === "string") {
      await trail.denied(attempt("token_refused", undefined, client, { reason: found }));
      throw new CofferdamError("UNAUTHENTICATED", found === "malformed" ? "that is no token" : "the token is unknown, revoked or expired");
    }
    const { record, useIsDue } = found;
    const user = await users.getUser(record.userId);
    if (user === undefined || user.disabled) {
      await trail.denied(attempt("token_refused", record.userId, client, { reason: "disabled user", tokenId: record.id }));
      throw new CofferdamError("UNAUTHENTICATED", "the user of the token is disabled");
    }
    if (useIsDue)
      await book.make(async (tx) => {
        await tokens.noteUse(tx, record.id);
        return { result: undefined, events: [{ ...attempt("token_used", user.id, client, { tokenId: record.id }), result: "success" }] };
      });
    const { id: tokenId, limits, expiresAt } = record;
    const authentication = proofs.issue({ method: "token", userId: user.id, mfa: false, limits, tokenId, notAfter: Date.parse(expiresAt) });
    return { userId: user.id, tokenId, limits, expiresAt, authentication };
  }

  /** Newest first. @param limit 1 to 10,000. */
  async listTokens(userId?: string, limit = 1000): Promise<readonly TokenRecord[]> {
    return await this.#parts().tokens.list(userId, Math.min(Math.max(limit, 1), 10_000));
  }

  /** Over at once, with the sessions that were made with it. Throws NOT_FOUND, PERMISSION_DENIED. */
  async revokeToken(tokenId: string, actor: Actor): Promise<TokenRecord> {
    const { tokens, users, book } = this.#parts();
    const record = await tokens.get(tokenId);
    if (record === undefined) throw new CofferdamError("NOT_FOUND", `no token ${JSON.stringify(tokenId.slice(0, 64))}`, { hint: "cofferdam rbac token list" });
    if (!isSelf(actor, record.userId)) await users.requireAuthority(actor, "tokens:revoke", record.userId);
    return await book.make(async (tx) => {
      const was = await tokens.revoke(tx, tokenId);
      return { result: record, events: was ? [changed("token_revoked", actor, record.userId, { tokenId, name: record.name })] : [] };
    });
  }
}
