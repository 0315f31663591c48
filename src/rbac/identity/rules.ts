/** What a level asks of sessions: how long, from where, with which factors. */
import { z } from "zod";
import type { Level } from "../../policy/index.ts";

export type BoundTo = "ipAddress" | "userAgent";

export interface SessionRules {
  /** Longest life, ms; nothing extends it. */
  readonly absolute: number;
  /** Longest pause between two uses, ms. */
  readonly idle: number;
  /** At once for one user; the oldest ends for one more. */
  readonly perUser: number;
  /** What has to stay the same from login to the end. */
  readonly boundTo: readonly BoundTo[];
  /** Whose logins with a password need a second factor. */
  readonly mfa: "nobody" | "administrators" | "everybody";
}

const MINUTE = 60_000;
const HOUR: number = 60 * MINUTE;
const EVERYTHING: readonly BoundTo[] = ["userAgent", "ipAddress"];

export const LEVEL_RULES: Readonly<Record<Level, SessionRules>> = {
  low: { absolute: 24 * HOUR, idle: 8 * HOUR, perUser: 5, boundTo: [], mfa: "nobody" },
  medium: { absolute: 12 * HOUR, idle: HOUR, perUser: 5, boundTo: ["userAgent"], mfa: "nobody" },
  high: { absolute: 8 * HOUR, idle: 30 * MINUTE, perUser: 5, boundTo: EVERYTHING, mfa: "administrators" },
  paranoid: { absolute: 4 * HOUR, idle: 15 * MINUTE, perUser: 5, boundTo: EVERYTHING, mfa: "everybody" },
};

export type SessionRulesInput = { readonly [K in keyof SessionRules]?: SessionRules[K] | undefined };

export const sessionRulesSchema: z.ZodType<SessionRulesInput> = z.strictObject({
  absolute: z
    .int()
    .min(1000)
    .max(30 * 24 * HOUR)
    .optional(),
  idle: z
    .int()
    .min(1000)
    .max(30 * 24 * HOUR)
    .optional(),
  perUser: z.int().min(1).max(100).optional(),
  boundTo: z
    .array(z.enum(["ipAddress", "userAgent"]))
    .max(2)
    .optional(),
  mfa: z.enum(["nobody", "administrators", "everybody"]).optional(),
});

/** @param own over the level's. */
export function rulesOf(level: Level, own: SessionRulesInput = {}): SessionRules {
  return { ...LEVEL_RULES[level], ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) };
}
