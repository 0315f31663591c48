/**
 * Tokens that GitHub Actions gives a job (OIDC), as the job's identity: of the one issuer, made out to us, signed by a key of the
 * issuer, in time, accepted by a rule, and shown for the first time.
 */
import { createHash } from "node:crypto";
import { CofferdamError, parseInput } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import type { Authentication } from "../contract.ts";
import { type Client, clientSchema } from "./client.ts";
import { claimsSchema, isInside, type JobClaims } from "./oidc/claims.ts";
import { httpsFetcher } from "./oidc/https-fetcher.ts";
import { readToken } from "./oidc/jwt.ts";
import { KeySet } from "./oidc/key-set.ts";
import { GITHUB_ISSUER, type JobRule, type JobTokenOptions } from "./oidc/options.ts";
import { attempt, type IdentityParts } from "./parts.ts";

export interface JobIdentity {
  readonly issuer: string;
  /** The identity of the repository; the name may change. */
  readonly repositoryId: string;
  /** Folded. */
  readonly repository: string;
  readonly eventName: string;
  readonly jobWorkflowRef: string;
  readonly runId: string;
  readonly runAttempt: string;
  readonly subject: string;
  readonly ref?: string | undefined;
  readonly sha?: string | undefined;
  readonly environment?: string | undefined;
  readonly actorId?: string | undefined;
  /** `outside`: somebody without rights to the repository may have started it, or written what it runs. It gets no secrets unless somebody says so. */
  readonly standing: "inside" | "outside";
  /** Of the token. */
  readonly expiresAt: string;
  /** For a session, where the rule names a user and the standing is `inside`: limited to the job's repository, and to the token's life. */
  readonly authentication?: Authentication | undefined;
}

/** Between the issuer's clock and ours, seconds. */
const SKEW = 60;
/** Seconds that a token may be good for; GitHub's are for minutes. What is longer would have to be remembered for longer. */
const LONGEST_LIFE = 3600;
const DEFAULT_KEY_AGE: number = 24 * 3_600_000;
/** Shown tokens that are remembered. Only the issuer can make more, and then we stop rather than forget. */
const MAX_REMEMBERED = 1_000_000;

export class JobTokenDesk {
  readonly #parts: () => IdentityParts;
  readonly #options: JobTokenOptions | undefined;
  #keys: KeySet | undefined;

  constructor(parts: () => IdentityParts, options: JobTokenOptions | undefined) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Throws UNAUTHENTICATED for a token that is not good, UPSTREAM_UNAVAILABLE when the issuer's keys cannot be had or are too
   * old, FAILED_PRECONDITION without the option `jobTokens`.
   */
  async verifyJobToken(token: string, from: Client = {}): Promise<JobIdentity> {
    const options = this.#options;
    if (options === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", "tokens of jobs are not configured", { hint: "the option jobTokens: {audience, accept}" });
    const client = parseInput(clientSchema, from, "client of a job token");
    const { trail, users } = this.#parts();
    try {
      const claims = await this.#verified(token, options);
      const rule = ruleFor(options.accept, claims);
      const user = rule.user === undefined ? undefined : ((await users.findUser(rule.user)) ?? (await users.getUser(rule.user)));
      await this.#useUp(claims, client);
      return identityOf(claims, user === undefined || user.disabled ? undefined : this.#proofFor(user.id, claims));
    } catch (error) {
      if (error instanceof CofferdamError && error.code === "UNAUTHENTICATED")
        await trail.denied(attempt("job_token_refused", undefined, client, { reason: error.message }));
      throw error;
    }
  }

  async #verified(token: string, options: JobTokenOptions): Promise<JobClaims> {
    const { issuer = GITHUB_ISSUER, audience } = options;
    const { header, claims: unverified } = readToken(token);
    const key = await this.#keySet(options, issuer).keyOf(header.kid, header.alg);
    const currentDate = new Date(this.#parts().clock.now());
    const { jwtVerify } = await import("jose");
    try {
      await jwtVerify(token, key, { algorithms: [header.alg], issuer, audience, clockTolerance: SKEW, currentDate });
    } catch (error) {
      throw new CofferdamError("UNAUTHENTICATED", `job token: ${reasonOf(error)}`, { cause: error });
    }
    const claims = parseInput(claimsSchema, unverified, "claims of a job token", "UNAUTHENTICATED");
    // Every reading of the text is held to the same: jose looked at its own.
    if (claims.iss !== issuer || claims.aud !== audience) throw new CofferdamError("UNAUTHENTICATED", "job token: it is made out to somebody else");
    if (claims.exp - Math.min(claims.iat, claims.nbf) > LONGEST_LIFE)
      throw new CofferdamError("UNAUTHENTICATED", `job token: good for more than ${LONGEST_LIFE} seconds`);
    if (claims.iat * 1000 > currentDate.getTime() + SKEW * 1000) throw new CofferdamError("UNAUTHENTICATED", "job token: made in the future");
    return claims;
  }

  /** Remembered until nobody would take it any more. Throws UNAUTHENTICATED when it was shown before. */
  async #useUp(claims: JobClaims, client: Client): Promise<void> {
    const { book, clock } = this.#parts();
    const { iss, jti, exp, repository, repository_id, event_name, job_workflow_ref, run_id, run_attempt, sub } = claims;
    const hash = createHash("sha256")
      .update(JSON.stringify([iss, jti]))
      .digest("base64url");
    await book.make(async (tx) => {
      await this.#makeRoom(tx, clock.now());
      const until = (exp + SKEW) * 1000;
      const { changes } = await tx.run("INSERT INTO identity_used_jtis (hash, expires_at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING", [hash, until]);
      if (changes === 0) throw new CofferdamError("UNAUTHENTICATED", "job token: it was shown before");
      const details = {
        repository,
        repositoryId: repository_id,
        event: event_name,
        workflow: job_workflow_ref,
        run: run_id,
        attempt: run_attempt,
        subject: sub,
      };
      const shown = attempt("job_token_accepted", undefined, client, { ...details, standing: standingOf(claims) });
      return { result: undefined, events: [{ ...shown, result: "success" }] };
    });
  }

  async #makeRoom(tx: Transaction, now: number): Promise<void> {
    await tx.run("DELETE FROM identity_used_jtis WHERE expires_at <= ?", [now]);
    const row = await tx.get("SELECT count(*) AS n FROM identity_used_jtis");
    if (Number(row?.["n"] ?? 0) >= MAX_REMEMBERED) throw new CofferdamError("RESOURCE_EXHAUSTED", "too many tokens of jobs within an hour");
  }

