/** What a secret is in a vault: one document for its value and what was said of it, one for what changes with every read. */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import { bodyOf, parseRecord, type SecretRecord, saidDigest } from "../backends/record.ts";
import type { KvMetadata, KvRead } from "./vault-kv.ts";

const VALUE_FORMAT = "cofferdam/secret/v1";
const USE_FORMAT = "cofferdam/secret-use/v1";

const valueSchema = z.object({ format: z.literal(VALUE_FORMAT), record: z.string().max(1_000_000), value: z.base64().max(100_000) });
const time = z.int().min(0);
const useSchema = z.object({
  format: z.literal(USE_FORMAT),
  /** Digest of what was said of the secret: other words, other counts. */
  said: z.string(),
  reads: time,
  lastReadAt: time.optional(),
  readers: z.array(z.object({ jobId: z.string(), reads: time })).max(1000),
  claimedUntil: time.optional(),
});

export function valueDocument(record: SecretRecord, value: Uint8Array): object {
  return { format: VALUE_FORMAT, record: bodyOf(record), value: Buffer.from(value).toString("base64") };
}

/** Throws FAILED_PRECONDITION for what others have put there. */
export function readValueDocument(
  secretId: string,
  read: Extract<KvRead, { readonly data: unknown }>,
): { readonly record: SecretRecord; readonly value: Uint8Array } {
  const found = valueSchema.safeParse(read.data).data;
  const record = found === undefined ? undefined : parseRecord(found.record);
  if (found !== undefined && record?.secretId === secretId && record.current === read.version) return { record, value: Buffer.from(found.value, "base64") };
  throw new CofferdamError("FAILED_PRECONDITION", `what the vault has for ${secretId} was not stored by cofferdam`, {
    details: { secretId },
    hint: "keep other things under another prefix (secrets.vault: prefix)",
  });
}

export function useDocument({ policy, reads, lastReadAt, readers, claimedUntil }: SecretRecord): object {
  return { format: USE_FORMAT, said: saidDigest(policy).toString("hex"), reads, lastReadAt, readers, claimedUntil };
}

/** The record with what its other document says. */
export function withUse(record: SecretRecord, read: KvRead | undefined): SecretRecord {
  const use = read === undefined || "gone" in read ? undefined : useSchema.safeParse(read.data).data;
  const { claimedUntil: _none, lastReadAt: _neither, ...rest } = record;
  if (use === undefined) return { ...rest, reads: 0, readers: [] };
  const claim = use.claimedUntil === undefined ? {} : { claimedUntil: use.claimedUntil };
  if (use.said !== saidDigest(record.policy).toString("hex")) return { ...rest, ...claim, reads: 0, readers: [] };
  return { ...rest, ...claim, ...(use.lastReadAt !== undefined && { lastReadAt: use.lastReadAt }), reads: use.reads, readers: use.readers };
}

/** Of a secret whose values are all gone, or that never was: only its numbers are known. */
export function tombstone(secretId: string, metadata: KvMetadata | undefined): SecretRecord {
  const versions = [...(metadata?.versions.keys() ?? [])].map((version) => ({ version, createdAt: 0, validUntil: 0, destroyed: true as const }));
  const policy = { owner: "unknown", allow: {}, canary: false };
  return { secretId, revision: 0, policy, createdAt: 0, updatedAt: 0, current: metadata?.current ?? 0, versions, reads: 0, readers: [], deleted: true };
}

/** The record with what the vault says of its versions: some may have been destroyed since. */
export function withMetadata(record: SecretRecord, metadata: KvMetadata | undefined): SecretRecord {
  const isGone = (version: number): boolean => version !== record.current && (metadata?.versions.get(version)?.gone ?? true);
  return { ...record, versions: record.versions.map((one) => (isGone(one.version) ? { ...one, destroyed: true as const } : one)) };
}
