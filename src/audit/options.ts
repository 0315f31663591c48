/** Options of AuditLogger: where the log lies, when it is signed, and where its checkpoints go. */
import { z } from "zod";
import { type Clock, parseInput } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { type RetentionRules, rulesSchema } from "./retention-rules.ts";

export interface AuditLoggerOptions {
  readonly storage?:
    | {
        /** State directory: `cofferdam.db`, `keys/audit.pem`, `checkpoints/head`. Without it the log lives in memory. */
        readonly directory?: string | undefined;
        /** Database file instead of the one in the state directory; key and head file stand beside it. */
        readonly file?: string | undefined;
      }
    | undefined;
  /** When checkpoints are signed, and where they go. */
  readonly checkpoint?:
    | {
        /** Events after which one is made. Default 1000. */
        readonly events?: number | undefined;
        /** Time after which one is made if there are new events, ms. Default one hour. */
        readonly interval?: number | undefined;
        /** Places outside of this host: absolute folders, https:// addresses that take PUT, git repositories. */
        readonly copies?: readonly string[] | undefined;
        /** Witnesses by submission prefix and key (`name+id+base64`, type 0x04). */
        readonly witnesses?: readonly { readonly url: string; readonly key: string }[] | undefined;
      }
    | undefined;
  /** Retention that {@link AuditLogger.prune} follows unless it is given rules. */
  readonly retention?: RetentionRules | undefined;
  /** Standards that events count for which name none themselves. */
  readonly compliance?: { readonly standards: readonly string[] } | undefined;
  /** A store that the caller owns and closes; `storage.directory` still says where key and head file are. */
  readonly store?: Store | undefined;
  readonly clock?: Clock | undefined;
}

const schema: z.ZodType<AuditLoggerOptions> = z.strictObject({
  storage: z.strictObject({ directory: z.string().min(1).optional(), file: z.string().min(1).optional() }).optional(),
  checkpoint: z
    .strictObject({
      events: z.int().min(1).max(1_000_000_000).optional(),
      interval: z.number().min(1).optional(),
      copies: z.array(z.string().min(1).max(2048)).max(20).optional(),
      witnesses: z
        .array(z.strictObject({ url: z.url({ protocol: /^https?$/ }).max(2048), key: z.string().max(1024) }))
        .max(20)
        .optional(),
    })
    .optional(),
  retention: rulesSchema.optional(),
  compliance: z.strictObject({ standards: z.array(z.string().min(1).max(1024)).max(50) }).optional(),
  store: z.custom<Store>((value) => typeof value === "object" && value !== null && "write" in value).optional(),
  clock: z.custom<Clock>((value) => typeof value === "object" && value !== null && "now" in value).optional(),
});

/** Throws INVALID_ARGUMENT. */
export function parseOptions(options: unknown): AuditLoggerOptions {
  return parseInput(schema, options, "options of AuditLogger");
}
