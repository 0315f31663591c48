/** Installs, scans, scripts, decisions, and the log about itself, as OCSF activities. */
import type { JsonObject } from "../../foundation/index.ts";
import { numberOf, textOf } from "../facts.ts";
import {
  type Activity,
  ALLOWED,
  APPLICATION,
  BASE_EVENT,
  BLOCKED,
  type Control,
  DETECTED,
  ENTITY,
  EVENT_LOG,
  FAILED,
  OBSERVED,
  type OcsfSeverity,
  PROCESS,
  SCAN,
  SCRIPT,
} from "./classes.ts";
import { type Mapped, ocsfRecord } from "./record.ts";

const INSTALLS: Readonly<Record<string, Activity>> = { PackageInstall: [1, "Install"], PackageUpdate: [8, "Update"], PackageUninstall: [2, "Remove"] };

/** The project is the application; packages come into it, or go. */
export function install(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  return ocsfRecord(mapped, {
    class: APPLICATION,
    activity: INSTALLS[event.action] ?? [99, event.action],
    severity: event.result === "success" ? "informational" : "medium",
    message: messageOf(mapped),
    control: installControl(facts.decision, event.result, facts.mode),
    more: {
      app: { name: event.resourceId ?? "unknown project" },
      status_code: facts.basis,
      status_detail: textOf(facts.details["message"]),
    },
  });
}

function installControl(decision: string | undefined, result: "success" | "failure", mode: string | undefined): Control | undefined {
  if (decision === "allowed" || (decision === undefined && result === "success")) return ALLOWED;
  if (decision === "denied" || decision === "stopped") return mode === "observe" ? OBSERVED : BLOCKED;
  return decision === "failed" ? FAILED : undefined;
}

/** Advisories that were taken in. */
export function advisories(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  return ocsfRecord(mapped, {
    class: APPLICATION,
    activity: [8, "Update"],
    severity: event.result === "success" ? "informational" : "low",
    message: messageOf(mapped),
    more: {
      app: { name: "cofferdam advisories", ...(event.resourceId === undefined ? {} : { uid: event.resourceId }) },
      status_code: textOf(facts.details["code"]),
      status_detail: textOf(facts.details["message"]),
    },
  });
}

/** Packages were looked up, or their content compared. What was found comes as findings of its own. */
export function scan(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const { details } = facts;
  const packages = details["packages"];
  const integrity = facts.kind === "integrity";
  return ocsfRecord(mapped, {
    class: SCAN,
    activity: facts.decision === "not-scanned" ? [6, "Error"] : [2, "Completed"],
    severity: event.result === "success" ? "informational" : "medium",
    message: messageOf(mapped),
    more: {
      scan: { name: integrity ? "package integrity" : "package vulnerabilities", type_id: 99, type: "Package" },
      num_detections: wholeOf(details["findingCount"]) ?? wholeOf(details["count"]),
      total: Array.isArray(packages) ? packages.length : wholeOf(packages),
      policy: facts.policy === undefined ? undefined : { uid: facts.policy, is_applied: facts.mode !== "observe" },
    },
  });
}

/** A package's script in the jail. Where the event has its text it is a script, else the process that ran it. */
export function script(mapped: Mapped): JsonObject {
  const { facts } = mapped;
  const { details } = facts;
  const body = textOf(details["body"]);
  if (body === undefined) return jailedProcess(mapped, facts.what);
  return ocsfRecord(mapped, {
    class: SCRIPT,
    activity: [1, "Execute"],
    severity: severityOf(mapped),
    message: messageOf(mapped),
    control: jailControl(mapped),
    more: {
      script: { type_id: 6, type: "Unix Shell", name: facts.what, script_content: { value: body } },
      status_code: exitText(details["exit"]),
      status_detail: refusalText(mapped) ?? textOf(details["why"]),
    },
  });
}

/** A command in the jail, after its end. */
export function command(mapped: Mapped): JsonObject {
  return jailedProcess(mapped, mapped.event.resourceId ?? "");
}

