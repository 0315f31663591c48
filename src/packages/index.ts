/** Packages: the guarded install. */
export { jailTools } from "./client/jail-tools.ts";
export { locateBubblewrap, locateNpm, type NpmClient } from "./client/locate.ts";
export type { AdvisorySummary } from "./install/advisories.ts";
export { guardedInstall, type InstallProgress, type InstallRequest } from "./install/install.ts";
export { exitOf, failedScript, type InstallFinding, type InstallResult, type NotChecked } from "./install/result.ts";
export { type ScriptAdvice, scriptAdvice } from "./install/script-advice.ts";
export { InstallHistory, type RecentInstalls, type WherePage, type WhereQuery } from "./installs/history.ts";
export type { FoundInstall, Install, InstalledVersion, RecordedInstall, RememberedScript } from "./installs/install.ts";
export { type Exposure, raiseExposed } from "./scan/exposed.ts";
export { findingDocument, sourceDocument } from "./scan/formats/json.ts";
export type { Fix, JudgedSource, Place, ScannedFinding, ScanResult, Verdict } from "./scan/result.ts";
export { type Scan, type ScanRequest, scan } from "./scan/scan.ts";
export {
  type ApprovalChange,
  approvalKey,
  type DecidedScript,
  decideShellScript,
  EXCEPTIONS,
  filesOf,
  labelOf,
  namedFiles,
  openScriptProject,
  runOf,
  type ScriptOutcome,
  type ScriptProject,
  type ScriptSubject,
  type ShellJail,
  type SurveyedPackage,
  selectPackages,
  shellJail,
  surveyScripts,
  whoAsks,
} from "./scripts/index.ts";
export { type ScanOptions, type ScriptOptions, SecurityService, type SecurityServiceConfig } from "./service.ts";
export type { PackageVulnerability, VulnerabilityReport } from "./service-scan.ts";
