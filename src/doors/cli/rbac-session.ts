/**
 * What rbac commands open, and as whom: the owner of the state directory, by the uid that the kernel gives; or, with a token or a
 * session in the environment, that user, who may do no more than that user may.
 */
import { statSync } from "node:fs";
import type { AuditLogger } from "../../audit/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import { type AccessContext, type Actor, type Decision, type JobTokenOptions, RBACSystem, type User } from "../../rbac/index.ts";
import { CLIENT } from "./client.ts";
import type { CommandContext, OptionSpec } from "./command.ts";
import type { SecretPlaces } from "./job-session.ts";
import { line } from "./line.ts";
import { resolversOf } from "./ownership.ts";
import { openPolicy, withState } from "./session.ts";

export interface RbacSession {
  readonly rbac: RBACSystem;
  readonly audit: AuditLogger;
  readonly actor: Actor;
}

/** Throws UNAUTHENTICATED for a token or session that is not good, and for whoever does not own the state directory. */
export async function withRbac<T>(context: CommandContext, work: (session: RbacSession) => Promise<T>): Promise<T> {
  const policy = await openPolicy(context);
  return await withState(context, async ({ store, audit }) => {
    const places = { stateDir: context.globals.state, store, audit };
    await using rbac = await openRoles(places, policy, context.env, jobTokensOf(policy.values));
    return await work({ rbac, audit, actor: await actorOf(context, rbac) });
  });
}

/** Users and roles, as the policy's level asks for and with what is known of repositories. Throws INVALID_ARGUMENT. */
export async function openRoles(
  { stateDir, store, audit }: SecretPlaces,
  { values: { level } }: EffectivePolicy,
  env: Readonly<NodeJS.ProcessEnv>,
  jobTokens?: JobTokenOptions,
): Promise<RBACSystem> {
  const rbac = new RBACSystem(audit, { store, storage: { directory: stateDir }, level, resolvers: resolversOf(env), jobTokens });
  await rbac.initialize();
  return rbac;
}

/** Throws UNAUTHENTICATED, INVALID_ARGUMENT. */
export async function actorOf({ env, globals }: CommandContext, rbac: RBACSystem): Promise<Actor> {
  const [token = "", session = ""] = [env["COFFERDAM_TOKEN"], env["COFFERDAM_SESSION"]];
  if (token !== "" && session !== "") throw new CofferdamError("INVALID_ARGUMENT", "COFFERDAM_TOKEN or COFFERDAM_SESSION, not both");
  if (token !== "") {
    const { userId, limits } = await rbac.identity.tokens.verifyToken(token, CLIENT);
    return { kind: "user", userId, context: { limits } };
  }
  if (session !== "") {
    const { userId, limits } = await rbac.identity.sessions.verifySession(session, CLIENT);
    return { kind: "user", userId, context: { sessionId: session, userAgent: CLIENT.userAgent, limits } };
  }
  const { uid } = statSync(globals.state);
  if (process.getuid?.() === uid) return { kind: "local-owner" };
  throw new CofferdamError("UNAUTHENTICATED", `the state directory belongs to uid ${uid}`, {
    hint: "use your own (--state), or act as a user of this one: COFFERDAM_TOKEN",
  });
}

/** Which tokens of jobs the policy believes. A repository's own file has no say in it. */
function jobTokensOf(values: EffectivePolicy["values"]): JobTokenOptions | undefined {
  const audience = values["identity.audience"];
  if (audience === "none") return undefined;
  const accept = Object.entries(values["identity.jobs"]).map(([repositoryId, rule]) => ({ repositoryId, ...rule }));
  return { audience, accept, issuer: values["identity.issuer"] };
}

/** For what changes nothing, and what the library does not ask an actor about. Throws PERMISSION_DENIED, on record. */
export async function requireRight({ rbac, actor }: RbacSession, permission: string, about: AccessContext = {}): Promise<void> {
  if (actor.kind === "user") await rbac.requirePermission(actor.userId, permission, { ...actor.context, ...about });
}

