/** Threats: what a sensor or a caller tells (the seed's event), and what is kept of it until somebody resolves it. */
import { z } from "zod";
import { type Clock, CofferdamError, canonicalText, isoTime, type JsonObject, type JsonValue, newId, parseInput } from "../../foundation/index.ts";
import { RULE_ACTIONS, type RuleAction } from "../../monitor/index.ts";

export const SEVERITIES = ["critical", "high", "medium", "low"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What `handleSecurityThreat` takes. */
export interface ThreatInput {
  /** Lower-case words: `suspicious_process`. */
  readonly type: string;
  readonly severity: Severity;
  /** Off the baseline of its job, and no more is known: it is answered as an anomaly, whatever its severity. */
  readonly anomaly?: boolean | undefined;
  /** What whoever saw it asks for: it raises what the level does about it, and never lowers that. */
  readonly action?: RuleAction | undefined;
  /** ISO 8601; now, when absent. */
  readonly timestamp?: string | undefined;
  /** Component that saw it. */
  readonly source?: string | undefined;
  readonly containerId?: string | undefined;
  readonly jobId?: string | undefined;
  /** JSON, at most 16 KiB in canonical form. */
  readonly details?: JsonObject | undefined;
  /** JSON, at most 64 items and 64 KiB together. */
  readonly evidence?: readonly JsonValue[] | undefined;
  readonly recommendedAction?: string | undefined;
}

/** A threat as it is kept. */
export interface Threat extends ThreatInput {
  /** `thr_` and 26 characters. */
  readonly id: string;
  readonly anomaly: boolean;
  readonly timestamp: string;
  readonly source: string;
  readonly details: JsonObject;
  readonly evidence: readonly JsonValue[];
  /** An open one counts against the score. */
  readonly state: "open" | "resolved";
  readonly resolution?: Resolution | undefined;
}

export interface Resolution {
  /** Who says so. */
  readonly by: string;
  readonly note: string;
  readonly at: string;
}

export const MAX_DETAILS_BYTES: number = 16 * 1024;
export const MAX_EVIDENCE_BYTES: number = 64 * 1024;
const MAX_EVIDENCE = 64;
const UNNAMED_SOURCE = "caller";

const word = z.string().regex(/^[a-z][a-z0-9_.-]{0,63}$/, "lower-case letters, digits, _ . -, at most 64, a letter first");
const label = z
  .string()
  .min(1)
  .max(256)
  .refine((text) => text.isWellFormed(), "a broken character");
const text = z
  .string()
  .max(1024)
  .refine((value) => value.isWellFormed(), "a broken character");
const time = z.iso.datetime({ offset: true });
/** Looked through by {@link assertJson}: a zod record would copy it, and leave a key named __proto__ out. */
const json = z.custom<JsonValue>((value) => value !== undefined);
const jsonObject = z.custom<JsonObject>((value) => typeof value === "object" && value !== null && !Array.isArray(value), "must be an object");
const severity = z.enum(SEVERITIES);

const told = {
  type: word,
  severity,
  action: z.enum(RULE_ACTIONS).optional(),
  containerId: label.optional(),
  jobId: label.optional(),
  recommendedAction: text.optional(),
};

const inputSchema: z.ZodType<ThreatInput> = z.strictObject({
  ...told,
  anomaly: z.boolean().optional(),
  timestamp: time.optional(),
  source: label.optional(),
  details: jsonObject.optional(),
  evidence: z.array(json).max(MAX_EVIDENCE).optional(),
});

export const threatSchema: z.ZodType<Threat> = z
  .strictObject({
    ...told,
    id: z.string().regex(/^thr_[0-9a-z]{26}$/),
    anomaly: z.boolean(),
    timestamp: time,
    source: label,
    details: jsonObject,
    evidence: z.array(json).max(MAX_EVIDENCE),
    state: z.enum(["open", "resolved"]),
    resolution: z.strictObject({ by: label, note: text, at: time }).optional(),
  })
  .refine(({ state, resolution }) => (state === "resolved") === (resolution !== undefined), "a threat is resolved by somebody, and an open one by nobody");

/** A new, open threat. Throws INVALID_ARGUMENT for what is none, and PAYLOAD_TOO_LARGE past a limit. */
export function newThreat(input: unknown, clock: Clock): Threat {
  const { timestamp, ...threat } = parseInput(inputSchema, input, "threat");
  assertJson(threat.details ?? {}, MAX_DETAILS_BYTES, "details");
  assertJson(threat.evidence ?? [], MAX_EVIDENCE_BYTES, "evidence");
  return {
    ...threat,
    id: newId("thr"),
    anomaly: threat.anomaly ?? false,
    timestamp: timestamp === undefined ? isoTime(clock) : new Date(timestamp).toISOString(),
    source: threat.source ?? UNNAMED_SOURCE,
    details: threat.details ?? {},
    evidence: threat.evidence ?? [],
    state: "open",
  };
}

/** The threat with who resolved it, and why. Throws CONFLICT when somebody did before, INVALID_ARGUMENT without a name. */
export function resolved(threat: Threat, { by, note }: Pick<Resolution, "by" | "note">, clock: Clock): Threat {
  if (threat.state === "resolved") throw new CofferdamError("CONFLICT", `threat ${threat.id} is resolved already, by ${threat.resolution?.by ?? "nobody"}`);
  const who = parseInput(z.strictObject({ by: label, note: text }), { by, note }, "resolution of a threat");
  return { ...threat, state: "resolved", resolution: { ...who, at: isoTime(clock) } };
}

function assertJson(value: JsonValue, limit: number, what: string): void {
  const bytes = Buffer.byteLength(canonicalText(value));
  if (bytes > limit) throw new CofferdamError("PAYLOAD_TOO_LARGE", `threat: ${bytes} bytes of ${what}; the limit is ${limit}`);
}