  #proofFor(userId: string, claims: JobClaims): Authentication | undefined {
    if (standingOf(claims) === "outside") return undefined;
    return this.#parts().proofs.issue({ method: "oidc", userId, mfa: false, limits: { repositories: [claims.repository] }, notAfter: claims.exp * 1000 });
  }

  #keySet({ fetchKeys, ca, maxKeyAge = DEFAULT_KEY_AGE }: JobTokenOptions, issuer: string): KeySet {
    const { wall: clock } = this.#parts();
    this.#keys ??= new KeySet({ url: `${issuer}/.well-known/jwks`, fetch: fetchKeys ?? httpsFetcher(ca), maxAge: maxKeyAge, clock });
    return this.#keys;
  }
}

function identityOf(claims: JobClaims, authentication: Authentication | undefined): JobIdentity {
  return {
    issuer: claims.iss,
    repositoryId: claims.repository_id,
    repository: claims.repository,
    eventName: claims.event_name,
    jobWorkflowRef: claims.job_workflow_ref,
    runId: claims.run_id,
    runAttempt: claims.run_attempt,
    subject: claims.sub,
    ref: claims.ref,
    sha: claims.sha,
    environment: claims.environment,
    actorId: claims.actor_id,
    standing: standingOf(claims),
    expiresAt: new Date(claims.exp * 1000).toISOString(),
    authentication,
  };
}

function standingOf({ event_name }: JobClaims): JobIdentity["standing"] {
  return isInside(event_name) ? "inside" : "outside";
}

function ruleFor(rules: readonly JobRule[], claims: JobClaims): JobRule {
  const fits = (allowed: readonly string[] | undefined, value: string | undefined): boolean =>
    allowed === undefined || (value !== undefined && allowed.includes(value));
  const rule = rules.find(
    ({ repositoryId, events, workflows, environments, subjects }) =>
      repositoryId === claims.repository_id &&
      fits(events, claims.event_name) &&
      fits(workflows, claims.job_workflow_ref) &&
      fits(environments, claims.environment) &&
      fits(subjects, claims.sub),
  );
  if (rule === undefined)
    throw new CofferdamError("UNAUTHENTICATED", "job token: no rule accepts that job", {
      details: { repositoryId: claims.repository_id, event: claims.event_name },
    });
  return rule;
}

/** jose's codes, in words that quote nothing of the token. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ERR_JWT_EXPIRED") return "it is over";
  if (code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED") return "the signature is not right";
  if (code === "ERR_JWT_CLAIM_VALIDATION_FAILED" && error instanceof Error && "claim" in error) return `${String(error.claim)} is not as it must be`;
  return "it does not verify";
}
