/** The `identity` part of cofferdam.yaml: which jobs of GitHub Actions are believed by the tokens that they show. docs/identity.md */
import { z } from "zod";

/** A job has to be exactly so in everything that is given. */
export interface JobIdentityWords {
  /** Whose session such a job may open. */
  readonly user?: string | undefined;
  readonly events?: readonly string[] | undefined;
  readonly workflows?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly subjects?: readonly string[] | undefined;
}

export interface IdentityFile {
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly jobs?: Readonly<Record<string, JobIdentityWords>> | undefined;
}

export interface IdentityValues {
  readonly "identity.issuer": string;
  /** `none`: no job is believed. */
  readonly "identity.audience": string;
  /** By the number of the repository. */
  readonly "identity.jobs": Readonly<Record<string, JobIdentityWords>>;
}

const names = z.array(z.string().min(1).max(1024)).min(1).max(1000).optional();

export const identitySchema: z.ZodType<IdentityFile> = z.strictObject({
  issuer: z
    .url({ protocol: /^https$/ })
    .max(1024)
    .optional()
    .describe("who makes the tokens of jobs: GitHub, or https://HOST/_services/token"),
  audience: z.string().min(1).max(1024).optional().describe("whom tokens of jobs must be made out to: a name of this installation alone"),
  jobs: z
    .record(
      z.string().regex(/^[1-9]\d{0,18}$/, "a repository is named by its number"),
      z.strictObject({ user: z.string().min(1).max(128).optional(), events: names, workflows: names, environments: names, subjects: names }),
    )
    .optional()
    .describe('jobs that are believed, by the number of their repository: {"4711": {user: nightly, events: [push]}}'),
});

const GITHUB = "https://token.actions.githubusercontent.com";

export function identityPreset(): IdentityValues {
  return { "identity.issuer": GITHUB, "identity.audience": "none", "identity.jobs": {} };
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The keys that a file sets. */
export function identityValues(file: IdentityFile | undefined): Optional<IdentityValues> {
  return { "identity.issuer": file?.issuer, "identity.audience": file?.audience, "identity.jobs": file?.jobs };
}
