/**
 * What a token of GitHub Actions says of a job. Claims that are not listed here may be there and are not looked at.
 * https://docs.github.com/en/actions/reference/security/oidc
 */
import { z } from "zod";
import { line, repositoryNameSchema } from "../../schemas.ts";

export interface JobClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly exp: number;
  readonly nbf: number;
  readonly iat: number;
  readonly jti: string;
  readonly repository: string;
  readonly repository_id: string;
  readonly event_name: string;
  readonly job_workflow_ref: string;
  readonly run_id: string;
  readonly run_attempt: string;
  readonly ref?: string | undefined;
  readonly sha?: string | undefined;
  readonly environment?: string | undefined;
  readonly actor_id?: string | undefined;
}

/** GitHub's numbers are text in tokens. */
const digits = z.string().regex(/^[1-9]\d{0,18}$/, "is no number");
const seconds = z.int().min(1).max(8_640_000_000_000);

export const claimsSchema: z.ZodType<JobClaims> = z.object({
  iss: line(1024),
  /** A list would make the token good for others, too. */
  aud: line(1024),
  sub: line(1024),
  exp: seconds,
  nbf: seconds,
  iat: seconds,
  jti: line(256),
  repository: repositoryNameSchema,
  repository_id: digits,
  event_name: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/),
  job_workflow_ref: line(1024),
  run_id: digits,
  run_attempt: digits,
  ref: line(1024).optional(),
  sha: line(128).optional(),
  environment: line(255).optional(),
  actor_id: digits.optional(),
});

/**
 * Events that only somebody with rights to the repository starts, or the repository itself. Whatever is not here, pull requests
 * of all kinds first, may be started by a stranger, or run on what one wrote.
 */
const INSIDE: ReadonlySet<string> = new Set([
  "push",
  "schedule",
  "workflow_dispatch",
  "repository_dispatch",
  "release",
  "deployment",
  "merge_group",
  "create",
  "delete",
]);

export function isInside(eventName: string): boolean {
  return INSIDE.has(eventName);
}
