/** Secrets that somebody holds, by id: what a job's injection asks, without a vault behind it. */
import { CofferdamError } from "../../src/foundation/index.ts";
import type { JobFacts, RetrievedSecret, SecretReader, SecretRequester } from "../../src/secrets/index.ts";

export interface HeldSecret {
  readonly value: string | Buffer;
  readonly validUntil?: number;
  readonly canary?: boolean;
}

export class HeldSecrets implements SecretReader {
  readonly asked: (SecretRequester & { readonly secretId: string; readonly repository: string | undefined })[] = [];
  /** Buffers that were handed out: whoever got one overwrites it. */
  readonly given: Uint8Array[] = [];
  readonly #held: Readonly<Record<string, HeldSecret>>;
  readonly #jobs: JobFacts;

  constructor(held: Readonly<Record<string, HeldSecret>>, jobs: JobFacts) {
    this.#held = held;
    this.#jobs = jobs;
  }

  async retrieveSecret(secretId: string, requester: SecretRequester): Promise<RetrievedSecret> {
    const job = await this.#jobs.find(requester.jobId);
    this.asked.push({ ...requester, secretId, repository: job?.active === true ? job.repository : undefined });
    const held = this.#held[secretId];
    if (held === undefined) throw new CofferdamError("NOT_FOUND", `there is no secret ${secretId}`);
    const value = Uint8Array.from(Buffer.from(held.value));
    this.given.push(value);
    return {
      secretId,
      version: 1,
      value,
      canary: held.canary === true,
      validUntil: held.validUntil,
      text: () => new TextDecoder("utf-8", { fatal: true }).decode(value),
    };
  }
}
