/** What callers say of a secret: who owns it, how long it is good, who may have it. One strict schema, two forms: said and kept. */
import { z } from "zod";
import { parseDuration } from "../foundation/index.ts";
import type { AutoRotation, SecretAllowList, SecretPolicy } from "./contract.ts";

/** The seed's metadata, and what else can be said. */
export interface SecretMetadata {
  /** Whose it is; goes on record. Default: who stores it, or `unknown`. */
  readonly owner?: string | undefined;
  /** A date, ms since the epoch, or an ISO 8601 text. */
  readonly expiresAt?: Date | number | string | undefined;
  /** `true`: it is said when it is due, after the time that the options name. */
  readonly autoRotate?: boolean | { readonly provider?: string | undefined; readonly every?: number | string | undefined } | undefined;
  readonly allow?: SecretAllowList | undefined;
  readonly maxReads?: number | undefined;
  readonly canary?: boolean | undefined;
}

/** Entries of one list. */
const MAX_ENTRIES = 200;
/** A rotation more often than this is a mistake, ms. */
const MIN_EVERY = 60_000;
const MAX_TIME = 8_640_000_000_000_000;

const list = (entry: z.ZodString): z.ZodOptional<z.ZodArray<z.ZodString>> =>
  z.array(entry).min(1, "an empty list would allow nobody; leave it out to allow all").max(MAX_ENTRIES).optional();
const name = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}]+$/u, "no control characters");

const allowSchema: z.ZodType<SecretAllowList, SecretAllowList> = z.strictObject({
  repositories: list(
    z
      .string()
      .max(201)
      .regex(/^[A-Za-z0-9_.*-]{1,100}\/[A-Za-z0-9_.*-]{1,100}$/, "a repository is like acme/web or acme/*"),
  ),
  environments: list(name),
  refs: list(
    z
      .string()
      .max(512)
      .regex(/^refs\/[^\p{Cc}\s]+$/u, "a ref is whole: refs/heads/main, refs/tags/v*"),
  ),
  jobs: list(name),
  imageDigests: list(z.string().regex(/^sha256:[0-9a-f]{64}$/, "a digest is sha256: and 64 hex digits")),
});

const owner = name;
const maxReads = z.int().min(1).max(1_000_000_000);
/** Names a provider of new values. */
export const providerName: z.ZodType<string, string> = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "a name of a provider is like npm-token");
const time = z.int().min(0).max(MAX_TIME);
const every = z
  .int()
  .min(MIN_EVERY, "a minute or more")
  .max(10 * 366 * 86_400_000);

/** As it is kept. */
export const policySchema: z.ZodType<SecretPolicy> = z.strictObject({
  owner,
  expiresAt: time.optional(),
  autoRotate: z.strictObject({ provider: providerName.optional(), every }).optional(),
  allow: allowSchema,
  maxReads: maxReads.optional(),
  canary: z.boolean(),
});

const moment = z.union([
  z.date().transform((date) => date.getTime()),
  time,
  z.union([z.iso.datetime({ offset: true }), z.iso.date()]).transform((text) => Date.parse(text)),
]);
/** Milliseconds, from a text such as the example. */
export const durationLike = (example: string): z.ZodType<number, string> =>
  z
    .string()
    .max(64)
    .transform((text, context) => {
      try {
        return parseDuration(text);
      } catch {
        context.addIssue({ code: "custom", message: `not a duration; write it like ${example}` });
        return z.NEVER;
      }
    });
const duration = z.union([every, durationLike("90d").pipe(every)]);

/** As it is said; gives what is kept. @param defaults owner, and time between rotations in ms. */
export function metadataSchema(defaults: { readonly owner: string; readonly every: number }): z.ZodType<SecretPolicy, SecretMetadata> {
  return z
    .strictObject({
      owner: owner.optional(),
      expiresAt: moment.optional(),
      autoRotate: z.union([z.boolean(), z.strictObject({ provider: providerName.optional(), every: duration.optional() })]).optional(),
      allow: allowSchema.optional(),
      maxReads: maxReads.optional(),
      canary: z.boolean().optional(),
    })
    .transform(({ owner: whose = defaults.owner, expiresAt, autoRotate, allow = {}, maxReads: most, canary = false }): SecretPolicy => {
      const rotation = rotationOf(autoRotate, defaults.every);
      return {
        owner: whose,
        ...(expiresAt !== undefined && { expiresAt }),
        ...(rotation !== undefined && { autoRotate: rotation }),
        allow,
        ...(most !== undefined && { maxReads: most }),
        canary,
      };
    });
}

function rotationOf(
  said: boolean | { readonly provider?: string | undefined; readonly every?: number | undefined } | undefined,
  defaultEvery: number,
): AutoRotation | undefined {
  if (said === undefined || said === false) return undefined;
  if (said === true) return { every: defaultEvery };
  return { ...(said.provider !== undefined && { provider: said.provider }), every: said.every ?? defaultEvery };
}
