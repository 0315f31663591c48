/** The `jobs` part of cofferdam.yaml: what a guarded job may be, whatever its container engine. */
import { z } from "zod";
import { parseBytes, parseDuration } from "../foundation/index.ts";
import { bytesText, durationText } from "./amount-texts.ts";
import type { Level } from "./schema.ts";

export const JOB_PROFILES = ["none", "build"] as const;
export type JobProfile = (typeof JOB_PROFILES)[number];

export const JOB_NETWORKS = ["none", "strict", "moderate", "relaxed"] as const;
export type JobNetworkMode = (typeof JOB_NETWORKS)[number];
export const JOB_AUTHORIZATIONS = ["owner", "roles"] as const;
export type JobAuthorization = (typeof JOB_AUTHORIZATIONS)[number];
export const MONITORING = ["off", "watch", "require"] as const;
export type Monitoring = (typeof MONITORING)[number];

export interface JobsFile {
  readonly monitor?: Monitoring | undefined;
  readonly "monitor-rules"?: readonly string[] | undefined;
  readonly suspicious?: readonly string[] | undefined;
  readonly "evidence-keep"?: string | undefined;
  readonly "evidence-size"?: string | undefined;
  readonly profile?: JobProfile | undefined;
  readonly authorization?: JobAuthorization | undefined;
  readonly unscanned?: "accept" | "deny" | undefined;
  readonly network?: JobNetworkMode | undefined;
  readonly egress?: readonly string[] | undefined;
  readonly "on-refusal"?: "note" | "fail" | undefined;
  readonly "name-servers"?: readonly string[] | undefined;
  readonly timeout?: string | undefined;
  readonly log?: string | undefined;
  readonly secrets?: Readonly<Record<string, JobSecretFiles>> | undefined;
  readonly "secret-variables"?: "accept" | "deny" | undefined;
}

/** Ids of secrets, by the name of the file that a job finds them in. */
export type JobSecretFiles = Readonly<Record<string, string>>;

/** Effective values; bytes and ms. */
export interface JobValues {
  readonly "jobs.monitor": Monitoring;
  readonly "jobs.monitor-rules": readonly string[];
  readonly "jobs.suspicious": readonly string[];
  readonly "jobs.evidence-keep": number;
  readonly "jobs.evidence-size": number;
  readonly "jobs.profile": JobProfile;
  readonly "jobs.authorization": JobAuthorization;
  readonly "jobs.unscanned": "accept" | "deny";
  readonly "jobs.network": JobNetworkMode;
  readonly "jobs.egress": readonly string[];
  readonly "jobs.on-refusal": "note" | "fail";
  readonly "jobs.name-servers": readonly string[];
  readonly "jobs.timeout": number;
  readonly "jobs.log": number;
  /** By repository, in small letters. */
  readonly "jobs.secrets": Readonly<Record<string, JobSecretFiles>>;
  readonly "jobs.secret-variables": "accept" | "deny";
}

const duration = durationText("30m");
const bytes = bytesText("64MiB");

const secretFiles: z.ZodType<JobSecretFiles> = z.record(
  z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, "not a name of a file in /run/secrets"),
  z.string().regex(/^[a-z0-9][a-z0-9_./-]{0,254}$/, "not an id of a secret; write it like npm/publish"),
);
const secretsByRepository = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\/[A-Za-z0-9_.-]{1,100}$/, "not a repository; write it like acme/web"),
  secretFiles,
);

const programs = z.array(z.string().min(1).max(256)).max(1000);

