/** Every event of every kind against the published schema of OCSF 1.8.0, and the mapping against its table. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { auditInputs } from "../../../test/world/audit-events.ts";
import { OcsfSchema } from "../../../test/world/ocsf-schema.ts";
import { type AuditEvent, type AuditEventInput, AuditLogger } from "../index.ts";
import { ocsfEvents } from "./map.ts";

const schema = new OcsfSchema();
const product = { version: "0.0.0-test" };
let seq = 0;
/** An event as the log would have it. */
function recorded(input: AuditEventInput): AuditEvent {
  seq += 1;
  const { personal: _none, ...rest } = input;
  const integrity = { hash: `sha256:${"a".repeat(64)}`, algorithm: "sha256", previousHash: `sha256:${"b".repeat(64)}` } as const;
  return { ...rest, id: `evt_${seq}`, seq, timestamp: "2026-01-02T03:04:05.678Z", logId: "log_x", schemaVersion: 1, salt: "00", integrity };
}
interface Mapped {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly severity_id: number;
  readonly status_id: number;
  readonly action_id?: number;
  readonly [name: string]: unknown;
}
const mapped = (input: Partial<AuditEventInput>): Mapped[] =>
  JSON.parse(JSON.stringify(ocsfEvents(recorded({ category: "packages", action: "a", result: "success", ...input }), product)));
const short = (events: readonly Mapped[]): string[] =>
  events.map(
    (one) =>
      `${one.class_uid}/${one.activity_id} severity ${one.severity_id} status ${one.status_id}${one.action_id === undefined ? "" : ` action ${one.action_id}`}`,
  );

test("any event, also with details that nobody should write: valid, none lost, and whole under unmapped", () => {
  fc.assert(
    fc.property(auditInputs, (input) => {
      const event = recorded(input);
      const events: readonly Mapped[] = JSON.parse(JSON.stringify(ocsfEvents(event, product)));
      expect(events.length).toBeGreaterThan(0);
      for (const one of events) expect([one["class_uid"], ...schema.problems(one)]).toEqual([one["class_uid"]]);
      const uids = events.map(({ metadata }) => JSON.stringify(metadata).match(/"uid":"([^"]+)"/)?.[1]);
      expect(new Set(uids).size).toBe(events.length);
      const { integrity: _integrity, ...body } = event;
      expect(events[0]).toMatchObject({ time: Date.parse(event.timestamp), unmapped: { record_integrity: { chain_uid: "log_x", uid: String(event.seq) } } });
      expect(Object(events[0]?.["unmapped"]).audit_event).toEqual(JSON.parse(JSON.stringify(body)));
    }),
    { numRuns: 2000 },
  );
});

