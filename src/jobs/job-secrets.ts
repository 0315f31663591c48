/**
 * The secrets of one job: asked for when its container is made and has not begun, put where only it sees them, and taken away
 * with it. What a job gets is masked in everything that it says from before it could have read it.
 */
import { join } from "node:path";
import { type Clock, CofferdamError, messageOf } from "../foundation/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import { type MemoryMounts, MOST_SECRETS, type RetrievedSecret, SecretFolder, type SecretReader } from "../secrets/index.ts";
import { SECRETS } from "./container/job-folder.ts";
import { mountMemory, releaseMount } from "./container/place.ts";
import type { Proof } from "./container/prove.ts";
import type { JobMount } from "./container/spec.ts";
import type { JobSpec } from "./job-spec.ts";
import type { LiveJob } from "./live-job.ts";

/** Where a job finds them. */
export const SECRETS_TARGET = "/run/secrets";
/** What a timer of Node can wait for, ms. */
const LONGEST_WAIT: number = 2 ** 31 - 1;
const MOUNTS: MemoryMounts = { mount: mountMemory, release: releaseMount };

export interface JobSecretsParts {
  readonly reader: SecretReader | undefined;
  readonly policy: EffectivePolicy;
  readonly clock: Clock;
  readonly job: LiveJob;
  /** The job's own. */
  readonly folder: string;
}

/** Ids by name. */
interface Asked {
  readonly files: Readonly<Record<string, string>>;
  readonly variables: Readonly<Record<string, string>>;
}

export class JobSecrets {
  /** For its container. */
  readonly mount: JobMount;
  readonly #parts: JobSecretsParts & { readonly reader: SecretReader };
  readonly #asked: Asked;
  readonly #folder: SecretFolder;
  readonly #variables = new Map<string, string>();
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(parts: JobSecretsParts & { readonly reader: SecretReader }, asked: Asked, folder: SecretFolder) {
    this.#parts = parts;
    this.#asked = asked;
    this.#folder = folder;
    this.mount = { source: folder.path, target: SECRETS_TARGET, readOnly: true };
  }

  /** Whether the job, or the policy for its repository, asks for any. */
  static areAsked({ policy, job }: Pick<JobSecretsParts, "policy" | "job">, spec: JobSpec["secrets"]): boolean {
    const { files, variables } = askedOf(policy, job, spec);
    return Object.keys(files).length + Object.keys(variables).length > 0;
  }

