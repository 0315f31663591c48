/** Packages: the guarded install. */
export { locateBubblewrap, locateNpm, type NpmClient } from "./client/locate.ts";
export { guardedInstall, type InstallProgress, type InstallRequest } from "./install/install.ts";
export { exitOf, type InstallFinding, type InstallResult, type NotChecked, type SkippedScript } from "./install/result.ts";
export {
  type ApprovalChange,
  approvalKey,
  EXCEPTIONS,
  filesOf,
  labelOf,
  namedFiles,
  openScriptProject,
  type ScriptProject,
  type ScriptSubject,
  type SurveyedPackage,
  selectPackages,
  surveyScripts,
} from "./scripts/index.ts";
export { SecurityService, type SecurityServiceConfig } from "./service.ts";
