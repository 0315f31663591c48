/** What callers of SecretManagementSystem hand in, checked. */
import { z } from "zod";
import { CofferdamError, parseInput } from "../foundation/index.ts";
import type { SecretBinding, SecretRequester } from "./contract.ts";
import { secretIdSchema } from "./secret-id.ts";

/** Most bytes of a value. */
export const MAX_VALUE: number = 64 * 1024;

/** Who does something, for the question whether they may, and for the record. */
export interface SecretActor {
  readonly userId: string;
  readonly sessionId?: string | undefined;
}

const word = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, "no control characters");
const actorSchema: z.ZodType<SecretActor> = z.strictObject({ userId: word, sessionId: word.optional() });
const requesterSchema: z.ZodType<SecretRequester> = z.strictObject({
  userId: word,
  sessionId: word.optional(),
  jobId: word,
  version: z.int().min(1).optional(),
});
const bindingsSchema: z.ZodType<readonly SecretBinding[]> = z
  .array(z.strictObject({ name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/, "a name is like NPM_TOKEN"), secretId: secretIdSchema }))
  .max(200)
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, "two secrets have one name");
const pageSchema: z.ZodType<SecretPage> = z.strictObject({ after: secretIdSchema.optional(), limit: z.int().min(1).max(10_000).optional() });

/** `limit` is 1 to 10,000. */
export interface SecretPage {
  /** Names that come after this one. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

export const parseActor = (by: unknown): SecretActor => parseInput(actorSchema, by, "who does this");
export const parseRequester = (requester: unknown): SecretRequester => parseInput(requesterSchema, requester, "requester");
export const parseBindings = (secrets: unknown): readonly SecretBinding[] => parseInput(bindingsSchema, secrets, "secrets of injectSecrets");
export const parseSecretId = (secretId: unknown): string => parseInput(secretIdSchema, secretId, "secret id");
export const parsePage = (page: unknown): SecretPage => parseInput(pageSchema, page, "page");

/** A copy of the value's bytes. Throws INVALID_ARGUMENT, PAYLOAD_TOO_LARGE. */
export function parseValue(given: string | Uint8Array): Uint8Array {
  if (typeof given !== "string" && !(given instanceof Uint8Array)) throw new CofferdamError("INVALID_ARGUMENT", "a value is a text or bytes");
  if (typeof given === "string" && !given.isWellFormed()) throw new CofferdamError("INVALID_ARGUMENT", "the value is no Unicode text (a lone surrogate)");
  const value = Buffer.from(given);
  if (value.length === 0) throw new CofferdamError("INVALID_ARGUMENT", "the value is empty");
  if (value.length > MAX_VALUE) throw new CofferdamError("PAYLOAD_TOO_LARGE", `a value has at most ${MAX_VALUE} bytes, this one has ${value.length}`);
  return value;
}

/** Throws INVALID_ARGUMENT. */
export function parseReason(reason: string): string {
  if (typeof reason === "string" && reason.trim() !== "" && reason.length <= 512 && reason.isWellFormed()) return reason;
  throw new CofferdamError("INVALID_ARGUMENT", "a reason has 1 to 512 characters");
}
