/** Audit events: what callers give, and what is recorded. */
import { z } from "zod";
import { CofferdamError, type JsonObject, parseInput, type TrailEvent } from "../foundation/index.ts";

export const SCHEMA_VERSION = 1;
/** Most bytes of one event in canonical form. */
export const MAX_EVENT_BYTES: number = 64 * 1024;
/** Deepest nesting inside `details`. */
export const MAX_DETAILS_DEPTH = 32;

/** What a caller records. */
export interface AuditEventInput extends TrailEvent {
  readonly compliance?:
    | {
        readonly standards?: readonly string[] | undefined;
        readonly dataClassification?: "public" | "internal" | "confidential" | undefined;
        /** Days. */
        readonly retentionRequired?: number | undefined;
      }
    | undefined;
}

/** Personal data as it is recorded: readable as long as the person's key is there ({@link AuditLogger.personalData}). */
export interface SealedData {
  /** Id of the person's key; it says nothing about the person. */
  readonly key: string;
  /** AES-256-GCM: nonce, ciphertext and tag, base64. */
  readonly sealed: string;
}

/** A recorded event. Everything but `integrity` is hashed. */
export interface AuditEvent extends Omit<AuditEventInput, "personal"> {
  readonly personal?: SealedData | undefined;
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
// Not a zod record: that copies, recurses without a limit, and leaves a key named __proto__ out.
const plainObject = z.custom<JsonObject>((value) => typeof value === "object" && value !== null && !Array.isArray(value), "must be an object");

/** An input with its personal data sealed. */
export type SealedInput = Omit<AuditEventInput, "personal"> & { readonly personal?: SealedData | undefined };

const inputSchema: z.ZodType<AuditEventInput> = z.strictObject({
  category: token,
  action: token,
  result: z.enum(["success", "failure"]),
  userId: label.optional(),
  sessionId: label.optional(),
  resourceType: label.optional(),
  resourceId: label.optional(),
  details: plainObject.optional(),
  personal: z.strictObject({ subject: label, data: plainObject }).optional(),
  compliance: z
    .strictObject({
      standards: z.array(label).max(50).optional(),
      dataClassification: z.enum(["public", "internal", "confidential"]).optional(),
      retentionRequired: z.int().min(0).max(36_500).optional(),
    })
    .optional(),
});

/**
 * Validates what a caller gives; the JSON inside `details` is looked at when its bytes are made.
 * Throws INVALID_ARGUMENT, and PAYLOAD_TOO_LARGE for details that are too many or too deep, in time bounded by the limits.
 */
export function parseEvent(input: unknown): AuditEventInput {
  const event = parseInput(inputSchema, input, "audit event");
  const left = event.details === undefined ? MAX_EVENT_BYTES : assertBounded(event.details, 0, MAX_EVENT_BYTES);
  if (event.personal !== undefined) assertBounded(event.personal.data, 0, left);
  // A member of `compliance` may be given as undefined; in canonical JSON there is no such value.
  return event.compliance === undefined ? event : { ...event, compliance: definedOnly(event.compliance) };
}

function definedOnly<T extends object>(value: T): Partial<T> {
  const copy: Partial<T> = { ...value };
  for (const key in copy) if (copy[key] === undefined) delete copy[key];
  return copy;
}

/** Walks a value no further than an event may be large. @returns what is left of `room`, in bytes, never too little. */
function assertBounded(value: unknown, depth: number, room: number): number {
  if (depth > MAX_DETAILS_DEPTH) throw new CofferdamError("PAYLOAD_TOO_LARGE", `audit event: details are nested deeper than ${MAX_DETAILS_DEPTH}`);
  let left = room - (typeof value === "string" ? value.length : 1);
  if (left < 0) throw tooLarge(`more than ${MAX_EVENT_BYTES}`);
  if (Array.isArray(value)) for (const child of value) left = assertBounded(child, depth + 1, left);
  else if (typeof value === "object" && value !== null) {
    for (const [key, child] of Object.entries(value)) left = assertBounded(child, depth + 1, left - key.length);
  }
  return left;
}

export function tooLarge(bytes: number | string): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `an audit event of ${bytes} bytes; the limit is ${MAX_EVENT_BYTES}`);
}
