/**
 * A secret as it is kept, all but its values: what was said of it, its versions, and how often it was read. Changes are
 * functions from one record to the next; who may make them, and when, is decided elsewhere.
 */
import { hash } from "node:crypto";
import { z } from "zod";
import { CofferdamError, canonicalBytes, type JsonObject } from "../../foundation/index.ts";
import type { NewVersion, SecretInfo, SecretPolicy, SecretVersion } from "../contract.ts";
import { policySchema } from "../said.ts";

interface KeptVersion {
  readonly version: number;
  readonly createdAt: number;
  /** Absent of the current one. */
  readonly validUntil?: number | undefined;
  /** Its value is gone. */
  readonly destroyed?: true | undefined;
}

export interface SecretRecord {
  readonly secretId: string;
  /** Epoch of the store when this was written: of two records of a secret, the later one has the greater. */
  readonly revision: number;
  readonly policy: SecretPolicy;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly current: number;
  readonly versions: readonly KeptVersion[];
  readonly reads: number;
  readonly lastReadAt?: number | undefined;
  /** Reads by job, the latest last; counted only where a level limits them. */
  readonly readers: readonly { readonly jobId: string; readonly reads: number }[];
  /** A rotation is under way: nobody else begins one before this time. */
  readonly claimedUntil?: number | undefined;
  readonly deleted: boolean;
}

/** Superseded versions that may still be good at once. */
const MAX_IN_GRACE = 16;
/** Versions that are remembered; older ones are named by nobody any more. */
const MAX_VERSIONS = 100;
/** Jobs whose reads are remembered: more than run at once. */
const MAX_READERS = 1000;

const time = z.int().min(0);
const recordSchema: z.ZodType<SecretRecord> = z.strictObject({
  secretId: z.string(),
  revision: time,
  policy: policySchema,
  createdAt: time,
  updatedAt: time,
  current: time,
  versions: z.array(z.strictObject({ version: time, createdAt: time, validUntil: time.optional(), destroyed: z.literal(true).optional() })),
  reads: time,
  lastReadAt: time.optional(),
  readers: z.array(z.strictObject({ jobId: z.string(), reads: time })),
  claimedUntil: time.optional(),
  deleted: z.boolean(),
});

/** A change of a record, and which values go with it. */
export interface RecordChange {
  readonly record: SecretRecord;
  readonly drop: readonly number[];
}

/** Throws CONFLICT when `after` is not the current version, RESOURCE_EXHAUSTED for too many versions in grace. */
export function addVersion(before: SecretRecord | undefined, secretId: string, next: NewVersion, now: number): RecordChange {
  const current = before === undefined || before.deleted ? 0 : before.current;
  if (next.after !== current) throw changed(secretId, next.after, current);
  if (next.claimed !== true && (before?.claimedUntil ?? 0) > now) throw rotating(secretId);
  const sameWords = before !== undefined && !before.deleted && saidDigest(before.policy).equals(saidDigest(next.policy));
  const grace = sameWords ? next.grace : 0;
  const older = (before?.versions ?? []).map((one) => (one.version === current ? { ...one, validUntil: now + grace } : one));
  const drop = older.filter(({ validUntil = 0, destroyed }) => destroyed !== true && (!sameWords || validUntil <= now)).map(({ version }) => version);
  const kept = older.map((one) => (drop.includes(one.version) ? { ...one, destroyed: true as const } : one));
  if (kept.filter(({ destroyed }) => destroyed !== true).length > MAX_IN_GRACE)
    throw new CofferdamError("RESOURCE_EXHAUSTED", `${secretId} has ${MAX_IN_GRACE} versions in grace; another can be made when one of them has ended`, {
      hint: "a shorter grace (secrets: {grace: 1h}), or put a new value, which ends the others",
    });
  // Numbers go on after a deletion: one number is one value, for ever.
  const version = (before?.current ?? 0) + 1;
  const record: SecretRecord = {
    secretId,
    revision: 0,
    policy: next.policy,
    createdAt: before === undefined || before.deleted ? now : before.createdAt,
    updatedAt: now,
    current: version,
    versions: [...kept, { version, createdAt: now }].slice(-MAX_VERSIONS),
    reads: sameWords ? before.reads : 0,
    ...(before?.lastReadAt !== undefined && sameWords && { lastReadAt: before.lastReadAt }),
    readers: sameWords ? before.readers : [],
    deleted: false,
  };
  return { record, drop };
}

/** Throws NOT_FOUND for one that never was, or is deleted. */
export function alive(record: SecretRecord | undefined, secretId: string): SecretRecord {
  if (record === undefined || record.deleted) throw noSecret(secretId);
  return record;
}

