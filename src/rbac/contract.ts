/**
 * What the parts of this room, and its callers, say to each other. Times in records are ISO 8601, UTC. Names of users, roles,
 * organisations, repositories and environments compare case-folded ({@link ./names.ts}).
 */

/** Where an assignment holds. Every part that is given must match; none at all is everywhere. */
export interface Scope {
  readonly organisation?: string | undefined;
  /** `owner/name`. */
  readonly repository?: string | undefined;
  readonly environment?: string | undefined;
}

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof DAYS)[number];

/** From the start, inclusive, to the end, exclusive, by the wall clock of a zone; an end before the start is on the next day. */
export interface TimeRestriction {
  /** `HH:MM`, 00:00 to 23:59. */
  readonly startTime: string;
  /** `HH:MM`, not the start. */
  readonly endTime: string;
  /** IANA name. Default UTC. */
  readonly timezone?: string | undefined;
  /** Days on which it starts. Default: all. */
  readonly days?: readonly Day[] | undefined;
}

/** Relations to a repository, or patterns of names: `acme/*`, `acme/web`, `*`. */
export type RepositoryConstraint = "owned" | "assigned" | "public" | readonly string[];

/** What has to hold besides, for the rules that stand in the same role; what it inherits has its own. */
export interface Constraints {
  readonly repositories?: RepositoryConstraint | undefined;
  readonly timeRestriction?: TimeRestriction | undefined;
  /** CIDR blocks or addresses. */
  readonly ipAllowList?: readonly string[] | undefined;
  /** The session was opened with a second factor. */
  readonly mfa?: true | undefined;
}

export interface User {
  readonly id: string;
  readonly username: string;
  /** `service`: a program; second factors and passwords are for persons. */
  readonly kind: "person" | "service";
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  /** For the resolver that asks GitHub. The number is the identity; logins get renamed and taken over. */
  readonly github?: { readonly id: number; readonly login: string } | undefined;
  /** Has no rights and opens no session. */
  readonly disabled: boolean;
  readonly createdAt: string;
}

export interface Role {
  readonly id: string;
  readonly name: string;
  readonly description?: string | undefined;
  /** Ids of roles whose rules it has too. */
  readonly inherits: readonly string[];
  /** Patterns `resource:verb`, either part may be `*`. */
  readonly permissions: readonly string[];
  /** Patterns of what is refused, whatever else allows it. */
  readonly deny: readonly string[];
  readonly constraints?: Constraints | undefined;
  /** Comes with the product and cannot be changed. */
  readonly builtIn: boolean;
  /** Grows with each change: a change may name the one that it is of. */
  readonly version: number;
}

export interface Assignment {
  readonly id: string;
  readonly userId: string;
  readonly roleId: string;
  readonly scope?: Scope | undefined;
  readonly expiresAt?: string | undefined;
  /** A user's id, `local-owner`, or who vouched. */
  readonly grantedBy: string;
  readonly createdAt: string;
}

/**
 * What a check is about. Every member is the caller's word, so callers that stand at the border put in only what they know
 * themselves: the address from the socket, the second factor from the session.
 */
export interface AccessContext {
  /** `owner/name`; its owner is the organisation. */
  readonly repository?: string | undefined;
  readonly organisation?: string | undefined;
  readonly environment?: string | undefined;
  /** Of whoever asks. There is none over a unix socket. */
  readonly ipAddress?: string | undefined;
  /** Of whoever asks: a session may be bound to it. */
  readonly userAgent?: string | undefined;
  /** Verified first; it must be of the user who is checked, and says whether there was a second factor. */
  readonly sessionId?: string | undefined;
  /** Counts with {@link trustContext} alone. */
  readonly isOwner?: boolean | undefined;
  /** Counts with {@link trustContext} alone. */
  readonly mfa?: boolean | undefined;
  /** The caller vouches for `isOwner` and `mfa`: for programs that embed the library and know better than its tables. */
  readonly trustContext?: boolean | undefined;
  /** Less than the user may: the scope of an API token. */
  readonly limits?: AccessLimits | undefined;
}

/** The most that a token may be used for; the user's own rights are asked besides. */
export interface AccessLimits {
  readonly permissions?: readonly string[] | undefined;
  readonly repositories?: readonly string[] | undefined;
}

