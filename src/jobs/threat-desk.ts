/** From a threat to what was done about it: whose job it is, by the book; what its level does; and all of it on record. */
import type { EventEmitter } from "node:events";
import type { ContainerEngine } from "../engine/index.ts";
import type { Clock, JsonObject } from "../foundation/index.ts";
import type { RuntimeSecurityMonitor } from "../monitor/index.ts";
import type { NetworkIsolationManager } from "../network/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { JobBook } from "./job-book.ts";
import type { JobTrail } from "./job-trail.ts";
import type { LiveJob } from "./live-job.ts";
import type { OpenJobs } from "./open-jobs.ts";
import { type OrchestratorEvents, tellAll } from "./orchestrator-events.ts";
import { threatActions } from "./threat-actions.ts";
import { type ActionOutcome, planReason, planResponse, respond } from "./threats/response.ts";
import { newThreat, type Threat } from "./threats/threat.ts";

export interface ThreatDeskParts {
  readonly engine: ContainerEngine;
  readonly networks: NetworkIsolationManager | undefined;
  readonly book: JobBook;
  readonly open: OpenJobs;
  readonly audit: JobTrail;
  readonly policy: EffectivePolicy;
  readonly clock: Clock;
  readonly events: EventEmitter<OrchestratorEvents>;
  /** Whoever watches this container in this process. */
  watcherOf(containerId: string): RuntimeSecurityMonitor | undefined;
}

export interface HandledThreat {
  readonly threat: Threat;
  readonly outcomes: readonly ActionOutcome[];
}

/** Time that one action has, ms. */
const ACTION_LIMIT = 10_000;

/** Throws INVALID_ARGUMENT, PAYLOAD_TOO_LARGE; what an action could not do is in its outcome. */
export async function handleThreat(input: unknown, parts: ThreatDeskParts): Promise<HandledThreat> {
  const { engine, networks, book, open, policy, clock, events } = parts;
  const told = answered(newThreat(input, clock), policy);
  const found = await jobOf(told, parts);
  const live = found === undefined ? undefined : open.find(found.jobId);
  const threat = found === undefined ? told : { ...told, ...withoutSecrets(told, live?.job), jobId: found.jobId };
  await book.threats.add(threat);
  if (live !== undefined) live.job.threats = [...live.job.threats, threat];
  const container = live?.run?.containerId ?? found?.container;
  const actions = threatActions({
    ...{ engine, networks, container, monitor: container === undefined ? undefined : parts.watcherOf(container) },
    kept: (evidence) => live?.job.evidence.push(evidence),
    record: async (details) => await (live?.job.record("ThreatHandled", "failure", details) ?? recordOf(threat, details, parts.audit)),
    alert: () => tellAll(events, "securityAlert", threat),
    stop: async (error, keep) => {
      if (found !== undefined) await open.stop(found.jobId, error, keep);
    },
  });
  const outcomes = await respond(threat, planResponse(policy.values.level, threat, policy.values.mode), actions, { clock, limitMs: ACTION_LIMIT });
  tellAll(events, "threatHandled", { threat, outcomes });
  return { threat, outcomes };
}

/** With who asked for what is done about it, where that is not the level alone. */
function answered(threat: Threat, { values: { level, mode } }: EffectivePolicy): Threat {
  const answer = planReason(level, threat, mode);
  return answer === undefined ? threat : { ...threat, details: { ...threat.details, answer } };
}

/** Arguments and addresses that a sensor saw may hold what the job was given. */
function withoutSecrets({ details, evidence }: Threat, job: LiveJob | undefined): Partial<Pick<Threat, "details" | "evidence">> {
  return job === undefined ? {} : { details: job.masks.object(details), evidence: evidence.map((one) => job.masks.json(one)) };
}

interface KnownJob {
  readonly jobId: string;
  readonly container: string | undefined;
}

/** By the book, never by what a container says of itself. A container that is none of a job's is left alone. */
async function jobOf({ jobId, containerId }: Threat, { book, engine }: ThreatDeskParts): Promise<KnownJob | undefined> {
  const active = (await book.jobs.active()).map(({ jobId: id, holds }) => ({ jobId: id, container: holds.container }));
  const named = active.find((job) => job.jobId === jobId);
  if (named !== undefined || containerId === undefined) return named;
  const name = await engine.containers.inspect(containerId).then(
    ({ Name }) => Name.replace(/^\//, ""),
    () => undefined,
  );
  return active.find(({ container }) => name !== undefined && container === name);
}

async function recordOf({ id, jobId }: Threat, details: JsonObject, audit: JobTrail): Promise<void> {
  await audit.log({
    ...{ category: "jobs", action: "ThreatHandled", result: "failure", resourceType: "threat", resourceId: id },
    ...(jobId === undefined ? {} : { sessionId: jobId }),
    details,
  });
}