export const jobsSchema: z.ZodType<JobsFile> = z.strictObject({
  monitor: z.enum(MONITORING).optional().describe("whether the kernel's events of a job are watched; require refuses a job that cannot be"),
  "monitor-rules": z
    .array(z.string().startsWith("/", "an absolute path").max(1000))
    .max(100)
    .optional()
    .describe("files of rules besides those of the product, and of exceptions (docs/rules.md)"),
  suspicious: programs.optional().describe("programs, by name or path, that are a threat in every job"),
  "evidence-keep": duration.optional().describe("how long evidence of stopped containers is kept, once nobody needs it any more"),
  "evidence-size": bytes.optional().describe("most bytes of all evidence; past it the oldest that nobody needs goes"),
  profile: z.enum(JOB_PROFILES).optional().describe("what root in the container keeps: build is what apt and databases need, none is nothing"),
  authorization: z
    .enum(JOB_AUTHORIZATIONS)
    .optional()
    .describe("who may run jobs: whoever owns the state directory, or users with a role that has jobs:create in the repository"),
  unscanned: z.enum(["accept", "deny"]).optional().describe("images that nobody scanned for vulnerabilities; this version scans none"),
  network: z
    .enum(JOB_NETWORKS)
    .optional()
    .describe("none: no network; strict and moderate: what jobs.egress lists; relaxed: all but this host, other jobs and the cloud's metadata, recorded"),
  egress: z
    .array(z.string().min(1).max(512))
    .max(1000)
    .optional()
    .describe("what jobs may reach: name, *.name, name:port, address or range; without a port 80 and 443 (docs/network.md)"),
  "on-refusal": z.enum(["note", "fail"]).optional().describe("what a destination that was refused makes of the job"),
  "name-servers": z.array(z.string().min(2).max(64)).max(8).optional().describe("who is asked for names, by us; default: this host's own"),
  timeout: duration.optional().describe("longest time for one job"),
  log: bytes.optional().describe("most bytes that are kept of a job's output"),
  secrets: secretsByRepository
    .optional()
    .describe("secrets that every job of a repository gets, as files in /run/secrets: {acme/web: {NPM_TOKEN: npm/publish}}"),
  "secret-variables": z.enum(["accept", "deny"]).optional().describe("secrets as variables, which every process of the job passes on"),
});

const NETWORK_OF: Readonly<Record<Level, JobNetworkMode>> = { low: "relaxed", medium: "moderate", high: "strict", paranoid: "strict" };

export function jobPreset(level: Level): JobValues {
  const lax = level === "low" ? "accept" : "deny";
  return {
    ...{ "jobs.profile": "build", "jobs.authorization": "owner", "jobs.unscanned": lax, "jobs.timeout": 3_600_000, "jobs.log": 64 * 2 ** 20 },
    ...{ "jobs.network": NETWORK_OF[level], "jobs.egress": [], "jobs.on-refusal": "note", "jobs.name-servers": [] },
    ...{ "jobs.monitor": level === "high" || level === "paranoid" ? "require" : "watch", "jobs.monitor-rules": [], "jobs.suspicious": [] },
    ...{ "jobs.evidence-keep": (level === "low" ? 90 : 365) * 86_400_000, "jobs.evidence-size": 2 * 2 ** 30 },
    ...{ "jobs.secrets": {}, "jobs.secret-variables": lax },
  };
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The keys that a file sets. */
export function jobValues(file: JobsFile | undefined): Optional<JobValues> {
  return {
    "jobs.monitor": file?.monitor,
    "jobs.monitor-rules": file?.["monitor-rules"],
    "jobs.suspicious": file?.suspicious,
    "jobs.evidence-keep": file?.["evidence-keep"] === undefined ? undefined : parseDuration(file["evidence-keep"]),
    "jobs.evidence-size": file?.["evidence-size"] === undefined ? undefined : parseBytes(file["evidence-size"]),
    "jobs.profile": file?.profile,
    "jobs.authorization": file?.authorization,
    "jobs.unscanned": file?.unscanned,
    "jobs.network": file?.network,
    "jobs.egress": file?.egress,
    "jobs.on-refusal": file?.["on-refusal"],
    "jobs.name-servers": file?.["name-servers"],
    "jobs.timeout": file?.timeout === undefined ? undefined : parseDuration(file.timeout),
    "jobs.log": file?.log === undefined ? undefined : parseBytes(file.log),
    "jobs.secrets":
      file?.secrets === undefined ? undefined : Object.fromEntries(Object.entries(file.secrets).map(([name, files]) => [name.toLowerCase(), files])),
    "jobs.secret-variables": file?.["secret-variables"],
  };
}
