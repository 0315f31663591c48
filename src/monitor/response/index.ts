/** Response: stop a container where it is, keep what it was doing, end it. */
export { type ChangedFile, type ChangedFiles, changedFiles } from "./changed-files.ts";
export { type ContainerCgroup, cgroupOf, processesOf } from "./container-cgroup.ts";
export { type Evidence, type KeptEvidence, keepEvidence, MAX_EVIDENCE_BYTES, snapshotOf } from "./evidence.ts";
export { freeze, isFrozen, orderFreeze, thaw } from "./freezer.ts";
