/** A threat as this room tells it: the seed's event, with the line of processes that led to it. */
import type { JsonObject, JsonValue } from "../../foundation/index.ts";
import type { Endpoint, ProcessEvent } from "../event.ts";
import { endpointText } from "../rules/fields.ts";
import { shown } from "../rules/message.ts";
import { lineOf, nameOf, type ProgramFacts } from "../rules/program.ts";
import type { RuleAction } from "../rules/schema.ts";

export type ThreatSeverity = "critical" | "high" | "medium" | "low";

export interface MonitorThreat {
  /** The rule's id, or what was off the baseline. */
  readonly type: string;
  readonly severity: ThreatSeverity;
  /** Off the baseline of its job, and no more is known. */
  readonly anomaly: boolean;
  /** What its rule asks for, whatever else is done about its severity. */
  readonly action?: RuleAction | undefined;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly source: "monitor";
  readonly containerId: string;
  readonly jobId: string;
  /** `message`, `title`, `attack`, `times` so far, and what the kind of event adds. */
  readonly details: JsonObject;
  /** The line of processes, the one that did it first. */
  readonly evidence: readonly JsonValue[];
  readonly recommendedAction: string;
}

/** What a job did that is no threat, and worth a line of its report. */
export interface MonitorNote {
  readonly rule: string;
  readonly message: string;
  readonly times: number;
  /** Why it is no threat, where an exception says so; undefined for what never is. */
  readonly excepted?: string | undefined;
}

const MAX_LINE = 12;
const MAX_ARGS = 500;

/** @param hashOf of a program, when it is known. */
export function lineEvidence(program: ProgramFacts | undefined, hashOf: (program: ProgramFacts) => string | undefined): JsonObject[] {
  if (program === undefined) return [];
  return [...lineOf(program)].slice(0, MAX_LINE).map((one) => ({
    ...{ process: shown(nameOf(one) || "?"), pid: one.pid, insidePid: one.insidePid, uid: one.uid, since: new Date(one.since).toISOString() },
    ...{ exe: shown(one.program?.path ?? "?", MAX_ARGS), args: shown(one.args.join(" "), MAX_ARGS), cwd: shown(one.cwd, MAX_ARGS) },
    ...{ fresh: one.program?.fresh ?? null, sha256: hashOf(one) ?? null },
  }));
}

/** What an event was about: its file, its address. */
export function subjectOf(event: ProcessEvent): JsonObject {
  const { file, address } = placesOf(event);
  const about: Record<string, JsonValue> = { call: event.call, result: event.result };
  if (file !== undefined) about["file"] = shown(file, MAX_ARGS);
  if (address !== undefined) about["address"] = shown(endpointText(address), MAX_ARGS);
  return about;
}

/** As the event has them. */
export function placesOf(event: ProcessEvent): { readonly file: string | undefined; readonly address: Endpoint | undefined } {
  const file = "file" in event ? event.file?.path : "path" in event ? event.path.path : undefined;
  return { file, address: "socket" in event ? event.socket.remote : undefined };
}
