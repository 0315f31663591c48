/** Sets: names that a policy can list, and what they stand for. */
export type { ConfiguredRules, ConfiguredSet } from "./configured-set.ts";
export { CONFIGURED_SETS, type ExpandedRules, expandSets, setNames } from "./expand.ts";
export { type SetHost, setHost } from "./host.ts";
export { PUBLISHED_SETS, type PublishedSet } from "./published.ts";
