/**
 * Which limits a job gets: default < organisation < repository < job, each capped by the ceilings of what stands above it.
 * A cap is never silent: it is listed in the allocation.
 */
import { CofferdamError, nearestWord } from "../foundation/index.ts";
import { given, LIMIT_NAMES, type LimitName, type ResourceLimits } from "./limits.ts";

export const PRIORITIES = ["low", "normal", "high"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Limits of one layer, and what the layers below it may not pass. */
export interface LayerQuota {
  readonly limits?: ResourceLimits | undefined;
  readonly ceiling?: ResourceLimits | undefined;
}

/** All layers, by name. Organisations and repositories compare without regard to case, as the forges do. */
export interface QuotaLayers {
  readonly defaults: LayerQuota;
  readonly tiers: Readonly<Record<string, ResourceLimits>>;
  readonly organisations: Readonly<Record<string, LayerQuota>>;
  readonly repositories: Readonly<Record<string, LayerQuota>>;
}

export interface Capped {
  readonly limit: LimitName;
  readonly asked: number;
  readonly given: number;
  /** Whose ceiling it was: `pool`, `defaults`, `organisation acme`, `repository acme/web`. */
  readonly by: string;
}

export interface Settled {
  readonly limits: ResourceLimits;
  readonly capped: readonly Capped[];
}

/** The tiers of design; `normal` is the default of the host. */
export const BUILT_IN_TIERS: Readonly<Record<string, ResourceLimits>> = {
  high: { cpu: 4, memory: 8e9 },
  normal: {},
  low: { cpu: 0.5, memory: 512e6 },
};

export interface SettleRequest {
  readonly repository?: string | undefined;
  readonly tier: string;
  readonly requested: ResourceLimits;
  /** What the whole pool has. Defaults and tiers shrink to it; a job's own request does not: it is refused at admission. */
  readonly pool: ResourceLimits;
}

/** Throws INVALID_ARGUMENT for a tier that there is not. */
export function settle(layers: QuotaLayers, { repository, tier, requested, pool }: SettleRequest): Settled {
  const organisation = repository?.split("/")[0];
  const ofOrganisation = organisation === undefined ? undefined : lookUp(layers.organisations, organisation);
  const ofRepository = repository === undefined ? undefined : lookUp(layers.repositories, repository);
  // The tier is the job's own wish, in one word.
  const unasked = [layers.defaults.limits, ofOrganisation?.limits, ofRepository?.limits, tierOf(layers, tier)];
  const settled: ResourceLimits = Object.assign({}, ...unasked.map((layer) => given(layer ?? {})));
  const asked = { ...shrunk(settled, pool), ...given(requested) };
  return underCeilings(asked, [
    { by: "defaults", limits: layers.defaults.ceiling },
    { by: `organisation ${organisation}`, limits: ofOrganisation?.ceiling },
    { by: `repository ${repository}`, limits: ofRepository?.ceiling },
  ]);
}

/** What nobody asked for by name fits any pool; that is no news for the job. */
function shrunk(limits: ResourceLimits, pool: ResourceLimits): ResourceLimits {
  return Object.fromEntries(
    LIMIT_NAMES.flatMap((name) => {
      const value = limits[name];
      return value === undefined ? [] : [[name, Math.min(value, pool[name] ?? value)]];
    }),
  );
}

function underCeilings(limits: ResourceLimits, ceilings: readonly { readonly by: string; readonly limits: ResourceLimits | undefined }[]): Settled {
  const result: { [K in LimitName]?: number } = {};
  const capped: Capped[] = [];
  for (const limit of LIMIT_NAMES) {
    const asked = limits[limit];
    // What is not limited would pass any ceiling.
    let lowest = asked ?? Number.POSITIVE_INFINITY;
    let by: string | undefined;
    for (const ceiling of ceilings) {
      const most = ceiling.limits?.[limit];
      if (most === undefined || most >= lowest) continue;
      lowest = most;
      by = ceiling.by;
    }
    if (lowest !== Number.POSITIVE_INFINITY) result[limit] = lowest;
    if (asked !== undefined && by !== undefined) capped.push({ limit, asked, given: lowest, by });
  }
  return { limits: result, capped };
}

function tierOf({ tiers }: QuotaLayers, name: string): ResourceLimits {
  if (Object.hasOwn(tiers, name)) return tiers[name] ?? {};
  if (Object.hasOwn(BUILT_IN_TIERS, name)) return BUILT_IN_TIERS[name] ?? {};
  const known = [...new Set([...Object.keys(BUILT_IN_TIERS), ...Object.keys(tiers)])];
  const near = nearestWord(name, known);
  throw new CofferdamError(
    "INVALID_ARGUMENT",
    `no tier ${JSON.stringify(name.slice(0, 40))}${near === undefined ? `: ${known.slice(0, 20).join(", ")}` : ` (did you mean ${JSON.stringify(near)}?)`}`,
  );
}

function lookUp(layers: Readonly<Record<string, LayerQuota>>, name: string): LayerQuota | undefined {
  const wanted = name.toLowerCase();
  return Object.entries(layers).find(([key]) => key.toLowerCase() === wanted)?.[1];
}
