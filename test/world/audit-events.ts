/** Audit events of every kind that the product records, with details as it writes them, as others might, and as nobody should. */
import fc from "fast-check";
import type { AuditEventInput } from "../../src/audit/index.ts";
import type { JsonObject, JsonValue } from "../../src/foundation/index.ts";

const KINDS: readonly (readonly [string, string])[] = [
  ...[
    "PackageInstall",
    "PackageUpdate",
    "PackageUninstall",
    "IntegrityCheck",
    "VulnerabilityScan",
    "RuntimeProtection",
    "ConfigurationChange",
    "PackageExposed",
  ].map((action) => ["packages", action] as const),
  ["sandbox", "RuntimeProtection"],
  ["advisories", "AdvisoriesUpdate"],
  ["advisories", "AdvisoriesImport"],
  ...["permission_granted", "permission_denied", "role_assigned", "role_revoked", "role_created", "role_deleted", "user_created", "user_updated"].map(
    (action) => ["authorization", action] as const,
  ),
  ...["login", "session_created", "session_ended", "token_created", "job_token_refused", "password_set", "account_recovered", "clock_reset"].map(
    (action) => ["identity", action] as const,
  ),
  ...["SecretStored", "SecretRetrieved", "SecretCanaryRead", "SecretRefused", "SecretDeleted", "SecretKeyChanged", "SecretStoreRecovered"].map(
    (action) => ["secrets", action] as const,
  ),
  ["packages", "SomethingNew"],
  ["jobs", "a.b-c:d"],
];

const word: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "lodash@4.17.20",
    "@a/b@1.0.0-rc.1",
    "a",
    "@",
    "x@",
    "</script>",
    "=cmd()",
    "a\nb\0\u202e",
    "CVE-2024-12345",
    "GHSA-aaaa-bbbb-cccc",
    "MAL-2026-1",
    "\u{1f600}",
  ),
  fc.string({ unit: "binary", maxLength: 30 }),
);
const number = fc.oneof(fc.nat(100), fc.constantFrom(-1, 0.5, Number.MAX_SAFE_INTEGER));
const finding = fc.record(
  {
    id: word,
    subject: word,
    severity: fc.constantFrom("critical", "high", "medium", "moderate", "low", "none", "unknown", "odd"),
    verdict: fc.constantFrom("deny", "warn", "accepted", "had", "odd"),
    exception: fc.oneof(fc.record({ reason: word, until: fc.option(word) }), fc.constant("odd")),
  },
  { requiredKeys: ["id"] },
);
const refusal = fc.record({ kind: fc.constantFrom("net", "write", "exec"), what: word, why: word });

/** Details with the members that mappings read; each is there or not. */
const asWritten = fc.record(
  {
    decision: fc.constantFrom("allowed", "denied", "stopped", "failed", "not-scanned", "odd"),
    level: fc.constantFrom("low", "medium", "high"),
    mode: fc.constantFrom("enforce", "observe"),
    policy: word,
    command: word,
    package: word,
    script: word,
    body: word,
    why: word,
    basis: word,
    code: word,
    message: word,
    reason: word,
    run: fc.constantFrom("skipped", "unjailed", "odd"),
    cwd: word,
    folder: word,
    id: word,
    subject: word,
    severity: fc.constantFrom("critical", "low", "odd"),
    exit: fc.option(number),
    mfa: fc.boolean(),
    before: fc.record({ disabled: fc.boolean(), role: word }, { requiredKeys: [] }),
    after: fc.record({ disabled: fc.boolean(), role: word }, { requiredKeys: [] }),
    count: number,
    findingCount: number,
    packages: fc.oneof(number, fc.array(fc.tuple(word, word, fc.option(word)), { maxLength: 3 }), fc.array(word, { maxLength: 3 })),
    findings: fc.array(finding, { maxLength: 3 }),
    refused: fc.array(refusal, { maxLength: 3 }),
    sources: fc.array(fc.record({ name: word, status: fc.constantFrom("fresh", "old", "stale", "missing"), freshAsOf: fc.option(word) }), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

const anyJson: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    number,
    word,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(word, tie("value"), { maxKeys: 3 }),
  ),
})).value;
/** The same members, with values of any type. */
const asNobodyShould: fc.Arbitrary<JsonObject> = fc.dictionary(
  fc.constantFrom(
    "decision",
    "mode",
    "policy",
    "packages",
    "findings",
    "refused",
    "sources",
    "exit",
    "body",
    "coalesced",
    "first",
    "id",
    "subject",
    "run",
    "count",
    "mfa",
    "before",
    "after",
    "reason",
    "repository",
    "vulnerabilities",
    "__proto__",
  ),
  anyJson,
);
const coalesced = fc.record({
  coalesced: fc.record({
    count: fc.integer({ min: 2, max: 1000 }),
    since: fc.constant("2026-01-01T00:00:00.000Z"),
    until: fc.constant("2026-01-01T00:00:01.000Z"),
  }),
  first: asWritten,
});

function defined(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value));
}

/** Inputs that a log takes. The log's events about itself are not among them: only the log makes those. */
export const auditInputs: fc.Arbitrary<AuditEventInput> = fc
  .record({
    kind: fc.constantFrom(...KINDS),
    result: fc.constantFrom("success" as const, "failure" as const),
    userId: fc.option(
      word.filter((text) => text !== ""),
      { nil: undefined },
    ),
    sessionId: fc.option(
      word.filter((text) => text !== ""),
      { nil: undefined },
    ),
    resourceType: fc.option(fc.constantFrom("project", "package", "source", "command", "user", "role"), { nil: undefined }),
    resourceId: fc.option(
      word.filter((text) => text !== ""),
      { nil: undefined },
    ),
    details: fc.option(fc.oneof({ weight: 4, arbitrary: asWritten }, { weight: 1, arbitrary: coalesced }, { weight: 2, arbitrary: asNobodyShould }), {
      nil: undefined,
    }),
  })
  .map(({ kind: [category, action], details, ...rest }) => ({ category, action, ...rest, details: details === undefined ? undefined : defined(details) }));
