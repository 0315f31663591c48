/** Response: stop a container where it is, keep what it was doing, end it. */
export { type ChangedFile, type ChangedFiles, changedFiles } from "./changed-files.ts";
export { type ContainerCgroup, cgroupOf, processesOf } from "./container-cgroup.ts";
export { type Evidence, type KeptEvidence, keepEvidence, MAX_EVIDENCE_BYTES, snapshotOf } from "./evidence.ts";
export {
  type EvidenceFile,
  EvidenceFolder,
  type EvidenceLimits,
  type EvidencePruning,
  type PruneOptions,
  type ReadEvidence,
  type RemovedEvidence,
} from "./evidence-folder.ts";
export { freeze, isFrozen, orderFreeze, thaw } from "./freezer.ts";
