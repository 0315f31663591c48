/**
 * What a job's report proves of the catalogue's controls. A control that the report does not speak of stays unknown; one that
 * could not matter, since the workload never ran, is said not to apply, with that as the proof.
 */
import type { CheckName, JobFacts } from "../report/schema.ts";
import type { Evidence, ScoreUnit } from "./score.ts";

/** How far the audit trail was looked at: the last record that verified, and the last that a checkpoint from elsewhere covers. */
export interface TrailState {
  readonly verifiedTo?: number | undefined;
  readonly anchoredTo?: number | undefined;
}

/** Those that {@link JobFacts.proof} holds by name. */
const OF_THE_CONTAINER = [
  "namespaces",
  "user-namespace",
  "mounts",
  "devices",
  "capabilities",
  "no-new-privileges",
  "seccomp",
  "non-root",
  "read-only-root",
  "masked-paths",
  "memory-limit",
  "cpu-limit",
  "pids-limit",
  "network-isolation",
] as const;

const PROVEN: Evidence = { state: "proven" };
const off = (why: string): Evidence => ({ state: "off", why });
const unknown = (why: string): Evidence => ({ state: "unknown", why });
const exempt = (why: string): Evidence => ({ state: "not-applicable", why });

/** @param trail as it is known now; without it, as it was when the report was made. */
export function jobUnit(job: JobFacts, trail?: TrailState): ScoreUnit {
  const neverRan = job.verdict === "blocked" && job.times.started === undefined;
  const ifRan = (evidence: Evidence): Evidence => (neverRan ? exempt("its workload never ran") : evidence);
  const container = OF_THE_CONTAINER.map((name) => [`job.${name}`, ifRan(heldOf(job, name))]);
  return {
    kind: "job",
    at: Date.parse(job.times.ended),
    evidence: {
      ...Object.fromEntries(container),
      "job.enforced": job.mode === "enforce" ? PROVEN : off("mode observe: nothing was refused"),
      "job.authenticated": checkOf(job, "authentication"),
      "job.authorized":
        job.identity.rule === LOCAL_OWNER ? off("not by roles: whoever owns the state directory may run anything") : checkOf(job, "authorization"),
      "job.image-scanned": job.checks.scanning.state === "not-reached" ? checkOf(job, "scanning") : off("the image was not scanned"),
      "job.image-pinned": isPinned(job.image.reference) ? PROVEN : off("the image was named by a tag"),
      "job.proven-before-start": job.proof === undefined ? ifRan(unknown(NO_PROOF)) : heldOf(job, "proven-before-start"),
      "job.disk-limit": ifRan(diskLimit(job)),
      "job.secrets": ifRan(secrets(job)),
      "job.monitored": ifRan(monitored(job)),
      "job.output-bounded": ifRan(job.verdict === "aborted" ? unknown("nobody saw its output end") : PROVEN),
      ...workspace(job, ifRan),
      "job.cleaned-up": job.leftBehind.length === 0 ? PROVEN : off("something of it was left behind"),
      ...records(job, trail),
    },
  };
}

/** Jobs of whoever owns the state directory, known by uid and not by roles. */
export const LOCAL_OWNER = "local-owner";
const NO_PROOF = "its container was not looked at";

/** Whether a reference leads to one image only. */
export function isPinned(reference: string): boolean {
  return /(?:^|@)sha256:[0-9a-f]{64}$/.test(reference);
}

function checkOf({ checks }: JobFacts, name: CheckName): Evidence {
  const { state, why } = checks[name];
  // A refusal is the check at work.
  if (state === "passed" || state === "refused") return PROVEN;
  return state === "not-reached" ? exempt("an earlier check refused the job") : off(why);
}

function heldOf({ proof, level }: JobFacts, name: string): Evidence {
  if (proof === undefined) return unknown(NO_PROOF);
  if (proof.held.includes(name)) return PROVEN;
  const differs = proof.controls.find((control) => control.name === name && !control.ok);
  return off(differs === undefined ? `not in force at level ${level}` : `${differs.what}: expected ${differs.expected}, found ${differs.actual}`);
}

function monitored({ monitoring, verdict }: JobFacts): Evidence {
  if (verdict === "aborted") return unknown("nobody can say what was seen of it");
  const { state = "off", why = "nobody watched it", lost = 0, gaps = 0 } = monitoring ?? {};
  if (state !== "watching") return off(why);
  if (lost > 0) return off(`${lost} events were not seen`);
  return gaps > 0 ? off("for a while nobody looked") : PROVEN;
}

function diskLimit({ resources }: JobFacts): Evidence {
  const limit = resources.limits.find(({ resource }) => resource === "disk");
  if (limit === undefined) return unknown("nothing on record of its disk limit");
  if (limit.by === "kernel") return PROVEN;
  return off(limit.by === "watched" ? "watched, not enforced" : "no limit");
}

/** Masking is no matter of choice: what a job gets is masked. */
function secrets({ verdict, secretsUsed, secretVariables = [] }: JobFacts): Evidence {
  if (verdict === "aborted") return unknown("nobody can say which it was given");
  if (secretsUsed.length === 0) return exempt("it was given none");
  return secretVariables.length === 0 ? PROVEN : off(`variables, which every process of it passes on: ${secretVariables.join(", ")}`);
}

function workspace({ workspace: { mode } }: JobFacts, ifRan: (evidence: Evidence) => Evidence): Record<string, Evidence> {
  if (mode === "none") return { "job.workspace-confined": exempt("it had no workspace"), "job.workspace-copied": exempt("it had no workspace") };
  return { "job.workspace-confined": ifRan(PROVEN), "job.workspace-copied": ifRan(mode === "copy" ? PROVEN : off("the caller's own folder was mounted")) };
}

function records({ auditTrail: { first, last, verified, anchored } }: JobFacts, trail: TrailState | undefined): Record<string, Evidence> {
  const { verifiedTo, anchoredTo } = trail ?? { verifiedTo: verified ? last : undefined, anchoredTo: anchored ? last : undefined };
  return {
    "job.recorded": first !== undefined && last !== undefined && first < last ? PROVEN : off("the audit trail has no record of its start and its end"),
    ...coverage("job", last, { verifiedTo, anchoredTo }),
  };
}

/** Whether the record is within what was verified and anchored. @param last the unit's last record. */
export function coverage(kind: "job" | "install", last: number | undefined, { verifiedTo, anchoredTo }: TrailState): Record<string, Evidence> {
  const within = (to: number | undefined): boolean => last !== undefined && to !== undefined && last <= to;
  return {
    [`${kind}.record-verified`]: within(verifiedTo) ? PROVEN : unknown("its records were not verified"),
    [`${kind}.record-anchored`]: within(anchoredTo) ? PROVEN : unknown("no checkpoint kept elsewhere covers its records"),
  };
}
