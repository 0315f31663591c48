/** What a job asks of its container: one strict schema. What would open the container has no key here. */
import { z } from "zod";
import { parseInput } from "../../foundation/index.ts";
import type { ContainerLimits } from "../../quota/index.ts";

export interface JobContainer {
  readonly jobId: string;
  /** `sha256:` and 64 hex digits: the image that was looked at, not a name that may lead to another one by now. */
  readonly imageId: string;
  /** Absent: the image's own entry point and command. */
  readonly command?: readonly string[] | undefined;
  /** The whole of what the job adds; nothing of our own environment comes in. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir?: string | undefined;
  /** Absent: the image's, where the level allows it. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** As {@link createLimits} of quota writes them, in the engine's spelling. Its Ulimits give way to the profile's. */
  readonly limits: JobLimits;
  /** From the job's prepared folder, see workspace.ts. */
  readonly mounts: readonly JobMount[];
  /** Folders in memory besides the profile's. */
  readonly scratch: readonly string[];
}

export type JobLimits = { readonly [Key in keyof ContainerLimits]?: ContainerLimits[Key] | undefined };

export interface JobMount {
  /** On the host, inside of the prepared folder. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** Bytes of all arguments, and of all variables: Linux itself refuses more than a quarter of the stack. */
const MAX_WORDS_BYTES = 1 << 20;
/** MAX_ARG_STRLEN. */
const MAX_WORD_BYTES = 131_071;
const MAX_WORDS = 10_000;
const MAX_MOUNTS = 32;

const word = z
  .string()
  .refine((text) => !text.includes("\0") && text.isWellFormed(), "a NUL byte or a broken character")
  .refine((text) => Buffer.byteLength(text) <= MAX_WORD_BYTES, "longer than 128 KiB");
/** Absolute and in its shortest form, so that two spellings cannot mean one place. */
export const insidePath: z.ZodType<string> = z
  .string()
  .max(4096)
  .regex(/^(\/|(\/(?!\.{1,2}(\/|$))[^/\0\n]+)+)$/, "not an absolute path in its shortest form");
export const variableName: z.ZodType<string> = z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,255}$/, "not a name of a variable");
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
/** -1 is "leave it" for setresuid. */
const id = z.int().min(0).max(0xfffffffe);

const rates = z
  .array(z.strictObject({ Path: z.string().regex(/^\/dev\/[A-Za-z0-9][A-Za-z0-9/_-]{0,100}$/, "not a block device"), Rate: count }))
  .max(16)
  .optional();

/** Without a word about memory a container could take all of the host's; `soft` limits have a reservation instead. */
const limitsSchema = z.strictObject({
  NanoCpus: count.min(1e7).optional(),
  CpuShares: z.int().min(2).max(262_144).optional(),
  Memory: count.min(6 * 2 ** 20).optional(),
  MemoryReservation: count.min(6 * 2 ** 20).optional(),
  MemorySwap: count.optional(),
  PidsLimit: z.int().min(1).max(4_194_304).optional(),
  BlkioDeviceReadBps: rates,
  BlkioDeviceWriteBps: rates,
  BlkioDeviceReadIOps: rates,
  BlkioDeviceWriteIOps: rates,
  Ulimits: z.array(z.strictObject({ Name: z.string().max(32), Soft: count, Hard: count })).optional(),
  StorageOpt: z.strictObject({ size: z.string().regex(/^\d{1,16}$/) }).optional(),
});

const totalBytes = (words: readonly string[]): number => words.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);

export const jobContainerSchema: z.ZodType<JobContainer> = z.strictObject({
  jobId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "letters, digits, _ . -, at most 64"),
  imageId: z.string().regex(/^sha256:[0-9a-f]{64}$/, "an image id: sha256: and 64 hex digits"),
  command: z
    .array(word)
    .min(1)
    .max(MAX_WORDS)
    .refine((words) => totalBytes(words) <= MAX_WORDS_BYTES, "more than 1 MiB of arguments")
    .optional(),
  env: z.record(variableName, word).refine((env) => totalBytes(Object.entries(env).flat()) <= MAX_WORDS_BYTES, "more than 1 MiB of variables"),
  workingDir: insidePath.optional(),
  user: z.strictObject({ uid: id, gid: id }).optional(),
  tty: z.boolean(),
  stdin: z.boolean(),
  limits: limitsSchema,
  mounts: z.array(z.strictObject({ source: insidePath, target: insidePath, readOnly: z.boolean() })).max(MAX_MOUNTS),
  scratch: z.array(insidePath).max(MAX_MOUNTS),
});

/** Throws INVALID_ARGUMENT with what is wrong, and a suggestion for a key that is near one. */
export function parseJobContainer(input: unknown): JobContainer {
  return parseInput(jobContainerSchema, input, "a job's container");
}
