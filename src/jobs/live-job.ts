/** What is known of a job while it goes on, gathered step by step; in the end the facts of its report. */
import type { AuditEventInput, AuditSink } from "../audit/index.ts";
import { type Clock, type CofferdamError, isoTime, type JsonObject, wrapError } from "../foundation/index.ts";
import type { EffectivePolicy, Level } from "../policy/index.ts";
import type { Allocation, QuotaViolation, ResourceUsage } from "../quota/index.ts";
import type { Proof } from "./container/prove.ts";
import type { Check, CheckName, JobFacts, JobResources, JobWorkspace, StoppedBy, TrailEvent, Verdict, Violation } from "./report/schema.ts";
import { LOCAL_OWNER } from "./score/job-evidence.ts";
import type { Threat } from "./threats/threat.ts";

export interface JobIdentity {
  readonly jobId: string;
  readonly repository: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly level: Level;
  readonly uid: number;
}

const MAX_EVENTS = 100;
const NOT_REACHED: Check = { state: "not-reached", why: "an earlier check refused" };

export class LiveJob {
  readonly identity: JobIdentity;
  readonly #audit: AuditSink;
  readonly #clock: Clock;
  readonly #policy: EffectivePolicy;
  readonly #asked: number;
  readonly #askedAt: string;
  readonly #events: TrailEvent[] = [];
  #first: number | undefined;
  #last: number | undefined;
  #startedAt: { readonly at: string; readonly monotonic: number } | undefined;
  #runMs: number | undefined;
  checks: Record<CheckName, Check> = {
    authentication: NOT_REACHED,
    authorization: NOT_REACHED,
    scanning: NOT_REACHED,
    resourceAllocation: NOT_REACHED,
    networkIsolation: NOT_REACHED,
  };
  imageId: string | undefined;
  digest: string | undefined;
  allocation: Allocation | undefined;
  proof: Proof | undefined;
  exit: number | undefined;
  stoppedBy: StoppedBy | undefined;
  usage: ResourceUsage | undefined;
  workspace: JobWorkspace = { mode: "none", leftOut: [] };
  disk: JobResources["limits"][number] = { resource: "disk", by: "none" };
  log = { bytes: 0, kept: 0, truncated: false };
  reconciled: JobFacts["reconciled"];
  /** Whether its records were verified, and a checkpoint kept elsewhere covers them. */
  trail = { verified: false, anchored: false };
  readonly threats: Threat[] = [];
  readonly violations: Violation[] = [];
  readonly applied: string[] = [];
  readonly refused: string[] = [];
  readonly leftBehind: { readonly what: string; readonly why: string }[] = [];

  constructor(identity: JobIdentity, policy: EffectivePolicy, audit: AuditSink, clock: Clock) {
    this.identity = identity;
    this.#policy = policy;
    this.#audit = audit;
    this.#clock = clock;
    this.#asked = clock.monotonic();
    this.#askedAt = isoTime(clock);
  }

  /** When it was asked for. */
  get askedAt(): string {
    return this.#askedAt;
  }

  get started(): boolean {
    return this.#startedAt !== undefined;
  }

  pass(name: CheckName, why: string): void {
    this.checks[name] = { state: "passed", why };
  }

  notChecked(name: CheckName, why: string): void {
    this.checks[name] = { state: "not-checked", why };
  }

  refuse(name: CheckName, error: unknown): CofferdamError {
    const known = wrapError(error, "INTERNAL", name);
    this.checks[name] = { state: "refused", why: known.message.slice(0, 1000) };
    this.stop(known);
    return known;
  }

