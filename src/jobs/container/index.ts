/** A job's container: what its level asks of it, how it is made, and the proof that it is so. */
export { type CreateInput, type CreatePlan, type Expected, GATE_TARGET, JOB_LABEL, planContainer } from "./create-body.ts";
export { type ForeignJudgement, type ForeignRefusal, judgeCreateBody } from "./foreign.ts";
export type { Ended, Started } from "./gate.ts";
export { HardenedContainer, type HardenedRequest, withUser } from "./hardened.ts";
export { type ImageUser, resolveImageUser } from "./image-user.ts";
export { makeJobFolder, releaseJobFolder } from "./job-folder.ts";
export type { Bounds, Delivered, Opened, Place, Settled, Who } from "./place.ts";
export { type PrepareRequest, prepareSecureContainer, type SecuredContainer } from "./prepare.ts";
export { type ContainerProfile, containerProfile, type ProfileName } from "./profile.ts";
export type { Control, ControlName } from "./proof/control.ts";
export { type Proof, requireProof } from "./prove.ts";
export { type JobContainer, type JobLimits, type JobMount, parseJobContainer } from "./spec.ts";
export { Workspace, type WorkspaceOutcome, type WorkspaceRequest } from "./workspace.ts";
