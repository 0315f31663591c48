/**
 * What the parts of secrets promise each other: whoever stores them (a {@link SecretBackend}), whoever asks for one on behalf
 * of a job, whoever says that the job exists and may have it, and whoever carries it into a container.
 */

/** Who may have a secret. A list that is absent restricts nothing; what a list asks for and nobody knows is a refusal. */
export interface SecretAllowList {
  /** `owner/name`, compared without case; `*` stands for any text without a slash: `acme/*`. */
  readonly repositories?: readonly string[] | undefined;
  /** Names of deployment environments, compared without case. */
  readonly environments?: readonly string[] | undefined;
  /** Full refs, `*` as above: `refs/heads/main`, `refs/tags/v*`. */
  readonly refs?: readonly string[] | undefined;
  /** Names of jobs within their workflow, `*` as above. */
  readonly jobs?: readonly string[] | undefined;
  /** `sha256:` and 64 hex digits. */
  readonly imageDigests?: readonly string[] | undefined;
}

/** How a secret gets its next value. */
export interface AutoRotation {
  /** Name of a provider that was given to SecretManagementSystem. Absent: somebody is told that it is due. */
  readonly provider?: string | undefined;
  /** Milliseconds between rotations. */
  readonly every: number;
}

/** What was said of a secret when it was stored. It is bound to every sealed value: none can be changed without the other. */
export interface SecretPolicy {
  readonly owner: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number | undefined;
  readonly autoRotate?: AutoRotation | undefined;
  readonly allow: SecretAllowList;
  /** Reads after which it is refused, all versions and processes together. */
  readonly maxReads?: number | undefined;
  /** Nothing should ever use it: a value that is seen leaving is an alarm. */
  readonly canary: boolean;
}

/** `current`; `grace`: superseded, still good; `retired`: superseded for good; `destroyed`: its value does not exist any more. */
export type VersionState = "current" | "grace" | "retired" | "destroyed";

export interface SecretVersion {
  /** From 1; never used again, also after a deletion. */
  readonly version: number;
  readonly state: VersionState;
  readonly createdAt: number;
  /** Of a superseded version: until when it is good. */
  readonly validUntil?: number | undefined;
}

/** Everything that is known of a secret but its value. */
export interface SecretInfo extends SecretPolicy {
  readonly secretId: string;
  readonly currentVersion: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Counted only where something limits them: {@link SecretPolicy.maxReads}, or a level that allows a job one read. */
  readonly reads: number;
  readonly lastReadAt?: number | undefined;
  readonly deleted: boolean;
  readonly versions: readonly SecretVersion[];
}

/** Who asks. Only `jobId` is looked up; what is true of the job comes from {@link JobFacts}, never from here. */
export interface SecretRequester {
  readonly userId: string;
  readonly jobId: string;
  readonly sessionId?: string | undefined;
  /** A version in grace instead of the current one. */
  readonly version?: number | undefined;
}

export interface RetrievedSecret {
  readonly secretId: string;
  readonly version: number;
  /** The caller's own copy: `fill(0)` when it is done with. */
  readonly value: Uint8Array;
  readonly canary: boolean;
  /** The job may keep it until then, ms since the epoch: the secret's expiry, the end of grace or the level's limit, whatever is first. */
  readonly validUntil?: number | undefined;
  /** The value as UTF-8. Throws FAILED_PRECONDITION for a value that is no text. */
  text(): string;
}

/** What injection needs of SecretManagementSystem. */
export interface SecretReader {
  /**
   * Throws NOT_FOUND, PERMISSION_DENIED (who, which job), SECRET_EXPIRED (expired, retired, reads used up), INTEGRITY_FAILURE,
   * AUDIT_UNAVAILABLE when the read cannot be put on record.
   */
  retrieveSecret(secretId: string, requester: SecretRequester): Promise<RetrievedSecret>;
}

/** A job as whoever runs it knows it. */
export interface KnownJob {
  readonly jobId: string;
  /** False once it ended: an ended job gets nothing. */
  readonly active: boolean;
  readonly repository: string;
  readonly environment?: string | undefined;
  readonly ref?: string | undefined;
  /** Its name within the workflow. */
  readonly job?: string | undefined;
  /** `sha256:` and 64 hex digits. */
  readonly imageDigest?: string | undefined;
}