  /** The first reason stays: what follows it is its consequence. */
  stop(error: CofferdamError): void {
    this.stoppedBy ??= { code: error.code, message: error.message.slice(0, 2000), ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }

  workloadStarted(): void {
    this.#startedAt = { at: isoTime(this.#clock), monotonic: this.#clock.monotonic() };
  }

  workloadEnded(exit: number | undefined): void {
    this.exit = exit;
    if (this.#startedAt !== undefined) this.#runMs ??= this.#clock.monotonic() - this.#startedAt.monotonic;
  }

  violated({ resource, kind, times, enforcement }: QuotaViolation): void {
    const rule = `quota.${resource}.${kind}`;
    const known = this.violations.findIndex((one) => one.rule === rule);
    const total = times + (this.violations[known]?.times ?? 0);
    const said = { at: isoTime(this.#clock), rule, message: `${resource}: ${kind} (${enforcement})`, times: total };
    if (known < 0) this.violations.push(said);
    else this.violations[known] = said;
  }

  /** One event in the trail, of this job. Throws AUDIT_UNAVAILABLE. */
  async record(action: string, result: AuditEventInput["result"], details: JsonObject): Promise<void> {
    const { jobId, repository } = this.identity;
    const event = await this.#audit.log({
      ...{ category: "jobs", action, result, resourceType: "job", resourceId: jobId, sessionId: jobId, userId: `uid:${this.identity.uid}` },
      details: { repository, ...details },
    });
    this.#first ??= event.seq;
    this.#last = event.seq;
    if (this.#events.length < MAX_EVENTS) this.#events.push({ seq: event.seq, at: event.timestamp, category: "jobs", action, result });
  }

  /** @param aborted our own process died, and this is what was found of the job. */
  facts(aborted = false): JobFacts {
    const { jobId, repository, image, command, level, uid } = this.identity;
    return {
      ...{ jobId, repository, level, command, exit: this.exit, stoppedBy: this.stoppedBy, reconciled: this.reconciled },
      verdict: aborted ? "aborted" : this.#verdict(),
      identity: { rule: LOCAL_OWNER, uid },
      image: { reference: image, id: this.imageId, digest: this.digest, scanned: "not-scanned" },
      times: {
        ...{ asked: this.#askedAt, started: this.#startedAt?.at, ended: isoTime(this.#clock), runMs: this.#runMs },
        totalMs: this.#clock.monotonic() - this.#asked,
      },
      mode: this.#policy.values.mode,
      policyDigest: this.#policy.digest,
      checks: this.checks,
      proof: this.proof,
      ...{ applied: this.applied, refused: this.refused, threats: this.threats, violations: this.violations, leftBehind: this.leftBehind },
      resources: this.#resources(),
      network: { mode: "none" },
      workspace: this.workspace,
      log: this.log,
      secretsUsed: [],
      auditTrail: { first: this.#first, last: this.#last, ...this.trail, events: this.#events },
    };
  }

  #verdict(): Verdict {
    if (this.stoppedBy !== undefined) return this.started ? "stopped" : "blocked";
    return this.exit === 0 ? "passed" : "failed";
  }

  #resources(): Omit<JobResources, "percent"> {
    const limits = this.allocation?.limits;
    const hard = this.allocation?.enforcement === "hard";
    const { peak, violations, raw } = this.usage ?? {};
    return {
      quota: { cpu: limits?.cpu, memory: limits?.memory, pids: limits?.pids, disk: limits?.disk },
      peak: peak === undefined ? {} : { cpu: peak.cores, memory: peak.memory, pids: peak.pids, disk: peak.disk },
      total: {
        ...(raw === undefined
          ? {}
          : { cpuMs: raw.cpuTime / 1e6, throttledMs: raw.throttledTime / 1e6, readBytes: raw.readBytes, writtenBytes: raw.writeBytes }),
        ...(violations === undefined ? {} : { oomKills: violations.oomKills, forksRefused: violations.forksRefused }),
      },
      limits:
        limits === undefined
          ? []
          : [
              { resource: "cpu", by: limits.cpu === undefined ? "weight" : hard ? "kernel" : "weight" },
              { resource: "memory", by: limits.memory === undefined ? "none" : hard ? "kernel" : "weight" },
              { resource: "pids", by: limits.pids === undefined ? "none" : "kernel" },
              this.disk,
            ],
    };
  }
}
