/**
 * What is kept of stopped containers, and how it goes: by jobs.evidence-keep and jobs.evidence-size, on record before it is gone.
 * It stays while a threat of its job is open, while its job runs or its container stands, and under a legal hold.
 */
import { join } from "node:path";
import { type Clock, CofferdamError, type JsonObject } from "../foundation/index.ts";
import { EvidenceFolder, type EvidencePruning, type ReadEvidence, type RemovedEvidence } from "../monitor/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { JobBook } from "./job-book.ts";
import { hasEnded } from "./job-store.ts";
import type { JobTrail } from "./job-trail.ts";

export interface JobEvidenceParts {
  readonly book: Pick<JobBook, "jobs" | "threats">;
  readonly audit: Pick<JobTrail, "log" | "holdOn" | "ageOf">;
  readonly stateDir: string;
}

export function evidenceFolder(stateDir: string): string {
  return join(stateDir, "evidence");
}

/** @param by who gives the order, for the record. Throws AUDIT_UNAVAILABLE: nothing goes that is not on record. */
export async function pruneEvidence(
  parts: JobEvidenceParts,
  { policy, clock, by, dryRun = false }: { readonly policy: EffectivePolicy; readonly clock: Clock; readonly by: string; readonly dryRun?: boolean },
): Promise<EvidencePruning> {
  const { values } = policy;
  return await new EvidenceFolder(evidenceFolder(parts.stateDir)).prune(
    { keep: values["jobs.evidence-keep"], bytes: values["jobs.evidence-size"] },
    {
      ...{ now: clock.now(), dryRun },
      age: async (time) => await parts.audit.ageOf(time),
      needed: async (evidence) => await whyNeeded(evidence, parts),
      record: async (removed) => await recordRemoved(removed, by, parts),
    },
  );
}

/** Why evidence may not go now; undefined: nobody needs it. */
export async function whyNeeded({ job, threat }: Pick<ReadEvidence, "job" | "threat">, { book, audit }: JobEvidenceParts): Promise<string | undefined> {
  const open = await book.threats.openOf(job, threat?.id);
  if (open !== undefined) return `threat ${open} is open`;
  const known = await book.jobs.get(job).catch((error: unknown) => {
    if (error instanceof CofferdamError && error.code === "NOT_FOUND") return undefined;
    throw error;
  });
  if (known !== undefined && !hasEnded(known.state)) return "its job has not ended";
  if (known?.holds.kept !== undefined) return "its container is kept, frozen";
  const hold = await audit.holdOn(job);
  return hold === undefined ? undefined : `legal hold ${hold.id}`;
}

async function recordRemoved({ id, path, sha256, bytes, why, about }: RemovedEvidence, by: string, { audit }: JobEvidenceParts): Promise<void> {
  const details: JsonObject = { evidence: id, path, sha256, bytes, why };
  await audit.log({
    ...{ category: "monitor", action: "EvidenceRemoved", result: "success", userId: by },
    ...(about === undefined ? {} : { sessionId: about.job, resourceType: "container", resourceId: about.container }),
    details: {
      ...details,
      ...(about === undefined ? {} : { takenAt: about.takenAt }),
      ...(about?.threat?.id === undefined ? {} : { threat: about.threat.id }),
    },
  });
}
