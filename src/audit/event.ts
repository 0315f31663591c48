/** Audit events: what callers give, what is recorded, and how one is hashed. */
import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { CofferdamError, canonicalBytes, type JsonObject, type JsonValue, newId, parseInput } from "../foundation/index.ts";

export const SCHEMA_VERSION = 1;
/** Most bytes of one event in canonical form. */
export const MAX_EVENT_BYTES: number = 64 * 1024;

/** What a caller records. `category` and `action` are open vocabularies of one grammar. */
export interface AuditEventInput {
  readonly category: string;
  readonly action: string;
  readonly result: "success" | "failure";
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly details?: JsonObject | undefined;
  readonly compliance?:
    | {
        readonly standards?: readonly string[] | undefined;
        readonly dataClassification?: "public" | "internal" | "confidential" | undefined;
        /** Days. */
        readonly retentionRequired?: number | undefined;
      }
    | undefined;
}

/** A recorded event. Everything but `integrity` is hashed. */
export interface AuditEvent extends AuditEventInput {
  readonly id: string;
  /** Position in the log, from 1, without gaps. */
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
  readonly logId: string;
  readonly schemaVersion: number;
  /** 128 random bits: an erased event cannot be guessed from its hash. */
  readonly salt: string;
  readonly integrity: { readonly hash: string; readonly algorithm: "sha256"; readonly previousHash: string };
}

const token = z.string().regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/, "must match [A-Za-z][A-Za-z0-9_.:-]{0,63}");
const label = z.string().min(1).max(1024);
const json: z.ZodType<JsonValue> = z.json();
const inputSchema: z.ZodType<AuditEventInput> = z.strictObject({
  category: token,
  action: token,
  result: z.enum(["success", "failure"]),
  userId: label.optional(),
  sessionId: label.optional(),
  resourceType: label.optional(),
  resourceId: label.optional(),
  details: z.record(z.string(), json).optional(),
  compliance: z
    .strictObject({
      standards: z.array(label).max(50).optional(),
      dataClassification: z.enum(["public", "internal", "confidential"]).optional(),
      retentionRequired: z.int().min(0).max(36_500).optional(),
    })
    .optional(),
});

/** Validates what a caller gives. Throws INVALID_ARGUMENT. */
export function parseEvent(input: unknown): AuditEventInput {
  return parseInput(inputSchema, input, "audit event");
}

/** A stored event as parsed from its bytes; strictness is the hash's business, this only gives it a type. */
const bodySchema: z.ZodType<Omit<AuditEvent, "integrity">> = z.looseObject({
  id: z.string(),
  seq: z.int().positive(),
  timestamp: z.string(),
  logId: z.string(),
  schemaVersion: z.int(),
  salt: z.string(),
  category: z.string(),
  action: z.string(),
  result: z.enum(["success", "failure"]),
  userId: z.string().optional(),
  sessionId: z.string().optional(),
  resourceType: z.string().optional(),
  resourceId: z.string().optional(),
  details: z.record(z.string(), json).optional(),
});

/** The exact bytes that are stored and hashed (RFC 8785), or INVALID_ARGUMENT / PAYLOAD_TOO_LARGE. */
export function bodyBytes(
  input: AuditEventInput,
  place: { readonly seq: number; readonly timestamp: string; readonly logId: string },
): { id: string; bytes: Buffer } {
  const id = newId("evt");
  const defined = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const bytes = canonicalBytes({ ...defined, id, ...place, schemaVersion: SCHEMA_VERSION, salt: randomBytes(16).toString("hex") });
  assertSize(bytes.length);
  return { id, bytes };
}

/** Checks an event's size before it takes its turn, so that one bad event does not fail the batch it would be in. */
export function assertRecordable(input: AuditEventInput): void {
  bodyBytes(input, { seq: Number.MAX_SAFE_INTEGER, timestamp: "2000-01-01T00:00:00.000Z", logId: newId("log") });
}

export function parseBody(bytes: Uint8Array): Omit<AuditEvent, "integrity"> | undefined {
  try {
    const parsed = bodySchema.safeParse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

function assertSize(bytes: number): void {
  if (bytes > MAX_EVENT_BYTES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `an audit event of ${bytes} bytes; the limit is ${MAX_EVENT_BYTES}`);
}

const LEAF_PREFIX = Buffer.from([0x00]);
/** Sets the chain hash apart from RFC 6962 leaves (0x00) and nodes (0x01). */
const CHAIN_LABEL = Buffer.from("cofferdam/audit/chain/v1\0", "utf8");

/** RFC 6962 leaf hash: SHA-256(0x00 || body). */
export function leafHash(body: Uint8Array): Buffer {
  return createHash("sha256").update(LEAF_PREFIX).update(body).digest();
}

/** SHA-256(label || previous || leaf). The body holds seq, log id and schema version, so the link binds those too. */
export function chainHash(previous: Uint8Array, leaf: Uint8Array): Buffer {
  return createHash("sha256").update(CHAIN_LABEL).update(previous).update(leaf).digest();
}

/** What stands before the first event: SHA-256 over the log's identity. */
export function genesisHash(logId: string, publicKey: string): Buffer {
  return createHash("sha256").update(canonicalBytes({ logId, publicKey })).digest();
}

export function hashText(hash: Uint8Array): string {
  return `sha256:${Buffer.from(hash).toString("hex")}`;
}
