/**
 * What is done about a threat: a table by level and by severity, as data, and the function that carries a plan out. What an
 * action does to a container is the orchestrator's ({@link ThreatActions}); that each is tried, timed and told is here.
 */
import { type Clock, CofferdamError, messageOf } from "../../foundation/index.ts";
import type { RuleAction } from "../../monitor/index.ts";
import type { Level, Mode } from "../../policy/index.ts";
import type { Severity, Threat } from "./threat.ts";

/**
 * In the order in which they are done. `freeze` stops every process of the container where it is; `evidence` keeps what it
 * was doing; `disconnect` cuts its network; `kill` ends the container; `stop-job` ends the job and leaves a frozen container
 * as it is, for whoever looks into it.
 */
export const ACTIONS = ["record", "alert", "freeze", "evidence", "disconnect", "kill", "stop-job"] as const;
export type Action = (typeof ACTIONS)[number];

/** A threat's column: its severity, or that it is an anomaly, which is answered as one whatever its severity. */
export type Column = Severity | "anomaly";

const RECORD = ["record"] as const;
const ALERT = ["record", "alert"] as const;
const CUT = ["record", "alert", "disconnect"] as const;
const KILL = ["record", "alert", "kill"] as const;
const CAPTURE = ["record", "alert", "freeze", "evidence", "kill"] as const;
const KEEP = ["record", "alert", "freeze", "evidence", "stop-job"] as const;

export const RESPONSES: Readonly<Record<Level, Readonly<Record<Column, readonly Action[]>>>> = {
  low: { critical: ALERT, high: ALERT, medium: RECORD, low: RECORD, anomaly: RECORD },
  medium: { critical: CAPTURE, high: CUT, medium: ALERT, low: RECORD, anomaly: ALERT },
  high: { critical: CAPTURE, high: CAPTURE, medium: CUT, low: ALERT, anomaly: CUT },
  paranoid: { critical: KEEP, high: KILL, medium: KILL, low: ALERT, anomaly: KILL },
};

/** What a rule's own action stands for. */
export const RULE_ANSWERS: Readonly<Record<RuleAction, readonly Action[]>> = { alert: ALERT, disconnect: CUT, freeze: CAPTURE, kill: KILL, "stop-job": KEEP };

/** Those that change nothing for the job: what is left of a plan in mode observe. */
const OBSERVING: ReadonlySet<Action> = new Set(["record", "alert"]);
const ENDING: ReadonlySet<Action> = new Set(["kill", "stop-job"]);

type Answered = Pick<Threat, "severity" | "anomaly" | "action">;

/** What is done about a threat, in order: what the level does about its severity, and what its rule asks for besides. */
export function planResponse(level: Level, threat: Answered, mode: Mode = "enforce"): readonly Action[] {
  const usual = usually(level, threat);
  const plan = threat.action === undefined ? usual : raised(usual, RULE_ANSWERS[threat.action]);
  return mode === "observe" ? plan.filter((action) => OBSERVING.has(action)) : plan;
}

/** Who asked for what of it, where a rule asked: `record, alert, kill: its rule asks for kill, level medium for record, alert`. */
export function planReason(level: Level, threat: Answered, mode: Mode = "enforce"): string | undefined {
  if (threat.action === undefined) return undefined;
  const observed = mode === "observe" ? "; mode observe does no more" : "";
  return `${planResponse(level, threat, mode).join(", ")}: its rule asks for ${threat.action}, level ${level} for ${usually(level, threat).join(", ")}${observed}`;
}

function usually(level: Level, { severity, anomaly }: Answered): readonly Action[] {
  return RESPONSES[level][anomaly ? "anomaly" : severity];
}

/** Nothing is taken away by it. A container ends or stays for whoever looks, never both: where the level says which, that counts. */
function raised(usual: readonly Action[], asked: readonly Action[]): readonly Action[] {
  const decided = usual.some((action) => ENDING.has(action));
  return ACTIONS.filter((action) => usual.includes(action) || (asked.includes(action) && !(decided && ENDING.has(action))));
}

/** One method an action; each throws when it could not be done. What it returns is told: `it has no network`. */
export type ThreatActions = Readonly<Record<Action, (threat: Threat, signal: AbortSignal) => Promise<string | undefined>>>;

export interface ActionOutcome {
  readonly action: Action;
  readonly done: boolean;
  readonly ms: number;
  /** What came of it, or why it could not be done. */
  readonly detail?: string | undefined;
}

export interface ResponseOptions {
  readonly clock: Clock;
  /** Time that one action has, ms. Past it the next one begins: evidence that hangs must not keep a container alive. */
  readonly limitMs: number;
}

/** Carries a plan out, in order. An action that fails does not keep the next from being tried. Never throws. */
export async function respond(threat: Threat, plan: readonly Action[], actions: ThreatActions, options: ResponseOptions): Promise<readonly ActionOutcome[]> {
  const outcomes: ActionOutcome[] = [];
  for (const action of plan) outcomes.push(await attempt(threat, action, actions, options));
  return outcomes;
}

async function attempt(threat: Threat, action: Action, actions: ThreatActions, { clock, limitMs }: ResponseOptions): Promise<ActionOutcome> {
  const from = clock.monotonic();
  const late = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new CofferdamError("DEADLINE_EXCEEDED", `not done within ${limitMs} ms`);
    reject(error);
    late.abort(error);
  }, limitMs);
  try {
    const detail = await Promise.race([actions[action](threat, late.signal), promise]);
    return { action, done: true, ms: clock.monotonic() - from, ...(detail === undefined ? {} : { detail }) };
  } catch (error) {
    return { action, done: false, ms: clock.monotonic() - from, detail: messageOf(error) };
  } finally {
    clearTimeout(timer);
  }
}
