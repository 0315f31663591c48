/** A KV engine of version 2: values with numbered versions, written only on top of the version that one knows. */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import type { VaultClient } from "./vault-client.ts";
import { wordsOf } from "./vault-errors.ts";
import type { VaultAnswer } from "./vault-http.ts";

/** One version as it was read. `gone`: deleted or destroyed, with its number. */
export type KvRead = { readonly data: Readonly<Record<string, unknown>>; readonly version: number } | { readonly gone: number };

export interface KvMetadata {
  readonly current: number;
  /** Whether the value of a version can be read. */
  readonly versions: ReadonlyMap<number, { readonly gone: boolean; readonly destroyed: boolean }>;
}

const readSchema = z.object({
  data: z.object({ data: z.record(z.string(), z.unknown()).nullable(), metadata: z.object({ version: z.int().min(1) }) }),
});
const writeSchema = z.object({ data: z.object({ version: z.int().min(1) }) });
const metadataSchema = z.object({
  data: z.object({
    current_version: z.int().min(0),
    versions: z.record(z.string().regex(/^\d+$/), z.object({ deletion_time: z.string(), destroyed: z.boolean() })),
  }),
});
const listSchema = z.object({ data: z.object({ keys: z.array(z.string()) }) });
/** The vault's words when `cas` is not the current version; other complaints have the same status. */
const CAS = /check-and-set parameter did not match/;

export class VaultKv {
  readonly #client: VaultClient;
  readonly #mount: string;

  constructor(client: VaultClient, mount: string) {
    this.#client = client;
    this.#mount = mount;
  }

  /** undefined for a path that never had a value. */
  async read(path: string, version?: number): Promise<KvRead | undefined> {
    const query = version === undefined ? "" : `?version=${version}`;
    const answer = await this.#client.ask({ method: "GET", path: `${this.#mount}/data/${path}${query}` }, "reading", [404]);
    const found = readSchema.safeParse(answer.body).data?.data;
    if (answer.status === 404) return found === undefined ? undefined : { gone: found.metadata.version };
    if (found === undefined || found.data === null) throw garbled();
    return { data: found.data, version: found.metadata.version };
  }

  /** @param cas the version that it follows, 0 for none. @returns the new version. Throws CONFLICT when another is current. */
  async write(path: string, data: object, cas: number): Promise<number> {
    const answer = await this.#client.ask({ method: "POST", path: `${this.#mount}/data/${path}`, body: { options: { cas }, data } }, "writing", [400]);
    if (answer.status < 300) return valid(writeSchema, answer).data.version;
    if (wordsOf(answer.body).some((words) => CAS.test(words))) throw new CofferdamError("CONFLICT", "the vault has another version by now");
    throw new CofferdamError("INVALID_ARGUMENT", `writing: the vault does not understand us: ${wordsOf(answer.body)[0] ?? "400"}`);
  }

  /** undefined for a path that never had anything. */
  async metadata(path: string): Promise<KvMetadata | undefined> {
    const answer = await this.#client.ask({ method: "GET", path: `${this.#mount}/metadata/${path}` }, "reading", [404]);
    if (answer.status === 404) return undefined;
    const { current_version: current, versions } = valid(metadataSchema, answer).data;
    const now = this.#client.now();
    const entries = Object.entries(versions).map(([version, { deletion_time: deleted, destroyed }]) => {
      // A time in the future is when the vault will delete it by itself.
      const gone = destroyed || (deleted !== "" && !(Date.parse(deleted) > now));
      return [Number(version), { gone, destroyed }] as const;
    });
    return { current, versions: new Map(entries) };
  }

  /** How many versions the vault keeps, and that none is written without saying which one it follows. */
  async configure(path: string, maxVersions: number): Promise<void> {
    const body = { max_versions: maxVersions, cas_required: true };
    await this.#client.ask({ method: "POST", path: `${this.#mount}/metadata/${path}`, body, repeatable: true }, "writing");
  }

  /** Values are gone for good. */
  async destroy(path: string, versions: readonly number[]): Promise<void> {
    if (versions.length === 0) return;
    await this.#client.ask({ method: "POST", path: `${this.#mount}/destroy/${path}`, body: { versions }, repeatable: true }, "destroying");
  }

  /** Everything of a path is gone, its numbers too. */
  async forget(path: string): Promise<void> {
    await this.#client.ask({ method: "DELETE", path: `${this.#mount}/metadata/${path}`, repeatable: true }, "deleting", [404]);
  }

  /** Names right below a folder, in byte order; those of folders end with `/`. */
  async list(folder: string): Promise<readonly string[]> {
    const answer = await this.#client.ask({ method: "GET", path: `${this.#mount}/metadata/${folder}?list=true` }, "listing", [404]);
    return answer.status === 404 ? [] : [...valid(listSchema, answer).data.keys].sort();
  }
}

function valid<T>(schema: z.ZodType<T>, { body }: VaultAnswer): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw garbled();
}

function garbled(): CofferdamError {
  return new CofferdamError("UPSTREAM_UNAVAILABLE", "the vault answered with something that is no answer of a KV engine of version 2");
}
