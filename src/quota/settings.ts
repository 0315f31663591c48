/** Options of ResourceQuotaManager, and a job's request: one schema each, and what they come to. */
import { z } from "zod";
import { type Clock, isObject } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { type LimitsInput, limitsSchema, type ResourceLimits } from "./limits.ts";
import type { PoolSettings } from "./pool.ts";
import { type LayerQuota, PRIORITIES, type Priority, type QuotaLayers } from "./tiers.ts";

/** Limits of an organisation or a repository, and what stands below may not pass. */
export interface LayerInput {
  readonly limits?: LimitsInput | undefined;
  readonly ceiling?: LimitsInput | undefined;
}

/** Options of the seed first; the rest is ours. */
export interface ResourceQuotaOptions {
  /** Give out more than the host's share: cpu only, unless {@link overcommitMemory}. Default false. */
  readonly enableOvercommit?: boolean | undefined;
  /** 1 to 10. Default 1.2. */
  readonly overcommitRatio?: number | undefined;
  /** `hard`: the kernel's limits, and refusal. `soft`: weights and alerts. Default hard. */
  readonly quotaEnforcement?: "hard" | "soft" | undefined;
  /** Limits of a job that nothing else sets; those left out keep the built-in ones (docs/quota.md). */
  readonly defaults?: LimitsInput | undefined;
  /** What no organisation, repository or job may pass. */
  readonly ceiling?: LimitsInput | undefined;
  readonly tiers?: Readonly<Record<string, LimitsInput>> | undefined;
  /** By name: `acme`. */
  readonly organisations?: Readonly<Record<string, LayerInput>> | undefined;
  /** By full name: `acme/web`. */
  readonly repositories?: Readonly<Record<string, LayerInput>> | undefined;
  readonly overcommitMemory?: boolean | undefined;
  /** Percent of the host that jobs get, 1 to 100. Default 80. */
  readonly hostShare?: number | undefined;
  /** Jobs at once that defaults are meant for. Default: one a core. */
  readonly slots?: number | undefined;
  /** Where the book is. Default: one in memory, for this process alone. */
  readonly store?: Store | undefined;
  /** Root's own folder for workspaces of limited size. Without it there are none. */
  readonly workspaces?: string | undefined;
  /** Network namespace (a path such as /proc/PID/ns/net) that has the host's ends of the containers' interfaces. Default: ours. */
  readonly hostNetwork?: string | undefined;
  /** Between two looks at the counters of a watched job, ms. Default 1000. */
  readonly monitoringInterval?: number | undefined;
  /** How long a process that cannot be looked at (another pid namespace) keeps what it has without a sign of life, ms. Default 120,000. */
  readonly lease?: number | undefined;
  /** Percent of the quota from which on use is told: quotaAlert. Default cpu 90, memory 85, disk 80, pids 90. */
  readonly alerts?: AlertThresholds | undefined;
  readonly clock?: Clock | undefined;
}

export type AlertThresholds = { readonly [K in "cpu" | "memory" | "disk" | "network" | "pids" | "io"]?: number | undefined };

/** What a job asks for. */
export interface ResourceRequest {
  /** Place in the queue, and the tier, unless {@link tier} names another. Default normal. */
  readonly priority?: Priority | undefined;
  readonly tier?: string | undefined;
  /** `owner/name`. */
  readonly repository?: string | undefined;
  readonly requestedResources?: LimitsInput | undefined;
  /** Wait for this long, ms, when there is not enough. Without it the answer is RESOURCE_EXHAUSTED. */
  readonly wait?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

const MAX_WAIT = 7 * 86_400_000;
const share = z.number().min(1).max(100).optional();
const flag = z.boolean().optional();
const name = z.string().min(1).max(100);
const repository = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/, "a repository is owner/name");
const layer = z.strictObject({ limits: limitsSchema.optional(), ceiling: limitsSchema.optional() });

/** Options whose amounts have become numbers. */
export interface ParsedOptions extends Omit<ResourceQuotaOptions, "defaults" | "ceiling" | "tiers" | "organisations" | "repositories"> {
  readonly defaults?: ResourceLimits | undefined;
  readonly ceiling?: ResourceLimits | undefined;
  readonly tiers?: Readonly<Record<string, ResourceLimits>> | undefined;
  readonly organisations?: Readonly<Record<string, LayerQuota>> | undefined;
  readonly repositories?: Readonly<Record<string, LayerQuota>> | undefined;
}

export const quotaOptionsSchema: z.ZodType<ParsedOptions> = z.strictObject({
  enableOvercommit: flag,
  overcommitRatio: z.number().min(1).max(10).optional(),
  quotaEnforcement: z.enum(["hard", "soft"]).optional(),
  defaults: limitsSchema.optional(),
  ceiling: limitsSchema.optional(),
  tiers: z.record(name, limitsSchema).optional(),
  organisations: z.record(name, layer).optional(),
  repositories: z.record(repository, layer).optional(),
  overcommitMemory: flag,
  hostShare: z.number().min(1).max(100).optional(),
  slots: z.int().min(1).max(100_000).optional(),
  store: z.custom<Store>(isObject).optional(),
  workspaces: z.string().startsWith("/").max(1000).optional(),
  hostNetwork: z.string().startsWith("/").max(1000).optional(),
  monitoringInterval: z.int().min(50).max(3_600_000).optional(),
  lease: z.int().min(1000).max(86_400_000).optional(),
  alerts: z.strictObject({ cpu: share, memory: share, disk: share, network: share, pids: share, io: share }).optional(),
  clock: z.custom<Clock>(isObject).optional(),
});

export interface ParsedRequest extends Omit<ResourceRequest, "requestedResources"> {
  readonly requestedResources?: ResourceLimits | undefined;
}

export const resourceRequestSchema: z.ZodType<ParsedRequest> = z.strictObject({
  priority: z.enum(PRIORITIES).optional(),
  tier: name.optional(),
  repository: repository.optional(),
  requestedResources: limitsSchema.optional(),
  wait: z.int().min(0).max(MAX_WAIT).optional(),
  signal: z.instanceof(AbortSignal).optional(),
});

/** Ids name rows, folders and files. */
export const jobIdSchema: z.ZodType<string> = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/, "a job id is letters, digits, dot, dash and underscore, 1 to 100 of them");

export function poolSettingsOf({ hostShare = 80, enableOvercommit = false, overcommitRatio = 1.2, overcommitMemory = false }: ParsedOptions): PoolSettings {
  return { share: hostShare / 100, overcommit: enableOvercommit, overcommitRatio, overcommitMemory };
}

/** Least memory that a job gets when nobody says how much: builds die of less. */
const LEAST_DEFAULT_MEMORY: number = 4 * 2 ** 30;

/** Built-in defaults under what the options say. @param pool whole, for the share of one slot. */
export function layersOf(options: ParsedOptions, pool: { readonly memory: number }, slots: number): QuotaLayers {
  const builtIn: ResourceLimits = {
    memory: Math.max(LEAST_DEFAULT_MEMORY, Math.floor(pool.memory / slots)),
    swap: 0,
    pids: 1000,
    disk: 10 * 2 ** 30,
  };
  const defaults = Object.fromEntries(Object.entries(options.defaults ?? {}).filter(([, value]) => value !== undefined));
  const layers: Record<"organisations" | "repositories", Readonly<Record<string, LayerQuota>>> = {
    organisations: options.organisations ?? {},
    repositories: options.repositories ?? {},
  };
  return { defaults: { limits: { ...builtIn, ...defaults }, ceiling: options.ceiling }, tiers: options.tiers ?? {}, ...layers };
}
