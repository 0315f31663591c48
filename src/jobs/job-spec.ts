/** What callers ask for: a job's identity and needs (the seed's jobConfig), and what is run in it. One strict schema each. */
import { z } from "zod";
import { parseInput } from "../foundation/index.ts";
import { type LimitsInput, limitsSchema, PRIORITIES, type Priority } from "../quota/index.ts";
import { secretFileName, secretIdSchema } from "../secrets/index.ts";
import { variableName } from "./container/spec.ts";

export interface JobConfig {
  /** `owner/name`. */
  readonly repository: string;
  /** Of the seed; nobody is believed because of it: see {@link credential}. */
  readonly userId?: string | undefined;
  /** Who asks for it, where jobs are for users (`jobs.authorization: roles`). Verified, and never kept. */
  readonly credential?: JobCredential | undefined;
  /** Place in the queue, and the tier. Default normal. */
  readonly priority?: Priority | undefined;
  /**
   * What a CI calls this job. With the repository they name the baseline of what it usually does, and nothing else: whoever calls
   * claims them. Without a job its command names it.
   */
  readonly workflow?: string | undefined;
  readonly job?: string | undefined;
  /** Where these names are from, for the report: `GITHUB_JOB`. Default: the caller. */
  readonly namesFrom?: string | undefined;
  /** Tag, digest or id. */
  readonly image?: string | undefined;
  readonly resources?: LimitsInput | undefined;
  /** What it may reach besides the policy's jobs.egress: `packages.example:443` (docs/network.md). */
  readonly egress?: readonly string[] | undefined;
  /** Longest wait for resources, ms. Absent: what is not free now is refused. */
  readonly wait?: number | undefined;
}

/** A session's secret or an API token, one of them, and where it was shown. */
export interface JobCredential {
  readonly session?: string | undefined;
  readonly token?: string | undefined;
  readonly ipAddress?: string | undefined;
  readonly userAgent?: string | undefined;
}

export interface JobSpec {
  /** Absent: the image's own. */
  readonly command?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly workingDir?: string | undefined;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly tty?: boolean | undefined;
  /** Standard input is given to the job. */
  readonly stdin?: boolean | undefined;
  readonly workspace?:
    | { readonly path: string; readonly target?: string | undefined; readonly mode?: "bind" | "copy" | undefined; readonly readOnly?: boolean | undefined }
    | undefined;
  /** Ids of secrets by the name that the job knows them by: files in /run/secrets, or variables of the workload alone. */
  readonly secrets?:
    | { readonly files?: Readonly<Record<string, string>> | undefined; readonly variables?: Readonly<Record<string, string>> | undefined }
    | undefined;
  /** Longest time of the workload, ms. Default the policy's jobs.timeout; never more than that. */
  readonly timeout?: number | undefined;
}

const repository = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\/[A-Za-z0-9_.-]{1,100}$/, "not a repository; write it like acme/web");
/** As Docker's reference grammar has them, with room; what it means is the engine's to say. */
export const imageReference: z.ZodType<string> = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$/, "not a name of an image");
export const jobIdSchema: z.ZodType<string> = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "letters, digits, _ . -, at most 64");

/** Looked through here, and handed on as written: quota reads it once more, and a number without a unit is no size. */
const limits: z.ZodType<LimitsInput> = z.custom<LimitsInput>().superRefine((value, context) => {
  for (const { message, path } of limitsSchema.safeParse(value).error?.issues ?? []) context.addIssue({ code: "custom", message, path });
});

/** A name that is shown on one line. */
export const ciNameSchema: z.ZodType<string> = z
  .string()
  .min(1)
  .max(256)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), "a character that no name has");

const configSchema: z.ZodType<JobConfig> = z.strictObject({
  repository,
  userId: z.string().max(256).optional(),
  credential: z
    .strictObject({
      session: z.string().min(1).max(512).optional(),
      token: z.string().min(1).max(512).optional(),
      ipAddress: z.string().max(64).optional(),
      userAgent: z.string().max(1024).optional(),
    })
    .refine(({ session, token }) => session === undefined || token === undefined, "a session or a token, not both")
    .optional(),
  priority: z.enum(PRIORITIES).optional(),
  workflow: ciNameSchema.optional(),
  job: ciNameSchema.optional(),
  namesFrom: ciNameSchema.optional(),
  image: imageReference.optional(),
  resources: limits.optional(),
  egress: z.array(z.string().min(1).max(512)).max(1000).optional(),
  wait: z.int().min(0).max(86_400_000).optional(),
});

const specSchema: z.ZodType<JobSpec> = z
  .strictObject({
    command: z.array(z.string()).min(1).max(10_000).optional(),
    env: z.record(z.string(), z.string()).optional(),
    workingDir: z.string().max(4096).optional(),
    user: z.strictObject({ uid: z.int().min(0).max(0xfffffffe), gid: z.int().min(0).max(0xfffffffe) }).optional(),
    tty: z.boolean().optional(),
    stdin: z.boolean().optional(),
    workspace: z
      .strictObject({
        path: z.string().min(1).max(4096),
        target: z.string().max(4096).optional(),
        mode: z.enum(["bind", "copy"]).optional(),
        readOnly: z.boolean().optional(),
      })
      .optional(),
    secrets: z
      .strictObject({ files: z.record(secretFileName, secretIdSchema).optional(), variables: z.record(variableName, secretIdSchema).optional() })
      .optional(),
    timeout: z
      .int()
      .min(1)
      .max(30 * 86_400_000)
      .optional(),
  })
  .refine(
    ({ env = {}, secrets }) => Object.keys(secrets?.variables ?? {}).every((name) => !Object.hasOwn(env, name)),
    "a variable that is a secret and is given in env too",
  );

/** Throws INVALID_ARGUMENT with what is wrong, and a suggestion for a key that is near one. */
export function parseJobConfig(input: unknown): JobConfig {
  return parseInput(configSchema, input, "jobConfig");
}

export function parseJobSpec(input: unknown): JobSpec {
  return parseInput(specSchema, input, "what a job runs");
}

/** Throws INVALID_ARGUMENT. */
export function jobIdOf(input: unknown): string {
  return parseInput(jobIdSchema, input, "job id");
}
