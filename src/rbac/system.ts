/**
 * RBACSystem: who may do what, where, when and from where. Decisions come from one compiled policy that is never older than
 * the question; changes are made by those who may, and both are on record.
 */
import { EventEmitter } from "node:events";
import { join } from "node:path";
import { type Clock, CofferdamError, messageOf, systemClock } from "../foundation/index.ts";
import { SqliteStore, type Store } from "../store/index.ts";
import { type Answer, Asking } from "./asking.ts";
import { firstLacking, hasAdministrator, isAdministrator, rulesOfUser } from "./authority.ts";
import { Changes } from "./changes.ts";
import { type Checker, isAllowed } from "./checker.ts";
import type {
  AccessContext,
  Actor,
  Assignment,
  Decision,
  RepositoryFacts,
  Role,
  Scope,
  Session,
  SessionMetadata,
  SessionPort,
  User,
  VerifiedSession,
} from "./contract.ts";
import { DecisionLog } from "./decision-log.ts";
import { AssignmentDesk } from "./desks/assignments.ts";
import { RepositoryDesk } from "./desks/repositories.ts";
import { RoleDesk } from "./desks/roles.ts";
import { UserDesk } from "./desks/users.ts";
import { type RBACEvents, tell } from "./events.ts";
import { explain, plainDecision } from "./explain.ts";
import { Identity } from "./identity/identity.ts";
import type { IdentityUsers } from "./identity/parts.ts";
import { LivePolicy } from "./live-policy.ts";
import { parseOptions, type RBACOptions } from "./options.ts";
import { type ImportOptions, PolicyFileDesk } from "./policy-file/desk.ts";
import { type DecisionTrail, type DryRun, dryRun } from "./policy-file/dry-run.ts";
import { parsePolicyFile } from "./policy-file/file.ts";
import type { PolicyDifference } from "./policy-file/plan.ts";
import { Resolvers } from "./repositories/resolve.ts";
import { type RepositoryInput, StoredFacts } from "./repositories/stored-facts.ts";
import type { AssignOptions, RoleInput, RolePatch, UserInput, UserPatch } from "./schemas.ts";
import type { AuditTrail } from "./trail.ts";

interface Opened {
  readonly live: LivePolicy;
  readonly facts: StoredFacts;
  readonly asking: Asking;
  readonly log: DecisionLog;
  readonly users: UserDesk;
  readonly roles: RoleDesk;
  readonly assignments: AssignmentDesk;
  readonly repositories: RepositoryDesk;
  readonly files: PolicyFileDesk;
}

/** Most entries of one page of a list. */
const PAGE = 1000;

/**
 * @example
 * ```ts
 * await using rbac = new RBACSystem(auditLogger, { store });
 * await rbac.initialize();
 * const ada = await rbac.createUser({ username: "ada" });
 * await rbac.createRole({ name: "CI Manager", permissions: ["workflows:*"], constraints: { repositories: "owned" } });
 * await rbac.assignRole(ada.id, "ci-manager", { scope: { organisation: "acme" } });
 * await rbac.checkPermission(ada.id, "workflows:execute", { repository: "acme/web" });
 * ```
 */
export class RBACSystem implements IdentityUsers {
  /** Passwords, tokens, logins and sessions of the users. */
  readonly identity: Identity;
  readonly events: EventEmitter<RBACEvents> = new EventEmitter();
  readonly #trail: AuditTrail;
  readonly #options: RBACOptions;
  readonly #store: Store;
  readonly #ownsStore: boolean;
  readonly #clock: Clock;
  #opened: Opened | undefined;

