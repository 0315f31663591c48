/**
 * cofferdam.yaml: one strict schema that is the type, the validation, the help text and the published JSON Schema. Every key
 * has its rule of what counts as loosening beside it (see {@link KEYS}), because a repository may only tighten.
 */
import { z } from "zod";
import { type AdvisoriesFile, advisoriesSchema, deniesLess, isOlder } from "./advisories.ts";
import { bytesText, durationText } from "./amount-texts.ts";
import { type AuditFile, auditSchema, keepsLess } from "./audit.ts";
import { type IdentityFile, identitySchema } from "./identity.ts";
import { JOB_NETWORKS, type JobsFile, jobsSchema, MONITORING } from "./jobs.ts";
import { differs, overcommitsMore, type QuotaFile, quotaSchema, raisesLimit } from "./quota.ts";
import { addsToGrant, approvedSchema, exceptionsSchema, grantsSchema, type ScriptException, type ScriptGrant, type Switch } from "./scripts.ts";
import { readsMore, type SecretsFile, secretsSchema } from "./secrets.ts";

export const LEVELS = ["low", "medium", "high", "paranoid"] as const;
export type Level = (typeof LEVELS)[number];
export type Mode = "enforce" | "observe";

/** One exception: what is accepted, why, and until when. */
export interface Allowance {
  readonly what: string;
  readonly reason: string;
  /** Last day it holds, `YYYY-MM-DD`, UTC. */
  readonly until?: string | undefined;
}

/** A file as written; everything may be left out. */
export interface PolicyFile {
  readonly version: 1;
  readonly level?: Level | undefined;
  readonly mode?: Mode | undefined;
  readonly packages?:
    | { readonly registries?: readonly string[] | undefined; readonly allow?: readonly Allowance[] | undefined; readonly keep?: string | undefined }
    | undefined;
  readonly scripts?:
    | {
        readonly approved?: readonly string[] | undefined;
        readonly grants?: Readonly<Record<string, ScriptGrant>> | undefined;
        readonly exceptions?: Readonly<Partial<Record<ScriptException, Switch>>> | undefined;
        readonly timeout?: string | undefined;
        readonly memory?: string | undefined;
        readonly disk?: string | undefined;
      }
    | undefined;
  readonly advisories?: AdvisoriesFile | undefined;
  readonly audit?: AuditFile | undefined;
  readonly jobs?: JobsFile | undefined;
  readonly quota?: QuotaFile | undefined;
  readonly secrets?: SecretsFile | undefined;
  readonly identity?: IdentityFile | undefined;
  readonly limits?:
    | {
        readonly tarball?: string | undefined;
        readonly unpacked?: string | undefined;
        readonly entries?: number | undefined;
        readonly timeout?: string | undefined;
        readonly concurrency?: number | undefined;
      }
    | undefined;
  readonly thresholds?:
    | {
        readonly integrity?: string | undefined;
        readonly scan?: string | undefined;
        readonly audit?: string | undefined;
        readonly protection?: string | undefined;
        readonly script?: string | undefined;
      }
    | undefined;
  readonly locks?: readonly string[] | undefined;
}

const bytes = bytesText("512MiB");
const duration = durationText("30s");
const allowance: z.ZodType<Allowance> = z.strictObject({
  what: z.string().min(3).max(512).describe("RULE SUBJECT, as a report prints it: missing-hash left-pad@1.3.0"),
  reason: z.string().min(3).max(512).describe("why it is acceptable; goes on record"),
  until: z.iso.date().optional().describe("last day it holds, YYYY-MM-DD"),
});

// A misspelt key would lock nothing, in silence.
const lockable = z
  .string()
  .max(64)
  .refine((key) => KEYS.some((rule) => rule.key === key), "not a key of the policy; docs/policy.md lists them");

