/** The `quota` part of cofferdam.yaml: how much of the host jobs get, and how much each of them. docs/quota.md */
import { z } from "zod";
import { messageOf, parseCores, parseCount, parseRate, parseSize } from "../foundation/index.ts";

/** Limits by name as they are written: `{cpu: 2, memory: 4GiB, upload: 100Mbit/s}`. */
export type LimitWords = Readonly<Record<string, string | number>>;

/** Of an organisation or a repository: what its jobs get, and what they may not pass. */
export interface QuotaLayer {
  readonly limits?: LimitWords | undefined;
  readonly ceiling?: LimitWords | undefined;
}

export const OVERCOMMITS = ["none", "cpu", "all"] as const;
export type Overcommit = (typeof OVERCOMMITS)[number];

/** Effective values. */
export interface QuotaValues {
  readonly "quota.enforcement": "hard" | "soft";
  /** Percent. */
  readonly "quota.host-share": number;
  readonly "quota.slots": number | "auto";
  readonly "quota.overcommit": Overcommit;
  /** Percent of what there is, 100 to 1000. */
  readonly "quota.overcommit-ratio": number;
  readonly "quota.defaults": LimitWords;
  readonly "quota.ceiling": LimitWords;
  readonly "quota.tiers": Readonly<Record<string, LimitWords>>;
  readonly "quota.organisations": Readonly<Record<string, QuotaLayer>>;
  readonly "quota.repositories": Readonly<Record<string, QuotaLayer>>;
}

/** A file as written; its keys are those of {@link QuotaValues} without `quota.`. */
export type QuotaFile = { readonly [K in keyof QuotaValues as K extends `quota.${infer Name}` ? Name : never]?: QuotaValues[K] | undefined };

const noneOrSize = (value: string | number): number => (value === 0 || value === "0" ? 0 : parseSize(value));
/** How each limit is read. */
const LIMITS: Readonly<Record<string, (value: string | number) => number>> = {
  cpu: parseCores,
  memory: parseSize,
  swap: noneOrSize,
  pids: parseCount,
  disk: parseSize,
  "read-rate": parseRate,
  "write-rate": parseRate,
  "read-ops": parseCount,
  "write-ops": parseCount,
  download: parseRate,
  upload: parseRate,
};

const limits: z.ZodType<LimitWords> = z.record(z.string(), z.union([z.string().max(64), z.number()])).superRefine((words, context) => {
  for (const [name, value] of Object.entries(words)) {
    const parse = Object.hasOwn(LIMITS, name) ? LIMITS[name] : undefined;
    if (parse === undefined) {
      context.addIssue({ code: "custom", path: [name], message: `no such limit: ${Object.keys(LIMITS).join(", ")}` });
      continue;
    }
    try {
      parse(value);
    } catch (error) {
      context.addIssue({ code: "custom", path: [name], message: messageOf(error) });
    }
  }
});
const name = z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/, "not a name");
const repository = z.string().regex(/^[A-Za-z0-9_.-]{1,100}\/[A-Za-z0-9_.-]{1,100}$/, "a repository is owner/name");
const layer: z.ZodType<QuotaLayer> = z.strictObject({ limits: limits.optional(), ceiling: limits.optional() });

export const quotaSchema: z.ZodType<QuotaFile> = z.strictObject({
  enforcement: z.enum(["hard", "soft"]).optional().describe("hard: limits of the kernel, and refusal; soft: weights, and alerts"),
  "host-share": z.int().min(1).max(100).optional().describe("percent of the host that jobs get"),
  slots: z
    .union([z.literal("auto"), z.int().min(1).max(100_000)])
    .optional()
    .describe("jobs at once that the defaults are meant for; auto is one a core"),
  overcommit: z.enum(OVERCOMMITS).optional().describe("give out more than the share: of cpu, or of memory too"),
  "overcommit-ratio": z.int().min(100).max(1000).optional().describe("how much more, in percent of the share"),
  defaults: limits.optional().describe("limits of a job that nothing else sets"),
  ceiling: limits.optional().describe("what no organisation, repository or job may pass"),
  tiers: z.record(name, limits).optional().describe("limits by a name that a job asks for; high, normal and low are built in"),
  organisations: z.record(name, layer).optional().describe("limits and ceiling by owner"),
  repositories: z.record(repository, layer).optional().describe("limits and ceiling by owner/name"),
});

