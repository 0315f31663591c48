/** What is known of a job while it goes on, gathered step by step; in the end the facts of its report. */
import type { AuditEventInput, AuditSink } from "../audit/index.ts";
import type { ImageInspect } from "../engine/index.ts";
import { type Clock, CofferdamError, isoTime, type JsonObject, messageOf, wrapError } from "../foundation/index.ts";
import type { KeptEvidence, Talker } from "../monitor/index.ts";
import type { IsolatedNetwork, NetworkTraffic } from "../network/index.ts";
import type { EffectivePolicy, Level } from "../policy/index.ts";
import type { Allocation, AppliedLimits, QuotaViolation, ResourceUsage } from "../quota/index.ts";
import { MaskList } from "../secrets/index.ts";
import type { Proof } from "./container/prove.ts";
import type { FoundLeaks } from "./job-leaks.ts";
import { sizeText, sizeWord } from "./report/amounts.ts";
import { maskedFacts } from "./report/masked.ts";
import { networkFacts } from "./report/network.ts";
import type { Check, CheckName, JobFacts, JobResources, JobWorkspace, StoppedBy, TrailEvent, Verdict, Violation } from "./report/schema.ts";
import { LOCAL_OWNER } from "./score/job-evidence.ts";
import type { Threat } from "./threats/threat.ts";

export interface JobIdentity {
  readonly jobId: string;
  readonly repository: string;
  readonly image: string;
  readonly command: readonly string[];
  /** As a CI calls it; claims, see {@link JobConfig}. */
  readonly workflow?: string | undefined;
  readonly job?: string | undefined;
  readonly namesFrom?: string | undefined;
  readonly level: Level;
  readonly uid: number;
  /** When it was asked for, milliseconds since the epoch. Absent: now. */
  readonly askedAt?: number | undefined;
}