/** Whether the actor is that user: what is one's own is no secret from oneself. @param userId undefined: everybody. */
export function isSelf(actor: Actor, userId: string | undefined): boolean {
  return actor.kind === "user" && actor.userId === userId;
}

/** The id of the one user whom a list is about, or undefined for everybody; of others it takes the right. Throws NOT_FOUND, PERMISSION_DENIED. */
export async function listedUser(context: CommandContext, session: RbacSession, command: string, permission: string): Promise<string | undefined> {
  const word = context.args.length === 0 ? undefined : oneWord(context, "USER", command);
  const userId = word === undefined ? undefined : (await namedUser(session.rbac, word)).id;
  if (!isSelf(session.actor, userId)) await requireRight(session, permission);
  return userId;
}

/** By name, else by id. Throws NOT_FOUND. */
export async function namedUser(rbac: RBACSystem, word: string): Promise<User> {
  const user = (await rbac.findUser(word)) ?? (await rbac.getUser(word));
  if (user === undefined) throw new CofferdamError("NOT_FOUND", `no user ${JSON.stringify(word.slice(0, 128))}`, { hint: "cofferdam rbac user list" });
  return user;
}

/** Throws INVALID_ARGUMENT when there are any. @param command for the way out. */
export function noWords({ args }: CommandContext, command: string): void {
  if (args.length > 0) throw wrongWords("no words", command);
}

/** The one word that there has to be. @param what as --help names it: "USER". */
export function oneWord({ args }: CommandContext, what: string, command: string): string {
  const [one, ...more] = args;
  if (one === undefined || more.length > 0) throw wrongWords(what, command);
  return one;
}

export function twoWords({ args }: CommandContext, first: string, second: string, command: string): readonly [string, string] {
  const [one, two, ...more] = args;
  if (one === undefined || two === undefined || more.length > 0) throw wrongWords(`${first} and ${second}`, command);
  return [one, two];
}

function wrongWords(what: string, command: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `this takes ${what}`, { hint: `cofferdam ${command} --help` });
}

/** Names of users by id, for lists; of one who is gone, the id. */
export async function namesOf({ rbac }: RbacSession, ids: readonly string[]): Promise<(id: string) => string> {
  const users = await Promise.all([...new Set(ids)].map((id) => rbac.getUser(id)));
  const names = new Map(users.flatMap((user) => (user === undefined ? [] : [[user.id, user.username] as const])));
  return (id) => line(names.get(id) ?? id);
}

export const PLACE_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  repo: { type: "string", value: "O/R", describe: "a repository" },
  organisation: { type: "string", value: "NAME", describe: "an organisation" },
  environment: { type: "string", value: "NAME", describe: "an environment" },
};

/** The place that {@link PLACE_OPTIONS} name, or undefined for everywhere. */
export function placeOf({ values }: CommandContext): { repository?: string; organisation?: string; environment?: string } | undefined {
  const place = {
    ...(typeof values["repo"] === "string" && { repository: values["repo"] }),
    ...(typeof values["organisation"] === "string" && { organisation: values["organisation"] }),
    ...(typeof values["environment"] === "string" && { environment: values["environment"] }),
  };
  return Object.keys(place).length === 0 ? undefined : place;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function textsOf(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined;
}

/** A number of an option within its limits, or undefined when it was not given. */
export function numberOf(values: CommandContext["values"], name: string, most: number): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > most) throw new CofferdamError("INVALID_ARGUMENT", `--${name} is a number from 1 to ${most}`);
  return number;
}

/** The members of a decision that programs rely on. */
export function decisionDocument({ allowed, reason, userId, permission, rule, path, failed, explanation, remedy, validUntil }: Decision): object {
  return {
    ...{ allowed, reason, userId, permission, ...(rule !== undefined && { rule }), path, ...(failed !== undefined && { failed }) },
    ...{ explanation, ...(remedy !== undefined && { remedy }), ...(validUntil !== undefined && { validUntil: new Date(validUntil).toISOString() }) },
  };
}
