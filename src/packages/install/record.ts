/** What a run leaves in the audit trail: the judged set before the client starts, the outcome after. */
import type { AuditEvent, GuardedTrail } from "../../audit/index.ts";
import type { JsonObject } from "../../foundation/index.ts";
import type { GateRefusal } from "../gate/index.ts";
import type { WantedTarball } from "../gate/metadata.ts";
import { findingRecord } from "../scan/record.ts";
import type { ScriptOutcome } from "../scripts/index.ts";
import type { AdvisorySummary } from "./advisories.ts";
import type { InstallResult } from "./result.ts";

/** Packages of one event; an event has 64 KiB at most, a line here about 180 bytes. */
const PACKAGES_PER_EVENT = 200;
const MAX_FINDINGS = 50;

type InstallTrail = Pick<GuardedTrail, "log" | "denied">;

export class InstallRecord {
  readonly #audit: InstallTrail;
  readonly #base: { readonly category: "packages"; readonly resourceType: "project"; readonly resourceId: string; readonly sessionId: string };
  /** Refusals of the gate whose record is not on the disk yet. */
  readonly #refusing = new Set<Promise<void>>();
  #first: number | undefined;
  #last: number | undefined;

  constructor(audit: InstallTrail, project: string, run: string) {
    this.#audit = audit;
    this.#base = { category: "packages", resourceType: "project", resourceId: project.slice(0, 1024), sessionId: run };
  }

  get range(): readonly [number, number] | undefined {
    return this.#first === undefined || this.#last === undefined ? undefined : [this.#first, this.#last];
  }

  /** Every package of the judged set with the hash it was verified against. */
  async integrity(wanted: readonly WantedTarball[], facts: JsonObject): Promise<void> {
    const events: Promise<AuditEvent>[] = [];
    for (let at = 0; at < wanted.length; at += PACKAGES_PER_EVENT) {
      const packages = wanted.slice(at, at + PACKAGES_PER_EVENT).map((one) => [one.name, one.version, one.integrity ?? null]);
      events.push(this.#audit.log({ ...this.#base, action: "IntegrityCheck", result: "success", details: { ...facts, packages } }));
    }
    // Logged together, they share one commit.
    this.#note(await Promise.all(events));
  }

  /** What was looked up, and what came of it, with everybody who accepted something. */
  async advisories({ findings, unjudged, sources, base, refusals }: AdvisorySummary, policy: string): Promise<void> {
    const denied = findings.filter(({ verdict }) => verdict === "deny").length;
    const event = await this.#audit.log({
      ...this.#base,
      action: "VulnerabilityScan",
      result: denied === 0 && refusals.length === 0 ? "success" : "failure",
      details: {
        policy,
        base: base.ref ?? null,
        sources: sources.map(({ name, freshAsOf, status }) => ({ name: name.slice(0, 128), freshAsOf: freshAsOf ?? null, status })),
        findings: findings.slice(0, MAX_FINDINGS).map(findingRecord),
        findingCount: findings.length,
        denied,
        unjudged: unjudged.length,
      },
    });
    this.#note([event]);
  }

  /** One event a script that ran, with what it was refused and what it changed. */
  async scripts(outcomes: readonly ScriptOutcome[]): Promise<void> {
    const ran = outcomes.flatMap(({ run, ...one }) => (run === undefined ? [] : [{ ...one, run }]));
    const events = ran.map(({ package: name, event, decision, run }) =>
      this.#audit.log({
        ...this.#base,
        action: "RuntimeProtection",
        result: run.exit === 0 ? "success" : "failure",
        details: {
          package: name.slice(0, 512),
          script: event,
          basis: decision.basis,
          grant: { key: decision.grant.key ?? null, net: [...decision.grant.net], write: [...decision.grant.write] },
          exceptions: [...run.exceptions],
          exit: run.exit ?? null,
          killedBy: run.killedBy ?? null,
          refused: run.refused.slice(0, MAX_FINDINGS).map(({ kind, what, why }) => ({ kind, what: what.slice(0, 300), why })),
          reached: run.reached.slice(0, MAX_FINDINGS).map(({ target }) => target),
          refusedCount: run.refused.length,
          written: run.written.length,
          leftOut: run.leftOut.slice(0, MAX_FINDINGS).map(({ path, why }) => ({ path: path.slice(0, 300), why })),
          layers: { landlock: run.layers.landlock, cgroup: [...run.layers.cgroup], memory: run.layers.memory, dropped: run.layers.dropped },
        },
      }),
    );
    this.#note(await Promise.all(events));
  }

  /**
   * What the client asked the gate for and did not get. It may ask as often as it likes: equal refusals are counted, not
   * recorded one by one. A record that fails is told by that of the outcome, which fails, too.
   */
  async refused({ what, error }: GateRefusal): Promise<void> {
    const details = { code: error.code, message: error.message.slice(0, 1000) };
    const recorded = this.#audit.denied({
      ...this.#base,
      action: "RequestRefused",
      resourceType: "registry_path",
      resourceId: what.slice(0, 1024) || "?",
      details,
    });
    const done = recorded.then(
      (event) => this.#note([event]),
      () => undefined,
    );
    this.#refusing.add(done);
    await done;
    this.#refusing.delete(done);
  }

  async outcome(result: InstallResult): Promise<void> {
    await Promise.all(this.#refusing);
    const details = {
      command: result.command,
      level: result.level,
      mode: result.mode,
      policy: result.policyDigest,
      decision: result.decision,
      packages: result.packages,
      verified: result.verified,
      scripts: result.scripts.filter(({ run }) => run !== undefined).length,
      skippedScripts: result.scripts.filter(({ run }) => run === undefined).length,
      ...(result.stoppedBy === undefined ? {} : { code: result.stoppedBy.code, message: result.stoppedBy.message.slice(0, 1000) }),
      ...(result.client === undefined ? {} : { exit: result.client.exit ?? null, signal: result.client.signal ?? null }),
      ...(result.tree === undefined ? {} : { files: result.tree.files, differences: result.tree.differenceCount }),
      ...(result.repaired === undefined ? {} : { repaired: result.repaired }),
      boxed: result.layers?.net ?? null,
      findings: result.findings.slice(0, MAX_FINDINGS).map(({ code, decision, subject }) => ({ code, decision, subject: subject.slice(0, 300) })),
      findingCount: result.findings.length,
    };
    const action = result.command.endsWith("uninstall") ? "PackageUninstall" : result.command.endsWith("update") ? "PackageUpdate" : "PackageInstall";
    this.#note([await this.#audit.log({ ...this.#base, action, result: result.decision === "allowed" ? "success" : "failure", details })]);
  }

  #note(events: readonly AuditEvent[]): void {
    for (const { seq } of events) {
      this.#first = Math.min(this.#first ?? seq, seq);
      this.#last = Math.max(this.#last ?? seq, seq);
    }
  }
}
