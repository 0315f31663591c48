/** Scripts: which run, in which order, in which environment, and who said so. Running them is the runner's. */
export type { Approval, ApprovalChange, Approvals, ApprovalsFile, Verdict } from "./approvals.ts";
export { type Asker, whoAsks } from "./asker.ts";
export { approvalKey, type Basis, decide, grantFor, type ScriptDecision, type ScriptReview, type ScriptRules } from "./decide.ts";
export { type ScriptSurroundings, scriptEnvironment } from "./environment.ts";
export { type DownloadHint, downloadHint, EXCEPTIONS, type Extras, extrasFor, type GeneratedFile, type ScriptInQuestion } from "./exceptions.ts";
export { folderFiles, type PackageFiles, type ShownFile, tarballFiles } from "./files.ts";
export { hasBindingGyp, parseScriptManifest, readScriptManifest, type Script, type ScriptManifest, scriptsFor } from "./manifest.ts";
export { NpmApprovals, npmSkipsUnlisted } from "./npm-approvals.ts";
export { eventsOf, inOrder, type ProjectEvents, projectEvents } from "./order.ts";
export { runOf, type ScriptOutcome, type ScriptRun, ScriptRunner } from "./runner.ts";
export { selectPackages } from "./select.ts";
export { type DecidedScript, decideShellScript, type ShellJail, type ShellScript, type ShellStreams, shellJail } from "./shell.ts";
export { MAX_FILES, MAX_SHOWN, namedFiles } from "./show.ts";
export { labelOf, type Origin, projectSubject, type ScriptSubject, subjectOf, subjectsOf, trustedName } from "./subject.ts";
export { type SuggestedGrant, suggestedGrant } from "./suggest.ts";
export { filesOf, openScriptProject, type ScriptProject, type ScriptSurvey, type SurveyedPackage, type SurveyRequest, surveyScripts } from "./survey.ts";
