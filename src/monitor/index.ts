/** Monitor: what the processes of a job do, from the kernel, and what of it is a threat. */
export type * from "./event.ts";
export { type MonitorEvents, RuntimeSecurityMonitor } from "./monitor.ts";
export {
  type EvidenceFile,
  EvidenceFolder,
  type EvidenceLimits,
  type EvidencePruning,
  type KeptEvidence,
  type PruneOptions,
  type ReadEvidence,
  type RemovedEvidence,
} from "./response/index.ts";
export {
  builtInFolder,
  builtInRules,
  type ExceptionFile,
  type JobProcesses,
  JobPrograms,
  type Match,
  type NamedRules,
  type ProgramFacts,
  RULE_ACTIONS,
  type RuleAction,
  type RuleFacts,
  type RuleFile,
  RuleSet,
  type RuleSeverity,
  type RulesFile,
  type RuleTest,
  readRules,
  readRuleTests,
  rulesIn,
  type TestedRule,
  testRule,
} from "./rules/index.ts";
export { KernelSensor, type KernelSensorEvents, type KernelSensorOptions, type Watch, type WatchRequest } from "./sensors/kernel-sensor.ts";
export { SENSITIVE, type SensitiveNames } from "./sensors/sensitive.ts";
export type { FrozenAt } from "./watch/container-response.ts";
export type { InspectedContainer, MonitorEngine, MonitoringMetadata, MonitorOptions, MonitorSensor } from "./watch/options.ts";
export type { Talker } from "./watch/talkers.ts";
export type { MonitorNote, MonitorThreat, ThreatSeverity } from "./watch/threat.ts";
export type { MonitoringSummary } from "./watch/watched-container.ts";
