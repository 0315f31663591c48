/** Kinds of events (`category/action`) by what they show; the tables of the standards are written in these. */

/** What was installed, changed and removed, under which policy. */
export const INSTALLS: readonly string[] = ["packages/PackageInstall", "packages/PackageUpdate", "packages/PackageUninstall"];
/** Every package against the hash it was judged by. */
export const INTEGRITY: readonly string[] = ["packages/IntegrityCheck"];
/** Packages against advisories, and what was known to be bad only after the install. */
export const SCANS: readonly string[] = ["packages/VulnerabilityScan", "packages/PackageExposed"];
/** Scripts and commands in a jail: what they were granted, reached and were refused. */
export const JAILED: readonly string[] = ["packages/RuntimeProtection", "sandbox/RuntimeProtection"];
/** Seen in guarded jobs: what it was, what was kept of it, and who looked into it. */
export const THREATS: readonly string[] = ["jobs/ThreatHandled", "jobs/ThreatResolved", "monitor/EvidenceKept"];
/** Networks of jobs: what they were allowed, what they tried besides, and that one was lost or cut. */
export const NETWORKS: readonly string[] = [
  ...["network/NetworkCreated", "network/NetworkPolicyApplied", "network/NetworkViolation"],
  ...["network/NetworkDisconnected", "network/NetworkLost", "network/NetworkRemoved"],
];
/** Approvals of scripts, and other changes of what is allowed. */
export const CHANGES: readonly string[] = ["packages/ConfigurationChange"];
/** Advisories fetched or imported, and attempts that failed. */
export const ADVISORIES: readonly string[] = ["advisories/AdvisoriesUpdate", "advisories/AdvisoriesImport"];
/** The trail could not take events, or not sign and bring away what it holds, or went on after a loss. */
export const TRAIL_FAILURES: readonly string[] = [
  "audit/disk_full",
  "audit/checkpoint_failed",
  "audit/tail_recovered",
  "audit/recovered",
  "audit/key_replaced",
];
/** How long events are kept, and why longer. */
export const RETENTION: readonly string[] = ["audit/retention_pruned", "audit/hold_placed", "audit/hold_released"];
/** Personal data that was made unreadable. */
export const ERASURES: readonly string[] = ["audit/subject_erased"];
/** Reports and folders of evidence that were handed out. */
export const EXPORTS: readonly string[] = ["audit/exported"];
/** Accounts that were made, changed and taken out, and what lets them in. */
export const ACCOUNTS: readonly string[] = [
  "authorization/user_created",
  "authorization/user_updated",
  "authorization/user_deleted",
  "identity/set_up",
  "identity/account_recovered",
];
/** Passwords, second factors and tokens: set, made and taken away. */
export const CREDENTIALS: readonly string[] = [
  "identity/password_set",
  "identity/second_factor_confirmed",
  "identity/second_factor_removed",
  "identity/token_created",
  "identity/token_revoked",
];
/** Who got and lost which role, and what roles allow. */
export const ROLES: readonly string[] = [
  "authorization/role_assigned",
  "authorization/role_revoked",
  "authorization/role_created",
  "authorization/role_updated",
  "authorization/role_deleted",
];
/** Who showed who they are, with which outcome. */
export const LOGINS: readonly string[] = [
  "identity/login",
  "identity/session_created",
  "identity/session_ended",
  "identity/session_refused",
  "identity/token_refused",
  "identity/job_token_accepted",
  "identity/job_token_refused",
];
/** Every refusal, and a sample of what was allowed. */
export const DECISIONS: readonly string[] = ["authorization/permission_denied", "authorization/permission_granted"];
/** Secrets that were stored, given a next value and destroyed, and the key that they are sealed with. */
export const SECRET_CARE: readonly string[] = [
  ...["secrets/SecretStored", "secrets/SecretRotated", "secrets/SecretDeleted"],
  ...["secrets/SecretKeyChanged", "secrets/SecretKeyProtected", "secrets/SecretKeyBackedUp", "secrets/SecretKeyRestored", "secrets/SecretStoreRecovered"],
];
/** Who was given a secret, or saw one, and who was refused. */
export const SECRET_USE: readonly string[] = ["secrets/SecretRetrieved", "secrets/SecretRevealed", "secrets/SecretCanaryRead", "secrets/SecretRefused"];
