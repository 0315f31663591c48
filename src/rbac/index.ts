/** RBAC: who may do what, where, when and from where; decided from one compiled policy, and explained. */
export { BUILT_IN_ROLES, PERMISSIONS } from "./built-in-roles.ts";
export type { PolicyChange } from "./changes.ts";
export type { Checker } from "./checker.ts";
export type { Established } from "./conditions/question.ts";
export type {
  AccessContext,
  AccessLimits,
  Actor,
  Assignment,
  Authentication,
  Constraints,
  Day,
  Decision,
  DecisionReason,
  FailedCondition,
  RepositoryConstraint,
  RepositoryFacts,
  RepositoryResolver,
  Role,
  Scope,
  Session,
  SessionMetadata,
  SessionPort,
  TimeRestriction,
  User,
  UserDirectory,
  VerifiedSession,
} from "./contract.ts";
export { DAYS } from "./contract.ts";
export type { RBACEvents } from "./events.ts";
export type { Client } from "./identity/client.ts";
export { Identity, type IdentityOptions, type IdentityStatus } from "./identity/identity.ts";
export type { JobIdentity } from "./identity/job-token-desk.ts";
export type { LoginInput } from "./identity/login-desk.ts";
export { httpsFetcher } from "./identity/oidc/https-fetcher.ts";
export type { KeyFetcher } from "./identity/oidc/key-set.ts";
export type { JobRule, JobTokenOptions } from "./identity/oidc/options.ts";
export type { IdentityUsers } from "./identity/parts.ts";
export type { PasswordCost } from "./identity/password.ts";
export type { SetupToken } from "./identity/recovery-desk.ts";
export type { SessionRules, SessionRulesInput } from "./identity/rules.ts";
export type { Enrolment } from "./identity/second-factors.ts";
export type { KnownSession, OpenedSession } from "./identity/session-desk.ts";
export type { SessionRecord } from "./identity/sessions.ts";
export type { TokenIdentity } from "./identity/token-desk.ts";
export type { NewToken, TokenInput, TokenRecord } from "./identity/tokens.ts";
export type { RBACOptions } from "./options.ts";
export type { ImportOptions } from "./policy-file/desk.ts";
export type { ChangedDecision, DecisionEvent, DecisionTrail, DryRun } from "./policy-file/dry-run.ts";
export { MAX_POLICY_FILE } from "./policy-file/file.ts";
export type { Difference, PolicyDifference } from "./policy-file/plan.ts";
export { GitHubResolver, type GitHubResolverOptions } from "./repositories/github.ts";
export type { GitHubCredentials } from "./repositories/github-api.ts";
export type { RepositoryInput } from "./repositories/stored-facts.ts";
export type { AssignOptions, RoleInput, RolePatch, UserInput, UserPatch } from "./schemas.ts";
export { RBACSystem } from "./system.ts";
export type { AuditTrail } from "./trail.ts";
