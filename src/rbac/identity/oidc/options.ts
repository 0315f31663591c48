/** Which tokens of jobs are believed, and for what. */
import { z } from "zod";
import type { KeyFetcher } from "./key-set.ts";

export const GITHUB_ISSUER = "https://token.actions.githubusercontent.com";

/** Jobs that are believed. Everything that is given must be exactly so. */
export interface JobRule {
  /** The number: names get renamed and taken over. */
  readonly repositoryId: string;
  /** `event_name`. */
  readonly events?: readonly string[] | undefined;
  /** `job_workflow_ref`: `acme/web/.github/workflows/release.yml@refs/heads/main`. */
  readonly workflows?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  /** `sub`. */
  readonly subjects?: readonly string[] | undefined;
  /** A user by name or id, a program as a rule, whom such a job may open a session for, in its own repository. Not for jobs that strangers start. */
  readonly user?: string | undefined;
}

export interface JobTokenOptions {
  /** Whom tokens must be made out to: a name of this installation alone, as the workflow asks for it. */
  readonly audience: string;
  /** A job must fit one of them; the first that fits counts. */
  readonly accept: readonly JobRule[];
  /** Default: GitHub's. On a server of one's own `https://HOST/_services/token`. */
  readonly issuer?: string | undefined;
  /** How old the issuer's keys may be, ms. Default a day; an hour to a week. */
  readonly maxKeyAge?: number | undefined;
  /** Default: over https from `/.well-known/jwks` of the issuer. */
  readonly fetchKeys?: KeyFetcher | undefined;
  /** Certificates (PEM) of an authority of one's own, for the default fetcher. */
  readonly ca?: string | undefined;
}

const HOUR = 3_600_000;
const names = z.array(z.string().min(1).max(1024)).min(1).max(1000).optional();

export const jobTokenOptionsSchema: z.ZodType<JobTokenOptions> = z.strictObject({
  audience: z.string().min(1).max(1024),
  accept: z
    .array(
      z.strictObject({
        repositoryId: z.string().regex(/^[1-9]\d{0,18}$/, "a repository is named by its number"),
        events: names,
        workflows: names,
        environments: names,
        subjects: names,
        user: z.string().min(1).max(128).optional(),
      }),
    )
    .max(10_000),
  issuer: z
    .url({ protocol: /^https$/ })
    .max(1024)
    .optional(),
  maxKeyAge: z
    .int()
    .min(HOUR)
    .max(7 * 24 * HOUR)
    .optional(),
  fetchKeys: z.custom<KeyFetcher>((value) => typeof value === "function").optional(),
  ca: z.string().min(1).max(1_000_000).optional(),
});
