import { expect, test } from "vitest";
import { finding, scanResult } from "../../../../test/world/scan-result.ts";
import { scanDocument } from "./json.ts";

/** The document as a reader gets it: through JSON, which drops what is undefined. */
const read = (result: Parameters<typeof scanDocument>[0]): ReturnType<typeof JSON.parse> => JSON.parse(JSON.stringify(scanDocument(result)));

test("has every field of the contract, also when there is nothing", () => {
  const document = read(scanResult({ sources: [], auditRange: undefined, decision: "not-scanned", reasons: ["no advisory data"] }));
  expect(document).toMatchObject({
    ...{ schema: "cofferdam/scan/v1", target: "package-lock.json", packages: 1578, findings: [], sources: [] },
    ...{ decision: "not-scanned", reasons: ["no advisory data"], unjudged: [], auditRange: null },
  });
});

test("a finding, a source", () => {
  const kev = { cve: "CVE-2021-23337", dateAdded: "2026-01-01", ransomware: false };
  const document = read(scanResult({ findings: [finding(), finding({ id: "CVE-1", score: undefined, verdict: "deny", kev })] }));
  expect(document.findings.map((one: { id: string }) => one.id)).toEqual(["CVE-1", "GHSA-35jh-r3h4-6jhm"]);
  expect(document.findings[0]).toMatchObject({ kev: true, kevEntry: kev, verdict: "deny" });
  expect(document.findings[0]).not.toHaveProperty("score");
  expect(document.findings[1]).toMatchObject({
    ...{ id: "GHSA-35jh-r3h4-6jhm", aliases: ["CVE-2021-23337"], package: "lodash", version: "4.17.20", ecosystem: "npm", severity: "high" },
    ...{ score: 7.2, fixed: ["4.17.21"], kev: false, path: ["app", "a@1.0.0", "lodash@4.17.20"], title: "Command Injection in lodash" },
  });
  expect(document.sources[0]).toMatchObject({ name: "osv:npm", freshAsOf: "2026-11-27T09:00:00Z", status: "fresh" });
  expect(read(scanResult({ sources: [{ name: "kev", advisories: 0, withdrawn: 0, unparsable: 0, freshAsOf: undefined, status: "missing" }] })).sources).toEqual(
    [{ name: "kev", advisories: 0, withdrawn: 0, unparsable: 0, freshAsOf: null, status: "missing" }],
  );
});
