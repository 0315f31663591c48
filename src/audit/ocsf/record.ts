/** What every OCSF event of ours has: time, severity, metadata, who, where, and the audit event itself under `unmapped`. */
import { CofferdamError, type JsonObject, type JsonValue } from "../../foundation/index.ts";
import type { AuditEvent } from "../event.ts";
import type { EventFacts } from "../facts.ts";
import { type Activity, type Control, OCSF_VERSION, type OcsfClass, type OcsfSeverity, SEVERITIES } from "./classes.ts";

/** The program that made the events. */
export interface OcsfProduct {
  readonly version: string;
}

/** One audit event on its way. */
export interface Mapped {
  readonly event: AuditEvent;
  readonly facts: EventFacts;
  readonly product: OcsfProduct;
}

export interface RecordParts {
  readonly class: OcsfClass;
  readonly activity: Activity;
  readonly severity: OcsfSeverity;
  readonly message: string;
  /** What a control did, where one was at work. */
  readonly control?: Control | undefined;
  /** More than Success or Failure: the status of findings. */
  readonly status?: readonly [number, string];
  /** Of one of several events that stand for the same audit event. */
  readonly part?: string;
  /** What the class has besides. */
  readonly more: Readonly<Record<string, JsonValue | undefined>>;
}

/** Throws INTEGRITY_FAILURE for an event whose time is none. */
export function ocsfRecord({ event, facts, product }: Mapped, parts: RecordParts): JsonObject {
  const { class: of, activity, control, part } = parts;
  const time = Date.parse(event.timestamp);
  if (!Number.isSafeInteger(time)) throw new CofferdamError("INTEGRITY_FAILURE", `event ${event.seq} has no time`, { hint: "cofferdam audit verify" });
  const status = parts.status ?? (event.result === "success" ? ([1, "Success"] as const) : ([2, "Failure"] as const));
  const severity = SEVERITIES[parts.severity];
  const uid = part === undefined ? event.id : `${event.id}/${part}`;
  return defined({
    activity_id: activity[0],
    activity_name: activity[1],
    category_uid: of.category,
    category_name: of.categoryName,
    class_uid: of.uid,
    class_name: of.name,
    type_uid: of.uid * 100 + activity[0],
    time,
    severity_id: severity[0],
    severity: severity[1],
    status_id: status[0],
    status: status[1],
    message: parts.message,
    ...(facts.count > 1 ? { count: facts.count } : {}),
    ...(control === undefined
      ? {}
      : { action_id: control.action[0], action: control.action[1], disposition_id: control.disposition[0], disposition: control.disposition[1] }),
    ...(facts.policy === undefined || control === undefined ? {} : { policy: { uid: facts.policy, is_applied: facts.mode !== "observe" } }),
    actor: actorOf(event),
    // The log does not know its host's name; which log it is tells hosts apart.
    device: { type_id: 0, type: "Unknown", uid: event.logId },
    metadata: {
      version: OCSF_VERSION,
      product: { name: "Cofferdam", vendor_name: "Cofferdam", version: product.version },
      profiles: control === undefined ? ["host"] : ["host", "security_control"],
      uid,
      original_event_uid: event.id,
      original_time: event.timestamp,
      event_code: `${event.category}/${event.action}`,
      sequence: event.seq,
      log_name: event.logId,
      log_provider: "cofferdam",
      ...(event.sessionId === undefined ? {} : { correlation_uid: event.sessionId }),
    },
    ...parts.more,
    unmapped: unmappedOf(event, part === undefined),
  });
}

/**
 * The chain of the log, in the terms of the record_integrity profile that OCSF has from 1.9.0 on (its fingerprints are of our
 * hashed text, not of the OCSF event), and, once for each audit event, all that it holds.
 */
function unmappedOf({ integrity, ...event }: AuditEvent, whole: boolean): JsonObject {
  const fingerprint = (hash: string): JsonObject => ({ algorithm_id: 3, algorithm: "SHA-256", value: hash.replace(/^sha256:/, "") });
  return {
    record_integrity: {
      chain_uid: event.logId,
      uid: String(event.seq),
      fingerprint: fingerprint(integrity.hash),
      prev_event: { fingerprint: fingerprint(integrity.previousHash) },
    },
    ...(whole ? { audit_event: jsonOf(event) } : {}),
  };
}

function actorOf({ userId, sessionId }: AuditEvent): JsonObject {
  return {
    app_name: "cofferdam",
    ...(userId === undefined ? {} : { user: { name: userId, type_id: 0, type: "Unknown" } }),
    ...(sessionId === undefined ? {} : { session: { uid: sessionId } }),
  };
}

/** A recorded event came from JSON and is JSON; undefined members are left out, as printing does. */
function jsonOf({ personal, compliance, details, ...event }: Omit<AuditEvent, "integrity">): JsonObject {
  return {
    ...defined({ ...event }),
    ...(details === undefined ? {} : { details }),
    ...(personal === undefined ? {} : { personal: { key: personal.key, sealed: personal.sealed } }),
    ...(compliance === undefined
      ? {}
      : { compliance: defined({ ...compliance, standards: compliance.standards === undefined ? undefined : [...compliance.standards] }) }),
  };
}

export function defined(members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const kept: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(members)) if (value !== undefined) kept[name] = value;
  return kept;
}
