/** Options of SecurityOrchestrator: the seed's, and what a caller brings along instead of having it opened. */
import { join, resolve } from "node:path";
import { z } from "zod";
import { AuditLogger } from "../audit/index.ts";
import { type Clock, CofferdamError, goneFrom, isObject, ownName, parseInput, stateDirectory, systemClock } from "../foundation/index.ts";
import type { NetworkIsolationOptions } from "../network/index.ts";
import { type EffectivePolicy, LEVELS, type Level, loadPolicy } from "../policy/index.ts";
import type { JobFacts, SecretInjector, SecretReader } from "../secrets/index.ts";
import { SqliteStore, type Store } from "../store/index.ts";
import type { JobAuthority } from "./job-authority.ts";
import type { JobTrail } from "./job-trail.ts";

/** Parts of the seed that are not built yet. */
const ABSENT = { images: "image scanner" } as const;
type Component = keyof typeof ABSENT | "audit" | "rbac" | "quota" | "network" | "secrets" | "monitor";

export interface OrchestratorOptions {
  /** Instead of the level that the policy files say. */
  readonly securityLevel?: Level | undefined;
  /** audit and quota cannot be off; the others are not in this version, and cannot be on. */
  readonly components?: { readonly [K in Component]?: boolean | undefined } | undefined;
  /** Root's own folder of everything that lasts. Default: the one that the command line uses. */
  readonly stateDir?: string | undefined;
  /** Default: the policy of the working folder. */
  readonly policy?: EffectivePolicy | undefined;
  /** Default: the database of the state directory. What is brought along stays open. */
  readonly store?: Store | undefined;
  /** Default: the audit trail of the state directory, signed and copied as the policy says. */
  readonly audit?: JobTrail | undefined;
  /**
   * Where the secrets of jobs come from; called once, by `initialize()`. Default: those of the state directory. With
   * `components.secrets` false a job that asks for secrets is refused.
   */
  readonly secrets?: ((parts: SecretParts) => SecretReader) | undefined;
  /** Of the jobs' networks: ranges, name servers, how many are kept ready. Modes and rules are the policy's. */
  readonly network?: Pick<NetworkIsolationOptions, "ranges" | "ready" | "customDNS" | "ipv6" | "connect"> | undefined;
  /**
   * Users and their roles (RBACSystem, initialised; it stays open): with it a job needs a credential of a user who has
   * `jobs:create` in the repository. Absent, or `components.rbac` false: whoever owns the state directory runs any job, unless
   * the policy asks for roles; then every job is refused.
   */
  readonly rbac?: JobAuthority | undefined;
  readonly clock?: Clock | undefined;
}

/** For whoever keeps secrets, as options of SecretManagementSystem. */
export interface SecretParts {
  /** The jobs of this process, and what is true of them. */
  readonly jobs: JobFacts;
  /** Into containers that were prepared and not started. */
  readonly injector: SecretInjector;
}

const schema: z.ZodType<OrchestratorOptions> = z.strictObject({
  securityLevel: z.enum(LEVELS).optional(),
  components: z
    .strictObject({
      audit: z.boolean().optional(),
      quota: z.boolean().optional(),
      rbac: z.boolean().optional(),
      network: z.boolean().optional(),
      secrets: z.boolean().optional(),
      images: z.boolean().optional(),
      monitor: z.boolean().optional(),
    })
    .optional(),
  stateDir: z.string().min(1).max(1000).optional(),
  policy: z.custom<EffectivePolicy>(isObject).optional(),
  store: z.custom<Store>(isObject).optional(),
  audit: z.custom<JobTrail>(isObject).optional(),
  secrets: z.custom<NonNullable<OrchestratorOptions["secrets"]>>((value) => typeof value === "function").optional(),
  network: z.custom<NonNullable<OrchestratorOptions["network"]>>(isObject).optional(),
  rbac: z.custom<JobAuthority>(isObject).optional(),
  clock: z.custom<Clock>(isObject).optional(),
});

export interface OrchestratorPlaces {
  readonly stateDir: string;
  readonly store: Store;
  readonly clock: Clock;
}

export interface OrchestratorParts extends OrchestratorPlaces {
  readonly policy: EffectivePolicy;
  readonly audit: JobTrail;
  /** Name of this process, for whoever looks for its remains. */
  readonly owner: string;
  readonly isGone: (owner: string) => boolean;
  /** Of what was opened here. */
  close(): Promise<void>;
}

/** Throws INVALID_ARGUMENT, and FAILED_PRECONDITION for a component that cannot be as it is asked for. Opens nothing. */
export function parseOptions(input: unknown): OrchestratorOptions {
  const options = parseInput(schema, input, "options of SecurityOrchestrator");
  for (const name of ["audit", "quota"] as const)
    if (options.components?.[name] === false)
      throw new CofferdamError("FAILED_PRECONDITION", `components.${name}: every job is limited and on record, this cannot be off`);
  for (const [name, what] of Object.entries(ABSENT))
    if (Object.entries(options.components ?? {}).some(([key, on]) => key === name && on === true))
      throw new CofferdamError("FAILED_PRECONDITION", `components.${name}: this version has no ${what}`);
  if (options.components?.rbac === true && options.rbac === undefined)
    throw new CofferdamError("FAILED_PRECONDITION", "components.rbac: roles are brought along", { hint: "new SecurityOrchestrator(engine, { rbac })" });
  return options;
}

export function placesOf({ stateDir, store, clock = systemClock }: OrchestratorOptions): OrchestratorPlaces {
  const folder = stateDir === undefined ? stateDirectory(undefined, process.env, process.cwd()) : resolve(stateDir);
  return { stateDir: folder, store: store ?? new SqliteStore({ path: join(folder, "cofferdam.db"), clock }), clock };
}

/** Throws what {@link loadPolicy} and {@link AuditLogger.initialize} throw. */
export async function openParts(options: OrchestratorOptions, places: OrchestratorPlaces): Promise<OrchestratorParts> {
  const { securityLevel: level } = options;
  const policy = options.policy ?? (await loadPolicy({ cwd: process.cwd(), env: process.env, ...(level === undefined ? {} : { flags: { level } }) }));
  const own = options.audit === undefined ? new AuditLogger(trailOptions(policy, places)) : undefined;
  await own?.initialize();
  const audit = own ?? options.audit;
  if (audit === undefined) throw new CofferdamError("INTERNAL", "no audit trail");
  const owner = ownName();
  return {
    ...places,
    ...{ policy, audit, owner, isGone: goneFrom(owner) },
    async close() {
      await own?.close();
      if (options.store === undefined) await places.store.close();
    },
  };
}

function trailOptions({ values }: EffectivePolicy, { store, stateDir, clock }: OrchestratorPlaces): ConstructorParameters<typeof AuditLogger>[0] {
  return {
    ...{ store, clock, storage: { directory: stateDir } },
    checkpoint: {
      events: values["audit.checkpoint.events"],
      interval: values["audit.checkpoint.interval"],
      copies: values["audit.copy"],
      witnesses: values["audit.witnesses"],
    },
  };
}
