/** The package security samples that exist in this version: constructor, withConfig, verifyPackageFileIntegrity, error codes. */
import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AuditLogger, SecurityService } from "../../src/index.ts";

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

test("flags are obeyed: verification that is switched off does not say yes", async () => {
  const securityService = SecurityService.withConfig({ verifyIntegrity: false });
  await expect(securityService.verifyPackageFileIntegrity("p", "1.0.0", path, hash("sha512", bytes, "hex"))).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
  });
  await securityService.close();
});
