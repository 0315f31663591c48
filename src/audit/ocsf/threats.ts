/** Threats that were seen in jobs, what was kept of them, and that somebody looked into them, as OCSF detection findings. */
import type { JsonObject } from "../../foundation/index.ts";
import { textOf } from "../facts.ts";
import { type Activity, activityOf, DETECTED, DETECTION } from "./classes.ts";
import { severityOf } from "./findings.ts";
import { type Mapped, ocsfRecord } from "./record.ts";

const ACTIVITIES: Readonly<Record<string, Activity>> = { ThreatResolved: [3, "Close"], EvidenceKept: [2, "Update"], EvidenceRemoved: [2, "Update"] };
const EVIDENCE: Readonly<Record<string, string>> = { EvidenceKept: "kept", EvidenceRemoved: "removed" };
const STATUSES = { new: [1, "New"], underway: [2, "In Progress"], resolved: [4, "Resolved"] } as const;

export function threatFinding(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const { threat, type, evidence, path } = facts.details;
  // One finding a threat, whichever of its events comes; a bundle of evidence names its file.
  const uid = textOf(threat) ?? (event.resourceType === "threat" ? event.resourceId : undefined) ?? event.id;
  const bundle = EVIDENCE[event.action];
  const of = textOf(type) ?? (bundle !== undefined || evidence !== undefined ? "evidence" : "threat");
  // Evidence goes when nobody looks into its threat any more.
  const resolved = event.action === "ThreatResolved" || event.action === "EvidenceRemoved";
  return ocsfRecord(mapped, {
    class: DETECTION,
    activity: activityOf(ACTIVITIES, event.action, [1, "Create"]),
    severity: severityOf(textOf(facts.details["severity"])),
    message: `${of}${textOf(path) === undefined ? "" : ` ${bundle ?? "kept"}: ${textOf(path)}`}`,
    control: DETECTED,
    status: resolved ? STATUSES.resolved : event.action === "EvidenceKept" ? STATUSES.underway : STATUSES.new,
    more: {
      finding_info: { uid, title: of },
      resources: event.sessionId === undefined ? undefined : [{ name: event.sessionId, type: "job" }],
    },
  });
}
