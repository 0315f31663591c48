/** Which process runs a job, as the book keeps it, and whether that process is still there. */
import { z } from "zod";
import { lifeOf, type Owner, ownIdentity } from "../quota/index.ts";

const ownerSchema: z.ZodType<Owner> = z.strictObject({ host: z.string(), boot: z.string(), pidNamespace: z.string(), pid: z.int(), started: z.string() });

/** Throws ENVIRONMENT_UNFIT without /proc. */
export function ownName(): string {
  return JSON.stringify(ownIdentity());
}

/** @returns whether the process of a stored owner is gone, as seen from this one. What cannot be read is nobody's. */
export function goneFrom(self: string): (owner: string) => boolean {
  const own = ownerSchema.parse(JSON.parse(self));
  return (owner) => {
    try {
      return lifeOf(ownerSchema.parse(JSON.parse(owner)), own) === "gone";
    } catch {
      return true;
    }
  };
}
