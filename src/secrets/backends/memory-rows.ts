/** Sealed secrets in this process alone: gone when it ends. */
import { CofferdamError } from "../../foundation/index.ts";
import type { Envelope } from "../sealing/envelope.ts";
import type { KeptValue, NamedText, RowsEdit, RowsView, SecretRows, SignedText } from "./rows.ts";

interface Kept {
  readonly deleted: boolean;
  readonly text: SignedText;
  readonly values: ReadonlyMap<number, Envelope>;
}

/** What a write changed, to be put back when it fails. */
interface Before {
  readonly store: SignedText | undefined;
  readonly kept: Map<string, Kept | undefined>;
}

export class MemoryRows implements SecretRows, RowsEdit {
  readonly #kept = new Map<string, Kept>();
  #store: SignedText | undefined;
  #before: Before | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  async initialize(): Promise<void> {
    await Promise.resolve();
  }

  async read<T>(work: (rows: RowsView) => Promise<T>): Promise<T> {
    return await this.#inTurn(() => work(this));
  }

  async write<T>(work: (rows: RowsEdit) => Promise<T>): Promise<T> {
    return await this.#inTurn(async () => {
      const before: Before = { store: this.#store, kept: new Map() };
      this.#before = before;
      try {
        return await work(this);
      } catch (error) {
        this.#store = before.store;
        for (const [id, kept] of before.kept) {
          if (kept === undefined) this.#kept.delete(id);
          else this.#kept.set(id, kept);
        }
        throw error;
      } finally {
        this.#before = undefined;
      }
    });
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      this.#kept.clear();
      this.#store = undefined;
    });
  }

  async store(): Promise<SignedText | undefined> {
    return this.#store;
  }

  async record(secretId: string): Promise<SignedText | undefined> {
    return this.#kept.get(secretId)?.text;
  }

  async *records(): AsyncGenerator<NamedText> {
    for (const [secretId, { text, deleted }] of this.#kept) yield { secretId, deleted, ...text };
  }

  async countRecords(): Promise<number> {
    return this.#kept.size;
  }

  async value(secretId: string, version: number): Promise<Envelope | undefined> {
    return this.#kept.get(secretId)?.values.get(version);
  }

  async ids(after: string | undefined, limit: number): Promise<readonly string[]> {
    const ids = [...this.#kept].filter(([id, { deleted }]) => !deleted && (after === undefined || id > after)).map(([id]) => id);
    return ids.sort().slice(0, limit);
  }

  async notUnder(keyId: string, limit: number): Promise<readonly KeptValue[]> {
    const found: KeptValue[] = [];
    for (const [secretId, { values }] of this.#kept)
      for (const [version, { keyId: own, wrapped }] of values)
        if (own !== keyId && found.length < limit) found.push({ secretId, version, keyId: own, wrapped });
    return found;
  }

  async saveStore(text: SignedText): Promise<void> {
    this.#store = text;
  }

  async saveRecord(secretId: string, deleted: boolean, text: SignedText): Promise<void> {
    this.#put(secretId, { deleted, text, values: this.#kept.get(secretId)?.values ?? new Map() });
  }

  async addValue(secretId: string, version: number, envelope: Envelope): Promise<void> {
    const kept = this.#found(secretId);
    this.#put(secretId, { ...kept, values: new Map(kept.values).set(version, envelope) });
  }

  async rewrapValue(secretId: string, version: number, keyId: string, wrapped: Uint8Array): Promise<void> {
    const kept = this.#found(secretId);
    const value = kept.values.get(version);
    if (value !== undefined) this.#put(secretId, { ...kept, values: new Map(kept.values).set(version, { ...value, keyId, wrapped }) });
  }

  async dropValues(secretId: string, versions: readonly number[]): Promise<void> {
    const kept = this.#found(secretId);
    const values = new Map(kept.values);
    for (const version of versions) values.delete(version);
    this.#put(secretId, { ...kept, values });
  }

  #found(secretId: string): Kept {
    const kept = this.#kept.get(secretId);
    if (kept === undefined) throw new CofferdamError("INTERNAL", "a value of a secret that is not there");
    return kept;
  }

  #put(secretId: string, kept: Kept): void {
    if (this.#before?.kept.has(secretId) === false) this.#before.kept.set(secretId, this.#kept.get(secretId));
    this.#kept.set(secretId, kept);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
