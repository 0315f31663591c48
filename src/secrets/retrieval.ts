/** One read of a secret by a job, in the order in which it is refused: who, which job, what, whether it is still good. */
import { CofferdamError } from "../foundation/index.ts";
import { whyNot } from "./access.ts";
import { noSecret } from "./backends/record.ts";
import type { JobFacts, KnownJob, SecretBackend, SecretInfo, StoredSecret } from "./contract.ts";
import { OpenedSecret } from "./retrieved.ts";
import type { SecretSettings } from "./settings.ts";

/** Throws PERMISSION_DENIED for a job that nobody knows, or that has ended; FAILED_PRECONDITION when nobody can tell. */
export async function activeJob(jobs: JobFacts | undefined, jobId: string): Promise<KnownJob> {
  if (jobs === undefined) throw new CofferdamError("FAILED_PRECONDITION", "nobody says which jobs there are", { hint: "new SecretManagementSystem({jobs})" });
  const job = await jobs.find(jobId);
  if (job?.active === true && job.jobId === jobId) return job;
  throw new CofferdamError("PERMISSION_DENIED", job === undefined ? `there is no job ${jobId}` : `job ${jobId} does not run`, { details: { jobId } });
}

/** Throws NOT_FOUND. */
export async function existing(backend: SecretBackend, secretId: string): Promise<StoredSecret> {
  const found = await backend.find(secretId);
  if (found === undefined || found.info.deleted) throw noSecret(secretId);
  return found;
}

/**
 * Opens a version for a job, and counts the read. The job gets it only when it is on record; until then it is the caller's.
 * Throws NOT_FOUND, PERMISSION_DENIED, SECRET_EXPIRED, INTEGRITY_FAILURE.
 */
export async function openFor(
  backend: SecretBackend,
  secretId: string,
  job: KnownJob,
  asked: number | undefined,
  settings: SecretSettings,
): Promise<OpenedSecret> {
  const found = await existing(backend, secretId);
  const { info } = found;
  const reason = whyNot(info.allow, job);
  if (reason !== undefined) throw new CofferdamError("PERMISSION_DENIED", `${secretId} is not for ${reason}`, { details: { secretId, jobId: job.jobId } });
  const now = await backend.latestTime();
  const { version, until } = goodVersion(info, asked, now);
  const value = await found.value(version);
  try {
    const { readsPerJob, lease, rotation } = settings;
    if (readsPerJob !== undefined || info.maxReads !== undefined || rotation.afterUse) await backend.countRead(secretId, job.jobId, readsPerJob);
    return new OpenedSecret(found, version, value, earliest(until, lease === undefined ? undefined : now + lease));
  } catch (error) {
    value.fill(0);
    throw error;
  }
}

/** Throws SECRET_EXPIRED, NOT_FOUND. */
export function goodVersion(info: SecretInfo, asked: number | undefined, now: number): { readonly version: number; readonly until: number | undefined } {
  const { secretId, currentVersion, expiresAt, versions } = info;
  if (expiresAt !== undefined && expiresAt <= now)
    throw new CofferdamError("SECRET_EXPIRED", `${secretId} expired on ${new Date(expiresAt).toISOString()}`, {
      details: { secretId },
      hint: "put a new value",
    });
  const version = asked ?? currentVersion;
  const known = versions.find((one) => one.version === version);
  if (known === undefined) throw new CofferdamError("NOT_FOUND", `${secretId} has no version ${version}`, { details: { secretId, version } });
  const { state, validUntil } = known;
  // By the store's time, not by that of whoever made the list.
  if (state === "current" || (state === "grace" && (validUntil ?? 0) > now)) return { version, until: earliest(expiresAt, validUntil) };
  throw new CofferdamError("SECRET_EXPIRED", `version ${version} of ${secretId} is not good any more`, {
    details: { secretId, version, current: currentVersion },
  });
}

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
