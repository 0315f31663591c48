/**
 * What an event says, for those who report on it: read from `details` as the product writes them. Details are anybody's: a
 * member that is not there or is something else is undefined, never a guess.
 */
import type { JsonObject, JsonValue } from "../foundation/index.ts";
import type { EventBody } from "./body.ts";

/** What an event is, to somebody who asks what was done. */
export type EventKind =
  | "install"
  | "script"
  | "command"
  | "scan"
  | "integrity"
  | "exposed"
  | "decision"
  | "advisories"
  /** Somebody showed who they are, or left. */
  | "login"
  /** What lets somebody in, or an account itself, was changed. */
  | "account"
  /** Somebody got or lost a role. */
  | "access"
  /** Roles, and what they hang on, were changed. */
  | "role"
  /** Somebody asked for something, and was let or refused. */
  | "permission"
  /** A secret, or the key of all of them. */
  | "secret"
  /** Something in a job was a threat, was kept, or was looked into. */
  | "threat"
  /** A network of a job: made, changed, cut, and what the job tried to reach and was not to. */
  | "network"
  | "trail"
  | "other";

export interface FoundFact {
  readonly id: string;
  /** `name@version`. */
  readonly subject: string;
  readonly severity: string | undefined;
  readonly verdict: string | undefined;
  /** Who had accepted it, as the policy says. */
  readonly exception: { readonly reason: string | undefined; readonly until: string | undefined } | undefined;
}

export interface EventFacts {
  readonly kind: EventKind;
  /** What it was about, in a few words. */
  readonly what: string;
  /** Folder of the project. */
  readonly project: string | undefined;
  readonly decision: string | undefined;
  readonly level: string | undefined;
  readonly mode: string | undefined;
  /** Digest of the policy in force. */
  readonly policy: string | undefined;
  /** Why it was allowed or not: the rule for a script, the code of what stopped an install. */
  readonly basis: string | undefined;
  readonly findings: readonly FoundFact[];
  readonly refused: readonly { readonly kind: string; readonly what: string }[];
  readonly sources: readonly { readonly name: string; readonly status: string | undefined; readonly freshAsOf: string | undefined }[];
  /** A script or command that ran without a jail. */
  readonly unjailed: boolean;
  /** Events that this one stands for. */
  readonly count: number;
  /** The details that were read: of the first event where this one stands for several. */
  readonly details: JsonObject;
}

const KINDS: Readonly<Record<string, EventKind>> = {
  "packages/PackageInstall": "install",
  "packages/PackageUpdate": "install",
  "packages/PackageUninstall": "install",
  "packages/RuntimeProtection": "script",
  "sandbox/RuntimeProtection": "command",
  "packages/VulnerabilityScan": "scan",
  "packages/IntegrityCheck": "integrity",
  "packages/PackageExposed": "exposed",
  "packages/ConfigurationChange": "decision",
  "advisories/AdvisoriesUpdate": "advisories",
  "advisories/AdvisoriesImport": "advisories",
  ...kindOf("identity", "login", [
    "login",
    "session_created",
    "session_ended",
    "session_refused",
    "token_used",
    "token_refused",
    "job_token_accepted",
    "job_token_refused",
    "second_factor_checked",
  ]),
  ...kindOf("identity", "account", [
    "password_set",
    "second_factor_enrolled",
    "second_factor_confirmed",
    "second_factor_removed",
    "token_created",
    "token_revoked",
    "account_recovered",
    "set_up",
  ]),
  ...kindOf("authorization", "account", ["user_created", "user_updated", "user_deleted"]),
  ...kindOf("authorization", "access", ["role_assigned", "role_revoked"]),
  ...kindOf("authorization", "role", ["role_created", "role_updated", "role_deleted", "repository_updated", "policy_imported"]),
  ...kindOf("authorization", "permission", ["permission_granted", "permission_denied"]),
  ...kindOf("jobs", "threat", ["ThreatHandled", "ThreatResolved"]),
  ...kindOf("monitor", "threat", ["EvidenceKept", "EvidenceRemoved"]),
  ...kindOf("network", "network", [
    ...["NetworkCreated", "NetworkConnected", "NetworkPolicyApplied", "NetworkViolation", "NetworkDisconnected"],
    ...["NetworkLost", "NetworkRemoved", "NetworkReconciled"],
  ]),
  ...kindOf("secrets", "secret", [
    ...["SecretStored", "SecretRetrieved", "SecretCanaryRead", "SecretRevealed", "SecretRotated", "SecretDeleted", "SecretRefused"],
    ...["SecretKeyChanged", "SecretKeyBackedUp", "SecretKeyRestored", "SecretKeyProtected", "SecretStoreRecovered"],
  ]),
};

