/** An audit event as OCSF 1.8.0 events: one, and one more for each finding that it names. docs/audit-export.md has the table. */
import type { JsonObject } from "../../foundation/index.ts";
import type { AuditEvent } from "../event.ts";
import { type EventKind, factsOf } from "../facts.ts";
import { advisories, anything, command, decision, install, scan, script, trail } from "./activities.ts";
import { integrityFinding, vulnerabilityFinding } from "./findings.ts";
import { networkFinding } from "./network.ts";
import { access, account, login, permission, role } from "./people.ts";
import type { Mapped, OcsfProduct } from "./record.ts";
import { secret } from "./secrets.ts";
import { threatFinding } from "./threats.ts";

export function ocsfEvents(event: AuditEvent, product: OcsfProduct): readonly JsonObject[] {
  const mapped: Mapped = { event, facts: factsOf(event), product };
  return MAPPINGS[mapped.facts.kind](mapped);
}

const MAPPINGS: Readonly<Record<EventKind, (mapped: Mapped) => readonly JsonObject[]>> = {
  install: (mapped) => [install(mapped)],
  scan: (mapped) => [scan(mapped), ...mapped.facts.findings.map((found, at) => vulnerabilityFinding(mapped, found, String(at + 1)))],
  exposed,
  integrity: (mapped) => [mapped.event.result === "success" ? scan(mapped) : integrityFinding(mapped)],
  script: (mapped) => [script(mapped)],
  command: (mapped) => [command(mapped)],
  decision: (mapped) => [decision(mapped)],
  advisories: (mapped) => [advisories(mapped)],
  login: (mapped) => [login(mapped)],
  account: (mapped) => [account(mapped)],
  access: (mapped) => [access(mapped)],
  role: (mapped) => [role(mapped)],
  permission: (mapped) => [permission(mapped)],
  secret: (mapped) => [secret(mapped)],
  threat: (mapped) => [threatFinding(mapped)],
  network: (mapped) => [mapped.event.action === "NetworkViolation" ? networkFinding(mapped) : anything(mapped)],
  trail: (mapped) => [trail(mapped)],
  other: (mapped) => [anything(mapped)],
};

/** One finding, whose parts stand in the details themselves. */
function exposed(mapped: Mapped): readonly JsonObject[] {
  const { id, subject, severity } = mapped.facts.details;
  if (typeof id !== "string" || typeof subject !== "string") return [anything(mapped)];
  const found = { id, subject, severity: typeof severity === "string" ? severity : undefined, verdict: undefined, exception: undefined };
  return [vulnerabilityFinding(mapped, found, undefined)];
}
