/** RBAC: who may do what, where, when and from where; decided from one compiled policy, and explained. */
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
export { foldName } from "./names.ts";
export { coversPermission, parsePermission, permissionsOverlap } from "./permission.ts";
export { matchesRepository } from "./repository-pattern.ts";
export {
  type AssignOptions,
  accessLimitsSchema,
  idSchema,
  MAX_RULES,
  type RoleInput,
  type RolePatch,
  repositoryNameSchema,
  type UserInput,
  type UserPatch,
  usernameSchema,
} from "./schemas.ts";
export { RBAC_MIGRATIONS, RBAC_ROOM } from "./tables.ts";