function jailedProcess(mapped: Mapped, line: string): JsonObject {
  const { event, facts } = mapped;
  const { details } = facts;
  const folder = textOf(details["cwd"]) ?? textOf(details["folder"]);
  return ocsfRecord(mapped, {
    class: PROCESS,
    activity: [2, "Terminate"],
    severity: severityOf(mapped),
    message: messageOf(mapped),
    control: jailControl(mapped),
    more: {
      // The event is of one run, and the log has no number of its process.
      process: { uid: event.id, cmd_line: line, ...(folder === undefined ? {} : { working_directory: folder }) },
      exit_code: wholeOf(details["exit"]),
      status_detail: refusalText(mapped),
    },
  });
}

function jailControl({ event, facts }: Mapped): Control {
  if (facts.details["run"] === "skipped") return BLOCKED;
  if (facts.refused.length === 0) return ALLOWED;
  // It ran; what it was refused is in status_detail. Where it failed for want of that, it was stopped by it.
  return event.result === "failure" ? BLOCKED : DETECTED;
}

function severityOf({ event, facts }: Mapped): OcsfSeverity {
  if (facts.refused.length > 0 || facts.unjailed) return "medium";
  return event.result === "success" ? "informational" : "low";
}

/** Somebody changed what is allowed. */
export function decision(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  return ocsfRecord(mapped, {
    class: ENTITY,
    activity: [3, "Update"],
    severity: event.result === "success" ? "informational" : "low",
    message: messageOf(mapped),
    more: {
      entity: { name: facts.project ?? event.resourceId ?? "policy", type_id: 5, type: "Policy", ...(facts.policy === undefined ? {} : { uid: facts.policy }) },
      comment: facts.what === "" ? undefined : facts.what,
      status_detail: textOf(facts.details["message"]),
    },
  });
}

const TRAIL: Readonly<Record<string, { readonly activity: Activity; readonly failure: OcsfSeverity; readonly success: OcsfSeverity }>> = {
  exported: { activity: [3, "Export"], success: "informational", failure: "low" },
  retention_pruned: { activity: [2, "Delete"], success: "informational", failure: "medium" },
  subject_erased: { activity: [2, "Delete"], success: "informational", failure: "medium" },
  recovered: { activity: [8, "Restart"], success: "high", failure: "high" },
  disk_full: { activity: [7, "Stop"], success: "high", failure: "high" },
  tail_recovered: { activity: [99, "tail_recovered"], success: "low", failure: "medium" },
  key_replaced: { activity: [99, "key_replaced"], success: "high", failure: "high" },
  checkpoint_failed: { activity: [99, "checkpoint_failed"], success: "medium", failure: "medium" },
};

/** What the log says about itself. */
export function trail(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const known = Object.hasOwn(TRAIL, event.action) ? TRAIL[event.action] : undefined;
  const { activity, success, failure } = known ?? { activity: [99, event.action], success: "informational", failure: "medium" };
  return ocsfRecord(mapped, {
    class: EVENT_LOG,
    activity,
    severity: event.result === "success" ? success : failure,
    message: messageOf(mapped),
    more: {
      log_name: event.logId,
      log_provider: "cofferdam",
      log_type: "Application",
      log_type_id: 2,
      status_code: textOf(facts.details["code"]),
      status_detail: textOf(facts.details["reason"]) ?? textOf(facts.details["message"]),
    },
  });
}

/** Whatever has no class of its own: nothing is left out. */
export function anything(mapped: Mapped): JsonObject {
  const { event } = mapped;
  return ocsfRecord(mapped, {
    class: BASE_EVENT,
    activity: [99, event.action],
    severity: event.result === "success" ? "informational" : "low",
    message: messageOf(mapped),
    more: {},
  });
}

export function messageOf({ event, facts }: Mapped): string {
  return `${event.action} ${event.result}${facts.what === "" ? "" : `: ${facts.what}`}`;
}

function refusalText({ facts }: Mapped): string | undefined {
  return facts.refused.length === 0 ? undefined : `refused: ${facts.refused.map(({ kind, what }) => `${kind} ${what}`).join(", ")}`;
}

function exitText(value: Parameters<typeof numberOf>[0]): string | undefined {
  const exit = numberOf(value);
  return exit === undefined ? undefined : String(exit);
}

/** OCSF's integers are whole; a number that is not is no count of anything. */
function wholeOf(value: Parameters<typeof numberOf>[0]): number | undefined {
  const number = numberOf(value);
  return number === undefined || !Number.isSafeInteger(number) ? undefined : number;
}
