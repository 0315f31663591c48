/**
 * Names of secrets: lower case, in segments divided by `/`, as in `npm/publish`. One spelling a secret, whatever keeps it: a
 * file system without case, an HTTP path of a vault, a row.
 */
import { z } from "zod";

const SEGMENT = "[a-z0-9][a-z0-9_.-]*";

export const secretIdSchema: z.ZodType<string> = z
  .string()
  .max(255, "an id of a secret has at most 255 characters")
  .regex(
    new RegExp(`^${SEGMENT}(/${SEGMENT})*$`),
    "an id of a secret is like npm/publish: a-z 0-9 _ . - in parts divided by /, each beginning with a letter or digit",
  )
  .refine((id) => !id.includes(".."), "an id of a secret has no .. in it");
