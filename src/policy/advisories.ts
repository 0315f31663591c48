/** The `advisories` part of cofferdam.yaml: where advisories come from, how old they may be, and what of them is denied. */
import { z } from "zod";
import { parseDuration } from "../foundation/index.ts";
import { durationText } from "./amount-texts.ts";

/** From the least to the most that is denied. */
export const DENY_FROM = ["none", "critical", "high", "medium", "low"] as const;
export type DenyFrom = (typeof DENY_FROM)[number];
export type Age = number | "never";

export interface AdvisoriesFile {
  readonly osv?: string | undefined;
  readonly kev?: string | undefined;
  readonly deny?: DenyFrom | undefined;
  readonly "only-fixable"?: boolean | undefined;
  readonly "only-new"?: boolean | undefined;
  readonly exploited?: "deny" | "warn" | undefined;
  readonly ratchet?: string | undefined;
  readonly base?: string | undefined;
  readonly "warn-age"?: string | undefined;
  readonly "deny-age"?: string | undefined;
}

/** Effective values, durations in ms. */
export interface AdvisoryValues {
  readonly "advisories.osv": string;
  readonly "advisories.kev": string;
  readonly "advisories.deny": DenyFrom;
  readonly "advisories.only-fixable": boolean;
  readonly "advisories.only-new": boolean;
  readonly "advisories.exploited": "deny" | "warn";
  readonly "advisories.ratchet": number;
  readonly "advisories.base": string;
  readonly "advisories.warn-age": Age;
  readonly "advisories.deny-age": Age;
}

const duration = durationText("30d");
/** A duration as it is written, or `never`. */
export const ageText: z.ZodType<string> = durationText("24h, or never", "never");
const address = z.url({ protocol: /^https?$/ }).max(2048);

export const advisoriesSchema: z.ZodType<AdvisoriesFile> = z.strictObject({
  osv: address.optional().describe("where db update finds osv.dev's export: the address above npm/all.zip"),
  kev: address.optional().describe("where db update finds CISA's catalogue of known exploited vulnerabilities"),
  deny: z.enum(DENY_FROM).optional().describe("the least severity that is denied; unknown counts as medium"),
  "only-fixable": z.boolean().optional().describe("deny by severity only what has a fix"),
  "only-new": z.boolean().optional().describe("deny by severity only what the merge base did not have"),
  exploited: z.enum(["deny", "warn"]).optional().describe("what is known to be exploited"),
  ratchet: duration.optional().describe("how long a finding that the merge base had is only reported, from when it was first seen"),
  base: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/, "not the name of a branch or commit")
    .optional()
    .describe("branch that findings are compared with; auto is the remote's default branch"),
  "warn-age": ageText.optional().describe("age of the advisories from which on it is said"),
  "deny-age": ageText.optional().describe("age from which on nothing is called scanned"),
});

/** Where the public databases publish; a mirror goes into the policy. */
const PUBLIC = {
  "advisories.osv": "https://osv-vulnerabilities.storage.googleapis.com/",
  "advisories.kev": "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
  "advisories.base": "auto",
} as const;

const HOUR = 3_600_000;
const DAY: number = 24 * HOUR;

export function advisoryPreset(level: "low" | "medium" | "high" | "paranoid"): AdvisoryValues {
  const ratchet = { "advisories.ratchet": 90 * DAY } as const;
  switch (level) {
    case "low":
      return { ...PUBLIC, ...ratchet, ...rules("none", true, true, "warn"), "advisories.warn-age": 7 * DAY, "advisories.deny-age": "never" };
    case "medium":
      return { ...PUBLIC, ...ratchet, ...rules("critical", true, true, "deny"), "advisories.warn-age": DAY, "advisories.deny-age": 7 * DAY };
    case "high":
      return { ...PUBLIC, ...ratchet, ...rules("high", true, false, "deny"), "advisories.warn-age": DAY / 2, "advisories.deny-age": DAY };
    case "paranoid":
      return { ...PUBLIC, ...ratchet, ...rules("medium", false, false, "deny"), "advisories.warn-age": 3 * HOUR, "advisories.deny-age": 6 * HOUR };
  }
}

type Rules = Pick<AdvisoryValues, "advisories.deny" | "advisories.only-fixable" | "advisories.only-new" | "advisories.exploited">;

function rules(deny: DenyFrom, onlyFixable: boolean, onlyNew: boolean, exploited: "deny" | "warn"): Rules {
  return { "advisories.deny": deny, "advisories.only-fixable": onlyFixable, "advisories.only-new": onlyNew, "advisories.exploited": exploited };
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The keys that a file sets. */
export function advisoryValues(file: AdvisoriesFile | undefined): Optional<AdvisoryValues> {
  return {
    "advisories.osv": file?.osv,
    "advisories.kev": file?.kev,
    "advisories.deny": file?.deny,
    "advisories.only-fixable": file?.["only-fixable"],
    "advisories.only-new": file?.["only-new"],
    "advisories.exploited": file?.exploited,
    "advisories.ratchet": file?.ratchet === undefined ? undefined : parseDuration(file.ratchet),
    "advisories.base": file?.base,
    "advisories.warn-age": ageOf(file?.["warn-age"]),
    "advisories.deny-age": ageOf(file?.["deny-age"]),
  };
}

export function ageOf(text: string | undefined): Age | undefined {
  return text === undefined || text === "never" ? text : parseDuration(text);
}

/** True when `after` lets older data pass than `before`. */
export function isOlder(before: unknown, after: unknown): boolean {
  const [was, is] = [before, after].map((value) => (value === "never" ? Number.POSITIVE_INFINITY : Number(value)));
  return (is ?? 0) > (was ?? 0);
}

/** True when `after` denies less than `before`. */
export function deniesLess(before: unknown, after: unknown): boolean {
  const rank = (value: unknown): number => DENY_FROM.map(String).indexOf(String(value));
  return rank(after) < rank(before);
}
