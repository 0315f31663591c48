/** Options of RBACSystem. */
import { z } from "zod";
import { type Clock, parseInput } from "../foundation/index.ts";
import { LEVELS, type Level } from "../policy/index.ts";
import type { Store } from "../store/index.ts";
import type { Actor, RepositoryResolver, SessionPort } from "./contract.ts";
import { type JobTokenOptions, jobTokenOptionsSchema } from "./identity/oidc/options.ts";
import { actorSchema } from "./schemas.ts";

export interface RBACOptions {
  /** What no rule speaks of is refused. Default true. */
  readonly denyByDefault?: boolean | undefined;
  /** Users that are not known here are refused, whatever is allowed by default. Default true. */
  readonly requireAuthentication?: boolean | undefined;
  /** Keep the compiled policy between checks; the epoch of the store is asked before each. Default true. */
  readonly cacheEnabled?: boolean | undefined;
  /** Allows of one user and permission for which one audit event stands. Refusals are all recorded. Default 100. */
  readonly allowsPerEvent?: number | undefined;
  /** Who knows who owns a repository where it was not written down here; asked in this order. */
  readonly resolvers?: readonly RepositoryResolver[] | undefined;
  /** How long each of them may take, ms. Default 5000. What was not told by then is not known. */
  readonly resolverTimeout?: number | undefined;
  /** Who makes changes where none is named. Default: the program that embeds the library. */
  readonly actor?: Actor | undefined;
  /** What sessions need at a level: how long, from where, with which factors. Default medium. */
  readonly level?: Level | undefined;
  /** Longest pause between two uses of a session, ms; no longer than the level's session. Default: the level's. */
  readonly sessionTimeout?: number | undefined;
  /** Which tokens of GitHub Actions are believed: {@link RBACSystem.identity}.jobTokens. Without it none is. */
  readonly jobTokens?: JobTokenOptions | undefined;
  /** Sessions of the embedding program instead of those of {@link RBACSystem.identity}. */
  readonly sessions?: SessionPort | undefined;
  /** A store that the caller owns and closes. Without one: `storage.directory`, or memory. */
  readonly store?: Store | undefined;
  /** State directory: `cofferdam.db` and keys. With a `store` of the caller's it still says where the keys are. */
  readonly storage?: { readonly directory?: string | undefined } | undefined;
  readonly clock?: Clock | undefined;
}

const has = (member: string) => (value: unknown) => typeof value === "object" && value !== null && member in value;

const schema: z.ZodType<RBACOptions> = z.strictObject({
  denyByDefault: z.boolean().optional(),
  requireAuthentication: z.boolean().optional(),
  cacheEnabled: z.boolean().optional(),
  allowsPerEvent: z.int().min(1).max(1_000_000).optional(),
  resolvers: z
    .array(z.custom<RepositoryResolver>(has("factsOf")))
    .max(10)
    .optional(),
  resolverTimeout: z.int().min(1).max(60_000).optional(),
  actor: actorSchema.optional(),
  level: z.enum(LEVELS).optional(),
  sessionTimeout: z.int().min(1000).optional(),
  jobTokens: jobTokenOptionsSchema.optional(),
  sessions: z.custom<SessionPort>(has("verifySession")).optional(),
  store: z.custom<Store>(has("lookup")).optional(),
  storage: z.strictObject({ directory: z.string().min(1).optional() }).optional(),
  clock: z.custom<Clock>(has("now")).optional(),
});

/** Throws INVALID_ARGUMENT. */
export function parseOptions(options: unknown): RBACOptions {
  return parseInput(schema, options, "options of RBACSystem");
}
