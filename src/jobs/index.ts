/** Jobs: flow 2, a command in a container that has only what it was given. */
export type { RunHooks } from "./container-run.ts";
export type { JobAuthority } from "./job-authority.ts";
export { JobBook, type JobBookOptions, type ListedJob } from "./job-book.ts";
export type { JobSecurityContext } from "./job-context.ts";
export { evidenceFolder, type JobEvidenceParts, pruneEvidence, whyNeeded } from "./job-evidence.ts";
export { ciNameSchema, type JobConfig, type JobCredential, type JobSpec } from "./job-spec.ts";
export type { JobState } from "./job-store.ts";
export type { JobTrail } from "./job-trail.ts";
export type { SecurityMetrics } from "./metrics.ts";
export { newJobId, SecurityOrchestrator } from "./orchestrator.ts";
export type { OrchestratorEvents } from "./orchestrator-events.ts";
export type { OrchestratorOptions, SecretParts } from "./orchestrator-options.ts";
export type { SecuredResult } from "./prepared-run.ts";
export { sizeText, sizeWord } from "./report/amounts.ts";
export { buildReport, NOT_COVERED } from "./report/report.ts";
export {
  CHECK_NAMES,
  type Check,
  type CheckName,
  type JobFacts,
  type JobReport,
  jobReportSchema,
  parseReport,
  REPORT_SCHEMA,
  type ResourceAmounts,
  type Verdict,
} from "./report/schema.ts";
export { CATALOGUE, type Control, type UnitKind } from "./score/catalogue.ts";
export { installUnits } from "./score/install-evidence.ts";
export { isPinned, jobUnit, type TrailState } from "./score/job-evidence.ts";
export { computeScore, type Score, type ScoreInput, type ScoreLine, type ScoreUnit } from "./score/score.ts";
export {
  ACTIONS,
  type Action,
  type ActionOutcome,
  planReason,
  planResponse,
  RESPONSES,
  RULE_ANSWERS,
  respond,
  type ThreatActions,
} from "./threats/response.ts";
export { newThreat, resolved, SEVERITIES, type Severity, type Threat, type ThreatInput, threatSchema } from "./threats/threat.ts";
