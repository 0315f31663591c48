/** How long texts of events are kept: what a caller or a policy may say. */
import { z } from "zod";

/** Days that standards ask for, unless the rules say otherwise; names are compared without case, spaces and punctuation. */
export const STANDARD_DAYS: Readonly<Record<string, number>> = { SOC2: 365, PCIDSS: 365, ISO27001: 730, GDPR: 730, HIPAA: 2555, SOX: 2555 };

/** All in days. An event is kept for the longest that applies. */
export interface RetentionRules {
  readonly days: number;
  /** Instead of `days`, for events of a category. */
  readonly categories?: Readonly<Record<string, number>> | undefined;
  /** For events that name a standard in `compliance.standards`; over {@link STANDARD_DAYS}. */
  readonly standards?: Readonly<Record<string, number>> | undefined;
}

const days = z.int().min(0).max(36_500);
export const rulesSchema: z.ZodType<RetentionRules> = z.strictObject({
  days,
  categories: z.record(z.string(), days).optional(),
  standards: z.record(z.string(), days).optional(),
});
