/**
 * The score, 0 to 100, and where every point of it went: base = 100 x sum(w e) / sum(w) over the catalogue, where e is the share
 * of units of the last seven days for which a record proves the control; capped by what is open or unverified; times a
 * penalty for every open threat; rounded down. Anything that is not proven counts as if it were off. docs/score.md tells why.
 */
import { z } from "zod";
import { SEVERITIES, type Severity, type Threat } from "../threats/threat.ts";
import { CATALOGUE, type Control, UNIT_KINDS, type UnitKind } from "./catalogue.ts";

/** What is known of one control of one unit. Absent is `unknown`. */
export interface Evidence {
  /** `not-applicable` takes the unit out of the control's count; `why` is then the proof of it, and without one it counts as unknown. */
  readonly state: "proven" | "off" | "unknown" | "errored" | "not-applicable";
  readonly why?: string | undefined;
}

/** A job or an install. */
export interface ScoreUnit {
  readonly kind: UnitKind;
  /** When it ended, milliseconds since the epoch. */
  readonly at: number;
  /** By control id. */
  readonly evidence: Readonly<Record<string, Evidence>>;
}

/** By kind, what proves that there is none of it. */
export type Absent = { readonly [K in UnitKind]?: string | undefined };

export interface ScoreInput {
  /** In any order; those that ended more than {@link WINDOW_MS} ago are left out. */
  readonly units: readonly ScoreUnit[];
  /** Resolved ones count nothing. */
  readonly threats: readonly Pick<Threat, "severity" | "state">[];
  /** Whether the audit trail that the evidence comes from verifies. */
  readonly chainVerified: boolean;
  /** Kinds that are no part of this score, each with what proves that there is none. Without it they count, as not proven. */
  readonly absent?: Absent | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Score {
  /** 0 to 100, whole. */
  readonly value: number;
  /** Before cap and penalty, 0 to 100, with its fraction. */
  readonly base: number;
  /** The lowest that applies. */
  readonly cap?: { readonly value: number; readonly why: string } | undefined;
  /** Product over the open threats; 1 for none. */
  readonly penalty: number;
  /** Units counted, by kind. */
  readonly units: Readonly<Record<UnitKind, number>>;
  /** Kinds left out, with the proof. */
  readonly absent: Absent;
  /** Where points were lost, most first. Their `lost` sums to 100 - base. */
  readonly lines: readonly ScoreLine[];
}

export interface ScoreLine {
  readonly control: string;
  /** Points of the base. */
  readonly lost: number;
  /** Of `units` to which the control applies. */
  readonly proven: number;
  readonly units: number;
  /** The most frequent reason. */
  readonly why: string;
}

/** How far back units count: seven days, ms. */
export const WINDOW_MS: number = 7 * 86_400_000;
/** The most that a score can be while one is open. */
export const CAPS: Readonly<Record<Severity, number>> = { critical: 39, high: 69, medium: 89, low: 99 };
/** What each open one leaves of the score. */
export const PENALTIES: Readonly<Record<Severity, number>> = { critical: 0.9, high: 0.95, medium: 0.98, low: 0.995 };
/** The most without a verified trail: the evidence itself is then only a claim. */
export const UNVERIFIED_CAP = 10;

/** Rounding of sums must not cost a point. */
const EPSILON = 1e-9;

const kinds = (value: z.ZodType<number>): z.ZodType<Readonly<Record<UnitKind, number>>> => z.strictObject({ job: value, install: value });
const points = z.number().min(0).max(100);
const count = z.int().min(0);

export const scoreSchema: z.ZodType<Score> = z.strictObject({
  value: z.int().min(0).max(100),
  base: points,
  cap: z.strictObject({ value: z.int().min(0).max(100), why: z.string() }).optional(),
  penalty: z.number().min(0).max(1),
  units: kinds(count),
  absent: z.strictObject({ job: z.string().optional(), install: z.string().optional() }),
  lines: z.array(z.strictObject({ control: z.string(), lost: points, proven: count, units: count, why: z.string() })),
});

/** @returns undefined when nothing was seen: no evidence is no score, never a good one. */
export function computeScore(input: ScoreInput): Score | undefined {
  const units = input.units.filter(({ at }) => at >= input.now - WINDOW_MS);
  const counted = { job: units.filter(({ kind }) => kind === "job").length, install: units.filter(({ kind }) => kind === "install").length };
  const absent = absentKinds(input.absent ?? {}, counted);
  const tallies = CATALOGUE.filter(({ kind }) => absent[kind] === undefined)
    .map((control) => tally(control, units))
    .filter(({ applies }) => applies);
  const weights = tallies.reduce((sum, { weight }) => sum + weight, 0);
  if (units.length === 0 || weights === 0) return undefined;
  const lines = tallies.map(({ weight, line }) => ({ ...line, lost: (100 * weight * missing(line)) / weights })).filter(({ lost }) => lost > 0);
  const base = (100 * tallies.reduce((sum, { weight, line }) => sum + weight * (1 - missing(line)), 0)) / weights;
  const open = input.threats.filter(({ state }) => state === "open");
  const cap = lowestCap(open, input.chainVerified);
  const penalty = penaltyOf(open);
  return {
    value: Math.floor(Math.min(base, cap?.value ?? 100) * penalty + EPSILON),
    base,
    ...(cap === undefined ? {} : { cap }),
    penalty,
    units: counted,
    absent,
    lines: lines.sort((a, b) => b.lost - a.lost || (a.control < b.control ? -1 : 1)),
  };
}

/** A kind of which there are units is there, whatever was said. */
function absentKinds(said: Absent, counted: Readonly<Record<UnitKind, number>>): Absent {
  return Object.fromEntries(UNIT_KINDS.flatMap((kind) => (said[kind] !== undefined && said[kind] !== "" && counted[kind] === 0 ? [[kind, said[kind]]] : [])));
}

interface Tally {
  readonly weight: number;
  /** False when every unit proved that the control says nothing of it. */
  readonly applies: boolean;
  readonly line: Omit<ScoreLine, "lost">;
}

function tally({ id, kind, weight }: Control, units: readonly ScoreUnit[]): Tally {
  const reasons = new Map<string, number>();
  let proven = 0;
  let applicable = 0;
  let seen = 0;
  for (const unit of units) {
    if (unit.kind !== kind) continue;
    seen++;
    const { state, why }: Evidence = Object.hasOwn(unit.evidence, id) ? (unit.evidence[id] ?? NOTHING) : NOTHING;
    if (state === "not-applicable" && why !== undefined && why !== "") continue;
    applicable++;
    if (state === "proven") proven++;
    else {
      const reason = state === "not-applicable" ? "said not to apply, without a proof" : why === undefined || why === "" ? state : why;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  const why = seen === 0 ? `no ${kind} seen` : mostFrequent(reasons);
  return { weight, applies: seen === 0 || applicable > 0, line: { control: id, proven, units: applicable, why } };
}

const NOTHING: Evidence = { state: "unknown", why: "nothing on record" };

/** The share for which the control is not proven. */
function missing({ proven, units }: Pick<ScoreLine, "proven" | "units">): number {
  return units === 0 ? 1 : (units - proven) / units;
}

function mostFrequent(reasons: ReadonlyMap<string, number>): string {
  // Ties are decided by the text, since the order of units says nothing.
  return [...reasons].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0]?.[0] ?? "";
}

function lowestCap(open: readonly Pick<Threat, "severity">[], chainVerified: boolean): Score["cap"] {
  if (!chainVerified) return { value: UNVERIFIED_CAP, why: "the audit trail was not verified" };
  const worst = SEVERITIES.find((severity) => open.some((threat) => threat.severity === severity));
  return worst === undefined ? undefined : { value: CAPS[worst], why: `a threat of severity ${worst} is open` };
}

/** By severity, so that the order of the threats cannot change the rounding. */
function penaltyOf(open: readonly Pick<Threat, "severity">[]): number {
  let factor = 1;
  for (const severity of SEVERITIES) for (const threat of open) if (threat.severity === severity) factor *= PENALTIES[severity];
  return factor;
}
