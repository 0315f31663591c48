/** The `jobs` part of cofferdam.yaml: what a guarded job may be, whatever its container engine. */
import { z } from "zod";
import { parseBytes, parseDuration } from "../foundation/index.ts";
import type { Level } from "./schema.ts";

export const JOB_PROFILES = ["none", "build"] as const;
export type JobProfile = (typeof JOB_PROFILES)[number];

export interface JobsFile {
  readonly profile?: JobProfile | undefined;
  readonly unscanned?: "accept" | "deny" | undefined;
  readonly timeout?: string | undefined;
  readonly log?: string | undefined;
}

/** Effective values; bytes and ms. */
export interface JobValues {
  readonly "jobs.profile": JobProfile;
  readonly "jobs.unscanned": "accept" | "deny";
  readonly "jobs.timeout": number;
  readonly "jobs.log": number;
}

const duration = z.string().refine((text) => works(() => parseDuration(text)), "not a duration; write it like 30m");
const bytes = z.string().refine((text) => works(() => parseBytes(text)), "not a size; write it like 64MiB");

export const jobsSchema: z.ZodType<JobsFile> = z.strictObject({
  profile: z.enum(JOB_PROFILES).optional().describe("what root in the container keeps: build is what apt and databases need, none is nothing"),
  unscanned: z.enum(["accept", "deny"]).optional().describe("images that nobody scanned for vulnerabilities; this version scans none"),
  timeout: duration.optional().describe("longest time for one job"),
  log: bytes.optional().describe("most bytes that are kept of a job's output"),
});

export function jobPreset(level: Level): JobValues {
  return { "jobs.profile": "build", "jobs.unscanned": level === "low" ? "accept" : "deny", "jobs.timeout": 3_600_000, "jobs.log": 64 * 2 ** 20 };
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The keys that a file sets. */
export function jobValues(file: JobsFile | undefined): Optional<JobValues> {
  return {
    "jobs.profile": file?.profile,
    "jobs.unscanned": file?.unscanned,
    "jobs.timeout": file?.timeout === undefined ? undefined : parseDuration(file.timeout),
    "jobs.log": file?.log === undefined ? undefined : parseBytes(file.log),
  };
}

function works(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}
