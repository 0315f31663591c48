/**
 * Backend vault: secrets in a KV engine of version 2, which seals them and numbers their versions. Below `prefix` there are two
 * folders: `values`, and `use` with what changes at every read. Whoever may write there may do so around us: guard it by policy.
 */
import type { Clock } from "../../foundation/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { addVersion, alive, claim, countRead, infoOf, noSecret, noValue, type SecretRecord, swept } from "../backends/record.ts";
import type { NewVersion, SecretBackend, StoredSecret } from "../contract.ts";
import { VaultClient, type VaultConnection } from "./vault-client.ts";
import { readValueDocument, tombstone, useDocument, valueDocument, withMetadata, withUse } from "./vault-documents.ts";
import { type KvMetadata, type KvRead, VaultKv } from "./vault-kv.ts";

export interface VaultOptions extends VaultConnection {
  /** Of the KV engine. Default `secret`. */
  readonly mount?: string | undefined;
  /** Folder in it that is ours alone. Default `cofferdam`. */
  readonly prefix?: string | undefined;
}

interface Found {
  /** Of the last version; a tombstone where its value is gone, or never was. */
  readonly record: SecretRecord;
  /** False for an id that never had a value. */
  readonly known: boolean;
  readonly value: Uint8Array | undefined;
  readonly metadata: KvMetadata | undefined;
  /** Version of the document of its use, 0 for none. */
  readonly useVersion: number;
}

/** Versions that the vault keeps: those in grace, and some. */
const MAX_VERSIONS = 20;
/** Tries of a change that others make as well. */
const TRIES = 20;
/** How long a change of ours keeps others out when we die in it, ms. */
const CLAIM = 30_000;
/** Folders that one list looks into. */
const MAX_FOLDERS = 10_000;

export class VaultBackend implements SecretBackend {
  readonly kind = "vault";
  readonly #client: VaultClient;
  readonly #kv: VaultKv;
  readonly #prefix: string;

  constructor({ mount = "secret", prefix = "cofferdam", ...connection }: VaultOptions, clock: Clock) {
    this.#client = new VaultClient(connection, clock);
    this.#kv = new VaultKv(this.#client, mount);
    this.#prefix = prefix;
  }

  async initialize(): Promise<void> {
    await this.#client.connect();
  }

