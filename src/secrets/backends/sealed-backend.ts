/** Backends memory and file: secrets sealed here, in rows of this process or of the state directory's database. */
import type { Clock } from "../../foundation/index.ts";
import { HeadFile, type Store } from "../../store/index.ts";
import type { NewVersion, SecretBackend, StoredSecret, StorePosition } from "../contract.ts";
import { everyName } from "../every-name.ts";
import { cannotOpen } from "../sealing/box.ts";
import { type Envelope, openValue, sealValue } from "../sealing/envelope.ts";
import { type MasterKeys, MemoryMasterKeys } from "../sealing/master-key.ts";
import { MemoryRows } from "./memory-rows.ts";
import { addVersion, alive, claim, countRead, hasSuperseded, infoOf, noSecret, noValue, removed, type SecretRecord, saidDigest, swept } from "./record.ts";
import { type RewrapReport, rewrapAll } from "./rewrap.ts";
import type { SecretRows } from "./rows.ts";
import { SealedStore } from "./sealed-store.ts";
import { SqlRows } from "./sql-rows.ts";

/** Secrets that are looked at between two looks for more. */
const PAGE = 500;

export interface FileBackendParts {
  readonly store: Store;
  readonly keys: MasterKeys;
  /** Path of the file that holds the acknowledged head, outside of the database. */
  readonly head: string;
  readonly clock: Clock;
}

/** In the Store, durable. */
export function fileBackend({ store, keys, head, clock }: FileBackendParts): SealedBackend {
  return new SealedBackend("file", { rows: new SqlRows(store), keys, head: new HeadFile(head, "ENVIRONMENT_UNFIT"), clock });
}

/** In this process, under a key that ends with it. */
export function memoryBackend(clock: Clock): SealedBackend {
  return new SealedBackend("memory", { rows: new MemoryRows(), keys: new MemoryMasterKeys(), head: undefined, clock });
}

export interface SealedParts {
  readonly rows: SecretRows;
  readonly keys: MasterKeys;
  readonly head: HeadFile | undefined;
  readonly clock: Clock;
}

export class SealedBackend implements SecretBackend {
  readonly kind: "memory" | "file";
  readonly #parts: SealedParts;
  readonly #store: SealedStore;

  constructor(kind: "memory" | "file", parts: SealedParts) {
    this.kind = kind;
    this.#parts = parts;
    this.#store = new SealedStore(parts);
  }

  async initialize(): Promise<void> {
    const superseded: SecretRecord[] = [];
    await this.#store.open((record) => {
      if (hasSuperseded(record)) superseded.push(record);
    });
    // Values whose grace has ended meanwhile.
    const now = this.#store.now();
    for (const record of superseded) if (swept(record, now) !== undefined) await this.#sweepOne(record.secretId);
  }

  async find(secretId: string): Promise<StoredSecret | undefined> {
    return await this.#store.read(async ({ rows, record, now }) => {
      const found = await record(secretId);
      if (found === undefined) return undefined;
      const { current } = found;
      // The value that is wanted most often comes from the same moment as what is known of it.
      const envelope = found.deleted ? undefined : await rows.value(secretId, current);
      return { info: infoOf(found, now), value: async (version) => await this.#open(found, version, version === current ? envelope : undefined) };
    });
  }

  async add(secretId: string, next: NewVersion): Promise<number> {
    return await this.#store.write(async ({ rows, state, record, save, now }) => {
      const { record: after, drop } = addVersion(await record(secretId), secretId, next, now);
      const place = { storeId: state.storeId, secretId, version: after.current };
      const envelope = sealValue(await this.#store.master(state.keyId), place, saidDigest(after.policy), next.value);
      await save(after);
      await rows.dropValues(secretId, drop);
      await rows.addValue(secretId, after.current, envelope);
      return after.current;
    });
  }

  async countRead(secretId: string, jobId: string, perJob: number | undefined): Promise<void> {
    await this.#store.write(async ({ record, save, now }) => await save(countRead(alive(await record(secretId), secretId), jobId, perJob, now)));
  }

  async claim(secretId: string, after: number, until: number): Promise<void> {
    await this.#store.write(async ({ record, save, now }) => await save(claim(alive(await record(secretId), secretId), after, until, now)));
  }

  async remove(secretId: string): Promise<boolean> {
    return await this.#store.write(async ({ rows, record, save, now }) => {
      const before = await record(secretId);
      if (before === undefined) throw noSecret(secretId);
      if (before.deleted) return false;
      const { record: after, drop } = removed(before, now);
      await save(after);
      await rows.dropValues(secretId, drop);
      return true;
    });
  }

  async list(after: string | undefined, limit: number): Promise<readonly string[]> {
    return await this.#store.read(async ({ rows, record }) => {
      const ids = await rows.ids(after, limit);
      for (const id of ids) if ((await record(id))?.deleted !== false) throw cannotOpen();
      return ids;
    });
  }

  async sweep(): Promise<number> {
    let dropped = 0;
    for await (const id of everyName(async (after) => await this.list(after, PAGE))) dropped += await this.#sweepOne(id);
    return dropped;
  }

  position(): StorePosition | undefined {
    return this.#store.position;
  }

  async latestTime(): Promise<number> {
    return await this.#store.latestTime();
  }

  /** Seals all keys of values under a new master key, without anybody waiting; goes on with one that was interrupted. */
  async rewrap(): Promise<RewrapReport> {
    return await rewrapAll(this.#store, this.#parts.keys);
  }

  /** Accepts a store that was put back on purpose. @returns how many changes are lost, as far as that is known. */
  async recover(): Promise<number> {
    return await this.#store.recover();
  }

  async close(): Promise<void> {
    await this.#parts.rows.close();
  }

  async #sweepOne(secretId: string): Promise<number> {
    const lapsed = await this.#store.read(async ({ record, now }) => {
      const found = await record(secretId);
      return found !== undefined && swept(found, now) !== undefined;
    });
    if (!lapsed) return 0;
    return await this.#store.write(async ({ rows, record, save, now }) => {
      const found = await record(secretId);
      const change = found === undefined ? undefined : swept(found, now);
      if (change === undefined) return 0;
      await save(change.record);
      await rows.dropValues(secretId, change.drop);
      return change.drop.length;
    });
  }

  async #open(record: SecretRecord, version: number, found: Envelope | undefined): Promise<Uint8Array> {
    const { secretId, policy } = record;
    const envelope = found ?? (await this.#value(secretId, version));
    const master = await this.#parts.keys.get(envelope.keyId);
    // Rewrapped since it was read, and its old key is gone already: it is read once more.
    const again = master === undefined ? await this.#value(secretId, version) : envelope;
    const place = { storeId: this.#store.id, secretId, version };
    return openValue(master ?? (await this.#store.master(again.keyId)), place, saidDigest(policy), again);
  }

  async #value(secretId: string, version: number): Promise<Envelope> {
    const { envelope, record } = await this.#store.read(async ({ rows, record: find }) => ({
      record: await find(secretId),
      envelope: await rows.value(secretId, version),
    }));
    if (envelope !== undefined) return envelope;
    const kept = record?.versions.find((one) => one.version === version);
    // Its record says that there is a value.
    if (kept !== undefined && kept.destroyed !== true) throw cannotOpen();
    throw noValue(secretId, version);
  }
}
