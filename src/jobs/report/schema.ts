/**
 * The report of a job, `cofferdam/job-report/v1`: what was asked, what was proven, what happened, what it used, and what
 * nobody looked at. Fields may be added, never renamed. {@link MAX_REPORT_BYTES} bounds it; what was left out for that is counted.
 */
import { z } from "zod";
import { CofferdamError, describeProblem, ERROR_TABLE, type ErrorCode, problemsOf } from "../../foundation/index.ts";
import { LEVELS, type Level, type Mode } from "../../policy/index.ts";
import { type Score, scoreSchema } from "../score/score.ts";
import { type Threat, threatSchema } from "../threats/threat.ts";
import { type JobNetwork, jobNetworkSchema } from "./network.ts";

export const REPORT_SCHEMA = "cofferdam/job-report/v1";
/** Most bytes of a report as JSON. */
export const MAX_REPORT_BYTES: number = 256 * 1024;

export interface JobReport {
  readonly schema: typeof REPORT_SCHEMA;
  readonly jobId: string;
  readonly repository?: string | undefined;
  /** Who asked for it, and by which rule that is known: `local-owner` is the uid that owns the state directory. */
  readonly identity: { readonly rule: string; readonly uid?: number | undefined; readonly name?: string | undefined };
  readonly image: JobImage;
  /** Empty for the image's own. */
  readonly command: readonly string[];
  readonly verdict: Verdict;
  /** Of the command; absent when it never ran, or when nobody saw it end. */
  readonly exit?: number | undefined;
  /** Why it was blocked, stopped or aborted. */
  readonly stoppedBy?: StoppedBy | undefined;
  readonly times: JobTimes;
  readonly level: Level;
  readonly mode: Mode;
  readonly policyDigest: string;
  readonly checks: Readonly<Record<CheckName, Check>>;
  /** What the kernel showed before the workload ran; absent when there was no container, or when it was not looked at. */
  readonly proof?: JobProof | undefined;
  /** Controls that were put on the container, and what was asked for and not given. */
  readonly applied: readonly string[];
  readonly refused: readonly string[];
  /** What this version does not do, and what that means for this job. */
  readonly notCovered: readonly NotCovered[];
  /** Whether its processes were watched from the host, and what came of it. */
  readonly monitoring?: JobMonitoring | undefined;
  readonly threats: readonly Threat[];
  readonly violations: readonly Violation[];
  readonly resources: JobResources;
  readonly network: JobNetwork;
  readonly workspace: JobWorkspace;
  /** Output: bytes that came, bytes that were kept. */
  readonly log: { readonly bytes: number; readonly kept: number; readonly truncated: boolean };
  /** Names, never values. */
  readonly secretsUsed: readonly string[];
  /** Those of them that were variables: every process of the job could pass them on. */
  readonly secretVariables?: readonly string[] | undefined;
  /** Secrets that nobody had registered, in its output and its results; each is a threat. */
  readonly leakScan?: JobLeakScan | undefined;
  /** What was not taken away afterwards, and why. Empty for a clean end. */
  readonly leftBehind: readonly { readonly what: string; readonly why: string }[];
  readonly auditTrail: JobTrail;
  /** Of this job alone; absent when there is nothing to go by. */
  readonly score?: Score | undefined;
  readonly recommendations: readonly Recommendation[];
  /** Set when the job was found after its process had died: what was left of it. */
  readonly reconciled?: { readonly at: string; readonly found: readonly string[] } | undefined;
  /** How many entries of which list (and bytes of which texts) were left out to keep to the bound. */
  readonly cut: Readonly<Record<string, number>>;
}

export interface JobLeakScan {
  readonly outputBytes: number;
  /** Results that were looked through. */
  readonly files: number;
  readonly notLookedAt: readonly string[];
  readonly found: number;
  /** By an exception of the policy. */
  readonly accepted: number;
}

/** `off`: the policy says so, or it was never let go. `absent`: nobody could watch. `degraded`: not everything was seen, as `lacks` says. */
export interface JobMonitoring {
  readonly state: "watching" | "degraded" | "absent" | "off";
  /** Why not more. */
  readonly why?: string | undefined;
  readonly lacks: readonly string[];
  readonly events: number;
  /** That nobody saw. */
  readonly lost: number;
  /** Times at which nobody looked. */
  readonly gaps: number;
  /** Different programs that ran. */
  readonly programs: number;
  /** What is no threat, and worth a line: the rule, what it said first, how often. */
  readonly notes: readonly { readonly rule: string; readonly message: string; readonly times: number; readonly excepted?: string | undefined }[];
  /** What it was compared with: runs before it, by the names that whoever called gave it. Absent where nothing was. */
  readonly baseline?: { readonly workflow?: string | undefined; readonly job?: string | undefined; readonly from: string; readonly runs: number } | undefined;
  /** What was kept of the container as it stood: on the host, known by its hash, which is on record. */
  readonly evidence: readonly { readonly path: string; readonly sha256: string; readonly bytes: number }[];
}