  async find(secretId: string): Promise<StoredSecret | undefined> {
    const found = await this.#find(secretId);
    if (found === undefined) return undefined;
    const { record, value } = found;
    const current = record.deleted ? undefined : record.current;
    return {
      info: infoOf(record, this.#client.now()),
      value: async (version) => (version === current && value !== undefined ? Uint8Array.from(value) : await this.#value(secretId, version)),
    };
  }

  async add(secretId: string, next: NewVersion): Promise<number> {
    if (next.claimed === true) return await this.#add(secretId, next);
    // Two documents cannot be changed in one step: whoever changes the first one holds the second.
    await this.#claim(secretId, next.after, this.#client.now() + CLAIM);
    try {
      return await this.#add(secretId, { ...next, claimed: true });
    } catch (error) {
      await this.#claim(secretId, next.after, 0).catch(() => undefined);
      throw error;
    }
  }

  async countRead(secretId: string, jobId: string, perJob: number | undefined): Promise<void> {
    await this.#use(secretId, (record) => countRead(alive(record, secretId), jobId, perJob, this.#client.now()));
  }

  async claim(secretId: string, after: number, until: number): Promise<void> {
    await this.#use(secretId, (record) => claim(alive(record, secretId), after, until, this.#client.now()));
  }

  async remove(secretId: string): Promise<boolean> {
    const found = await this.#find(secretId);
    if (found === undefined) throw noSecret(secretId);
    const left = [...(found.metadata?.versions ?? [])].filter(([, { destroyed }]) => !destroyed).map(([version]) => version);
    await this.#kv.destroy(this.#path("values", secretId), left);
    await this.#kv.forget(this.#path("use", secretId));
    return !found.record.deleted;
  }

  async list(after: string | undefined, limit: number): Promise<readonly string[]> {
    const ids: string[] = [];
    for await (const id of this.#names(after)) {
      const metadata = await this.#kv.metadata(this.#path("values", id));
      if (metadata?.versions.get(metadata.current)?.gone !== false) continue;
      ids.push(id);
      if (ids.length === limit) break;
    }
    return ids;
  }

  async sweep(): Promise<number> {
    let dropped = 0;
    for await (const id of this.#names(undefined)) {
      const found = await this.#find(id);
      const change = found === undefined || found.record.deleted ? undefined : swept(found.record, this.#client.now());
      await this.#kv.destroy(this.#path("values", id), change?.drop ?? []);
      dropped += change?.drop.length ?? 0;
    }
    return dropped;
  }

  /** The vault keeps the store: who puts it back is its business. */
  position(): undefined {
    return undefined;
  }

  async latestTime(): Promise<number> {
    return this.#client.now();
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #add(secretId: string, next: NewVersion): Promise<number> {
    const before = await this.#find(secretId);
    const path = this.#path("values", secretId);
    const { record, drop } = addVersion(before?.record, secretId, next, this.#client.now());
    if (before?.metadata === undefined) await this.#kv.configure(path, MAX_VERSIONS);
    const version = await this.#kv.write(path, valueDocument(record, next.value), record.current - 1);
    if (version !== record.current) throw new CofferdamError("INTERNAL", `the vault counts otherwise: ${version}, not ${record.current}`);
    await this.#kv.destroy(path, drop);
    // With the new version the claim ends.
    await this.#save(secretId, record, versionOf(await this.#kv.read(this.#path("use", secretId))));
    return version;
  }

  /** Also of a secret that is not there yet, or not any more. */
  async #claim(secretId: string, after: number, until: number): Promise<void> {
    await this.#use(secretId, (record) => claim({ ...record, current: record.deleted ? 0 : record.current }, after, until, this.#client.now()));
  }

  /** Changes what changes with every read, on top of what it was when it was looked at. */
  async #use(secretId: string, change: (record: SecretRecord) => SecretRecord): Promise<void> {
    for (let tried = 1; ; tried++) {
      const { record, useVersion } = await this.#look(secretId);
      const after = change(record);
      try {
        return await this.#save(secretId, after, useVersion);
      } catch (error) {
        if (!(error instanceof CofferdamError && error.code === "CONFLICT") || tried === TRIES) throw error;
      }
    }
  }

  async #save(secretId: string, record: SecretRecord, useVersion: number): Promise<void> {
    await this.#kv.write(this.#path("use", secretId), useDocument(record), useVersion);
  }

  async #find(secretId: string): Promise<Found | undefined> {
    const found = await this.#look(secretId);
    return found.known ? found : undefined;
  }

  async #look(secretId: string): Promise<Found> {
    const path = this.#path("values", secretId);
    const [read, metadata, use] = await Promise.all([this.#kv.read(path), this.#kv.metadata(path), this.#kv.read(this.#path("use", secretId))]);
    const rest = { known: read !== undefined, metadata, useVersion: versionOf(use) };
    if (read === undefined || "gone" in read) return { record: withUse(tombstone(secretId, metadata), use), value: undefined, ...rest };
    const { record, value } = readValueDocument(secretId, read);
    return { record: withMetadata(withUse(record, use), metadata), value, ...rest };
  }

  async #value(secretId: string, version: number): Promise<Uint8Array> {
    const read = await this.#kv.read(this.#path("values", secretId), version);
    if (read === undefined || "gone" in read) throw noValue(secretId, version);
    return readValueDocument(secretId, read).value;
  }

  /** All names in byte order, deleted ones too, after `after`. */
  async *#names(after: string | undefined): AsyncGenerator<string> {
    const left = { folders: MAX_FOLDERS };
    yield* this.#namesIn("", after, left);
  }

  async *#namesIn(folder: string, after: string | undefined, left: { folders: number }): AsyncGenerator<string> {
    if (--left.folders < 0) throw new CofferdamError("RESOURCE_EXHAUSTED", `the vault has more than ${MAX_FOLDERS} folders of secrets`);
    for (const name of await this.#kv.list(this.#path("values", folder))) {
      const id = `${folder}${name}`;
      if (!name.endsWith("/")) {
        if (after === undefined || id > after) yield id;
      } else if (after === undefined || id > after || after.startsWith(id)) yield* this.#namesIn(id, after, left);
    }
  }

  #path(kind: "values" | "use", secretId: string): string {
    return `${this.#prefix}/${kind}/${secretId}`;
  }
}

function versionOf(read: KvRead | undefined): number {
  if (read === undefined) return 0;
  return "gone" in read ? read.gone : read.version;
}
