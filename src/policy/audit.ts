/** The `audit` part of cofferdam.yaml: how often the trail is signed, where its checkpoints go, how long texts are kept. */
import { z } from "zod";
import { parseDuration } from "../foundation/index.ts";
import { type Age, ageOf, ageText } from "./advisories.ts";
import { durationText } from "./amount-texts.ts";

/** Who cosigns checkpoints: submission prefix, and verifier key (`name+id+base64`). */
export interface AuditWitness {
  readonly url: string;
  readonly key: string;
}

export interface AuditFile {
  readonly checkpoint?: { readonly events?: number | undefined; readonly interval?: string | undefined } | undefined;
  readonly copy?: string | readonly string[] | undefined;
  readonly "copy-within"?: string | undefined;
  readonly witnesses?: readonly AuditWitness[] | undefined;
  readonly retention?:
    | {
        readonly default?: string | undefined;
        readonly categories?: Readonly<Record<string, string>> | undefined;
        readonly standards?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
}

/** Effective values, durations in ms. */
export interface AuditValues {
  readonly "audit.checkpoint.events": number;
  readonly "audit.checkpoint.interval": number;
  readonly "audit.copy": readonly string[];
  readonly "audit.copy-within": Age;
  readonly "audit.witnesses": readonly AuditWitness[];
  readonly "audit.retention.default": number;
  readonly "audit.retention.categories": Readonly<Record<string, number>>;
  readonly "audit.retention.standards": Readonly<Record<string, number>>;
}

const duration = durationText("30d");
const place = z.string().min(1).max(2048);
const times = z.record(z.string().min(1).max(64), duration);

export const auditSchema: z.ZodType<AuditFile> = z.strictObject({
  checkpoint: z
    .strictObject({
      events: z.int().min(1).max(1_000_000).optional().describe("events after which a checkpoint is signed"),
      interval: duration.optional().describe("time after which one is signed if there are new events"),
    })
    .optional(),
  copy: z
    .union([place, z.array(place).max(20)])
    .optional()
    .describe("where checkpoints are copied: absolute folders, https:// addresses that take PUT, git repositories"),
  "copy-within": ageText.optional().describe("what is guarded is refused when no checkpoint left this host for longer"),
  witnesses: z
    .array(z.strictObject({ url: z.url({ protocol: /^https?$/ }).max(2048), key: z.string().min(1).max(1024) }))
    .max(20)
    .optional()
    .describe("who cosigns checkpoints: submission prefix, and key as name+id+base64 (c2sp.org/tlog-witness)"),
  retention: z
    .strictObject({
      default: duration.optional().describe("how long texts of events are kept at least before audit prune takes them away"),
      categories: times.optional().describe("instead of the default, by category"),
      standards: times.optional().describe("for events that name a standard, over the built-in times"),
    })
    .optional(),
});

const MINUTE = 60_000;
const HOUR: number = 60 * MINUTE;
const DAY: number = 24 * HOUR;

type Schedule = Pick<AuditValues, "audit.checkpoint.events" | "audit.checkpoint.interval" | "audit.copy-within">;

/** From level high on, somebody else has to have seen the trail. */
const SCHEDULES: Readonly<Record<"low" | "medium" | "high" | "paranoid", Schedule>> = {
  low: { "audit.checkpoint.events": 1000, "audit.checkpoint.interval": HOUR, "audit.copy-within": "never" },
  medium: { "audit.checkpoint.events": 1000, "audit.checkpoint.interval": HOUR, "audit.copy-within": "never" },
  high: { "audit.checkpoint.events": 500, "audit.checkpoint.interval": 10 * MINUTE, "audit.copy-within": DAY },
  paranoid: { "audit.checkpoint.events": 100, "audit.checkpoint.interval": MINUTE, "audit.copy-within": HOUR },
};

export function auditPreset(level: "low" | "medium" | "high" | "paranoid"): AuditValues {
  return {
    ...SCHEDULES[level],
    "audit.copy": [],
    "audit.witnesses": [],
    "audit.retention.default": (level === "low" ? 90 : 365) * DAY,
    "audit.retention.categories": {},
    "audit.retention.standards": {},
  };
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The keys that a file sets. */
export function auditValues(file: AuditFile | undefined): Optional<AuditValues> {
  const { checkpoint, copy, retention } = file ?? {};
  return {
    "audit.checkpoint.events": checkpoint?.events,
    "audit.checkpoint.interval": checkpoint?.interval === undefined ? undefined : parseDuration(checkpoint.interval),
    "audit.copy": typeof copy === "string" ? [copy] : copy,
    "audit.copy-within": ageOf(file?.["copy-within"]),
    "audit.witnesses": file?.witnesses,
    "audit.retention.default": retention?.default === undefined ? undefined : parseDuration(retention.default),
    "audit.retention.categories": durations(retention?.categories),
    "audit.retention.standards": durations(retention?.standards),
  };
}

/** True when `after` keeps less long than `before`; for an entry that there was not, any time may be shorter than what held. */
export function keepsLess(before: unknown, after: unknown): boolean {
  return before === undefined || Number(after) < Number(before);
}

function durations(texts: Readonly<Record<string, string>> | undefined): Readonly<Record<string, number>> | undefined {
  return texts === undefined ? undefined : Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, parseDuration(text)]));
}
