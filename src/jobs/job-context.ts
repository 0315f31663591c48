/** The seed's context: how far a job came before it runs. */
import type { JsonValue } from "../foundation/index.ts";
import type { LiveJob } from "./live-job.ts";
import type { Threat } from "./threats/threat.ts";

export interface JobSecurityContext {
  readonly jobId: string;
  readonly state: "initializing" | "ready" | "blocked";
  readonly checks: Readonly<Record<"authentication" | "authorization" | "scanning" | "resourceAllocation" | "networkIsolation", boolean>>;
  readonly network: { readonly mode: "none" };
  readonly resources: JsonValue;
  readonly threats: readonly Threat[];
  readonly violations: readonly JsonValue[];
  /** Why it is blocked. */
  readonly reason?: string | undefined;
}

export function contextOf(job: LiveJob, state: JobSecurityContext["state"]): JobSecurityContext {
  const { checks } = job;
  const passed = (name: keyof typeof checks): boolean => checks[name].state === "passed";
  return {
    jobId: job.identity.jobId,
    state,
    checks: {
      authentication: passed("authentication"),
      authorization: passed("authorization"),
      scanning: passed("scanning"),
      resourceAllocation: passed("resourceAllocation"),
      networkIsolation: passed("networkIsolation"),
    },
    network: { mode: "none" },
    resources: JSON.parse(JSON.stringify(job.allocation ?? null)),
    threats: job.threats,
    violations: JSON.parse(JSON.stringify(job.violations)),
    ...(job.stoppedBy === undefined ? {} : { reason: job.stoppedBy.message }),
  };
}
