/**
 * What job commands open: the book of jobs alone, for whoever looks; with the engine and the policy, for whoever runs or ends
 * one, and then it says what was left behind and is ended now.
 */
import type { AuditLogger } from "../../audit/index.ts";
import { EngineClient } from "../../engine/index.ts";
import { CofferdamError, goneFrom, ownName, systemClock } from "../../foundation/index.ts";
import { JobBook, type OrchestratorOptions, type SecretParts, SecurityOrchestrator } from "../../jobs/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { RBACSystem } from "../../rbac/index.ts";
import type { SecretManagementSystem } from "../../secrets/index.ts";
import type { Store } from "../../store/index.ts";
import type { CommandContext } from "./command.ts";
import { addressOf } from "./engine-option.ts";
import { line } from "./line.ts";
import { openPolicy, withState } from "./session.ts";

export interface JobSession {
  readonly orchestrator: SecurityOrchestrator;
  readonly engine: EngineClient;
  readonly policy: EffectivePolicy;
}

export interface SecretPlaces {
  readonly stateDir: string;
  readonly store: Store;
  readonly audit: AuditLogger;
}

/** Makes what keeps the secrets of jobs; opened when a job asks for one, so that who uses none gets no key. */
export type SecretKeeper = (policy: EffectivePolicy, places: SecretPlaces, parts: SecretParts) => Promise<SecretManagementSystem>;

/** Opens everything for the length of `work`. @param keeper absent: jobs get no secrets. Throws UPSTREAM_UNAVAILABLE without an engine, ENVIRONMENT_UNFIT for others than root. */
export async function withJobs<T>(context: CommandContext, work: (session: JobSession) => Promise<T>, keeper?: SecretKeeper): Promise<T> {
  const { globals, env, out, values } = context;
  if (process.getuid?.() !== 0)
    throw new CofferdamError("ENVIRONMENT_UNFIT", "jobs are prepared and proven by root: mounts, cgroups and other users' processes", {
      hint: "sudo cofferdam job ...",
    });
  const policy = await openPolicy(context);
  for (const notice of policy.notices) out.note(`cofferdam: ${notice}`);
  return await withState(context, async ({ store, audit }) => {
    await using engine = new EngineClient(addressOf(values["engine"], env));
    const places = { stateDir: globals.state, store, audit };
    await using kept = new KeptSecrets(keeper === undefined ? undefined : (parts) => keeper(policy, places, parts));
    await using rbac = policy.values["jobs.authorization"] === "roles" ? await rolesOf(places, policy, env) : undefined;
    await using orchestrator = new SecurityOrchestrator(engine, { policy, ...places, rbac, clock: systemClock, secrets: kept.option });
    for (const { jobId, reconciled, leftBehind } of await orchestrator.initialize()) {
      const found = reconciled === undefined || reconciled.found.length === 0 ? "nothing was left of it" : `gone now: ${line(reconciled.found.join(", "))}`;
      out.fault(`cofferdam: the process of job ${line(jobId)} had died; the job is ended (${found})`);
      for (const { what, why } of leftBehind) out.fault(`         still there: ${line(what)}: ${line(why)}`);
    }
    return await work({ orchestrator, engine, policy });
  });
}

class KeptSecrets implements AsyncDisposable {
  /** For SecurityOrchestrator. */
  readonly option: OrchestratorOptions["secrets"];
  #opened: Promise<SecretManagementSystem> | undefined;

  constructor(open: ((parts: SecretParts) => Promise<SecretManagementSystem>) | undefined) {
    if (open === undefined) return;
    this.option = (parts) => ({
      retrieveSecret: async (secretId, requester) => {
        this.#opened ??= open(parts);
        const secrets = await this.#opened;
        await secrets.initialize();
        return await secrets.retrieveSecret(secretId, requester);
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that could not be opened was told to who asked.
    await (await this.#opened?.catch(() => undefined))?.close();
  }
}

/** Loaded where the policy asks for it: jobs of the owner start sooner without. */
async function rolesOf(places: SecretPlaces, policy: EffectivePolicy, env: NodeJS.ProcessEnv): Promise<RBACSystem> {
  return await (await import("./rbac-session.ts")).openRoles(places, policy, env);
}

/** Opens the book alone: no engine, and no more rights than reading the state directory takes. */
export async function withBook<T>(context: CommandContext, work: (book: JobBook, audit: AuditLogger) => Promise<T>): Promise<T> {
  return await withState(context, async ({ store, audit }) => {
    const book = new JobBook({ store, audit, clock: systemClock, stateDir: context.globals.state, isGone: goneFrom(ownName()) });
    await book.initialize();
    return await work(book, audit);
  });
}