function kindOf(category: string, kind: EventKind, actions: readonly string[]): Record<string, EventKind> {
  return Object.fromEntries(actions.map((action) => [`${category}/${action}`, kind]));
}

export function factsOf(event: EventBody): EventFacts {
  const key = `${event.category}/${event.action}`;
  const kind = Object.hasOwn(KINDS, key) ? (KINDS[key] ?? "other") : event.category === "audit" ? "trail" : "other";
  const coalesced = objectOf(event.details?.["coalesced"]);
  const details = (coalesced === undefined ? event.details : objectOf(event.details?.["first"])) ?? {};
  return {
    kind,
    what: whatOf(event, kind, details),
    project: event.resourceType === "project" ? event.resourceId : (textOf(details["folder"]) ?? textOf(details["cwd"])),
    decision: textOf(details["decision"]),
    level: textOf(details["level"]),
    mode: textOf(details["mode"]),
    policy: textOf(details["policy"]),
    basis: textOf(details["basis"]) ?? textOf(details["code"]),
    findings: objectsIn(details["findings"] ?? details["vulnerabilities"]).flatMap((one) => findingOf(one, event) ?? []),
    refused: objectsIn(details["refused"]).map((one) => ({ kind: textOf(one["kind"]) ?? "", what: textOf(one["what"]) ?? "" })),
    sources: objectsIn(details["sources"]).map((one) => ({
      name: textOf(one["name"]) ?? "",
      status: textOf(one["status"]),
      freshAsOf: textOf(one["freshAsOf"]),
    })),
    unjailed: details["run"] === "unjailed",
    count: numberOf(coalesced?.["count"]) ?? 1,
    details,
  };
}

function whatOf(event: EventBody, kind: EventKind, details: JsonObject): string {
  const named = (...members: readonly string[]): string[] => members.flatMap((member) => textOf(details[member]) ?? []);
  switch (kind) {
    case "install":
      return [...named("command"), ...counted(details["packages"], "packages")].join(", ");
    case "script": {
      const script = named("package", "script").join(" ");
      return script === "" ? (event.resourceId ?? "") : script;
    }
    case "scan":
      return [...named("target"), ...counted(details["packages"], "packages"), ...counted(details["findingCount"] ?? details["count"], "findings")].join(", ");
    case "integrity":
      return Array.isArray(details["packages"]) ? `${details["packages"].length} packages` : (event.resourceId ?? "");
    case "exposed":
      return named("subject", "id").join(" ");
    case "decision":
      return [...named("command"), ...textsIn(details["packages"])].join(" ");
    default:
      return event.resourceId ?? "";
  }
}

function findingOf(one: JsonObject, event: EventBody): FoundFact | undefined {
  const id = textOf(one["id"]);
  if (id === undefined) return undefined;
  const exception = objectOf(one["exception"]);
  return {
    id,
    // A look-up of one package names it once, as what the event is about.
    subject: textOf(one["subject"]) ?? (event.resourceType === "package" ? event.resourceId : undefined) ?? "",
    severity: textOf(one["severity"]),
    verdict: textOf(one["verdict"]),
    exception: exception === undefined ? undefined : { reason: textOf(exception["reason"]), until: textOf(exception["until"]) },
  };
}

function counted(value: JsonValue | undefined, unit: string): string[] {
  const number = numberOf(value);
  return number === undefined ? [] : [`${number} ${unit}`];
}

export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function numberOf(value: JsonValue | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

export function textsIn(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function objectsIn(value: JsonValue | undefined): readonly JsonObject[] {
  return value !== undefined && value !== null && isList(value) ? value.map(objectOf).filter((one) => one !== undefined) : [];
}

export function objectOf(value: JsonValue | undefined): JsonObject | undefined {
  // An array is an object to typeof; as a JSON type it is none.
  return typeof value === "object" && value !== null && !isList(value) ? value : undefined;
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
