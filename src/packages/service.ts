/**
 * SecurityService: the package operations as a library. This version verifies files; scanning for vulnerabilities and
 * running scripts are not built, so their methods do not exist yet. Their switches are accepted, because callers set them.
 */
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { AuditLogger } from "../audit/index.ts";
import { CofferdamError, parseInput } from "../foundation/index.ts";
import { integrityFailure, type VerifyResult, verifyFile } from "../integrity/index.ts";
import { Telemetry, type Thresholds } from "../telemetry/index.ts";

export interface SecurityServiceConfig {
  /** Default true. False: {@link SecurityService.verifyPackageFileIntegrity} refuses to answer instead of saying yes. */
  readonly verifyIntegrity?: boolean;
  /** No effect in this version: vulnerability scanning is not built. */
  readonly scanVulnerabilities?: boolean;
  /** Default true. Events go to `auditTrailFile`, or stay in memory without one. */
  readonly generateAuditTrail?: boolean;
  /** No effect in this version: running scripts is not built. */
  readonly enableRuntimeProtection?: boolean;
  /** Database file of the audit trail; its key and head file stand beside it. */
  readonly auditTrailFile?: string;
  readonly thresholds?: Partial<Thresholds>;
}

const schema = z.strictObject({
  verifyIntegrity: z.boolean().optional(),
  scanVulnerabilities: z.boolean().optional(),
  generateAuditTrail: z.boolean().optional(),
  enableRuntimeProtection: z.boolean().optional(),
  auditTrailFile: z.string().min(1).optional(),
  thresholds: z.partialRecord(z.enum(["integrity", "scan", "audit", "protection", "script"]), z.number().positive()).optional(),
});

const packageName = z.string().regex(/^(?:@[A-Za-z0-9~._-]{1,213}\/)?[A-Za-z0-9~._-]{1,213}$/, "not a package name");
const packageVersion = z.string().min(1).max(256);

/**
 * @example
 * ```ts
 * const service = SecurityService.withConfig({ auditTrailFile: "security-audit.log" });
 * await service.verifyPackageFileIntegrity("left-pad", "1.3.0", "left-pad-1.3.0.tgz", "sha512-XI5M...");
 * await service.close();
 * ```
 */
export class SecurityService {
  readonly telemetry: Telemetry;
  readonly #verifies: boolean;
  readonly #audit: AuditLogger | undefined;
  #opening: Promise<void> | undefined;

  constructor(config: SecurityServiceConfig = {}) {
    const parsed = parseInput(schema, config, "SecurityService configuration");
    this.#verifies = parsed.verifyIntegrity ?? true;
    const file = parsed.auditTrailFile === undefined ? undefined : resolve(parsed.auditTrailFile);
    this.#audit = parsed.generateAuditTrail === false ? undefined : new AuditLogger(file === undefined ? {} : { storage: { file } });
    this.telemetry = new Telemetry({ thresholds: parsed.thresholds ?? {} });
  }

  static withConfig(config: SecurityServiceConfig): SecurityService {
    return new SecurityService(config);
  }

  /**
   * Verifies a package file against SRI (strongest algorithm wins; sha1 is `weak`) or hex SHA-512; constant memory.
   * The outcome is on record before this returns. Throws INTEGRITY_FAILURE with both digests, INVALID_ARGUMENT, NOT_FOUND,
   * FAILED_PRECONDITION (verification is switched off), AUDIT_UNAVAILABLE.
   */
  async verifyPackageFileIntegrity(name: string, version: string, path: string, expected: string): Promise<VerifyResult> {
    if (!this.#verifies) throw new CofferdamError("FAILED_PRECONDITION", "verifyIntegrity is switched off in this service: nothing was verified");
    const subject = `${parseInput(packageName, name, "package name")}@${parseInput(packageVersion, version, "package version")}`;
    const result = await this.telemetry.time("integrity", () => verifyFile(path, expected));
    await this.#record(subject, path, result);
    if (!result.ok) throw integrityFailure(subject, result);
    return result;
  }

  async close(): Promise<void> {
    await this.#opening;
    await this.#audit?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #record(subject: string, path: string, result: VerifyResult): Promise<void> {
    const audit = this.#audit;
    if (audit === undefined) return;
    this.#opening ??= audit.initialize();
    await this.#opening;
    const { algorithm, expected, actual, bytes, weak } = result;
    await this.telemetry.time("audit", () =>
      audit.log({
        category: "packages",
        action: "IntegrityCheck",
        result: result.ok ? "success" : "failure",
        resourceType: "package",
        resourceId: subject,
        details: { folder: dirname(path), algorithm, expected, actual, bytes, weak },
      }),
    );
  }
}