export const policyFileSchema: z.ZodType<PolicyFile> = z
  .strictObject({
    version: z.literal(1).describe("version of this format"),
    level: z.enum(LEVELS).optional().describe("preset that everything else starts from"),
    mode: z.enum(["enforce", "observe"]).optional().describe("observe records what would be refused and lets it go on"),
    packages: z
      .strictObject({
        registries: z
          .array(z.url({ protocol: /^https?$/ }).max(2048))
          .max(100)
          .optional()
          .describe("addresses that lockfiles and a project's .npmrc may use besides those of your own npm configuration"),
        allow: z.array(allowance).max(1000).optional().describe("exceptions"),
        keep: duration.optional().describe("how long verified tarballs that no install asks for stay in the store"),
      })
      .optional(),
    scripts: z
      .strictObject({
        approved: approvedSchema.optional().describe("packages whose install scripts may run at level high: name@version#sha512-..."),
        grants: grantsSchema
          .optional()
          .describe(
            "what scripts of a package get besides their own folder, by name, name@version or name@version#sha512-...; the most exact key counts alone",
          ),
        exceptions: exceptionsSchema.optional().describe("exceptions that ship with the product, on or off"),
        timeout: duration.optional().describe("longest time for one script"),
        memory: bytes.optional().describe("most memory of all processes of one script"),
        disk: bytes.optional().describe("most bytes that one script writes; held in memory until they are taken over"),
      })
      .optional(),
    advisories: advisoriesSchema.optional(),
    audit: auditSchema.optional(),
    jobs: jobsSchema.optional(),
    quota: quotaSchema.optional(),
    secrets: secretsSchema.optional(),
    identity: identitySchema.optional(),
    limits: z
      .strictObject({
        tarball: bytes.optional().describe("most bytes of one tarball as sent"),
        unpacked: bytes.optional().describe("most bytes of one tarball unpacked"),
        entries: z.int().min(1).max(10_000_000).optional().describe("most entries of one tarball"),
        timeout: duration.optional().describe("longest time for one answer of a registry"),
        concurrency: z.int().min(1).max(256).optional().describe("requests to registries at once"),
      })
      .optional(),
    thresholds: z
      .strictObject({
        integrity: duration.optional().describe("one integrity check"),
        scan: duration.optional().describe("one look-up of advisories"),
        audit: duration.optional().describe("one audit write"),
        protection: duration.optional().describe("setting up the box"),
        script: duration.optional().describe("one install script"),
      })
      .optional()
      .describe("durations past which an operation raises thresholdExceeded"),
    locks: z.array(lockable).max(50).optional().describe("keys that files of lower rank, flags and environment may not change"),
  })
  .describe("Cofferdam policy");

/** Every key that a policy has, dotted, with how a change of it is judged when it comes from a repository. */
export interface KeyRule {
  readonly key: string;
  /** How the value of a stronger file meets a weaker one's: it replaces it, it adds to a list, or it does so entry by entry of a map. */
  readonly merge: "replace" | "add" | "entries";
  /** True when going from `before` to `after` allows more. Of a map: for one entry, `before` undefined where there was none. */
  loosens(before: unknown, after: unknown): boolean;
}

const growing: KeyRule["loosens"] = (before, after) => Number(after) > Number(before);
/** Whoever names the source of what is known to be bad, or what counts as known already, decides what is reported. */
const changes: KeyRule["loosens"] = (before, after) => before !== after;
const networkRank = (mode: unknown): number => JOB_NETWORKS.map(String).indexOf(String(mode));
const switchesOn: KeyRule["loosens"] = (before, after) => before === false && after === true;
/** Values that protect nothing: any change is fine. */
const harmless: KeyRule["loosens"] = () => false;

