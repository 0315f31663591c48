/** What the desks of identity work with, and how they word events. */
import { type Clock, CofferdamError, type JsonObject, type TrailEvent } from "../../foundation/index.ts";
import type { Store } from "../../store/index.ts";
import type { ChangeBook } from "../change-book.ts";
import type { Actor, User, UserDirectory } from "../contract.ts";
import type { UserInput } from "../schemas.ts";
import type { AuditTrail } from "../trail.ts";
import { type Client, personalOf } from "./client.ts";
import type { IdentityClock } from "./identity-clock.ts";
import type { PasswordHasher } from "./password.ts";
import type { Proofs } from "./proofs.ts";
import type { SessionRules } from "./rules.ts";
import type { SecondFactors } from "./second-factors.ts";
import type { Sessions } from "./sessions.ts";
import type { Throttle } from "./throttle.ts";
import type { Tokens } from "./tokens.ts";

/** What identity needs of users and roles. RBACSystem gives it. */
export interface IdentityUsers extends UserDirectory {
  /** Whether the user may do everything, everywhere. */
  isAdministrator(userId: string): Promise<boolean>;
  hasAdministrator(): Promise<boolean>;
  /** Makes the user, unless one of the name is there already, and an administrator of it. */
  makeAdministrator(user: UserInput, actor: Actor): Promise<User>;
  /**
   * Whether an actor may act on what lets somebody else in: has the right, and every right of that user, whom the actor could
   * become by it. Throws PERMISSION_DENIED, on record.
   */
  requireAuthority(actor: Actor, permission: string, userId: string): Promise<void>;
}

export interface IdentityParts {
  readonly store: Store;
  readonly clock: IdentityClock;
  /** As it is set, and the monotonic one. */
  readonly wall: Clock;
  readonly trail: AuditTrail;
  readonly book: ChangeBook;
  readonly users: IdentityUsers;
  readonly rules: SessionRules;
  readonly proofs: Proofs;
  readonly hasher: PasswordHasher;
  readonly throttle: Throttle;
  readonly factors: SecondFactors;
  readonly tokens: Tokens;
  readonly sessions: Sessions;
}

const MAX_ACTOR = 200;

/** Category of every event of identity. */
export const CATEGORY = "identity";

/** Something that was done to what lets a user in. */
export function changed(action: string, actor: Actor, userId: string | undefined, details: JsonObject = {}): TrailEvent {
  return {
    category: CATEGORY,
    action,
    result: "success",
    userId: actorName(actor),
    ...(userId === undefined ? {} : { resourceType: "user", resourceId: userId }),
    details,
  };
}

/** Somebody tried to get in: who, as far as known, and what came of it, for the record alone. */
export function attempt(action: string, userId: string | undefined, client: Client, details: JsonObject): Omit<TrailEvent, "result"> {
  return { category: CATEGORY, action, ...(userId === undefined ? {} : { userId }), details, ...personalOf(userId ?? "unidentified", client) };
}

/** Throws INVALID_ARGUMENT for a name that no event could hold. */
export function actorName(actor: Actor): string {
  if (actor.kind === "local-owner") return "local-owner";
  const name = actor.kind === "user" ? actor.userId : actor.vouchedBy;
  if (name.length < 1 || name.length > MAX_ACTOR)
    throw new CofferdamError("INVALID_ARGUMENT", `who asks for a change has a name of 1 to ${MAX_ACTOR} characters`);
  return name;
}

/** What only the owner of the state directory may do. Throws PERMISSION_DENIED. */
export function requireLocalOwner(actor: Actor, what: string): void {
  if (actor.kind !== "local-owner")
    throw new CofferdamError("PERMISSION_DENIED", `${what}: for the owner of the state directory alone`, { hint: "use the command line on that machine" });
}

/** The user, who may be let in. Throws NOT_FOUND, FAILED_PRECONDITION for one who is disabled. */
export async function activeUser(users: IdentityUsers, userId: string): Promise<User> {
  const user = await users.getUser(userId);
  if (user === undefined)
    throw new CofferdamError("NOT_FOUND", `no user ${JSON.stringify(String(userId).slice(0, 128))}`, { hint: "cofferdam rbac user list" });
  if (user.disabled)
    throw new CofferdamError("FAILED_PRECONDITION", `user ${user.username} is disabled`, { hint: `cofferdam rbac user enable ${user.username}` });
  return user;
}

/** @param userId as it is stored. */
export function isSelf(actor: Actor, userId: string): boolean {
  return actor.kind === "user" && actor.userId.toLowerCase() === userId;
}

/** One's own credentials are one's own business, but not with a token: a stolen one could make itself at home. */
export async function requireSelfOr(users: IdentityUsers, actor: Actor, permission: string, userId: string): Promise<void> {
  if (actor.kind === "user" && actor.context?.limits !== undefined)
    throw new CofferdamError("PERMISSION_DENIED", "a token makes and changes no credentials", { hint: "cofferdam rbac login" });
  if (isSelf(actor, userId)) return;
  await users.requireAuthority(actor, permission, userId);
}