  /** Does nothing yet. Throws INVALID_ARGUMENT, with what was probably meant. @param auditLogger an initialised AuditLogger. */
  constructor(auditLogger: AuditTrail, options: RBACOptions = {}) {
    this.#options = parseOptions(options);
    this.#trail = auditLogger;
    this.#clock = this.#options.clock ?? systemClock;
    this.#ownsStore = this.#options.store === undefined;
    const { storage, level, sessionTimeout, clock, jobTokens } = this.#options;
    const directory = storage?.directory;
    this.#store = this.#options.store ?? new SqliteStore({ path: directory === undefined ? undefined : join(directory, "cofferdam.db"), clock: this.#clock });
    const sessions = sessionTimeout === undefined ? {} : { idle: sessionTimeout };
    this.identity = new Identity({ store: this.#store, users: this, audit: auditLogger, directory, level, sessions, clock, jobTokens });
  }

  /** Opens the tables, records what a process that was killed could not, and compiles the policy. Idempotent. */
  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    await this.identity.initialize();
    const { clock, book } = this.identity;
    const latest = (): number => clock.now();
    const { denyByDefault = true, requireAuthentication = true, cacheEnabled = true, allowsPerEvent = 100 } = this.#options;
    const live = new LivePolicy(this.#store, { denyByDefault, requireAuthentication }, cacheEnabled);
    const facts = new StoredFacts(this.#store);
    const asking = new Asking({ live, clock: this.#clock, latest, sessions: this.#sessions, factsOf: (id, repository) => this.#factsOf(id, repository) });
    const changes = new Changes({
      ...{ live, asking, book, clock: this.#clock, latest },
      actor: this.#options.actor ?? { kind: "embedding", vouchedBy: "the embedding program" },
      refused: (answer, more) => this.#refuse(answer, more),
      changed: (change) => tell(this.events, "policyChanged", change),
    });
    await live.current();
    this.#opened ??= {
      ...{ live, facts, asking },
      log: new DecisionLog(this.#trail, allowsPerEvent),
      users: new UserDesk(this.#store, changes),
      roles: new RoleDesk(changes),
      assignments: new AssignmentDesk(this.#store, changes),
      repositories: new RepositoryDesk(this.#store, changes),
      files: new PolicyFileDesk(this.#store, live, changes, this.#clock),
    };
  }

  /**
   * Whether a user may do something. What is malformed, unknown or not to be found out is refused. Refusals are recorded before
   * the answer. Throws only when it cannot be decided or recorded: NOT_INITIALIZED, AUDIT_UNAVAILABLE, what the store throws.
   */
  async checkPermission(userId: string, permission: string, context?: AccessContext): Promise<boolean> {
    const { asking, log } = this.#open();
    const answer = await asking.ask(userId, permission, context);
    if (!isAllowed(answer.reason)) {
      await this.#denied(answer);
      return false;
    }
    const represents = log.count(answer.userId, permission);
    if (represents !== undefined) await log.allowed(answer, decisionOf(answer), represents);
    return true;
  }

  /** The same, as an error that says why. Throws PERMISSION_DENIED or UNAUTHENTICATED, with the {@link Decision} as details. */
  async requirePermission(userId: string, permission: string, context?: AccessContext): Promise<Decision> {
    const { asking, log } = this.#open();
    const answer = await asking.ask(userId, permission, context);
    const decision = decisionOf(answer);
    if (!decision.allowed) throw await this.#refuse(answer);
    const represents = log.count(answer.userId, permission);
    if (represents !== undefined) await log.allowed(answer, decision, represents);
    return decision;
  }

  /** The decision and why: rule, way through the roles, the condition that failed, what would help. Records nothing. */
  async explainPermission(userId: string, permission: string, context?: AccessContext): Promise<Decision> {
    return decisionOf(await this.#open().asking.ask(userId, permission, context));
  }

  /**
   * The compiled policy as of now, for programs that decide many times in one moment: synchronous, and it stays as it is.
   * Sessions, tokens and ownership are the caller's to know, and so is the record.
   */
  async checker(): Promise<Checker> {
    return await this.#open().live.current();
  }

  /** Throws CONFLICT for an id or name that is taken. @param actor who makes the change; a user has to have the right. */
  async createUser(userData: UserInput, actor?: Actor): Promise<User> {
    return await this.#open().users.create(userData, actor);
  }

  /** What is given replaces what was. Throws NOT_FOUND, CONFLICT. */
  async updateUser(userId: string, patch: UserPatch, actor?: Actor): Promise<User> {
    return await this.#open().users.update(userId, patch, actor);
  }

  /** With everything that is theirs. @returns whether there was one. */
  async deleteUser(userId: string, actor?: Actor): Promise<boolean> {
    return await this.#open().users.delete(userId, actor);
  }

  async getUser(userId: string): Promise<User | undefined> {
    return await this.#open().users.get(userId);
  }

  /** By name, however it is spelled. */
  async findUser(username: string): Promise<User | undefined> {
    return await this.#open().users.find(username);
  }

  /** In the order of their ids, at most 1000: pass the last one's id as `after` for more. */
  async listUsers({ after = "", limit = PAGE }: { readonly after?: string | undefined; readonly limit?: number | undefined } = {}): Promise<readonly User[]> {
    return await this.#open().users.list(after, Math.min(limit, PAGE));
  }

  /** Throws CONFLICT for an id or name that is taken, INVALID_ARGUMENT for a circle, PAYLOAD_TOO_LARGE beyond the limits. */
  async createRole(roleData: RoleInput, actor?: Actor): Promise<Role> {
    return await this.#open().roles.create(roleData, actor);
  }

  /** Throws NOT_FOUND, FAILED_PRECONDITION for a built-in one, CONFLICT when it is not at `ifVersion`, and what createRole throws. */
  async updateRole(roleId: string, patch: RolePatch, actor?: Actor): Promise<Role> {
    return await this.#open().roles.update(roleId, patch, actor);
  }

  /** Throws NOT_FOUND, FAILED_PRECONDITION for a built-in one, CONFLICT while somebody has it or a role inherits it. */
  async deleteRole(roleId: string, actor?: Actor): Promise<boolean> {
    return await this.#open().roles.delete(roleId, actor);
  }

  /** Built-in ones too. */
  async getRole(roleId: string): Promise<Role | undefined> {
    return (await this.checker()).parts.roles.source.get(roleId.toLowerCase());
  }

  /** Built-in ones first. */
  async listRoles(): Promise<readonly Role[]> {
    return [...(await this.checker()).parts.roles.source.values()];
  }

  /** Throws NOT_FOUND for the user or the role. One that is there for the same scope is replaced. */
  async assignRole(userId: string, roleId: string, options?: AssignOptions, actor?: Actor): Promise<Assignment> {
    return await this.#open().assignments.assign(userId, roleId, options, actor);
  }

  /** @param scope the one that it was given for. @returns whether there was one. */
  async revokeRole(userId: string, roleId: string, scope?: Scope, actor?: Actor): Promise<boolean> {
    return await this.#open().assignments.revoke(userId, roleId, scope, actor);
  }

  /** At most 1000. */
  async listAssignments(of: { readonly userId?: string | undefined; readonly roleId?: string | undefined } = {}): Promise<readonly Assignment[]> {
    return await this.#open().assignments.list(of, PAGE);
  }

  /** Writes down whose a repository is and whether it is public: all that is known of it from then on. Undefined forgets it. */
  async setRepository(repository: string, input: RepositoryInput | undefined, actor?: Actor): Promise<RepositoryInput | undefined> {
    return await this.#open().repositories.set(repository, input, actor);
  }

  async getRepository(repository: string): Promise<RepositoryInput | undefined> {
    return await this.#open().repositories.get(repository);
  }

  /** Roles of one's own, users with their roles, and repositories, as YAML. Throws PAYLOAD_TOO_LARGE beyond 8 MiB. */
  async exportPolicy(): Promise<string> {
    return await this.#open().files.export();
  }

  /**
   * Makes what is there what the file says, all of it or nothing. Whoever does it has to be an administrator.
   * Throws INVALID_ARGUMENT with line and column, PAYLOAD_TOO_LARGE, CONFLICT, NOT_FOUND for a role that is nowhere.
   */
  async importPolicy(yaml: string, options: ImportOptions = {}, actor?: Actor): Promise<PolicyDifference> {
    return await this.#open().files.import(yaml, options, actor);
  }

  /** Which decisions of the trail since then would be others under a policy. Changes and records nothing. */
  async previewPolicy(yaml: string, trail: DecisionTrail, { since, prune }: { readonly since: Date; readonly prune?: boolean | undefined }): Promise<DryRun> {
    const { files, live } = this.#open();
    const { difference, proposed } = await files.plan(parsePolicyFile(yaml), prune ?? false);
    return { difference, ...(await dryRun({ current: await live.current(), proposed }, trail, since)) };
  }

  /** A session for a user who was authenticated. Throws UNAUTHENTICATED without a proof or a voucher. */
  async createSession(userId: string, metadata: SessionMetadata): Promise<Session> {
    return await this.#sessions.createSession(userId, metadata);
  }

  /** Throws UNAUTHENTICATED. */
  async verifySession(sessionId: string, metadata?: Pick<SessionMetadata, "ipAddress" | "userAgent">): Promise<VerifiedSession> {
    return await this.#sessions.verifySession(sessionId, metadata);
  }

  /** @returns whether there was one. */
  async revokeSession(sessionId: string): Promise<boolean> {
    return await this.#sessions.revokeSession(sessionId);
  }

  /** @returns how many there were. */
  async revokeUserSessions(userId: string): Promise<number> {
    return await this.#sessions.revokeUserSessions(userId);
  }

  /** Whether the user may do everything, everywhere, without an end. */
  async isAdministrator(userId: string): Promise<boolean> {
    return isAdministrator(await this.checker(), userId.toLowerCase(), this.identity.clock.now());
  }

  async hasAdministrator(): Promise<boolean> {
    return hasAdministrator(await this.checker(), this.identity.clock.now());
  }

  /** Makes the user, unless there is one of that name, and an administrator of it. */
  async makeAdministrator(userData: UserInput, actor: Actor): Promise<User> {
    const user = (await this.findUser(userData.username)) ?? (await this.createUser(userData, actor));
    await this.assignRole(user.id, "admin", {}, actor);
    return user;
  }

  /**
   * Whether an actor may act on what lets somebody else in: has the right, and every right of that user, whom the actor could
   * become by it. Throws PERMISSION_DENIED, on record.
   */
  async requireAuthority(actor: Actor, permission: string, userId: string): Promise<void> {
    if (actor.kind !== "user") return;
    const context = { ...actor.context, repository: undefined, organisation: undefined, environment: undefined };
    const answer = await this.#open().asking.ask(actor.userId, permission, context);
    if (answer.reason !== "granted") throw await this.#refuse(answer);
    const now = this.identity.clock.now();
    const lacking = firstLacking(answer.checker, answer.userId, rulesOfUser(answer.checker, userId.toLowerCase(), now), now, answer.limits);
    if (lacking === undefined) return;
    throw await this.#refuse(answer, {
      reason: "lacking",
      explanation: `${answer.userId} may not act for ${userId.slice(0, 128)}, who has ${lacking.pattern}, which ${answer.userId} lacks`,
      remedy: "ask somebody who has it",
    });
  }

  async close(): Promise<void> {
    this.#opened?.live.close();
    this.#opened?.facts.close();
    this.#opened = undefined;
    await this.identity.close();
    if (this.#ownsStore) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "call initialize() of RBACSystem first");
    return this.#opened;
  }

  get #sessions(): SessionPort {
    return this.#options.sessions ?? this.identity.sessions;
  }

  async #factsOf(userId: string, repository: string): Promise<RepositoryFacts> {
    const { users, facts } = this.#open();
    const { resolvers = [], resolverTimeout = 5000 } = this.#options;
    const user = await users.get(userId);
    if (user === undefined) return {};
    const failed = (error: unknown): void => tell(this.events, "resolverFailed", { repository, message: messageOf(error) });
    return await new Resolvers([facts, ...resolvers], resolverTimeout, failed).factsOf(user, repository);
  }

  async #denied(answer: Answer, more: Partial<Decision> = {}): Promise<Decision> {
    const decision: Decision = { ...decisionOf(answer), ...more, allowed: false };
    tell(this.events, "accessDenied", decision);
    await this.#open().log.denied(answer, decision);
    return decision;
  }

  async #refuse(answer: Answer, more?: Partial<Decision>): Promise<CofferdamError> {
    const decision = await this.#denied(answer, more);
    const code = decision.reason === "unauthenticated" || decision.reason === "unknown-user" ? "UNAUTHENTICATED" : "PERMISSION_DENIED";
    return new CofferdamError(code, decision.explanation, {
      details: JSON.parse(JSON.stringify(decision)),
      ...(decision.remedy !== undefined && { hint: decision.remedy }),
    });
  }
}

/** In words. What no rule was asked for needs none. */
function decisionOf({ reason, userId, permission, checker, question }: Answer): Decision {
  const ruled = reason !== "token-limits" && reason !== "unauthenticated" && question !== undefined;
  return ruled ? explain(checker.parts, userId, permission, question) : plainDecision(reason, userId, permission, checker.parts.epoch);
}
