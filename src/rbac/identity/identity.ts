/**
 * Identity: who somebody is, and how long that is believed. Passwords with second factors, API tokens, tokens of jobs, sessions,
 * guesses that have to wait, and ways back in. What a user may do is not asked here ({@link ../rbac-system.ts}).
 */
import { z } from "zod";
import { type Clock, CofferdamError, parseInput, systemClock } from "../../foundation/index.ts";
import { LEVELS, type Level } from "../../policy/index.ts";
import type { Store } from "../../store/index.ts";
import { ChangeBook } from "../change-book.ts";
import { RBAC_MIGRATIONS, RBAC_ROOM } from "../tables.ts";
import type { AuditTrail } from "../trail.ts";
import { AccountDesk } from "./account-desk.ts";
import { IdentityClock, type Uptime } from "./identity-clock.ts";
import { JobTokenDesk } from "./job-token-desk.ts";
import { LoginDesk } from "./login-desk.ts";
import { type JobTokenOptions, jobTokenOptionsSchema } from "./oidc/options.ts";
import type { IdentityParts, IdentityUsers } from "./parts.ts";
import { COST_FLOOR, type PasswordCost, PasswordHasher } from "./password.ts";
import { Proofs } from "./proofs.ts";
import { RecoveryDesk } from "./recovery-desk.ts";
import { rulesOf, type SessionRulesInput, sessionRulesSchema } from "./rules.ts";
import { Sealing } from "./sealing.ts";
import { SecondFactors } from "./second-factors.ts";
import { SessionDesk } from "./session-desk.ts";
import { Sessions } from "./sessions.ts";
import { IDENTITY_MIGRATIONS, IDENTITY_ROOM } from "./tables.ts";
import { Throttle } from "./throttle.ts";
import { TokenDesk } from "./token-desk.ts";
import { Tokens } from "./tokens.ts";

export interface IdentityOptions {
  /** The caller owns and closes it. It has the users, too: what is here goes with them. */
  readonly store: Store;
  readonly users: IdentityUsers;
  readonly audit: AuditTrail;
  /** State directory: the key of second factors stands in `keys/identity.key`. Without one it is in memory. */
  readonly directory?: string | undefined;
  /** Default medium. */
  readonly level?: Level | undefined;
  /** Over the level's. */
  readonly sessions?: SessionRulesInput | undefined;
  /** Of new password hashes. Default: the floor. */
  readonly passwordCost?: PasswordCost | undefined;
  /** Which tokens of GitHub Actions are believed. Without it none is. */
  readonly jobTokens?: JobTokenOptions | undefined;
  readonly clock?: Clock | undefined;
  /** The counter of the running machine, for tests. */
  readonly uptime?: Uptime | undefined;
}

const object = <T extends object>(): z.ZodType<T> => z.custom<T>((value) => typeof value === "object" && value !== null, "must be an object");
const optionsSchema: z.ZodType<IdentityOptions> = z.strictObject({
  store: object<Store>(),
  users: object<IdentityUsers>(),
  audit: object<AuditTrail>(),
  directory: z.string().min(1).optional(),
  level: z.enum(LEVELS).optional(),
  sessions: sessionRulesSchema.optional(),
  passwordCost: z.strictObject({ memory: z.int(), passes: z.int(), parallelism: z.int() }).optional(),
  jobTokens: jobTokenOptionsSchema.optional(),
  clock: object<Clock>().optional(),
  uptime: object<Uptime>().optional(),
});

/** How things stand, for `doctor`. */
export interface IdentityStatus {
  readonly users: number;
  readonly hasAdministrator: boolean;
  /** How far the wall clock is behind what it was, ms; 0 within a minute. */
  readonly clockBehind: number;
  readonly sessions: number;
  readonly tokens: number;
  /** Tokens that end within two weeks. */
  readonly tokensEnding: number;
  /** Changes whose events are not on record yet. */
  readonly unrecorded: number;
}

const SOON: number = 14 * 24 * 3_600_000;

