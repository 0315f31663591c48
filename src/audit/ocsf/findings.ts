/** Findings: what is known of a package, one OCSF event each, and files that are not what they should be. */
import type { JsonObject } from "../../foundation/index.ts";
import type { FoundFact } from "../facts.ts";
import { ACCEPTED, BLOCKED, type Control, DETECTED, DETECTION, LOGGED, OBSERVED, type OcsfSeverity, VULNERABILITY } from "./classes.ts";
import { type Mapped, ocsfRecord } from "./record.ts";

const CREATE = [1, "Create"] as const;
const NEW = [1, "New"] as const;
const SUPPRESSED = [3, "Suppressed"] as const;

/** @param part which of several; undefined when the audit event is about this finding alone. */
export function vulnerabilityFinding(mapped: Mapped, found: FoundFact, part: string | undefined): JsonObject {
  const { facts } = mapped;
  const accepted = found.verdict === "accepted" || found.exception !== undefined;
  const title = `${found.id} in ${found.subject}`;
  const at = splitSubject(found.subject);
  return ocsfRecord(mapped, {
    class: VULNERABILITY,
    activity: CREATE,
    severity: severityOf(found.severity),
    message: found.exception?.reason === undefined ? title : `${title}, accepted: ${found.exception.reason}`,
    control: controlOf(found, facts.mode),
    status: accepted ? SUPPRESSED : NEW,
    ...(part === undefined ? {} : { part }),
    more: {
      // The same for whoever finds it again, in this project.
      finding_info: { uid: [found.id, found.subject, facts.project ?? ""].join("|"), title },
      vulnerabilities: [
        {
          ...(/^CVE-\d{4}-\d{4,}$/.test(found.id) ? { cve: { uid: found.id } } : { advisory: { uid: found.id } }),
          ...(found.severity === undefined ? {} : { severity: found.severity }),
          ...(at === undefined ? {} : { affected_packages: [at] }),
        },
      ],
      resources: facts.project === undefined ? undefined : [{ name: facts.project, type: "project" }],
      comment: found.exception?.until === undefined ? undefined : `accepted until ${found.exception.until}`,
    },
  });
}

/** Content that is not what it should be. */
export function integrityFinding(mapped: Mapped): JsonObject {
  const { event, facts } = mapped;
  const title = `integrity check failed: ${facts.what}`;
  return ocsfRecord(mapped, {
    class: DETECTION,
    activity: CREATE,
    severity: "high",
    message: title,
    control: facts.mode === "observe" ? OBSERVED : BLOCKED,
    status: NEW,
    more: {
      finding_info: { uid: event.id, title },
      resources: event.resourceId === undefined ? undefined : [{ name: event.resourceId, type: event.resourceType ?? "package" }],
    },
  });
}

/** By the word of an advisory; words that we do not know are unknown, not harmless. */
export function severityOf(word: string | undefined): OcsfSeverity {
  switch (word?.toLowerCase()) {
    case "critical":
      return "critical";
    case "high":
      return "high";
    case "medium":
    case "moderate":
      return "medium";
    case "low":
      return "low";
    case "none":
      return "informational";
    default:
      return "unknown";
  }
}

function controlOf({ verdict, exception }: FoundFact, mode: string | undefined): Control {
  if (verdict === "accepted" || exception !== undefined) return ACCEPTED;
  if (verdict === "deny") return mode === "observe" ? OBSERVED : BLOCKED;
  return verdict === "had" ? LOGGED : DETECTED;
}

/** `name@version`, where the name may begin with an @. */
function splitSubject(subject: string): JsonObject | undefined {
  const at = subject.lastIndexOf("@");
  return at <= 0 || at === subject.length - 1 ? undefined : { name: subject.slice(0, at), version: subject.slice(at + 1) };
}
