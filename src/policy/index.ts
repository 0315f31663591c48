/** Policy: what is enforced, where that was decided, and who may change it. */
export { gitRoot, POLICY_FILE, type PolicyPlaces, policyPlaces } from "./discover.ts";
export { addAllowance, addApprovedScripts, addEgress, type EditResult, type EgressAddition, previewEgress, removeApprovedScripts } from "./edit.ts";
export { type LoadedFile, readPolicyFile } from "./file.ts";
export type { IdentityValues, JobIdentityWords } from "./identity.ts";
export type { Monitoring } from "./jobs.ts";
export { type EffectivePolicy, loadPolicy, type Origin, type PolicyRequest } from "./load.ts";
export { type LimitWords, type QuotaLayer, type QuotaOptions, quotaOptionsOf } from "./quota.ts";
export { type Allowance, KEYS, LEVELS, type Level, type Mode, type PolicyFile, policyFileSchema } from "./schema.ts";
export {
  isGrantableHost,
  isGrantablePath,
  parseScriptKey,
  SCRIPT_EXCEPTIONS,
  type ScriptException,
  type ScriptGrant,
  type ScriptKey,
  type Switch,
} from "./scripts.ts";
export { type SecretProviderWords, type SecretRules, secretRulesOf } from "./secrets.ts";
export { TrustStore } from "./trust.ts";
export { type PolicyKey, type PolicyValues, presetOf } from "./values.ts";
