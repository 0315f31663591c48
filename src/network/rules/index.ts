/** Rules: what a job may reach, read strictly and asked fast. */
export { type Address, formatAddress, normalAddress, parseAddress } from "./address.ts";
export { CompiledPolicy, hasRequestRules, type Question } from "./compiled-policy.ts";
export { type Decision, passes, type RefusalReason, reasonText, refusalMessage } from "./decision.ts";
export { normalName } from "./name.ts";
export {
  type EgressRule,
  type IngressRule,
  isolationModeSchema,
  type NetworkPolicies,
  networkPoliciesSchema,
  networkPolicySchema,
  portsSchema,
  type RulesOfPolicies,
  rulesOfPolicies,
} from "./policy-schema.ts";
export { isReadableRule, type Protocol, parseRule, placeText, type RequestPattern, type Rule } from "./rule.ts";