/**
 * @example
 * ```ts
 * const identity = new Identity({ store, users: rbac, audit, directory: "/var/lib/cofferdam" });
 * await identity.initialize();
 * const authentication = await identity.logins.login({ username: "john.doe", password, code: "123456" }, { ipAddress: "10.0.1.100" });
 * const session = await identity.sessions.createSession(authentication.userId, { ipAddress: "10.0.1.100", authentication });
 * const { userId, mfa } = await identity.sessions.verifySession(session.id, { ipAddress: "10.0.1.100" });
 * ```
 */
export class Identity {
  readonly logins: LoginDesk;
  readonly sessions: SessionDesk;
  readonly tokens: TokenDesk;
  readonly accounts: AccountDesk;
  readonly recovery: RecoveryDesk;
  readonly jobTokens: JobTokenDesk;
  readonly #options: IdentityOptions;
  readonly #hasher: PasswordHasher;
  #parts: IdentityParts | undefined;

  /** Does nothing to the machine yet. Throws INVALID_ARGUMENT. */
  constructor(options: IdentityOptions) {
    this.#options = parseInput(optionsSchema, options, "options of Identity");
    this.#hasher = new PasswordHasher(this.#options.passwordCost ?? COST_FLOOR);
    const parts = (): IdentityParts => this.#open();
    this.logins = new LoginDesk(parts);
    this.sessions = new SessionDesk(parts);
    this.tokens = new TokenDesk(parts);
    this.accounts = new AccountDesk(parts, this.logins);
    this.recovery = new RecoveryDesk(parts);
    this.jobTokens = new JobTokenDesk(parts, this.#options.jobTokens);
  }

  /** Makes its tables and those of users and roles, takes up the time of earlier processes, and records what they left. Idempotent. */
  async initialize(): Promise<void> {
    if (this.#parts !== undefined) return;
    const { store, users, audit: trail, directory, level = "medium", sessions = {}, clock: wall = systemClock, uptime } = this.#options;
    await store.migrate(RBAC_ROOM, RBAC_MIGRATIONS);
    await store.migrate(IDENTITY_ROOM, IDENTITY_MIGRATIONS);
    const clock = new IdentityClock(store, wall, uptime);
    await clock.initialize();
    const book = new ChangeBook(store, trail, clock, (tx) => clock.mark(tx));
    await book.takeOver();
    const rules = rulesOf(level, sessions);
    this.#parts ??= {
      store,
      clock,
      wall,
      trail,
      book,
      users,
      rules,
      hasher: this.#hasher,
      proofs: new Proofs(wall),
      throttle: new Throttle(store, clock),
      factors: new SecondFactors(store, new Sealing(directory)),
      tokens: new Tokens(store, clock),
      sessions: new Sessions(store, clock, rules),
    };
  }

  /** Time that never goes back: what has ended stays ended. Throws NOT_INITIALIZED. */
  get clock(): IdentityClock {
    return this.#open().clock;
  }

  /** For changes of users and roles, too: an event that could not be recorded goes before the next of either. Throws NOT_INITIALIZED. */
  get book(): ChangeBook {
    return this.#open().book;
  }

  async status(): Promise<IdentityStatus> {
    const { store, clock, users } = this.#open();
    const now = clock.now();
    const count = async (sql: string, ...params: readonly number[]): Promise<number> =>
      Number((await store.read((tx) => tx.get(`SELECT count(*) AS n FROM ${sql}`, params)))?.["n"] ?? 0);
    return {
      users: await count("rbac_users"),
      hasAdministrator: await users.hasAdministrator(),
      clockBehind: clock.behind(),
      sessions: await count("identity_sessions WHERE expires_at > ? AND seen_at + idle > ?", now, now),
      tokens: await count("identity_tokens WHERE expires_at > ?", now),
      tokensEnding: await count("identity_tokens WHERE expires_at > ? AND expires_at <= ?", now, now + SOON),
      unrecorded: await count("rbac_unrecorded"),
    };
  }

  /** Nothing of its own is open; what it was given stays open. */
  async close(): Promise<void> {
    this.#parts = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): IdentityParts {
    if (this.#parts === undefined) throw new CofferdamError("NOT_INITIALIZED", "call initialize() first");
    return this.#parts;
  }
}
