import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { expect, test } from "vitest";
import { finding, SCANNED_AT, scanResult } from "../../../../test/world/scan-result.ts";
import type { ScanResult } from "../result.ts";
import { type BomPackage, cycloneDxText } from "./cyclonedx.ts";

interface Bom {
  serialNumber: string;
  metadata: { timestamp: string; properties: { name: string; value: string }[] };
  components: (Record<string, unknown> & { "bom-ref": string })[];
  dependencies?: { ref: string; dependsOn: string[] }[];
  vulnerabilities: (Record<string, unknown> & { id: string; affects: { ref: string }[] })[];
}

/** The schema as published, with the two that it refers to. */
const validator = (() => {
  const ajv = new Ajv.default({ strict: false, allErrors: true });
  addFormats.default(ajv);
  // ajv-formats has none for these two; what we write there is made by URL.
  ajv.addFormat("iri-reference", (text: string) => URL.canParse(text, "https://base.example"));
  ajv.addFormat("idn-email", /^[^@]+@[^@]+$/);
  const manifest = createRequire(import.meta.url).resolve("@cyclonedx/cyclonedx-library/package.json");
  const read = (name: string): object => JSON.parse(readFileSync(new URL(`res/schema/${name}`, `file://${manifest}`), "utf8"));
  for (const name of ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"]) ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}`);
  return ajv.compile(read("bom-1.6.SNAPSHOT.schema.json"));
})();

function valid(text: string): Bom {
  const bom = JSON.parse(text);
  validator(bom);
  expect(validator.errors ?? []).toEqual([]);
  const refs = [...bom.components, ...bom.vulnerabilities].map((one) => one["bom-ref"]);
  expect(new Set(refs).size).toBe(refs.length);
  // What is affected, and who depends on what, is a component of this bill.
  for (const one of bom.vulnerabilities) for (const { ref } of one.affects) expect(refs).toContain(ref);
  for (const one of bom.dependencies ?? []) for (const ref of [one.ref, ...one.dependsOn]) expect(["project", ...refs]).toContain(ref);
  return bom;
}

const packages: readonly BomPackage[] = [
  { name: "lodash", version: "4.17.20", path: "node_modules/lodash", askedBy: ["node_modules/@s/a", ""] },
  { name: "@s/a", version: "1.0.0+build.1", path: "node_modules/@s/a", askedBy: [""], dev: true },
  { name: "lodash", version: "4.17.20", path: "node_modules/@s/b/node_modules/lodash", askedBy: ["node_modules/@s/b"] },
  { name: "@s/b", version: undefined, path: "node_modules/@s/b", askedBy: [] },
];
const text = (more: Partial<ScanResult> = {}, list = packages, at = SCANNED_AT): string =>
  cycloneDxText(scanResult(more), { packages: list, version: "0.1.0", project: { name: "app", version: "1.2.3" }, at });

test("the schema does refuse what is wrong", () => {
  expect(validator({ bomFormat: "CycloneDX", specVersion: "1.6", components: [{ type: "library" }] })).toBe(false);
  expect(validator({ bomFormat: "CycloneDX", specVersion: "1.6", vulnerabilities: [{ ratings: [{ severity: "awful" }] }] })).toBe(false);
});

test("components once each, with all their places; who asks for them", () => {
  const bom = valid(text());
  expect(bom.components).toEqual([
    {
      ...{
        type: "library",
        "bom-ref": "pkg:npm/%40s/a@1.0.0%2Bbuild.1",
        group: "@s",
        name: "a",
        version: "1.0.0+build.1",
        purl: "pkg:npm/%40s/a@1.0.0%2Bbuild.1",
      },
      ...{ evidence: { occurrences: [{ location: "node_modules/@s/a" }] }, properties: [{ name: "cdx:npm:package:development", value: "true" }] },
    },
    {
      type: "library",
      "bom-ref": "pkg:npm/%40s/b",
      group: "@s",
      name: "b",
      purl: "pkg:npm/%40s/b",
      evidence: { occurrences: [{ location: "node_modules/@s/b" }] },
    },
    {
      ...{ type: "library", "bom-ref": "pkg:npm/lodash@4.17.20", name: "lodash", version: "4.17.20", purl: "pkg:npm/lodash@4.17.20" },
      evidence: { occurrences: [{ location: "node_modules/@s/b/node_modules/lodash" }, { location: "node_modules/lodash" }] },
    },
  ]);
  expect(bom.dependencies).toEqual([
    { ref: "project", dependsOn: ["pkg:npm/%40s/a@1.0.0%2Bbuild.1", "pkg:npm/lodash@4.17.20"] },
    { ref: "pkg:npm/%40s/a@1.0.0%2Bbuild.1", dependsOn: ["pkg:npm/lodash@4.17.20"] },
    { ref: "pkg:npm/%40s/b", dependsOn: ["pkg:npm/lodash@4.17.20"] },
    { ref: "pkg:npm/lodash@4.17.20", dependsOn: [] },
  ]);
  expect(valid(text({}, [{ name: "a", version: "1.0.0", path: "node_modules/a" }])).dependencies).toBeUndefined();
});

test("a vulnerability, with everything that it affects", () => {
  const other = finding({ version: "4.17.19", path: ["app"], verdict: "deny", reason: "new", fix: {} });
  const [one, ...more] = valid(text({ findings: [finding(), other] })).vulnerabilities;
  expect(more).toEqual([]);
  expect(one).toMatchObject({
    id: "GHSA-35jh-r3h4-6jhm",
    source: { name: "GitHub Advisory Database", url: "https://github.com/advisories/GHSA-35jh-r3h4-6jhm" },
    references: [{ id: "CVE-2021-23337", source: { name: "NVD", url: "https://nvd.nist.gov/vuln/detail/CVE-2021-23337" } }],
    ratings: [{ score: 7.2, severity: "high", method: "CVSSv31", vector: "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H" }],
    cwes: [94],
    recommendation: "lodash@4.17.19: no fix is known\nlodash@4.17.20: use 4.17.21; npm update lodash --package-lock-only",
    advisories: [{ url: "https://nvd.nist.gov/vuln/detail/CVE-2021-23337" }],
    published: "2021-05-06T16:05:51.000Z",
    affects: [
      { ref: "pkg:npm/lodash@4.17.19", versions: [{ version: "4.17.19", status: "affected" }] },
      { ref: "pkg:npm/lodash@4.17.20", versions: [{ version: "4.17.20", status: "affected" }] },
    ],
  });
  expect(one?.["properties"]).toEqual([
    { name: "cofferdam:verdict", value: "deny lodash@4.17.19: new" },
    { name: "cofferdam:verdict", value: "warn lodash@4.17.20: level medium reports it" },
    { name: "cofferdam:malware", value: "false" },
  ]);
  expect(one).not.toHaveProperty("analysis");
});

test("an accepted one says who lives with it and why, not that the code is out of reach", () => {
  const accepted = finding({ verdict: "accepted", exception: { reason: "unreachable, SEC-1", until: "2027-01-31" } });
  const both = valid(text({ findings: [accepted, finding({ version: "4.17.19" })] })).vulnerabilities;
  expect(both.map((one) => [one.affects.map(({ ref }) => ref), one["analysis"]])).toEqual([
    [["pkg:npm/lodash@4.17.19"], undefined],
    [["pkg:npm/lodash@4.17.20"], { response: ["will_not_fix"], detail: "accepted: unreachable, SEC-1 (until 2027-01-31)" }],
  ]);
});

test("several vectors stand beside the score, each by its method", () => {
  const base = finding().details;
  const vectors = ["CVSS:4.0/AV:N", "CVSS:3.0/AV:N", "AV:N/AC:L/Au:N/C:P/I:P/A:P", "odd"];
  const details = base === undefined ? undefined : { ...base, vectors, published: "not a date" };
  const [one] = valid(text({ findings: [finding({ details, severity: "unknown", score: undefined })] })).vulnerabilities;
  expect(one?.["ratings"]).toEqual([
    { severity: "unknown" },
    { method: "CVSSv4", vector: "CVSS:4.0/AV:N" },
    { method: "CVSSv3", vector: "CVSS:3.0/AV:N" },
    { method: "CVSSv2", vector: "AV:N/AC:L/Au:N/C:P/I:P/A:P" },
    { method: "other", vector: "odd" },
  ]);
  expect(one).not.toHaveProperty("published");
});

test("the same scan, the same bytes, in whatever order it comes; another outcome, another serial number", () => {
  const findings = [finding(), finding({ id: "GHSA-2", package: "b" }), finding({ version: "4.17.19" })];
  const one = text({ findings });
  expect(text({ findings: findings.toReversed() }, packages.toReversed())).toBe(one);
  const later = valid(text({ findings }, packages, SCANNED_AT + 1000));
  expect(later.metadata.timestamp).toBe("2026-11-27T12:00:01.000Z");
  expect(later.serialNumber).toBe(valid(one).serialNumber);
  expect(valid(text()).serialNumber).not.toBe(later.serialNumber);
});

test("not scanned and not judged stand in the bill", () => {
  const { metadata } = valid(text({ decision: "not-scanned", reasons: ["no advisory data"], unjudged: [{ package: "b", version: "x", why: "no version" }] }));
  expect(metadata.properties).toContainEqual({ name: "cofferdam:decision", value: "not-scanned" });
  expect(metadata.properties).toContainEqual({ name: "cofferdam:reason", value: "no advisory data" });
  expect(metadata.properties).toContainEqual({ name: "cofferdam:unjudged", value: "b@x: no version" });
});

test("property: whatever records and lockfiles hold, the bill is valid", () => {
  const word = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.constantFrom("\ud800", "../..", "@s", "@/", "x".repeat(9000), "javascript:alert(1)", "2021-02-30", "__proto__"),
  );
  fc.assert(
    fc.property(word, word, fc.array(word, { maxLength: 20 }), fc.option(word, { nil: undefined }), (one, two, many, version) => {
      const base = finding().details;
      const details =
        base === undefined ? undefined : { ...base, title: one, description: two, references: many, cwes: many, vectors: many, published: one, modified: two };
      const hostile = finding({ id: one, package: two, version: one, aliases: many, details, fix: { version: one, note: two }, path: many });
      const list = [...many, one].map((path) => ({ name: two, version, path, askedBy: many }));
      valid(text({ target: one, findings: [hostile, finding({ id: one })], reasons: many }, list));
    }),
    { numRuns: 200 },
  );
});

test("26,000 findings in 50,000 packages", () => {
  const list = Array.from(
    { length: 50_000 },
    (_, i): BomPackage => ({ name: `p${i}`, version: "4.17.20", path: `node_modules/p${i}`, askedBy: i === 0 ? [""] : [`node_modules/p${i - 1}`] }),
  );
  const findings = Array.from({ length: 26_000 }, (_, i) => finding({ id: `GHSA-${i}`, package: `p${i}` }));
  const bom: Bom = JSON.parse(text({ findings }, list));
  expect([bom.components.length, bom.dependencies?.length, bom.vulnerabilities.length]).toEqual([50_000, 50_001, 26_000]);
});
