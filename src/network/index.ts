/** Network: each job in one of its own, from which it reaches what it was allowed. */
export type {
  ApplyOutcome,
  GatewayAddresses,
  IsolationMode,
  JobGateway,
  NetworkPolicy,
  NetworkViolation,
  OpenJobGateway,
  TrafficConnection,
  TrafficLookup,
  TrafficSnapshot,
  Verdict,
} from "./contract.ts";
export { locateHands } from "./kernel/hands.ts";
export type { Counter, Link, ProcessPlace } from "./kernel/lock.ts";
export { tryNetwork } from "./kernel/try.ts";
export { type BlockedJob, type DryRun, dryRun, type Learned, type LearnedRule, learn, type RecordedJob, ruleFor } from "./learning/index.ts";
export type { NetworkEvents } from "./manager/events.ts";
export { type ConnectedContainer, type ConnectOptions, type IsolatedNetwork, NetworkIsolationManager } from "./manager/manager.ts";
export type { JobNetworkConfig, NetworkIsolationOptions } from "./manager/settings.ts";
export type { DroppedPackets, NetworkTraffic } from "./manager/traffic.ts";
export { type EgressRule, type IngressRule, isolationModeSchema, isReadableRule, type NetworkPolicies, parseRule, reasonText } from "./rules/index.ts";
export { type ExpandedRules, expandSets, PUBLISHED_SETS, type PublishedSet, type SetHost, setHost, setNames } from "./sets/index.ts";
