/**
 * Advisories in the guarded install: the same judgement as `cofferdam scan`, made before the client starts, again over a
 * lockfile that the client wrote, and for every tarball that no lockfile named.
 */
import { type Clock, CofferdamError } from "../../foundation/index.ts";
import { DependencyGraph, type NpmLockfile } from "../../inventory/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { Store } from "../../store/index.ts";
import type { Telemetry } from "../../telemetry/index.ts";
import { type AdvisoryDatabase, type AdvisoryIndex, match, type Unjudged } from "../../vulnerability/index.ts";
import { type Base, readBasePackages, withTitles } from "../scan/base-packages.ts";
import { allowanceOf, openUnjudged } from "../scan/decision.ts";
import { type Freshness, judgeFreshness } from "../scan/freshness.ts";
import { judgePackages } from "../scan/judge.ts";
import { latestTime } from "../scan/known-time.ts";
import type { JudgedSource, ScannedFinding } from "../scan/result.ts";
import { rootOf, scannedPackages } from "../scan/target.ts";
import { judgeFinding } from "../scan/verdict.ts";
import type { InstallFinding, NotChecked } from "./result.ts";

/** What a run knew of advisories. */
export interface AdvisorySummary {
  readonly findings: readonly ScannedFinding[];
  readonly unjudged: readonly Unjudged[];
  readonly sources: readonly JudgedSource[];
  readonly base: { readonly ref?: string | undefined; readonly note: string };
  /** Why the data is not good enough for the level, or would be warned about; one sentence each. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

export interface AdvisoriesRequest {
  readonly advisories: AdvisoryDatabase;
  readonly policy: EffectivePolicy;
  readonly store: Store;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  /** Real path of the project, and the name of its lockfile. */
  readonly root: string;
  readonly lockfileName: string;
}

export class InstallAdvisories {
  readonly #request: AdvisoriesRequest;
  readonly #index: AdvisoryIndex | undefined;
  readonly #freshness: Freshness;
  readonly #now: number;
  #base: Base | undefined;
  #summary: AdvisorySummary;

  private constructor(request: AdvisoriesRequest, index: AdvisoryIndex | undefined, now: number) {
    this.#request = request;
    this.#index = index;
    this.#now = now;
    this.#freshness = judgeFreshness(index?.meta.sources ?? [], request.policy.values, now);
    const { sources, refusals, warnings } = this.#freshness;
    this.#summary = { findings: [], unjudged: [], sources, base: { note: "" }, refusals, warnings };
  }

  static async open(request: AdvisoriesRequest): Promise<InstallAdvisories> {
    const now = await latestTime(request.store, request.clock);
    return new InstallAdvisories(request, await request.advisories.open(), now);
  }

  /** What was found the last time that {@link judge} was asked. */
  get summary(): AdvisorySummary {
    return this.#summary;
  }

  /** What a run that goes on without good data must say; undefined when the data is good. */
  get notChecked(): NotChecked | undefined {
    const bad = this.#freshness.sources.filter(({ status }) => status === "missing" || status === "stale");
    return bad.length === 0 ? undefined : { check: "advisories", why: bad.map(({ name, status }) => `${name}: ${status}`).join(", ") };
  }

  /** Why the run must not go on whatever was found: there is no data, or it is too old for the level. */
  get refusal(): CofferdamError | undefined {
    const { refusals } = this.#freshness;
    if (refusals.length === 0 || this.#request.policy.values.mode === "observe") return undefined;
    return new CofferdamError("SCAN_STALE", `not scanned: ${refusals.join("; ")}`, { hint: "cofferdam db update, or cofferdam db import FILE" });
  }

  /** Denials and what could not be judged as findings of the install; the rest is in {@link summary}. */
  async judge(lockfile: NpmLockfile | undefined, lineOf: (path: string) => number | undefined): Promise<InstallFinding[]> {
    const { policy, store, telemetry, root, lockfileName, signal, advisories } = this.#request;
    const index = this.#index;
    if (index === undefined || lockfile === undefined) return [];
    const readBase = async (): Promise<Base> => {
      this.#base ??= await readBasePackages({ root, file: lockfileName, ref: undefined, policy, signal });
      return this.#base;
    };
    const graph = new DependencyGraph({ packages: lockfile.packages, root: await rootOf(lockfile, root) });
    const judged = await telemetry.time("scan", () =>
      judgePackages({
        ...{ index, packages: scannedPackages(lockfile.packages), graph, file: lockfileName, lineOf, policy },
        ...{ readBase, store, project: root, now: this.#now },
      }),
    );
    this.#summary = { ...this.#summary, findings: judged.findings, unjudged: judged.unjudged, base: judged.base };
    const denied = await withTitles(
      judged.findings.filter(({ verdict }) => verdict === "deny"),
      advisories,
    );
    return [...denied.map(installFinding), ...openUnjudged(judged.unjudged, policy).map((one) => unjudgedFinding(one, policy))];
  }

  /**
   * For a version that no lockfile names yet. Throws SECURITY_VIOLATION for what is denied whether it is new or not: the
   * verdicts that look at the whole lockfile follow when the client has written it, before any script runs.
   */
  admit(name: string, version: string): void {
    if (this.#index === undefined) return;
    const { policy } = this.#request;
    for (const finding of match(this.#index, [{ name, version }]).findings) {
      const { verdict, reason } = judgeFinding(finding, {
        values: policy.values,
        allowance: (what) => policy.allowance(what),
        base: undefined,
        hadSince: () => this.#now,
        now: this.#now,
      });
      if (verdict === "deny") throw new CofferdamError("SECURITY_VIOLATION", `${name}@${version}: ${reason} (${finding.id})`);
    }
  }
}

function installFinding(finding: ScannedFinding): InstallFinding {
  const { places, path, fix } = finding;
  const [place] = places;
  const title = finding.title === undefined || finding.title === "" ? "" : `: ${finding.title.replaceAll(/\s+/g, " ").slice(0, 160)}`;
  const from = path.length > 2 ? `, by ${path.slice(1, -1).join(" > ").slice(0, 200)}` : "";
  const way = fix.command ?? [fix.version, fix.note].filter((part) => part !== undefined).join(", ");
  return {
    code: finding.malware ? "malware" : finding.kev === undefined ? "advisory" : "known-exploited",
    decision: "deny",
    subject: `${finding.package}@${finding.version}`,
    message: `${finding.reason} (${finding.id})${title}${from}`,
    ...(place === undefined ? {} : { where: `${place.file}${place.line === undefined ? "" : `:${place.line}`}` }),
    ...(way === "" ? {} : { fix: way }),
    ...(finding.allow === undefined ? {} : { allow: finding.allow }),
  };
}

function unjudgedFinding(one: Unjudged, policy: EffectivePolicy): InstallFinding {
  return {
    code: "unjudged",
    decision: policy.values.mode === "observe" ? "warn" : "deny",
    subject: `${one.package}${one.version === "" ? "" : `@${one.version}`}`,
    message: `cannot be judged${one.id === undefined ? "" : ` by ${one.id}`}: ${one.why}`,
    allow: allowanceOf(one),
  };
}