const MAX_EVENTS = 100;
const MESSAGES: Readonly<Record<QuotaViolation["kind"], string>> = {
  killed: "the kernel ended a process",
  refused: "a process more was not started",
  throttled: "it was made to wait",
  exceeded: "it is full",
};
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
  /** By which rule it may run, and who it is; where there are no roles, the owner of the state directory. */
  authority: { readonly rule: string; readonly name?: string | undefined } = { rule: LOCAL_OWNER };
  checks: Record<CheckName, Check> = {
    authentication: NOT_REACHED,
    authorization: NOT_REACHED,
    scanning: NOT_REACHED,
    resourceAllocation: NOT_REACHED,
    networkIsolation: NOT_REACHED,
  };
  image: Pick<ImageInspect, "Id" | "Config"> | undefined;
  digest: string | undefined;
  allocation: Allocation | undefined;
  proof: Proof | undefined;
  exit: number | undefined;
  stoppedBy: StoppedBy | undefined;
  usage: ResourceUsage | undefined;
  /** Its network, while it has one and afterwards; undefined: it has none at all. */
  network: IsolatedNetwork | undefined;
  readonly networkNotes: string[] = [];
  /** What it did there, once that is over. */
  traffic: NetworkTraffic | undefined;
  /** Who made its connections. */
  talkers: readonly Talker[] = [];
  workspace: JobWorkspace = { mode: "none", leftOut: [] };
  disk: JobResources["limits"][number] = { resource: "disk", by: "none" };
  log = { bytes: 0, kept: 0, truncated: false };
  /** The engine says that the kernel ended it for its memory; the counters may have gone before anybody looked. */
  outOfMemory = false;
  reconciled: JobFacts["reconciled"];
  /** Whether its records were verified, and a checkpoint kept elsewhere covers them. */
  trail = { verified: false, anchored: false };
  monitoring: JobFacts["monitoring"];
  /** What was kept of its container as it stood. */
  readonly evidence: KeptEvidence[] = [];
  threats: readonly Threat[] = [];
  /** In what it said and made. */
  leaks: FoundLeaks | undefined;
  readonly violations: Violation[] = [];
  readonly applied: string[] = [];
  readonly refused: string[] = [];
  readonly leftBehind: { readonly what: string; readonly why: string }[] = [];
  /** Values of its secrets: they show in nothing that is said of it. */
  readonly masks: MaskList = new MaskList();
  /** Of them those that nothing should use. */
  readonly canaries: MaskList = new MaskList();
  /** Whether whoever asked for it may do more with it, where that is a user with roles. Throws PERMISSION_DENIED, UNAUTHENTICATED. */
  authorize: ((permission: string) => Promise<unknown>) | undefined;
  /** Names of what it was given. */
  readonly secrets: { readonly files: string[]; readonly variables: string[] } = { files: [], variables: [] };

  constructor(identity: JobIdentity, policy: EffectivePolicy, audit: AuditSink, clock: Clock) {
    this.identity = identity;
    this.#policy = policy;
    this.#audit = audit;
    this.#clock = clock;
    const since = identity.askedAt === undefined ? 0 : Math.max(0, clock.now() - identity.askedAt);
    this.#asked = clock.monotonic() - since;
    this.#askedAt = identity.askedAt === undefined ? isoTime(clock) : new Date(identity.askedAt).toISOString();
  }

  /** When it was asked for. */
  get askedAt(): string {
    return this.#askedAt;
  }

  get started(): boolean {
    return this.#startedAt !== undefined;
  }

  /** As things stand. */
  get verdict(): Verdict {
    if (this.stoppedBy !== undefined) return this.started ? "stopped" : "blocked";
    return this.exit === 0 ? "passed" : "failed";
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

  /** What could not be taken away, or done at the end, is told in the report. */
  remains(what: string, error: unknown): void {
    this.leftBehind.push({ what, why: messageOf(error).slice(0, 500) });
  }

  /** What fails is told as what {@link remains}; undefined then. */
  async attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.remains(what, error);
      return undefined;
    }
  }

  workloadStarted(): void {
    this.#startedAt = { at: isoTime(this.#clock), monotonic: this.#clock.monotonic() };
  }

  workloadEnded(exit: number | undefined): void {
    this.exit = exit;
    if (this.#startedAt !== undefined) this.#runMs ??= this.#clock.monotonic() - this.#startedAt.monotonic;
  }

  /** What holds its limit of disk space, once its container stands. */
  limited({ applied, watched }: Pick<AppliedLimits, "applied" | "watched">, readOnlyRoot: boolean): void {
    const { mode } = this.workspace;
    const folder = mode === "bind" ? "the mounted folder is not bounded; " : "";
    if (mode === "none" && readOnlyRoot) this.disk = { resource: "disk", by: "kernel" };
    else if (applied.includes("disk")) this.disk = { resource: "disk", by: "kernel" };
    else if (watched.includes("disk"))
      this.disk = {
        resource: "disk",
        by: "watched",
        note: `${folder}${mode === "copy" ? "the copy is bounded, " : ""}what it writes to its image is looked at every 2 s`,
      };
    else this.disk = { resource: "disk", by: "none", ...(folder === "" ? {} : { note: folder.slice(0, -2) }) };
  }

  /** Its own memory ended it: an exit of 137 that the kernel's out-of-memory killer made is our limit's doing. */
  judgeMemory(): void {
    const kills = this.usage?.violations.oomKills ?? 0;
    if (this.exit !== 128 + 9 || (kills === 0 && !this.outOfMemory)) return;
    if (kills === 0) this.violated({ resource: "memory", kind: "killed", times: 1, enforcement: "enforced" });
    const limit = this.allocation?.limits.memory;
    this.stop(
      new CofferdamError("RESOURCE_EXHAUSTED", `out of memory: the kernel ended it${limit === undefined ? "" : ` at ${sizeText(limit)}`}`, {
        hint: limit === undefined ? "--memory" : `--memory ${sizeWord(2 * limit)}`,
      }),
    );
  }

  violated({ resource, kind, times, enforcement }: Pick<QuotaViolation, "resource" | "kind" | "times" | "enforcement">): void {
    const rule = `quota.${resource}.${kind}`;
    const known = this.violations.findIndex((one) => one.rule === rule);
    const total = times + (this.violations[known]?.times ?? 0);
    const said = { at: isoTime(this.#clock), rule, message: enforcement === "watched" ? `${MESSAGES[kind]} (watched)` : MESSAGES[kind], times: total };
    if (known < 0) this.violations.push(said);
    else this.violations[known] = said;
  }

  /** One event in the trail, of this job. Throws AUDIT_UNAVAILABLE. */
  async record(action: string, result: AuditEventInput["result"], details: JsonObject): Promise<void> {
    const { jobId, repository } = this.identity;
    const event = await this.#audit.log({
      ...{
        category: "jobs",
        action,
        result,
        resourceType: "job",
        resourceId: jobId,
        sessionId: jobId,
        userId: this.authority.name ?? `uid:${this.identity.uid}`,
      },
      details: this.masks.object({ repository, ...details }),
    });
    this.#first ??= event.seq;
    this.#last = event.seq;
    if (this.#events.length < MAX_EVENTS) this.#events.push({ seq: event.seq, at: event.timestamp, category: "jobs", action, result });
  }

  /** @param aborted our own process died, and this is what was found of the job. */
  facts(aborted = false): JobFacts {
    const { jobId, repository, image, command, level, uid } = this.identity;
    const { files, variables } = this.secrets;
    const facts: JobFacts = {
      ...{ jobId, repository, level, command, exit: this.exit, stoppedBy: this.stoppedBy, reconciled: this.reconciled },
      verdict: aborted ? "aborted" : this.verdict,
      identity: { ...this.authority, uid },
      image: { reference: image, id: this.image?.Id, digest: this.digest, scanned: "not-scanned" },
      times: {
        ...{ asked: this.#askedAt, started: this.#startedAt?.at, ended: isoTime(this.#clock), runMs: this.#runMs },
        totalMs: this.#clock.monotonic() - this.#asked,
      },
      mode: this.#policy.values.mode,
      policyDigest: this.#policy.digest,
      checks: this.checks,
      proof: this.proof,
      ...{
        monitoring: this.monitoring,
        applied: this.applied,
        refused: this.refused,
        threats: this.threats,
        violations: this.violations,
        leftBehind: this.leftBehind,
      },
      resources: this.#resources(),
      network: networkFacts(this.network, this.traffic, this.networkNotes, this.talkers),
      workspace: this.workspace,
      log: this.log,
      secretsUsed: [...files, ...variables].toSorted(),
      ...(variables.length === 0 ? {} : { secretVariables: variables.toSorted() }),
      leakScan: this.leaks?.scan,
      auditTrail: { first: this.#first, last: this.#last, ...this.trail, events: this.#events },
    };
    return maskedFacts(facts, this.masks);
  }

  #resources(): Omit<JobResources, "percent"> {
    const limits = this.allocation?.limits;
    const hard = this.allocation?.enforcement === "hard";
    const { peak, violations, raw } = this.usage ?? {};
    return {
      quota: { cpu: limits?.cpu, memory: limits?.memory, pids: limits?.pids, disk: limits?.disk },
      peak: peak === undefined ? {} : { cpu: peak.cores === 0 ? undefined : peak.cores, memory: peak.memory, pids: peak.pids, disk: peak.disk },
      total: {
        ...(raw === undefined
          ? {}
          : { cpuMs: raw.cpuTime / 1e6, throttledMs: raw.throttledTime / 1e6, readBytes: raw.readBytes, writtenBytes: raw.writeBytes }),
        ...(violations === undefined ? {} : { oomKills: Math.max(violations.oomKills, this.outOfMemory ? 1 : 0), forksRefused: violations.forksRefused }),
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