export function quotaPreset(level: "low" | "medium" | "high" | "paranoid"): QuotaValues {
  return {
    "quota.enforcement": level === "low" ? "soft" : "hard",
    "quota.host-share": 80,
    "quota.slots": "auto",
    "quota.overcommit": "none",
    "quota.overcommit-ratio": 120,
    "quota.defaults": {},
    "quota.ceiling": {},
    "quota.tiers": {},
    "quota.organisations": {},
    "quota.repositories": {},
  };
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The keys that a file sets. */
export function quotaValues(file: QuotaFile | undefined): Optional<QuotaValues> {
  return {
    "quota.enforcement": file?.enforcement,
    "quota.host-share": file?.["host-share"],
    "quota.slots": file?.slots,
    "quota.overcommit": file?.overcommit,
    "quota.overcommit-ratio": file?.["overcommit-ratio"],
    "quota.defaults": file?.defaults,
    "quota.ceiling": file?.ceiling,
    "quota.tiers": file?.tiers,
    "quota.organisations": file?.organisations,
    "quota.repositories": file?.repositories,
  };
}

/** One limit of a map. A new one may be more than what held until then; one that cannot be compared counts as more. */
export function raisesLimit(before: unknown, after: unknown): boolean {
  const [was, is] = [before, after].map(amountOf);
  return was === undefined || is === undefined || is > was;
}

/** A number of whatever the text is an amount of: both sides of a comparison are of the same limit. */
function amountOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  for (const parse of [noneOrSize, parseRate, parseCores, parseCount]) {
    try {
      return parse(value);
    } catch {
      // Another kind of amount.
    }
  }
  return undefined;
}

/** A whole tier, organisation or repository: a repository's own file may not write its own quota. */
export function differs(before: unknown, after: unknown): boolean {
  return JSON.stringify(before) !== JSON.stringify(after);
}

export function overcommitsMore(before: unknown, after: unknown): boolean {
  const rank = (value: unknown): number => OVERCOMMITS.map(String).indexOf(String(value));
  return rank(after) > rank(before);
}

/** As the constructor of ResourceQuotaManager takes them (quota/settings.ts checks it again). */
export interface QuotaOptions {
  readonly quotaEnforcement: "hard" | "soft";
  readonly hostShare: number;
  readonly slots?: number;
  readonly enableOvercommit: boolean;
  readonly overcommitMemory: boolean;
  readonly overcommitRatio: number;
  readonly defaults: LimitWords;
  readonly ceiling: LimitWords;
  readonly tiers: Readonly<Record<string, LimitWords>>;
  readonly organisations: Readonly<Record<string, QuotaLayer>>;
  readonly repositories: Readonly<Record<string, QuotaLayer>>;
}

export function quotaOptionsOf(values: QuotaValues): QuotaOptions {
  const { "quota.slots": slots, "quota.overcommit": overcommit } = values;
  return {
    quotaEnforcement: values["quota.enforcement"],
    hostShare: values["quota.host-share"],
    ...(slots !== "auto" && { slots }),
    enableOvercommit: overcommit !== "none",
    overcommitMemory: overcommit === "all",
    overcommitRatio: values["quota.overcommit-ratio"] / 100,
    defaults: camel(values["quota.defaults"]),
    ceiling: camel(values["quota.ceiling"]),
    tiers: each(values["quota.tiers"], camel),
    organisations: each(values["quota.organisations"], camelLayer),
    repositories: each(values["quota.repositories"], camelLayer),
  };
}

function camelLayer({ limits: own, ceiling }: QuotaLayer): QuotaLayer {
  return { ...(own !== undefined && { limits: camel(own) }), ...(ceiling !== undefined && { ceiling: camel(ceiling) }) };
}

/** `read-rate` is `readRate` in the library. */
function camel(words: LimitWords): LimitWords {
  return Object.fromEntries(Object.entries(words).map(([key, value]) => [key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]));
}

function each<T, U>(map: Readonly<Record<string, T>>, change: (value: T) => U): Readonly<Record<string, U>> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}