  /**
   * An empty place for them. Throws FAILED_PRECONDITION with nobody to ask, SECURITY_VIOLATION for variables where the policy
   * wants files, ENVIRONMENT_UNFIT where secrets could come to lie in swap (above level low), INVALID_ARGUMENT for too many.
   */
  static async prepare(parts: JobSecretsParts, spec: JobSpec["secrets"]): Promise<JobSecrets> {
    const { policy, job, reader } = parts;
    const asked = askedOf(policy, job, spec);
    const [files, variables] = [Object.keys(asked.files), Object.keys(asked.variables)];
    if (files.length + variables.length > MOST_SECRETS)
      throw new CofferdamError("INVALID_ARGUMENT", `${files.length + variables.length} secrets; a job has at most ${MOST_SECRETS}`);
    if (reader === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", `the job asks for secrets (${files.concat(variables).join(", ")}), and nobody here has any`);
    if (variables.length > 0 && policy.values["jobs.secret-variables"] === "deny") {
      const error = new CofferdamError("SECURITY_VIOLATION", `${variables.join(", ")}: the policy gives secrets as files, not as variables`, {
        details: { control: "secrets" },
        hint: `read ${SECRETS_TARGET}/NAME (--secret), or in a policy of yours: jobs: {secret-variables: accept}`,
      });
      if (policy.values.mode === "enforce") throw error;
      job.refused.push(`${error.message} (would be refused)`);
    }
    if (job.identity.level === "paranoid") job.refused.push("secrets of one step alone: this version gives them to the whole job");
    return new JobSecrets({ ...parts, reader }, asked, await openSecretFolder(parts));
  }

  /**
   * Asks for each, while the container is made and has not begun. Throws what {@link SecretReader.retrieveSecret} throws, for
   * the first that is refused.
   */
  async load(): Promise<void> {
    const { job } = this.#parts;
    for (const [name, secretId] of Object.entries(this.#asked.files)) {
      const secret = await this.#retrieve(name, secretId);
      this.#put(name, secret);
    }
    for (const [name, secretId] of Object.entries(this.#asked.variables)) {
      const secret = await this.#retrieve(name, secretId);
      this.#variables.set(name, variableOf(name, secret));
      secret.value.fill(0);
      job.secrets.variables.push(name);
      if (secret.validUntil !== undefined)
        job.refused.push(`${name} is good until ${new Date(secret.validUntil).toISOString()}: a variable cannot be taken back`);
    }
    job.masks.prepare();
  }

  /** Those that somebody else retrieved: all, or none of them. Values are overwritten. Throws CONFLICT for a name that is taken. */
  putAll(secrets: readonly { readonly name: string; readonly secret: RetrievedSecret }[]): void {
    const { files } = this.#parts.job.secrets;
    const before = files.length;
    try {
      for (const { name, secret } of secrets) {
        this.#mask(name, secret);
        this.#put(name, secret);
      }
      this.#parts.job.masks.prepare();
    } catch (error) {
      for (const name of files.splice(before)) this.#folder.take(name);
      throw error;
    }
  }

  #put(name: string, secret: RetrievedSecret): void {
    const { job } = this.#parts;
    try {
      this.#folder.put(name, secret.value);
    } finally {
      secret.value.fill(0);
    }
    job.secrets.files.push(name);
    if (secret.validUntil !== undefined) this.#takeAt(name, secret.validUntil);
  }

  /** For the workload alone: they are in no configuration. */
  get variables(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#variables);
  }

  /** Whom the proof showed; the workload has not begun. */
  giveTo({ who }: Proof): void {
    this.#folder.giveTo(who);
  }

  /** Overwritten and unmounted. Idempotent. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#variables.clear();
    await this.#folder.close();
  }

  async #retrieve(name: string, secretId: string): Promise<RetrievedSecret> {
    const { reader, job } = this.#parts;
    const { uid, jobId } = job.identity;
    // To run jobs of a repository is not yet to have its secrets.
    await job.authorize?.("secrets:use");
    const secret = await reader.retrieveSecret(secretId, { userId: job.authority.name ?? `uid:${uid}`, jobId });
    this.#mask(name, secret);
    return secret;
  }

  #mask(name: string, { value, canary }: RetrievedSecret): void {
    const { job } = this.#parts;
    const why = job.masks.add(value);
    if (canary) job.canaries.add(value);
    const said = `${name} is ${why}`;
    if (why !== undefined && !job.refused.includes(said)) job.refused.push(said);
  }

  #takeAt(name: string, until: number): void {
    const { clock, job } = this.#parts;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        if (clock.now() < until) return this.#takeAt(name, until);
        try {
          if (!this.#folder.take(name)) return;
        } catch (error) {
          job.remains(`secret ${name}, past its time`, error);
        }
        job
          .record("SecretTakenBack", "success", { name })
          .catch((error: unknown) => job.refused.push(`${name} was taken back, which is not on record: ${messageOf(error).slice(0, 300)}`));
      },
      Math.min(Math.max(0, until - clock.now()), LONGEST_WAIT),
    ).unref();
    this.#timers.add(timer);
  }
}

/** Throws FAILED_PRECONDITION for a value that no variable can have. */
function variableOf(name: string, secret: RetrievedSecret): string {
  const text = secret.text();
  if (text.includes("\0")) throw new CofferdamError("FAILED_PRECONDITION", `secret ${name} holds a NUL byte: it can be a file, and no variable`);
  return text;
}

function askedOf(policy: EffectivePolicy, { identity }: LiveJob, spec: JobSpec["secrets"]): Asked {
  return { files: { ...policy.values["jobs.secrets"][identity.repository.toLowerCase()], ...spec?.files }, variables: { ...spec?.variables } };
}

/** In the folder of the job. Above level low nothing of it may come to lie in swap. */
async function openSecretFolder({ folder, job }: Pick<JobSecretsParts, "folder" | "job">): Promise<SecretFolder> {
  const opened = await SecretFolder.open(join(folder, SECRETS), MOUNTS, job.identity.level === "low");
  if (!opened.noSwap) job.refused.push("memory that is never swapped out: this kernel has none (Linux 6.4)");
  return opened;
}