export const KEYS: readonly KeyRule[] = [
  { key: "level", merge: "replace", loosens: (before, after) => rank(after) < rank(before) },
  { key: "mode", merge: "replace", loosens: (before, after) => before === "enforce" && after === "observe" },
  { key: "packages.registries", merge: "add", loosens: adds },
  { key: "packages.allow", merge: "add", loosens: adds },
  { key: "packages.keep", merge: "replace", loosens: harmless },
  { key: "scripts.approved", merge: "add", loosens: adds },
  { key: "scripts.grants", merge: "entries", loosens: addsToGrant },
  { key: "scripts.exceptions", merge: "entries", loosens: (before, after) => before !== "on" && after === "on" },
  { key: "scripts.timeout", merge: "replace", loosens: growing },
  { key: "scripts.memory", merge: "replace", loosens: growing },
  { key: "scripts.disk", merge: "replace", loosens: growing },
  { key: "advisories.osv", merge: "replace", loosens: changes },
  { key: "advisories.kev", merge: "replace", loosens: changes },
  { key: "advisories.deny", merge: "replace", loosens: deniesLess },
  { key: "advisories.only-fixable", merge: "replace", loosens: switchesOn },
  { key: "advisories.only-new", merge: "replace", loosens: switchesOn },
  { key: "advisories.exploited", merge: "replace", loosens: (before, after) => before === "deny" && after === "warn" },
  { key: "advisories.ratchet", merge: "replace", loosens: growing },
  { key: "advisories.base", merge: "replace", loosens: changes },
  { key: "advisories.warn-age", merge: "replace", loosens: isOlder },
  { key: "advisories.deny-age", merge: "replace", loosens: isOlder },
  { key: "audit.checkpoint.events", merge: "replace", loosens: growing },
  { key: "audit.checkpoint.interval", merge: "replace", loosens: growing },
  { key: "audit.copy", merge: "add", loosens: adds },
  { key: "audit.copy-within", merge: "replace", loosens: isOlder },
  { key: "audit.witnesses", merge: "add", loosens: adds },
  { key: "audit.retention.default", merge: "replace", loosens: keepsLess },
  { key: "audit.retention.categories", merge: "entries", loosens: keepsLess },
  { key: "audit.retention.standards", merge: "entries", loosens: keepsLess },
  { key: "jobs.profile", merge: "replace", loosens: (before, after) => before === "none" && after === "build" },
  { key: "jobs.authorization", merge: "replace", loosens: (before, after) => before === "roles" && after === "owner" },
  { key: "jobs.unscanned", merge: "replace", loosens: (before, after) => before === "deny" && after === "accept" },
  { key: "jobs.network", merge: "replace", loosens: (before, after) => networkRank(after) > networkRank(before) },
  { key: "jobs.egress", merge: "add", loosens: adds },
  { key: "jobs.on-refusal", merge: "replace", loosens: (before, after) => before === "fail" && after === "note" },
  { key: "jobs.name-servers", merge: "replace", loosens: differs },
  { key: "jobs.timeout", merge: "replace", loosens: growing },
  { key: "jobs.log", merge: "replace", loosens: harmless },
  { key: "jobs.secrets", merge: "entries", loosens: differs },
  { key: "jobs.secret-variables", merge: "replace", loosens: (before, after) => before === "deny" && after === "accept" },
  { key: "jobs.monitor", merge: "replace", loosens: (before, after) => watching(after) < watching(before) },
  { key: "jobs.monitor-rules", merge: "add", loosens: adds },
  { key: "jobs.suspicious", merge: "add", loosens: harmless },
  { key: "jobs.evidence-keep", merge: "replace", loosens: keepsLess },
  { key: "jobs.evidence-size", merge: "replace", loosens: changes },
  { key: "quota.enforcement", merge: "replace", loosens: (before, after) => before === "hard" && after === "soft" },
  { key: "quota.host-share", merge: "replace", loosens: growing },
  { key: "quota.slots", merge: "replace", loosens: changes },
  { key: "quota.overcommit", merge: "replace", loosens: overcommitsMore },
  { key: "quota.overcommit-ratio", merge: "replace", loosens: growing },
  { key: "quota.defaults", merge: "entries", loosens: raisesLimit },
  { key: "quota.ceiling", merge: "entries", loosens: raisesLimit },
  { key: "quota.tiers", merge: "entries", loosens: differs },
  { key: "quota.organisations", merge: "entries", loosens: differs },
  { key: "quota.repositories", merge: "entries", loosens: differs },
  { key: "secrets.backend", merge: "replace", loosens: changes },
  { key: "secrets.key", merge: "replace", loosens: changes },
  { key: "secrets.passphrase-file", merge: "replace", loosens: changes },
  { key: "secrets.key-command", merge: "replace", loosens: differs },
  { key: "secrets.grace", merge: "replace", loosens: growing },
  { key: "secrets.rotate-every", merge: "replace", loosens: growing },
  { key: "secrets.rotate-after-use", merge: "replace", loosens: (before, after) => before === true && after === false },
  { key: "secrets.lease", merge: "replace", loosens: isOlder },
  { key: "secrets.reads-per-job", merge: "replace", loosens: readsMore },
  { key: "secrets.providers", merge: "entries", loosens: differs },
  { key: "secrets.vault", merge: "entries", loosens: differs },
  { key: "identity.issuer", merge: "replace", loosens: changes },
  { key: "identity.audience", merge: "replace", loosens: changes },
  { key: "identity.jobs", merge: "entries", loosens: differs },
  { key: "limits.tarball", merge: "replace", loosens: growing },
  { key: "limits.unpacked", merge: "replace", loosens: growing },
  { key: "limits.entries", merge: "replace", loosens: growing },
  { key: "limits.timeout", merge: "replace", loosens: growing },
  { key: "limits.concurrency", merge: "replace", loosens: growing },
  { key: "thresholds.integrity", merge: "replace", loosens: growing },
  { key: "thresholds.scan", merge: "replace", loosens: growing },
  { key: "thresholds.audit", merge: "replace", loosens: growing },
  { key: "thresholds.protection", merge: "replace", loosens: growing },
  { key: "thresholds.script", merge: "replace", loosens: growing },
  { key: "locks", merge: "add", loosens: harmless },
];

function rank(level: unknown): number {
  return LEVELS.map(String).indexOf(String(level));
}

function watching(monitor: unknown): number {
  return MONITORING.map(String).indexOf(String(monitor));
}

function adds(before: unknown, after: unknown): boolean {
  const known = new Set(Array.isArray(before) ? before.map((item) => JSON.stringify(item)) : []);
  return Array.isArray(after) && after.some((item) => !known.has(JSON.stringify(item)));
}
