/** SecurityService: the package operations as a library. It verifies files, looks packages up, and runs scripts in the jail. */
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { type AuditEventInput, AuditLogger } from "../audit/index.ts";
import { CofferdamError, parseInput, stateDirectory, systemClock } from "../foundation/index.ts";
import { integrityFailure, type VerifyResult, verifyFile } from "../integrity/index.ts";
import { LEVELS, type Level } from "../policy/index.ts";
import { type JailResult, parseNetTarget, runJail } from "../sandbox/index.ts";
import { Telemetry, type Thresholds } from "../telemetry/index.ts";
import { AdvisoryDatabase } from "../vulnerability/index.ts";
import { jailTools } from "./client/jail-tools.ts";
import { scanPackage, type VulnerabilityReport } from "./service-scan.ts";
import { failureOf, scriptRequest } from "./service-script.ts";

export interface SecurityServiceConfig {
  /** Default true. False: {@link SecurityService.verifyPackageFileIntegrity} refuses to answer instead of saying yes. */
  readonly verifyIntegrity?: boolean;
  /** Default true. False: {@link SecurityService.scanPackageForVulnerabilities} refuses to answer instead of finding nothing. */
  readonly scanVulnerabilities?: boolean;
  /** Folder of the advisory database. Default: `advisories` of the state directory that the command line uses. */
  readonly advisoryDirectory?: string;
  /** Default true. Events go to `auditTrailFile`, or stay in memory without one. */
  readonly generateAuditTrail?: boolean;
  /** Default true. False: {@link SecurityService.executePackageScript} refuses; nothing is run without a jail instead. */
  readonly enableRuntimeProtection?: boolean;
  /** Database file of the audit trail; its key and head file stand beside it. */
  readonly auditTrailFile?: string;
  readonly thresholds?: Partial<Thresholds>;
}

const schema = z.strictObject({
  verifyIntegrity: z.boolean().optional(),
  scanVulnerabilities: z.boolean().optional(),
  advisoryDirectory: z.string().min(1).optional(),
  generateAuditTrail: z.boolean().optional(),
  enableRuntimeProtection: z.boolean().optional(),
  auditTrailFile: z.string().min(1).optional(),
  thresholds: z.partialRecord(z.enum(["integrity", "scan", "audit", "protection", "script"]), z.number().positive()).optional(),
});

export interface ScanOptions {
  /** The one that is built. Default npm. */
  readonly ecosystem?: "npm";
  /** How old the data may be: see levels in docs/policy.md. Default medium. */
  readonly level?: Level;
}

const scanSchema = z.strictObject({ ecosystem: z.literal("npm").optional(), level: z.enum(LEVELS).optional() });

export interface ScriptOptions {
  /** Names that the script may reach, `host:port`. Default: none. */
  readonly net?: readonly string[];
  /** Longest time, ms. Default ten minutes. */
  readonly timeout?: number;
  /** See levels in docs/policy.md. Default medium. */
  readonly level?: Level;
  readonly signal?: AbortSignal;
}

