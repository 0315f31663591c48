/**
 * Who asks for a job, and may they. Without roles it is whoever owns the state directory, by the uid that the kernel gives. With
 * roles it is a user, by a session or a token that verifies, who has `jobs:create` in the repository.
 */
import { statSync } from "node:fs";
import { CofferdamError } from "../foundation/index.ts";
import type { AccessContext, AccessLimits, Client, Decision } from "../rbac/index.ts";
import type { JobConfig } from "./job-spec.ts";
import type { LiveJob } from "./live-job.ts";

/** RBACSystem is one. */
export interface JobAuthority {
  readonly identity: {
    readonly sessions: { verifySession(sessionId: string, client: Client): Promise<Verified> };
    readonly tokens: { verifyToken(token: string, client: Client): Promise<Verified> };
  };
  /** Throws PERMISSION_DENIED or UNAUTHENTICATED, on record. */
  requirePermission(userId: string, permission: string, context: AccessContext): Promise<Decision>;
}

interface Verified {
  readonly userId: string;
  readonly limits?: AccessLimits | undefined;
}

export interface JobAuthorityParts {
  readonly stateDir: string;
  /** Of the policy. */
  readonly authorization: "owner" | "roles";
  /** Undefined: there are no roles here, or they are off. */
  readonly rbac: JobAuthority | undefined;
}

/** Throws what refused it; the job's checks say how far it came. */
export async function authorizeJob(job: LiveJob, config: JobConfig, { stateDir, authorization, rbac }: JobAuthorityParts): Promise<void> {
  if (rbac !== undefined) return await byRole(job, config, rbac);
  if (authorization === "owner") return byOwner(job, stateDir);
  throw job.refuse(
    "authentication",
    new CofferdamError("FAILED_PRECONDITION", "the policy asks for roles (jobs.authorization), and this program was started without them", {
      hint: "new SecurityOrchestrator(engine, { rbac })",
    }),
  );
}

function byOwner(job: LiveJob, stateDir: string): void {
  const { uid } = statSync(stateDir);
  if (process.getuid?.() !== uid)
    throw job.refuse("authentication", new CofferdamError("UNAUTHENTICATED", `the state directory belongs to uid ${uid}`, { hint: "use your own (--state)" }));
  job.pass("authentication", `uid ${uid} owns the state directory`);
  job.pass("authorization", "rule local-owner: whoever owns the state directory may run jobs of every repository");
}

async function byRole(job: LiveJob, { repository, credential }: JobConfig, rbac: JobAuthority): Promise<void> {
  job.authority = { rule: "roles" };
  const { session, token, ...client } = credential ?? {};
  let verified: Verified;
  try {
    if (session !== undefined) verified = await rbac.identity.sessions.verifySession(session, client);
    else if (token !== undefined) verified = await rbac.identity.tokens.verifyToken(token, client);
    else
      throw new CofferdamError("UNAUTHENTICATED", "jobs are for users here, and nobody is logged in", {
        hint: "COFFERDAM_SESSION=$(cofferdam rbac login USER), or COFFERDAM_TOKEN",
      });
  } catch (error) {
    throw job.refuse("authentication", error);
  }
  const { userId, limits } = verified;
  job.authority = { rule: "roles", name: userId };
  job.pass("authentication", `${session === undefined ? "a token" : "a session"} of user ${userId}`);
  try {
    const asking = { ...client, repository, limits, sessionId: session };
    const { rule = "roles", explanation } = await rbac.requirePermission(userId, "jobs:create", asking);
    job.authorize = async (permission) => await rbac.requirePermission(userId, permission, asking);
    job.authority = { rule, name: userId };
    job.pass("authorization", explanation);
  } catch (error) {
    throw job.refuse("authorization", error);
  }
}