/** What a report is made of (report.ts): nothing of it has to be bounded. */
export interface JobFacts extends Omit<JobReport, "schema" | "notCovered" | "score" | "recommendations" | "cut" | "resources"> {
  readonly resources: Omit<JobResources, "percent">;
}

/** `blocked` before it started, `stopped` by us while it ran, `aborted` when our own process died. */
export const VERDICTS = ["passed", "failed", "blocked", "stopped", "aborted"] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface StoppedBy {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
}

export interface JobImage {
  /** As it was asked for. */
  readonly reference: string;
  readonly id?: string | undefined;
  /** `sha256:` and 64 hex digits, of the repository's manifest. */
  readonly digest?: string | undefined;
  readonly scanned: "not-scanned";
}

/** ISO 8601; durations in ms. */
export interface JobTimes {
  readonly asked: string;
  /** When the workload was let go. */
  readonly started?: string | undefined;
  readonly ended: string;
  readonly totalMs: number;
  readonly runMs?: number | undefined;
}

export const CHECK_NAMES = ["authentication", "authorization", "scanning", "resourceAllocation", "networkIsolation"] as const;
export type CheckName = (typeof CHECK_NAMES)[number];

/** `not-reached`: an earlier check refused. `not-checked`: this version cannot, or could not, check it. */
export interface Check {
  readonly state: "passed" | "refused" | "not-checked" | "not-reached";
  readonly why: string;
}

export interface JobProof {
  readonly at: string;
  /** Controls that are in force, whether the level asks for them or not, by their name in the score's catalogue. */
  readonly held: readonly string[];
  /** Every comparison; one control has several. */
  readonly controls: readonly ProvenControl[];
}

export interface ProvenControl {
  readonly name: string;
  /** What of it: `bounding set`. */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
  readonly ok: boolean;
}

export interface NotCovered {
  readonly what: string;
  readonly means: string;
}

export interface Violation {
  readonly at: string;
  /** `quota.memory.killed` */
  readonly rule: string;
  readonly message: string;
  readonly times: number;
}

export interface JobResources {
  readonly quota: ResourceAmounts;
  /** The highest that was measured; what is absent was not measured. */
  readonly peak: ResourceAmounts;
  readonly total: ResourceTotals;
  /** Peak in percent of the quota, for what has both. */
  readonly percent: ResourceAmounts;
  readonly limits: readonly LimitState[];
}

export const RESOURCES = ["cpu", "memory", "pids", "disk"] as const;
export type Resource = (typeof RESOURCES)[number];
/** Cores, bytes, processes, bytes. */
export type ResourceAmounts = { readonly [K in Resource]?: number | undefined };

/** Over the whole job; what is absent was not measured. */
export interface ResourceTotals {
  readonly cpuMs?: number | undefined;
  /** Time that it was made to wait for cpu. */
  readonly throttledMs?: number | undefined;
  readonly readBytes?: number | undefined;
  readonly writtenBytes?: number | undefined;
  readonly oomKills?: number | undefined;
  /** Forks refused at the limit. */
  readonly forksRefused?: number | undefined;
}

export interface LimitState {
  readonly resource: Resource;
  /** `weight`: a share when the host is busy. `watched`: looked at again and again, and the job stopped. */
  readonly by: "kernel" | "weight" | "watched" | "none";
  /** `checked every 2 s, not enforced on this file system` */
  readonly note?: string | undefined;
}

export interface JobWorkspace {
  readonly mode: "none" | "copy" | "bind";
  readonly path?: string | undefined;
  readonly copiedOut?: { readonly files: number } | undefined;
  /** What the job wrote and did not get back to the caller. */
  readonly leftOut: readonly { readonly path: string; readonly why: string }[];
  /** What it made or changed where a later command of the caller runs it by itself: git's hooks, workflows. */
  readonly planted?: readonly string[] | undefined;
}

export interface JobTrail {
  /** Sequence numbers; absent when nothing could be written. */
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  /** The chain over these records was verified; a checkpoint kept elsewhere covers them. False also when nobody looked. */
  readonly verified: boolean;
  readonly anchored: boolean;
  /** At most 100. */
  readonly events: readonly TrailEvent[];
}

export interface TrailEvent {
  readonly seq: number;
  readonly at: string;
  readonly category: string;
  readonly action: string;
  readonly result: "success" | "failure";
}

export interface Recommendation {
  readonly priority: "high" | "medium" | "low";
  readonly message: string;
  /** What to do or to write, ready to paste where it can be. */
  readonly fix: string;
}