export interface JobFacts {
  /** undefined for a job that nobody knows. */
  find(jobId: string): Promise<KnownJob | undefined>;
}

/** `read`: a job of theirs may have it. `reveal`: they see it themselves. `admin`: the master key, and a store that was put back. */
export type SecretPermission = "secrets:read" | "secrets:reveal" | "secrets:write" | "secrets:rotate" | "secrets:delete" | "secrets:list" | "secrets:admin";

export interface AccessRequest {
  readonly userId: string;
  readonly permission: SecretPermission;
  readonly secretId?: string | undefined;
  readonly sessionId?: string | undefined;
  /** Of the job that asks. */
  readonly repository?: string | undefined;
}

export interface Authorizer {
  /** @returns the rule that decided, for the record. */
  authorize(request: AccessRequest): Promise<{ readonly allowed: boolean; readonly rule: string }>;
}

/** One secret under the name that the job knows it by. */
export interface SecretBinding {
  /** File name in the job, or name of a variable. */
  readonly name: string;
  readonly secretId: string;
}

/** Carries secrets into a container that was created and not started. Throws FAILED_PRECONDITION when it has no place for them. */
export interface SecretInjector {
  inject(containerId: string, jobId: string, secrets: readonly (SecretBinding & { readonly secret: RetrievedSecret })[]): Promise<void>;
}

/** A secret as a backend found it: one consistent moment. */
export interface StoredSecret {
  readonly info: SecretInfo;
  /** Throws INTEGRITY_FAILURE when the value is not the one that was sealed; NOT_FOUND for one that was destroyed. */
  value(version: number): Promise<Uint8Array>;
}

export interface NewVersion {
  /** Overwritten when add() has ended. */
  readonly value: Uint8Array;
  readonly policy: SecretPolicy;
  /** The version that it follows, 0 for none. Throws CONFLICT when another is current by now. */
  readonly after: number;
  /** How long the version before stays good, ms. 0: it is destroyed at once. */
  readonly grace: number;
  /** The caller holds the {@link SecretBackend.claim}, which ends with this. Without it, a claim of others is CONFLICT. */
  readonly claimed?: boolean | undefined;
}

/** How far a store has come: on record with every change, so that a trail that is kept elsewhere knows of yesterday's copy. */
export interface StorePosition {
  readonly storeId: string;
  /** Changes so far. */
  readonly change: number;
}

/** Where secrets are kept. Methods reject with CofferdamErrors; ids are well-formed when they come here. */
export interface SecretBackend {
  readonly kind: "memory" | "file" | "vault";
  initialize(): Promise<void>;
  /** undefined for an id that never was; a deleted one is found as such. */
  find(secretId: string): Promise<StoredSecret | undefined>;
  /** @returns the number of the new version. */
  add(secretId: string, next: NewVersion): Promise<number>;
  /**
   * Counts one read, in one step with the question whether it may be: across processes, no two get the last one.
   * Throws SECRET_EXPIRED when `maxReads` of the secret, or `perJob` of this job, are used up.
   */
  countRead(secretId: string, jobId: string, perJob: number | undefined): Promise<void>;
  /** Says that a rotation is under way until then (ms since the epoch; 0: not any more). Throws CONFLICT when one is, or `after` is not current. */
  claim(secretId: string, after: number, until: number): Promise<void>;
  /** Destroys all values; the id and its numbers stay known. @returns false when it was deleted already. */
  remove(secretId: string): Promise<boolean>;
  /** Ids in byte order, those that are not deleted, after `after`. */
  list(after: string | undefined, limit: number): Promise<readonly string[]>;
  /** Destroys the values of versions whose grace has ended. @returns how many. */
  sweep(): Promise<number>;
  /** As of the last change that this process knows of; undefined where somebody else keeps the store. */
  position(): StorePosition | undefined;
  /** Now, or the latest time that was ever relied on, ms since the epoch: a clock that was set back does not revive what expired. */
  latestTime(): Promise<number>;
  close(): Promise<void>;
}
