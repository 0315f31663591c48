/**
 * The package security samples that exist in this version: constructor, withConfig, verifyPackageFileIntegrity,
 * scanPackageForVulnerabilities, executePackageScript, error codes.
 */
import { hash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AuditLogger, SecurityService } from "../../src/index.ts";
import { fillAdvisories } from "../world/advisories.ts";
import { requires } from "../world/needs.ts";
import { record } from "../world/osv.ts";

const folder = mkdtempSync(join(tmpdir(), "cofferdam-seed-"));
const path = join(folder, "package.tgz");
const bytes = Buffer.from("the package");
beforeAll(() => writeFileSync(path, bytes));
afterAll(() => rmSync(folder, { recursive: true }));

test("basic usage: integrity of a package file", async () => {
  const securityService = new SecurityService();
  const result = await securityService.verifyPackageFileIntegrity("package-name", "1.0.0", path, hash("sha512", bytes, "hex"));
  expect(result).toMatchObject({ ok: true, algorithm: "sha512", bytes: bytes.length });
  try {
    await securityService.verifyPackageFileIntegrity("package-name", "1.0.0", path, hash("sha512", "other", "hex"));
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ code: "INTEGRITY_FAILURE", details: { expected: hash("sha512", "other", "hex"), actual: hash("sha512", bytes, "hex") } });
  }
  await securityService.close();
});

test("advanced configuration: the trail is a file, and both outcomes are in it", async () => {
  const auditTrailFile = join(folder, "security-audit.log");
  const securityService = SecurityService.withConfig({
    verifyIntegrity: true,
    scanVulnerabilities: true,
    generateAuditTrail: true,
    enableRuntimeProtection: true,
    auditTrailFile,
  });
  await securityService.verifyPackageFileIntegrity("package-name", "1.0.0", path, hash("sha512", bytes, "hex"));
  await securityService.verifyPackageFileIntegrity("package-name", "1.0.0", path, hash("sha512", "no", "hex")).catch(() => undefined);
  expect(securityService.telemetry.snapshot().get("integrity")).toMatchObject({ count: 2 });
  await securityService.close();
  const audit = new AuditLogger({ storage: { file: auditTrailFile } });
  await audit.initialize();
  expect((await audit.search({ action: "IntegrityCheck" })).map((event) => event.result)).toEqual(["success", "failure"]);
  await audit.close();
});

test("basic usage: a package version, scanned for vulnerabilities", async () => {
  const advisoryDirectory = join(folder, "advisories");
  const auditTrailFile = join(folder, "scans.log");
  await using securityService = SecurityService.withConfig({ advisoryDirectory, auditTrailFile });
  // Nothing is known yet, which is not the same as no vulnerability.
  await expect(securityService.scanPackageForVulnerabilities("package-name", "1.0.0")).rejects.toMatchObject({ code: "SCAN_STALE" });
  const vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
  await fillAdvisories(advisoryDirectory, [
    record("GHSA-aaaa-aaaa-aaaa", "package-name", [{ introduced: "0" }, { fixed: "1.2.0" }], {
      aliases: ["CVE-1999-0001"],
      summary: "runs what it is told",
      details: "All of it.",
      severity: [{ type: "CVSS_V3", score: vector }],
    }),
  ]);
  const report = await securityService.scanPackageForVulnerabilities("package-name", "1.0.0");
  expect(report).toMatchObject({
    packageName: "package-name",
    packageVersion: "1.0.0",
    vulnerabilities: [
      {
        id: "GHSA-aaaa-aaaa-aaaa",
        aliases: ["CVE-1999-0001"],
        title: "runs what it is told",
        description: "All of it.",
        severity: "critical",
        cvss: { score: 9.8, vector },
        affectedVersions: ["<1.2.0"],
        patchedVersions: ["1.2.0"],
        source: "osv:npm",
        kev: { cve: "CVE-1999-0001" },
      },
    ],
    sources: [{ name: "kev" }, { name: "osv:npm", status: "fresh" }],
  });
  expect(Date.now() - Date.parse(report.scanTimestamp)).toBeLessThan(60_000);
  expect(await securityService.scanPackageForVulnerabilities("package-name", "1.2.0")).toMatchObject({ vulnerabilities: [], unjudged: [] });
  await expect(securityService.scanPackageForVulnerabilities("../x", "1.0.0")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await using off = SecurityService.withConfig({ scanVulnerabilities: false });
  await expect(off.scanPackageForVulnerabilities("package-name", "1.0.0")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  const audit = new AuditLogger({ storage: { file: auditTrailFile } });
  await audit.initialize();
  expect((await audit.search({ action: "VulnerabilityScan" })).map((event) => event.result)).toEqual(["failure", "success"]);
  await audit.close();
});

test("basic usage: a package script with runtime protection", async (context) => {
  requires(context, "jail");
  const working = join(folder, "working");
  mkdirSync(working);
  const script = join(folder, "script.sh");
  writeFileSync(script, "echo built > out; cat $HOME/.npmrc ~root/.bashrc 2>/dev/null; echo done\n");
  const auditTrailFile = join(folder, "scripts.log");
  const securityService = SecurityService.withConfig({ auditTrailFile });
  const result = await securityService.executePackageScript("package-name", "postinstall", script, working);
  expect(result).toMatchObject({ exit: 0, timedOut: false, stdout: "done\n", outputs: [{ written: ["out"] }], layers: { seccomp: true, userns: true } });
  expect(result.cpuMs + result.maxRssBytes).toBeGreaterThan(0);
  expect(readFileSync(join(working, "out"), "utf8")).toBe("built\n");

  writeFileSync(script, "echo half > half; exit 7\n");
  await expect(securityService.executePackageScript("package-name", "postinstall", script, working)).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    details: { exit: 7 },
  });
  expect(existsSync(join(working, "half"))).toBe(false);
  // The caller never takes a script that was stopped for one that ended.
  writeFileSync(script, "sleep 60\n");
  await expect(securityService.executePackageScript("package-name", "postinstall", script, working, { timeout: 300 })).rejects.toMatchObject({
    code: "DEADLINE_EXCEEDED",
  });
  writeFileSync(script, "getent hosts evil.example || exit 1\n");
  await expect(securityService.executePackageScript("package-name", "postinstall", script, working)).rejects.toMatchObject({
    code: "SECURITY_VIOLATION",
    details: { refused: [{ kind: "network", what: "evil.example", why: "no-network" }] },
  });
  await expect(securityService.executePackageScript("package-name", "postinstall", join(folder, "none"), working)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await securityService.close();
  const audit = new AuditLogger({ storage: { file: auditTrailFile } });
  await audit.initialize();
  expect((await audit.search({ action: "RuntimeProtection" })).map((event) => event.result)).toEqual(["success", "failure", "failure", "failure"]);
  await audit.close();
});

test("flags are obeyed: no script runs where protection is switched off", async () => {
  const securityService = SecurityService.withConfig({ enableRuntimeProtection: false });
  await expect(securityService.executePackageScript("p", "postinstall", path, folder)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  await securityService.close();
});

test("flags are obeyed: verification that is switched off does not say yes", async () => {
  const securityService = SecurityService.withConfig({ verifyIntegrity: false });
  await expect(securityService.verifyPackageFileIntegrity("p", "1.0.0", path, hash("sha512", bytes, "hex"))).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
  });
  await securityService.close();
});