export type DecisionReason =
  /** A rule of a role allows it. */
  | "granted"
  /** No rule speaks of it, and the policy allows by default. */
  | "allowed-by-default"
  /** A rule of a role refuses it. */
  | "deny-rule"
  /** Rules would allow it, and their conditions do not hold: {@link Decision.failed}. */
  | "condition"
  /** No role of the user has a rule for it. */
  | "no-rule"
  /** A change would give away, or somebody would act for, more than the user has. */
  | "lacking"
  /** The token it was asked with is limited to less. */
  | "token-limits"
  | "unknown-user"
  | "disabled-user"
  /** No session, or one that does not verify, or one of somebody else. */
  | "unauthenticated"
  | "malformed-permission"
  | "malformed-context";

/** A condition that did not hold, or that could not be looked at. */
export interface FailedCondition {
  readonly kind: "scope" | "expired" | "repositories" | "timeRestriction" | "ipAllowList" | "mfa";
  /** `unknown`: it could not be looked at; then grants do not hold, and denials do. */
  readonly outcome: "failed" | "unknown";
  readonly detail: string;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: DecisionReason;
  readonly userId: string;
  readonly permission: string;
  /** `ROLE/allow/PATTERN` or `ROLE/deny/PATTERN` of the rule that decided, or that came nearest. */
  readonly rule?: string | undefined;
  /** From the assigned role to the one that has the rule. */
  readonly path: readonly string[];
  readonly failed?: FailedCondition | undefined;
  /** One sentence: what was decided and why. */
  readonly explanation: string;
  /** What would allow it, for whoever may do that. */
  readonly remedy?: string | undefined;
  /** Of the policy that decided. */
  readonly epoch: number;
  /** Time in ms since the Unix epoch after which the same question may have another answer. */
  readonly validUntil?: number | undefined;
}

/** Who asks for a change. A user needs the right to make it, and has to have whatever it gives away. */
export type Actor =
  | { readonly kind: "user"; readonly userId: string; readonly context?: AccessContext | undefined }
  /** Whoever owns the state directory, by the uid that the kernel gives: the command line. */
  | { readonly kind: "local-owner" }
  /** The program that embeds the library, which has asked its own user. */
  | { readonly kind: "embedding"; readonly vouchedBy: string };

/** What the server knows of a user and a repository; undefined is not known, and never taken for a yes. */
export interface RepositoryFacts {
  readonly owned?: boolean | undefined;
  readonly assigned?: boolean | undefined;
  readonly public?: boolean | undefined;
}

/** Where ownership comes from. */
export interface RepositoryResolver {
  /** @param repository folded `owner/name`. What cannot be found out is left out; an exception counts as nothing known. */
  factsOf(user: User, repository: string): Promise<RepositoryFacts>;
}

/** Users by id and by name, as identity/ needs them. */
export interface UserDirectory {
  getUser(id: string): Promise<User | undefined>;
  findUser(username: string): Promise<User | undefined>;
}

export interface SessionMetadata {
  readonly ipAddress?: string | undefined;
  readonly userAgent?: string | undefined;
  /** Instead of a proof of authentication: who says that this user was authenticated. Goes on record. */
  readonly vouchedBy?: string | undefined;
  /** What identity/ gave out for a password, a token or an OIDC identity that it verified. */
  readonly authentication?: Authentication | undefined;
}

/** Made by identity/ alone, after it verified something; whatever else looks like it is refused. */
export interface Authentication {
  readonly method: "password" | "token" | "oidc";
  readonly userId: string;
  readonly mfa: boolean;
  readonly proof: symbol;
}

export interface Session {
  /** The secret itself: given out once, stored as a hash. */
  readonly id: string;
  readonly userId: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly mfa: boolean;
}

export interface VerifiedSession {
  readonly userId: string;
  readonly mfa: boolean;
  readonly expiresAt: string;
  /** Of the token that it was opened with. */
  readonly limits?: AccessLimits | undefined;
}

/** Sessions, as RBACSystem needs them. identity/ has them. */
export interface SessionPort {
  /** Throws UNAUTHENTICATED without a proof or a voucher. */
  createSession(userId: string, metadata: SessionMetadata): Promise<Session>;
  /** Throws UNAUTHENTICATED for one that is unknown, over, revoked, or bound to another client. */
  verifySession(sessionId: string, metadata?: Pick<SessionMetadata, "ipAddress" | "userAgent">): Promise<VerifiedSession>;
  /** @returns whether there was one. */
  revokeSession(sessionId: string): Promise<boolean>;
  /** @returns how many there were. */
  revokeUserSessions(userId: string): Promise<number>;
}
