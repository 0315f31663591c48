/** Jobs: flow 2, a command in a container that has only what it was given. */
export type { RunHooks } from "./container-run.ts";
export type { JobConfig, JobSpec } from "./job-spec.ts";
export type { JobState, StoredJob } from "./job-store.ts";
export { type JobSecurityContext, newJobId, type OrchestratorOptions, SecurityOrchestrator } from "./orchestrator.ts";
export type { OrchestratorEvents } from "./orchestrator-events.ts";
export type { JobReport } from "./report/schema.ts";
