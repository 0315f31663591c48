/**
 * `cofferdam scan`: what is known to be bad among the packages of a lockfile, an installed tree or one package, judged by the
 * policy and written down. Reads only.
 */
import type { AuditSink } from "../../audit/index.ts";
import type { Clock } from "../../foundation/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { Store } from "../../store/index.ts";
import type { Telemetry } from "../../telemetry/index.ts";
import type { AdvisoryDatabase } from "../../vulnerability/index.ts";
import { type Base, readBasePackages, withDetails, withTitles } from "./base-packages.ts";
import { decide } from "./decision.ts";
import { judgeFreshness } from "./freshness.ts";
import { type Judged, judgePackages } from "./judge.ts";
import { latestTime } from "./known-time.ts";
import { recordScan } from "./record.ts";
import type { ScannedFinding, ScanResult } from "./result.ts";
import { readTarget, type ScanTarget } from "./target.ts";

export interface ScanRequest {
  /** A folder, a lockfile, or `pkg:npm/name@version`. Default: the working folder. */
  readonly target: string | undefined;
  readonly cwd: string;
  /** Branch or commit to compare with, instead of the policy's. */
  readonly base?: string | undefined;
  /** Everything that the advisories say, not only their titles. Default false. */
  readonly details?: boolean | undefined;
  readonly policy: EffectivePolicy;
  readonly store: Store;
  readonly audit: AuditSink;
  readonly advisories: AdvisoryDatabase;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
}

export interface Scan {
  readonly result: ScanResult;
  /** What was looked up, for an inventory. */
  readonly target: ScanTarget;
}

/** Throws NOT_FOUND and INVALID_ARGUMENT (the target), INTEGRITY_FAILURE (the advisory database), AUDIT_UNAVAILABLE. */
export async function scan(request: ScanRequest): Promise<Scan> {
  const { policy, store, clock, advisories, telemetry } = request;
  const started = clock.monotonic();
  const target = await readTarget(request.target, request.cwd, request.signal);
  const now = await latestTime(store, clock);
  const index = await advisories.open();
  const freshness = judgeFreshness(index?.meta.sources ?? [], policy.values, now);
  request.signal.throwIfAborted();
  const judged: Judged =
    index === undefined
      ? { findings: [], unjudged: [], base: { note: "" } }
      : await telemetry.time("scan", () =>
          judgePackages({ index, ...target, policy, readBase: () => baseOf(request, target), store, project: target.root, now }),
        );
  const unjudged = [...target.unreadable, ...judged.unjudged];
  const result: ScanResult = {
    target: target.name,
    root: target.root,
    file: target.file,
    packages: target.packages.length,
    findings: await told(judged.findings, request),
    unjudged,
    sources: freshness.sources,
    ...decide(judged.findings, unjudged, freshness, policy),
    base: judged.base,
    level: policy.values.level,
    mode: policy.values.mode,
    policyDigest: policy.digest,
    tookMs: clock.monotonic() - started,
    auditRange: undefined,
  };
  const auditRange = await recordScan({ log: (event) => telemetry.time("audit", () => request.audit.log(event)) }, result);
  return { result: { ...result, auditRange }, target };
}

async function told(findings: readonly ScannedFinding[], { advisories, details }: ScanRequest): Promise<ScannedFinding[]> {
  const titled = await withTitles(findings, advisories);
  return details === true ? await withDetails(titled, advisories) : titled;
}

/** Only a lockfile has a merge base. */
async function baseOf({ base: ref, policy, signal }: ScanRequest, { kind, root, file }: ScanTarget): Promise<Base> {
  if (kind !== "lockfile" || file === undefined) return { said: { note: "" }, packages: undefined };
  return await readBasePackages({ root, file, ref, policy, signal });
}
