/** Quota: who gets how much of this host, enforced and measured. */
export type { Allocation, Enforcement, Reservation } from "./allocation.ts";
export { readerOf } from "./cgroup/counters.ts";
export { cgroupOf } from "./cgroup/mounts.ts";
export { type LimitProof, proveLimits } from "./cgroup/proof.ts";
export { type ContainerLimits, createLimits, type LimitsTarget } from "./container-limits.ts";
export type { AppliedLimits, QuotaEvents, QuotaViolation, UsageAlert, ViolationKind, WatchedResource } from "./events.ts";
export { LIMIT_NAMES, type LimitName, type LimitsInput, limitsSchema, type ResourceLimits } from "./limits.ts";
export { ResourceQuotaManager } from "./manager.ts";
export type { LayerInput, ResourceQuotaOptions, ResourceRequest } from "./settings.ts";
export { type Capped, PRIORITIES, type Priority } from "./tiers.ts";
