/** What a job was given, as callers see it and as the store keeps it. */
import { z } from "zod";
import { CofferdamError } from "../foundation/index.ts";
import type { Row } from "../store/index.ts";
import { parseJson } from "./json.ts";
import { LIMIT_NAMES, type ResourceLimits, storedLimitsSchema } from "./limits.ts";
import { type Capped, PRIORITIES, type Priority } from "./tiers.ts";

/** `hard`: the kernel's limits, and refusal. `soft`: weights, and alerts; only processes and the pool's record are hard. */
export type Enforcement = "hard" | "soft";

/** What of the pool is set aside: cores and bytes. */
export interface Reservation {
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

export interface Allocation {
  readonly jobId: string;
  readonly state: "held" | "waiting";
  readonly repository?: string | undefined;
  readonly priority: Priority;
  readonly tier: string;
  readonly enforcement: Enforcement;
  /** What the job may use. A limit that is absent is none: cpu then goes by weight, of what is reserved. */
  readonly limits: ResourceLimits;
  readonly reserved: Reservation;
  /** What was asked for and not given, and by whose ceiling. */
  readonly capped: readonly Capped[];
  /** Soft enforcement let it in although the pool was full. */
  readonly overPool: boolean;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** The part that is one JSON text in the store. */
export type AllocationBody = Pick<Allocation, "repository" | "tier" | "enforcement" | "limits" | "capped" | "overPool">;

const bodySchema: z.ZodType<AllocationBody> = z.strictObject({
  repository: z.string().optional(),
  tier: z.string(),
  enforcement: z.enum(["hard", "soft"]),
  limits: storedLimitsSchema,
  capped: z.array(z.strictObject({ limit: z.enum(LIMIT_NAMES), asked: z.number(), given: z.number(), by: z.string() })),
  overPool: z.boolean(),
});

/** Throws INTEGRITY_FAILURE for a row that this program did not write. */
export function allocationOf(row: Row): Allocation {
  const { job_id: jobId, state, priority, cpu, memory, disk, since, body } = row;
  const name = PRIORITIES[Number(priority)];
  const parsed = bodySchema.safeParse(parseJson(body));
  if (!parsed.success || typeof jobId !== "string" || name === undefined || (state !== "held" && state !== "waiting"))
    throw new CofferdamError("INTEGRITY_FAILURE", `an allocation in the database cannot be read: ${JSON.stringify(String(jobId).slice(0, 100))}`, {
      hint: "restore the state directory from a copy, or start another one (--state)",
    });
  const reserved = { cpu: Number(cpu) / 1000, memory: Number(memory), disk: Number(disk) };
  return { jobId, state, priority: name, ...parsed.data, reserved, since: Number(since) };
}

/** A priority as the number that the queue is ordered by. */
export function rankOf(priority: Priority): number {
  return PRIORITIES.indexOf(priority);
}