const optionsSchema = z.strictObject({
  net: z.array(z.string().max(300)).max(100).optional(),
  timeout: z.int().min(1).max(86_400_000).optional(),
  level: z.enum(LEVELS).optional(),
  signal: z.instanceof(AbortSignal).optional(),
});
const scriptName = z.string().regex(/^[A-Za-z][A-Za-z0-9:_-]{0,63}$/, "not the name of a script");
const SCRIPT_TIMEOUT = 600_000;

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
  readonly #scans: boolean;
  readonly #advisories: AdvisoryDatabase;
  readonly #protects: boolean;
  readonly #audit: AuditLogger | undefined;
  #opening: Promise<void> | undefined;

  constructor(config: SecurityServiceConfig = {}) {
    const parsed = parseInput(schema, config, "SecurityService configuration");
    this.#verifies = parsed.verifyIntegrity ?? true;
    this.#scans = parsed.scanVulnerabilities ?? true;
    const directory = parsed.advisoryDirectory ?? join(stateDirectory(undefined, process.env, process.cwd()), "advisories");
    this.#advisories = new AdvisoryDatabase({ directory: resolve(directory) });
    this.#protects = parsed.enableRuntimeProtection ?? true;
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

  /**
   * What the advisories of this machine say of one package version, merged over all sources. The outcome is on record before
   * this returns. Nothing known is an empty list only where there was data to know it from: throws SCAN_STALE without data, or
   * with data older than the level allows; INVALID_ARGUMENT, FAILED_PRECONDITION (scanning is switched off),
   * INTEGRITY_FAILURE (the database is damaged), AUDIT_UNAVAILABLE. EPSS is not among the sources yet.
   */
  async scanPackageForVulnerabilities(name: string, version: string, options: ScanOptions = {}): Promise<VulnerabilityReport> {
    if (!this.#scans) throw new CofferdamError("FAILED_PRECONDITION", "scanVulnerabilities is switched off in this service: nothing was scanned");
    const { level = "medium" } = parseInput(scanSchema, options, "scan options");
    const [known, at] = [parseInput(packageName, name, "package name"), parseInput(packageVersion, version, "package version")];
    const report = await this.telemetry.time("scan", () => scanPackage(this.#advisories, known, at, level, systemClock));
    const { vulnerabilities, unjudged, sources } = report;
    await this.#log({
      action: "VulnerabilityScan",
      result: vulnerabilities.length === 0 && unjudged.length === 0 ? "success" : "failure",
      resourceId: `${known}@${at}`,
      details: {
        vulnerabilities: vulnerabilities.slice(0, 100).map(({ id, severity }) => ({ id, severity })),
        count: vulnerabilities.length,
        unjudged: unjudged.length,
        sources: sources.map((source) => ({ name: source.name, freshAsOf: source.freshAsOf ?? null, status: source.status })),
      },
    });
    return report;
  }

  /**
   * Runs a package's script file in the jail: `cwd` can be written as a copy that is taken over when the script succeeds,
   * system programs can be read, no network but `net`, no home, no variables of the caller.
   *
   * Resolves only for a script that exited 0, with its CPU time (ms), peak memory (bytes) and what it was refused. Throws
   * SECURITY_VIOLATION (it failed after a refusal), FAILED_PRECONDITION (it failed by itself, or protection is switched off),
   * DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ENVIRONMENT_UNFIT (no jail can be had), NOT_FOUND, INVALID_ARGUMENT,
   * AUDIT_UNAVAILABLE. Exit code, refusals and the end of standard error are in `details`.
   */
  async executePackageScript(name: string, script: string, scriptPath: string, cwd: string, options: ScriptOptions = {}): Promise<JailResult> {
    if (!this.#protects)
      throw new CofferdamError("FAILED_PRECONDITION", "enableRuntimeProtection is switched off in this service: no script is run without it");
    const {
      net = [],
      timeout = SCRIPT_TIMEOUT,
      level = "medium",
      signal = new AbortController().signal,
    } = parseInput(optionsSchema, options, "script options");
    const subject = `${parseInput(packageName, name, "package name")} ${parseInput(scriptName, script, "script name")}`;
    const request = scriptRequest({ name, script, scriptPath, cwd, level, net: net.map(parseNetTarget), timeout, env: process.env, signal });
    const tools = jailTools(process.env["PATH"] ?? "");
    const result = await this.telemetry.time("script", () => runJail(request, tools));
    await this.#log({
      action: "RuntimeProtection",
      result: result.exit === 0 && result.killedBy === undefined ? "success" : "failure",
      resourceId: subject,
      details: {
        folder: request.cwd,
        exit: result.exit ?? null,
        signal: result.signal ?? null,
        killedBy: result.killedBy ?? null,
        refused: result.refused.slice(0, 50).map(({ kind, what, why }) => ({ kind, what: what.slice(0, 300), why })),
        landlock: result.layers.landlock,
        cgroup: [...result.layers.cgroup],
      },
    });
    const failure = failureOf(subject, result);
    if (failure !== undefined) throw failure;
    return result;
  }

  async close(): Promise<void> {
    await this.#opening;
    await this.#audit?.close();
    await this.#advisories.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #record(subject: string, path: string, result: VerifyResult): Promise<void> {
    const { algorithm, expected, actual, bytes, weak } = result;
    await this.#log({
      action: "IntegrityCheck",
      result: result.ok ? "success" : "failure",
      resourceId: subject,
      details: { folder: dirname(path), algorithm, expected, actual, bytes, weak },
    });
  }

  async #log(event: Pick<AuditEventInput, "action" | "result" | "resourceId" | "details">): Promise<void> {
    const audit = this.#audit;
    if (audit === undefined) return;
    this.#opening ??= audit.initialize();
    await this.#opening;
    await this.telemetry.time("audit", () => audit.log({ ...event, category: "packages", resourceType: "package" }));
  }
}