describe("the table", () => {
  const findings = [
    { id: "CVE-2024-12345", subject: "@a/b@1.0.0", severity: "critical", verdict: "deny" },
    { id: "GHSA-x", subject: "c@2", severity: "low", verdict: "accepted", exception: { reason: "unreachable", until: "2027-01-31" } },
    { id: "MAL-1", subject: "d", severity: "unknown", verdict: "warn" },
  ];

  test("installs, in every outcome", () => {
    const decided = (action: string, decision: string, mode = "enforce"): string[] =>
      short(mapped({ action, result: decision === "allowed" ? "success" : "failure", resourceType: "project", resourceId: "/p", details: { decision, mode } }));
    expect(decided("PackageInstall", "allowed")).toEqual(["6002/1 severity 1 status 1 action 1"]);
    expect(decided("PackageUpdate", "denied")).toEqual(["6002/8 severity 3 status 2 action 2"]);
    expect(decided("PackageUninstall", "stopped", "observe")).toEqual(["6002/2 severity 3 status 2 action 3"]);
    const [observed] = mapped({ action: "PackageInstall", result: "failure", details: { decision: "denied", mode: "observe", policy: "sha256:x" } });
    expect(observed).toMatchObject({ policy: { uid: "sha256:x", is_applied: false } });
    expect(decided("PackageInstall", "failed")).toEqual(["6002/1 severity 3 status 2 action 0"]);
  });

  test("a scan is one event and one more for each finding", () => {
    const events = mapped({
      action: "VulnerabilityScan",
      result: "failure",
      resourceType: "project",
      resourceId: "/p",
      details: { findings, findingCount: 3, packages: 912, policy: "sha256:x" },
    });
    expect(short(events)).toEqual([
      "6007/2 severity 3 status 2",
      "2002/1 severity 5 status 1 action 2",
      "2002/1 severity 2 status 3 action 1",
      "2002/1 severity 0 status 1 action 1",
    ]);
    expect(events[0]).toMatchObject({ num_detections: 3, total: 912, policy: { uid: "sha256:x" } });
    expect(events[1]).toMatchObject({
      finding_info: { uid: "CVE-2024-12345|@a/b@1.0.0|/p" },
      vulnerabilities: [{ cve: { uid: "CVE-2024-12345" }, affected_packages: [{ name: "@a/b", version: "1.0.0" }] }],
    });
    expect(events[2]).toMatchObject({ vulnerabilities: [{ advisory: { uid: "GHSA-x" } }], comment: "accepted until 2027-01-31" });
    expect(Object(events[3]?.["vulnerabilities"])[0]).toEqual({ advisory: { uid: "MAL-1" }, severity: "unknown" });
  });

  test("what is no name and version is no affected package", () => {
    for (const subject of ["@scope", "@", "a@", "a", ""]) {
      const [, finding] = mapped({ action: "VulnerabilityScan", details: { findings: [{ id: "GHSA-x", subject }] } });
      expect(Object(finding?.["vulnerabilities"])[0]).toEqual({ advisory: { uid: "GHSA-x" } });
    }
  });

  test("one package looked up by name: the finding is about it", () => {
    const events = mapped({
      action: "VulnerabilityScan",
      result: "failure",
      resourceType: "package",
      resourceId: "lodash@4.17.20",
      details: { vulnerabilities: [{ id: "GHSA-y", severity: "high" }], count: 1 },
    });
    expect(events[1]).toMatchObject({ severity_id: 4, vulnerabilities: [{ affected_packages: [{ name: "lodash", version: "4.17.20" }] }] });
  });

  test("scripts and commands", () => {
    const refused = [{ kind: "net", what: "example.com:443", why: "x" }];
    expect(short(mapped({ action: "RuntimeProtection", details: { package: "p@1", script: "install", exit: 0 } }))).toEqual([
      "1007/2 severity 1 status 1 action 1",
    ]);
    expect(short(mapped({ action: "RuntimeProtection", result: "failure", details: { body: "node x", run: "skipped" } }))).toEqual([
      "1009/1 severity 2 status 2 action 2",
    ]);
    expect(short(mapped({ action: "RuntimeProtection", details: { body: "node x", exit: 0, refused } }))).toEqual(["1009/1 severity 3 status 1 action 1"]);
    const [failed] = mapped({
      category: "sandbox",
      action: "RuntimeProtection",
      result: "failure",
      resourceId: "npm test",
      details: { exit: 1, refused, cwd: "/p" },
    });
    expect(failed).toMatchObject({
      class_uid: 1007,
      action_id: 2,
      exit_code: 1,
      process: { cmd_line: "npm test", working_directory: "/p" },
      status_detail: "refused: net example.com:443",
    });
  });

  test("content, exposure, advisories, approvals", () => {
    expect(short(mapped({ action: "IntegrityCheck", details: { packages: [["a", "1", null]] } }))).toEqual(["6007/2 severity 1 status 1"]);
    expect(short(mapped({ action: "IntegrityCheck", result: "failure", resourceId: "a@1" }))).toEqual(["2004/1 severity 4 status 1 action 2"]);
    expect(short(mapped({ action: "PackageExposed", result: "failure", details: { id: "GHSA-z", subject: "a@1", severity: "high" } }))).toEqual([
      "2002/1 severity 4 status 1 action 1",
    ]);
    expect(short(mapped({ category: "advisories", action: "AdvisoriesUpdate", result: "failure", resourceId: "osv" }))).toEqual(["6002/8 severity 2 status 2"]);
    expect(short(mapped({ action: "ConfigurationChange", resourceType: "project", resourceId: "/p" }))).toEqual(["3004/3 severity 1 status 1"]);
  });

  test("secrets: stored, given, shown, refused, and their key", () => {
    const one = (action: string, more: Partial<AuditEventInput> = {}): string => {
      const events = mapped({ category: "secrets", action, resourceType: "secret", resourceId: "npm/publish", ...more });
      for (const event of events) expect([action, ...schema.problems(event)]).toEqual([action]);
      return `${action} ${short(events)}`;
    };
    expect([
      one("SecretStored", { details: { version: 1, replaced: 0 } }),
      one("SecretStored", { details: { version: 2, replaced: 1 } }),
      one("SecretRetrieved", { details: { jobId: "job1" } }),
      one("SecretCanaryRead"),
      one("SecretRevealed"),
      one("SecretRotated"),
      one("SecretDeleted"),
      one("SecretRefused", { result: "failure", details: { code: "PERMISSION_DENIED", reason: "not for repository x/y" } }),
      one("SecretKeyChanged"),
      one("SecretKeyBackedUp"),
    ]).toEqual([
      "SecretStored 3004/1 severity 1 status 1",
      "SecretStored 3004/3 severity 1 status 1",
      "SecretRetrieved 3004/2 severity 1 status 1",
      "SecretCanaryRead 3004/2 severity 4 status 1",
      "SecretRevealed 3004/2 severity 2 status 1",
      "SecretRotated 3004/3 severity 1 status 1",
      "SecretDeleted 3004/4 severity 1 status 1",
      "SecretRefused 3004/99 severity 3 status 2",
      "SecretKeyChanged 3004/3 severity 1 status 1",
      "SecretKeyBackedUp 3004/2 severity 3 status 1",
    ]);
    expect(mapped({ category: "secrets", action: "SecretRefused", result: "failure", details: { code: "NOT_FOUND", reason: "no secret x" } })).toMatchObject([
      { entity: { name: "secrets", type: "secret store" }, status_detail: "NOT_FOUND: no secret x" },
    ]);
  });

  test("people: logins, accounts, roles, and who was let do what", () => {
    const all = (category: string, action: string, more: Partial<AuditEventInput> = {}): string => {
      const events = mapped({ category, action, ...more });
      for (const one of events) expect([action, ...schema.problems(one)]).toEqual([action]);
      return `${action} ${short(events)}`;
    };
    const failed = { result: "failure", details: { reason: "wrong password" } } as const;
    expect([
      all("identity", "login", { userId: "usr_1", details: { method: "password", mfa: true } }),
      all("identity", "login", failed),
      all("identity", "token_refused", failed),
      all("identity", "job_token_accepted", { details: { repository: "acme/web" } }),
      all("identity", "session_created", { userId: "usr_1", sessionId: "ses_1" }),
      all("identity", "session_ended", { userId: "usr_1", sessionId: "ses_1" }),
      all("identity", "password_set", { userId: "usr_1", resourceId: "usr_1" }),
      all("identity", "password_set", { userId: "local-owner", resourceId: "usr_1" }),
      all("identity", "second_factor_confirmed", { resourceId: "usr_1" }),
      all("identity", "second_factor_removed", { resourceId: "usr_1" }),
      all("identity", "account_recovered", { resourceId: "usr_1" }),
      all("authorization", "user_created", { resourceId: "usr_1" }),
      all("authorization", "user_updated", { resourceId: "usr_1", details: { before: { disabled: false }, after: { disabled: true } } }),
      all("authorization", "user_updated", { resourceId: "usr_1", details: { before: { disabled: true }, after: { disabled: false } } }),
      all("authorization", "user_updated", { resourceId: "usr_1", details: { before: { disabled: false }, after: { disabled: false } } }),
      all("authorization", "role_assigned", { resourceId: "usr_1", details: { after: { role: "admin" } } }),
      all("authorization", "role_revoked", { resourceId: "usr_1", details: { before: { role: "admin" } } }),
      all("authorization", "role_created", { resourceType: "role", resourceId: "ci" }),
      all("authorization", "role_deleted", { resourceType: "role", resourceId: "ci" }),
      all("authorization", "repository_updated", { resourceType: "repository", resourceId: "acme/web" }),
      all("authorization", "permission_denied", failed),
    ]).toEqual([
      "login 3002/1 severity 1 status 1",
      "login 3002/1 severity 3 status 2 action 2",
      "token_refused 3002/1 severity 3 status 2 action 2",
      "job_token_accepted 3002/1 severity 1 status 1",
      "session_created 3002/99 severity 1 status 1",
      "session_ended 3002/2 severity 1 status 1",
      "password_set 3001/3 severity 1 status 1",
      "password_set 3001/4 severity 1 status 1",
      "second_factor_confirmed 3001/10 severity 1 status 1",
      "second_factor_removed 3001/11 severity 1 status 1",
      "account_recovered 3001/4 severity 3 status 1",
      "user_created 3001/1 severity 1 status 1",
      "user_updated 3001/5 severity 1 status 1",
      "user_updated 3001/2 severity 1 status 1",
      "user_updated 3001/99 severity 1 status 1",
      "role_assigned 3005/1 severity 1 status 1",
      "role_revoked 3005/2 severity 1 status 1",
      "role_created 3004/1 severity 1 status 1",
      "role_deleted 3004/4 severity 1 status 1",
      "repository_updated 3004/3 severity 1 status 1",
      "permission_denied 0/99 severity 2 status 2 action 2",
    ]);
    expect(mapped({ category: "authorization", action: "role_assigned", resourceId: "usr_1", details: { after: { role: "admin" } } })).toMatchObject([
      { user: { uid: "usr_1" }, privileges: ["role admin"] },
    ]);
  });

  test("threats: one finding from its first event to its resolution", () => {
    const details = { threat: "thr_1", type: "escape-file", severity: "critical" };
    const of = (category: string, action: string, more: object): unknown => mapped({ category, action, sessionId: "job-1", ...more });
    expect(of("jobs", "ThreatHandled", { result: "failure", details })).toMatchObject([
      { class_uid: 2004, activity_id: 1, severity_id: 5, status_id: 1, finding_info: { uid: "thr_1", title: "escape-file" }, resources: [{ name: "job-1" }] },
    ]);
    expect(of("monitor", "EvidenceKept", { details: { threat: "thr_1", path: "/evidence/1.json" } })).toMatchObject([
      { activity_id: 2, status_id: 2, finding_info: { uid: "thr_1" }, message: "evidence kept: /evidence/1.json" },
    ]);
    expect(of("monitor", "EvidenceRemoved", { details: { threat: "thr_1", path: "/evidence/1.json" } })).toMatchObject([
      { activity_id: 2, status_id: 4, finding_info: { uid: "thr_1" }, message: "evidence removed: /evidence/1.json" },
    ]);
    expect(of("jobs", "ThreatResolved", { resourceType: "threat", resourceId: "thr_1", details: { type: "escape-file" } })).toMatchObject([
      { activity_id: 3, status_id: 4, finding_info: { uid: "thr_1" } },
    ]);
  });

  test("what a job tried to reach and was not to", () => {
    const details = { proto: "tcp", dst: "203.0.113.66", port: 443, reason: "not-allowed", message: "203.0.113.66:443: not in the allow-list" };
    expect(mapped({ category: "network", action: "NetworkViolation", result: "failure", sessionId: "job-1", details })).toMatchObject([
      {
        class_uid: 2004,
        activity_id: 1,
        severity_id: 2,
        status_id: 1,
        message: details.message,
        finding_info: { title: "not-allowed" },
        resources: [{ name: "job-1" }],
      },
    ]);
    expect(short(mapped({ category: "network", action: "NetworkCreated", sessionId: "job-1", details: { subnet: "198.18.0.0/28" } }))).toEqual([
      "0/99 severity 1 status 1",
    ]);
  });

  test("what the log says about itself, and whatever else there is", () => {
    const trail = (action: string, result: "success" | "failure" = "success"): string => `${action} ${short(mapped({ category: "audit", action, result }))}`;
    expect([
      trail("exported"),
      trail("retention_pruned"),
      trail("recovered"),
      trail("disk_full", "failure"),
      trail("key_rotated"),
      trail("new_one", "failure"),
    ]).toEqual([
      "exported 1008/3 severity 1 status 1",
      "retention_pruned 1008/2 severity 1 status 1",
      "recovered 1008/8 severity 4 status 1",
      "disk_full 1008/7 severity 4 status 2",
      "key_rotated 1008/99 severity 1 status 1",
      "new_one 1008/99 severity 3 status 2",
    ]);
    const [other] = mapped({ category: "authorization", action: "permission_granted", userId: "u" });
    expect(other).toMatchObject({ class_uid: 0, type_uid: 99, activity_name: "permission_granted", action_id: 1, actor: { user: { name: "u" } } });
    for (const action of [
      "exported",
      "retention_pruned",
      "recovered",
      "disk_full",
      "key_rotated",
      "hold_placed",
      "subject_erased",
      "tail_recovered",
      "key_replaced",
      "checkpoint_failed",
    ])
      for (const one of mapped({ category: "audit", action })) expect([action, ...schema.problems(one)]).toEqual([action]);
  });

  test("coalesced refusals keep their count", () => {
    const [event] = mapped({ category: "authorization", action: "denied", result: "failure", details: { coalesced: { count: 17 }, first: { x: 1 } } });
    expect(event).toMatchObject({ count: 17 });
  });
});