const text = z.string().max(16_384);
const texts = z.array(text);
const time = z.iso.datetime();
const count = z.int().min(0);
const amount = z.number().min(0);
const codes: readonly string[] = Object.keys(ERROR_TABLE);
const code = z.custom<ErrorCode>((value) => typeof value === "string" && codes.includes(value), "not an error code");
const check = z.strictObject({ state: z.enum(["passed", "refused", "not-checked", "not-reached"]), why: text });
const amounts: z.ZodType<ResourceAmounts> = z.strictObject({
  cpu: amount.optional(),
  memory: amount.optional(),
  pids: amount.optional(),
  disk: amount.optional(),
});

export const jobReportSchema: z.ZodType<JobReport> = z.strictObject({
  schema: z.literal(REPORT_SCHEMA),
  jobId: text,
  repository: text.optional(),
  identity: z.strictObject({ rule: text, uid: count.optional(), name: text.optional() }),
  image: z.strictObject({ reference: text, id: text.optional(), digest: text.optional(), scanned: z.literal("not-scanned") }),
  command: texts,
  verdict: z.enum(VERDICTS),
  exit: z.int().min(0).max(255).optional(),
  stoppedBy: z.strictObject({ code, message: text, hint: text.optional() }).optional(),
  times: z.strictObject({ asked: time, started: time.optional(), ended: time, totalMs: amount, runMs: amount.optional() }),
  level: z.enum(LEVELS),
  mode: z.enum(["enforce", "observe"]),
  policyDigest: text,
  checks: z.strictObject({ authentication: check, authorization: check, scanning: check, resourceAllocation: check, networkIsolation: check }),
  proof: z
    .strictObject({ at: time, held: texts, controls: z.array(z.strictObject({ name: text, what: text, expected: text, actual: text, ok: z.boolean() })) })
    .optional(),
  applied: texts,
  refused: texts,
  notCovered: z.array(z.strictObject({ what: text, means: text })),
  monitoring: z
    .strictObject({
      ...{
        state: z.enum(["watching", "degraded", "absent", "off"]),
        why: text.optional(),
        lacks: texts,
        events: count,
        lost: count,
        gaps: count,
        programs: count,
      },
      notes: z.array(z.strictObject({ rule: text, message: text, times: count, excepted: text.optional() })),
      baseline: z.strictObject({ workflow: text.optional(), job: text.optional(), from: text, runs: count }).optional(),
      evidence: z.array(z.strictObject({ path: text, sha256: text, bytes: count })),
    })
    .optional(),
  threats: z.array(threatSchema),
  violations: z.array(z.strictObject({ at: time, rule: text, message: text, times: count })),
  resources: z.strictObject({
    quota: amounts,
    peak: amounts,
    total: z.strictObject({
      cpuMs: amount.optional(),
      throttledMs: amount.optional(),
      readBytes: amount.optional(),
      writtenBytes: amount.optional(),
      oomKills: count.optional(),
      forksRefused: count.optional(),
    }),
    percent: amounts,
    limits: z.array(z.strictObject({ resource: z.enum(RESOURCES), by: z.enum(["kernel", "weight", "watched", "none"]), note: text.optional() })),
  }),
  network: jobNetworkSchema,
  workspace: z.strictObject({
    mode: z.enum(["none", "copy", "bind"]),
    path: text.optional(),
    copiedOut: z.strictObject({ files: count }).optional(),
    leftOut: z.array(z.strictObject({ path: text, why: text })),
    planted: texts.optional(),
  }),
  log: z.strictObject({ bytes: count, kept: count, truncated: z.boolean() }),
  secretsUsed: texts,
  secretVariables: texts.optional(),
  leakScan: z.strictObject({ outputBytes: count, files: count, notLookedAt: texts, found: count, accepted: count }).optional(),
  leftBehind: z.array(z.strictObject({ what: text, why: text })),
  auditTrail: z.strictObject({
    first: count.optional(),
    last: count.optional(),
    verified: z.boolean(),
    anchored: z.boolean(),
    events: z.array(z.strictObject({ seq: count, at: time, category: text, action: text, result: z.enum(["success", "failure"]) })).max(100),
  }),
  score: scoreSchema.optional(),
  recommendations: z.array(z.strictObject({ priority: z.enum(["high", "medium", "low"]), message: text, fix: text })),
  reconciled: z.strictObject({ at: time, found: texts }).optional(),
  cut: z.record(z.string(), count),
});

/** A report as the store keeps it. Throws INTEGRITY_FAILURE for what is none. */
export function parseReport(stored: unknown): JobReport {
  const parsed = jobReportSchema.safeParse(stored);
  if (parsed.success) return parsed.data;
  const [problem] = problemsOf(jobReportSchema, parsed.error);
  throw new CofferdamError("INTEGRITY_FAILURE", `a stored job report cannot be read: ${problem === undefined ? "not a report" : describeProblem(problem)}`, {
    hint: "cofferdam audit search has what the job left on record",
  });
}