/** Throws SECRET_EXPIRED when the secret, or this job, has had its reads. */
export function countRead(before: SecretRecord, jobId: string, perJob: number | undefined, now: number): SecretRecord {
  const { maxReads } = before.policy;
  if (maxReads !== undefined && before.reads >= maxReads)
    throw new CofferdamError("SECRET_EXPIRED", `${before.secretId} was read ${before.reads} times, which is all that was allowed`, { hint: "put a new value" });
  const known = before.readers.find((one) => one.jobId === jobId)?.reads ?? 0;
  if (perJob !== undefined && known >= perJob)
    throw new CofferdamError(
      "SECRET_EXPIRED",
      `job ${jobId} has read ${before.secretId} already: ${perJob === 1 ? "once" : `${perJob} times`} a job at this level`,
    );
  const others = before.readers.filter((one) => one.jobId !== jobId);
  const readers = perJob === undefined ? before.readers : [...others, { jobId, reads: known + 1 }].slice(-MAX_READERS);
  return { ...before, reads: before.reads + 1, lastReadAt: now, readers };
}

/** Throws CONFLICT when somebody else is at it. @param until 0 gives the claim up. */
export function claim(before: SecretRecord, after: number, until: number, now: number): SecretRecord {
  const { claimedUntil = 0, ...rest } = before;
  if (until === 0) return rest;
  if (before.current !== after) throw changed(before.secretId, after, before.current);
  if (claimedUntil > now) throw rotating(before.secretId);
  return { ...rest, claimedUntil: until };
}

/** Whether values of superseded versions are still there. */
export function hasSuperseded({ versions, current }: SecretRecord): boolean {
  return versions.some(({ version, destroyed }) => version !== current && destroyed !== true);
}

/** Versions whose grace has ended lose their values; undefined when there are none. */
export function swept(before: SecretRecord, now: number): RecordChange | undefined {
  const drop = before.versions
    .filter(({ validUntil, destroyed }) => destroyed !== true && validUntil !== undefined && validUntil <= now)
    .map(({ version }) => version);
  if (drop.length === 0) return undefined;
  const versions = before.versions.map((one) => (drop.includes(one.version) ? { ...one, destroyed: true as const } : one));
  return { record: { ...before, versions }, drop };
}

/** Nothing is left but the name and its numbers. */
export function removed(before: SecretRecord, now: number): RecordChange {
  const { claimedUntil: _none, lastReadAt: _neither, ...rest } = before;
  const drop = before.versions.filter(({ destroyed }) => destroyed !== true).map(({ version }) => version);
  const versions = before.versions.map((one) => ({ ...one, validUntil: one.validUntil ?? now, destroyed: true as const }));
  const policy = { owner: before.policy.owner, allow: {}, canary: false };
  return { record: { ...rest, policy, updatedAt: now, versions, readers: [], deleted: true }, drop };
}

export function infoOf(record: SecretRecord, now: number): SecretInfo {
  const { secretId, policy, current, createdAt, updatedAt, reads, lastReadAt, deleted } = record;
  const versions = record.versions.map(({ version, createdAt: made, validUntil, destroyed }): SecretVersion => {
    const state = destroyed === true ? "destroyed" : version === current ? "current" : (validUntil ?? 0) > now ? "grace" : "retired";
    return { version, state, createdAt: made, ...(validUntil !== undefined && { validUntil }) };
  });
  return { secretId, ...policy, currentVersion: current, createdAt, updatedAt, reads, ...(lastReadAt !== undefined && { lastReadAt }), deleted, versions };
}

export function bodyOf(record: SecretRecord): string {
  return JSON.stringify(record);
}

/** @returns undefined for what is no record. */
export function parseRecord(body: string): SecretRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(body)).data;
  } catch {
    return undefined;
  }
}

/** SHA-256 of what was said of a secret: its value is bound to it. */
export function saidDigest(policy: SecretPolicy): Buffer {
  return hash("sha256", canonicalBytes(plainJson(policy)), "buffer");
}

function plainJson(policy: SecretPolicy): JsonObject {
  const copy: JsonObject = JSON.parse(JSON.stringify(policy));
  return copy;
}

export function noSecret(secretId: string): CofferdamError {
  return new CofferdamError("NOT_FOUND", `no secret ${secretId}`, { details: { secretId } });
}

/** Of a version whose value is destroyed, or that never was. */
export function noValue(secretId: string, version: number): CofferdamError {
  return new CofferdamError("NOT_FOUND", `${secretId} has no version ${version} any more`, { details: { secretId, version } });
}

function rotating(secretId: string): CofferdamError {
  return new CofferdamError("CONFLICT", `${secretId} is being rotated`, { details: { secretId }, hint: "try again when that has ended" });
}

function changed(secretId: string, after: number, current: number): CofferdamError {
  const message = after === 0 ? `there is a secret ${secretId} already` : `${secretId} was changed in between: version ${current} is current, not ${after}`;
  return new CofferdamError("CONFLICT", message, { details: { secretId, current } });
}
