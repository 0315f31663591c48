/** Cofferdam as a library. Each room also has an entry of its own: cofferdam/audit, cofferdam/integrity, ... */
export {
  type AuditEvent,
  type AuditEventInput,
  AuditLogger,
  type AuditLoggerOptions,
  type AuditQuery,
  type AuditSink,
  type VerifyReport,
} from "./audit/index.ts";
export { CofferdamError, ERROR_TABLE, type ErrorCode } from "./foundation/index.ts";
export { type VerifyResult, verifyBytes, verifyFile } from "./integrity/index.ts";
export {
  type JobConfig,
  type JobReport,
  type JobSecurityContext,
  type JobSpec,
  newJobId,
  type OrchestratorOptions,
  SecurityOrchestrator,
} from "./jobs/index.ts";
export { type MonitorOptions, type MonitorThreat, RuntimeSecurityMonitor } from "./monitor/index.ts";
export {
  type ApplyOutcome,
  type IsolatedNetwork,
  type JobNetworkConfig,
  NetworkIsolationManager,
  type NetworkIsolationOptions,
  type NetworkTraffic,
} from "./network/index.ts";
export {
  guardedInstall,
  type InstallRequest,
  type InstallResult,
  type PackageVulnerability,
  type ScanOptions,
  type ScanRequest,
  type ScanResult,
  type ScriptOptions,
  SecurityService,
  type SecurityServiceConfig,
  scan,
  type VulnerabilityReport,
} from "./packages/index.ts";
export { type EffectivePolicy, loadPolicy, type PolicyRequest } from "./policy/index.ts";
export {
  type AccessContext,
  type Actor,
  type Assignment,
  type Decision,
  type JobIdentity,
  type JobTokenOptions,
  type RBACOptions,
  RBACSystem,
  type Role,
  type Session,
  type SessionMetadata,
  type User,
} from "./rbac/index.ts";
export { type JailRequest, type JailResult, type JailTools, locateJailHelper, runJail } from "./sandbox/index.ts";
export {
  type Authorizer,
  type JobFacts,
  type RetrievedSecret,
  type SecretInfo,
  type SecretInjector,
  SecretManagementSystem,
  type SecretMetadata,
  type SecretOptions,
  type SecretRequester,
} from "./secrets/index.ts";
export { Telemetry } from "./telemetry/index.ts";
export { AdvisoryDatabase, type AdvisoryDatabaseOptions, type Finding, match, type Severity } from "./vulnerability/index.ts";