test("from a log: one line an event, with erasable data as it stands; a time that is none is told", async () => {
  await using audit = new AuditLogger();
  await audit.initialize();
  await audit.log({
    category: "packages",
    action: "PackageInstall",
    result: "success",
    personal: { subject: "alice", data: { name: "Alice" } },
    compliance: { standards: ["SOC2"], retentionRequired: 365 },
  });
  const text = await audit.export({}, "ocsf");
  const lines = text.trimEnd().split("\n");
  expect(lines).toHaveLength(1);
  const event = JSON.parse(lines[0] ?? "");
  expect(schema.problems(event)).toEqual([]);
  const [known] = await audit.search();
  expect(event.unmapped.audit_event).toMatchObject({ personal: known?.personal, compliance: known?.compliance });
  expect(event.unmapped.record_integrity.fingerprint.value).toBe(known?.integrity.hash.slice("sha256:".length));
  expect(() => ocsfEvents({ ...recorded({ category: "c", action: "a", result: "success" }), timestamp: "soon" }, product)).toThrow("has no time");
});

test("the validator itself: what it is there for, it finds", () => {
  const [good] = mapped({ action: "PackageInstall", resourceId: "/p", details: { decision: "allowed" } });
  const problemsOf = (change: Readonly<Record<string, unknown>>): string[] => schema.problems(JSON.parse(JSON.stringify({ ...good, ...change })));
  expect(problemsOf({})).toEqual([]);
  for (const change of [
    ...Object.keys(good ?? {})
      .filter((name) => ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid", "app"].includes(name))
      .map((name) => ({ [name]: undefined })),
    { severity_id: 7 },
    { severity: "Low" },
    { time: "2026-01-01" },
    { time: 1.5 },
    { app: {} },
    { app: "x" },
    { app: { name: "x", nome: "y" } },
    { metadata: { version: "1.8.0", product: { name: "x" }, profiles: ["host"] } },
    { metadata: { version: "1.7.0", product: { name: "x" }, profiles: ["host", "security_control"] } },
    { activity_id: 99, type_uid: 600299, activity_name: undefined },
    { type_uid: 600202 },
    { device: { uid: "x" } },
    { nonsense: 1 },
  ])
    expect([change, problemsOf(change).length > 0]).toEqual([change, true]);
});
