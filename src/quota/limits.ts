/** What a job can be limited in: one schema, from the units that people write to numbers. */
import { z } from "zod";
import { messageOf, parseCores, parseCount, parseRate, parseSize } from "../foundation/index.ts";

/** Everything is optional: what is absent is not limited (or, when settled, has the default of its layer). */
export interface ResourceLimits {
  /** Cores. */
  readonly cpu?: number | undefined;
  /** Bytes. */
  readonly memory?: number | undefined;
  /** Bytes of swap besides the memory; 0 for none. */
  readonly swap?: number | undefined;
  /** Processes and threads. */
  readonly pids?: number | undefined;
  /** Bytes of the workspace. */
  readonly disk?: number | undefined;
  /** Bytes a second from a block device. */
  readonly readRate?: number | undefined;
  readonly writeRate?: number | undefined;
  /** Operations a second on a block device. */
  readonly readOps?: number | undefined;
  readonly writeOps?: number | undefined;
  /** Bytes a second into the job. */
  readonly download?: number | undefined;
  /** Bytes a second out of the job. */
  readonly upload?: number | undefined;
}

export type LimitName = keyof ResourceLimits;

/** Limits as they are written: `{cpu: "2.0", memory: "4GB", upload: "100Mbit/s"}`. */
export type LimitsInput = { readonly [K in LimitName]?: string | number | undefined };

export const LIMIT_NAMES: readonly LimitName[] = [
  "cpu",
  "memory",
  "swap",
  "pids",
  "disk",
  "readRate",
  "writeRate",
  "readOps",
  "writeOps",
  "download",
  "upload",
];

/** What the pool is divided in; the rest is limited but not reserved. */
export const RESERVED_NAMES = ["cpu", "memory", "disk"] as const;
export type ReservedName = (typeof RESERVED_NAMES)[number];

/** Docker refuses less than 6 MiB; a shell needs about that. */
export const LEAST_MEMORY: number = 6 * 2 ** 20;
/** The smallest ext4 that mkfs makes sense of. */
export const LEAST_DISK: number = 2 ** 20;

function amount(parse: (value: string | number) => number, least = 0): z.ZodType<number | undefined, string | number | undefined> {
  return z
    .union([z.string().max(64), z.number()], "an amount is a text such as 4GiB, or a number")
    .transform((value, context) => {
      try {
        const parsed = parse(value);
        if (parsed >= least) return parsed;
        context.addIssue(`at least ${least} bytes`);
      } catch (error) {
        context.addIssue(messageOf(error));
      }
      return z.NEVER;
    })
    .optional();
}

const noneOrSize = (value: string | number): number => (value === 0 || value === "0" || value === "none" ? 0 : parseSize(value));

export const limitsSchema: z.ZodType<ResourceLimits, LimitsInput> = z.strictObject({
  cpu: amount(parseCores),
  memory: amount(parseSize, LEAST_MEMORY),
  swap: amount(noneOrSize),
  pids: amount(parseCount),
  disk: amount(parseSize, LEAST_DISK),
  readRate: amount(parseRate),
  writeRate: amount(parseRate),
  readOps: amount(parseCount),
  writeOps: amount(parseCount),
  download: amount(parseRate),
  upload: amount(parseRate),
});

const whole = z.int().min(0).optional();
/** Limits as the store keeps them: numbers only. */
export const storedLimitsSchema: z.ZodType<ResourceLimits> = z.strictObject({
  cpu: z.number().positive().optional(),
  memory: whole,
  swap: whole,
  pids: whole,
  disk: whole,
  readRate: whole,
  writeRate: whole,
  readOps: whole,
  writeOps: whole,
  download: whole,
  upload: whole,
});

/** Without the keys that are undefined. */
export function given(limits: ResourceLimits): ResourceLimits {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}
