/**
 * The rows of one store, opened: every read and write is held against the store's own signed state and against the head
 * outside of the database, so that changed, swapped and rolled back rows are refused. Writes move both on.
 */
import { type Clock, CofferdamError } from "../../foundation/index.ts";
import type { Head, HeadFile, HeadState } from "../../store/index.ts";
import type { StorePosition } from "../contract.ts";
import { cannotOpen } from "../sealing/box.ts";
import type { MasterKey, MasterKeys } from "../sealing/master-key.ts";
import { bodyOf, parseRecord, type SecretRecord } from "./record.ts";
import type { RowsEdit, RowsView, SecretRows, SignedText } from "./rows.ts";
import { NOTHING, newState, parseState, rewrapState, StoreSeal, type StoreState } from "./store-state.ts";

export interface SealedStoreParts {
  readonly rows: SecretRows;
  readonly keys: MasterKeys;
  /** Absent for a store in memory: there is nothing to be put back. */
  readonly head: HeadFile | undefined;
  readonly clock: Clock;
}

/** What a read sees: records as they were proven. */
export interface View {
  readonly rows: RowsView;
  readonly state: StoreState;
  /** The latest time that was relied on, or now. */
  readonly now: number;
  record(secretId: string): Promise<SecretRecord | undefined>;
}

/** What a write may change. */
export interface Edit extends View {
  readonly rows: RowsEdit;
  save(record: SecretRecord): Promise<void>;
  /** New values, and the store's own key, are under this one from now on. */
  useMaster(to: MasterKey): Promise<void>;
}

/** Secrets of one store, deleted ones too: every start reads all their records. */
const MAX_SECRETS = 100_000;
/** A clock may be this far ahead of the time that was written down last, ms. */
const SKEW = 60_000;

export class SealedStore {
  readonly #parts: SealedStoreParts;
  /** Greatest revision that this process saw of each secret. */
  readonly #seen = new Map<string, number>();
  #seal: StoreSeal | undefined;
  #storeId = "";
  /** Latest epoch known. */
  #epoch = 0;
  /** Latest time relied on in this process. */
  #time = 0;
  /** The same, as it was written down last. */
  #written = 0;

  constructor(parts: SealedStoreParts) {
    this.#parts = parts;
  }

  get id(): string {
    return this.#storeId;
  }

  get position(): StorePosition {
    return { storeId: this.#storeId, change: this.#epoch };
  }

  /** Makes the store on first use; else proves every record of it. @param visit sees each of them. Throws INTEGRITY_FAILURE, FAILED_PRECONDITION (its key is missing). */
  async open(visit: (record: SecretRecord) => void = () => undefined): Promise<void> {
    const { rows, head } = this.#parts;
    await rows.initialize();
    if ((await rows.read((view) => view.store())) === undefined) await this.#create();
    const before = head?.read();
    await rows.read(async (view) => {
      const text = await view.store();
      if (text === undefined) throw cannotOpen();
      const { seal, state } = await this.#proven(text);
      assertContinues(state, text, before);
      const sum = await sumOf(view, seal, (record) => {
        this.#see(record);
        visit(record);
      });
      if (sum !== seal.openSum(state)) throw rolledBack("some of its secrets are not the ones that were stored last");
      [this.#seal, this.#storeId] = [seal, state.storeId];
      this.#epoch = state.epoch;
      this.#relyOn(state.clock);
    });
  }

  /** Throws INTEGRITY_FAILURE for a key that is not there: something was sealed with it. */
  async master(id: string): Promise<MasterKey> {
    const { keys } = this.#parts;
    const key = await keys.get(id);
    if (key !== undefined) return key;
    // No file at all has a way out of its own.
    await keys.current(false);
    throw cannotOpen();
  }

  async read<T>(work: (view: View) => Promise<T>): Promise<T> {
    const { rows, head } = this.#parts;
    const seal = this.#opened();
    // Before the database: a writer in between would look like a rollback.
    const before = head?.read();
    return await rows.read(async (view) => {
      const state = await this.#state(view, seal, before);
      return await work({ rows: view, state, now: this.now(), record: async (id) => await this.#record(view, state, seal, id) });
    });
  }

  async write<T>(work: (edit: Edit) => Promise<T>): Promise<T> {
    const { rows, head } = this.#parts;
    const seal = this.#opened();
    const { result, next, saved } = await rows.write(async (edit) => {
      const state = await this.#state(edit, seal, head?.read());
      const now = this.now();
      const next = { ...state, epoch: state.epoch + 1, clock: now };
      let sum: bigint | undefined;
      const saved: SecretRecord[] = [];
      const done = await work({
        ...{ rows: edit, state, now },
        record: async (id) => await this.#record(edit, state, seal, id),
        save: async (changed) => {
          const record = { ...changed, revision: next.epoch };
          sum = await this.#save(edit, seal, record, sum ?? seal.openSum(state));
          saved.push(record);
        },
        useMaster: async (to) => {
          Object.assign(next, rewrapState(next, await this.master(next.keyId), to));
        },
      });
      if (sum !== undefined) next.sum = seal.sealSum(sum);
      await edit.saveStore(seal.signState(next));
      return { result: done, next, saved };
    });
    this.#relyOn(next.clock);
    this.#epoch = Math.max(this.#epoch, next.epoch);
    for (const record of saved) this.#see(record);
    if (head !== undefined) await this.#acknowledge(head, next.epoch);
    return result;
  }

  /** The latest time that was relied on, or now; not written down by this. */
  now(): number {
    this.#time = Math.max(this.#time, this.#parts.clock.now());
    return this.#time;
  }

  /** The latest time that was relied on, so that a clock that is set back revives nothing; written down once a minute. */
  async latestTime(): Promise<number> {
    const now = this.now();
    if (now - this.#written > SKEW) await this.write(async () => undefined);
    return now;
  }

  /** Goes on from a store that was put back on purpose. @returns how many changes are lost, as far as that is known. */
  async recover(): Promise<number> {
    const { rows, head, clock } = this.#parts;
    if (head === undefined) throw new CofferdamError("FAILED_PRECONDITION", "a store in memory has nothing to recover from");
    await rows.initialize();
    const lost = await rows.write(async (edit) => {
      const text = await edit.store();
      const acknowledged = head.read();
      const known = "head" in acknowledged ? acknowledged.head : undefined;
      if (text === undefined) {
        await this.#make(edit, await this.#parts.keys.current(true));
        return known?.seq ?? 0;
      }
      const { seal, state } = await this.#proven(text);
      const latest = Math.max(state.epoch, known?.logId === state.storeId ? known.seq : 0);
      const sum = seal.sealSum(await sumOf(edit, seal, () => undefined));
      // The time begins anew as well: a clock that was years ahead once is one reason to come here.
      const after = { ...state, epoch: latest + 1, sum, clock: clock.now() };
      const next = seal.signState(after);
      await edit.saveStore(next);
      head.create(headOf(after, next));
      return latest - state.epoch;
    });
    this.#seen.clear();
    [this.#time, this.#written] = [0, 0];
    await this.open();
    return lost;
  }

  async #create(): Promise<void> {
    const { rows, keys, head } = this.#parts;
    const acknowledged = head?.read() ?? { absent: true };
    if (!("absent" in acknowledged || ("head" in acknowledged && acknowledged.head.seq === 0))) throw rolledBack("it has no secrets, and there were some");
    // Only now: a new key would stand in the way of the old one's backup.
    const master = await keys.current(true);
    await rows.write(async (edit) => {
      if ((await edit.store()) === undefined) await this.#make(edit, master);
    });
  }

  async #make(edit: RowsEdit, master: MasterKey): Promise<void> {
    const { state, seal } = newState(master);
    const text = seal.signState(state);
    await edit.saveStore(text);
    // Within the turn: whoever finds the store finds its head. A crash before the commit leaves a head of nothing.
    this.#parts.head?.create(headOf(state, text));
  }

  async #state(view: RowsView, seal: StoreSeal, head: HeadState | undefined): Promise<StoreState> {
    const text = await view.store();
    if (text === undefined) throw rolledBack("it has no secrets any more");
    const state = seal.checkState(text);
    assertContinues(state, text, head);
    this.#relyOn(state.clock);
    return state;
  }

  async #record(view: RowsView, { epoch }: StoreState, seal: StoreSeal, secretId: string): Promise<SecretRecord | undefined> {
    const text = await view.record(secretId);
    const seen = this.#seen.get(secretId) ?? 0;
    if (text === undefined) {
      if (seen > 0 && seen <= epoch) throw rolledBack(`${secretId} is not in it any more`);
      return undefined;
    }
    const record = provenRecord(seal, secretId, text);
    // A view that began before another one of this process may be of an earlier moment; its epoch says so.
    if (record.revision < seen && seen <= epoch) throw rolledBack(`${secretId} is an older one`);
    this.#see(record);
    return record;
  }

  #see({ secretId, revision }: SecretRecord): void {
    this.#seen.set(secretId, Math.max(revision, this.#seen.get(secretId) ?? 0));
  }

  #relyOn(clock: number): void {
    this.#time = Math.max(this.#time, clock);
    this.#written = Math.max(this.#written, clock);
  }

  async #save(edit: RowsEdit, seal: StoreSeal, record: SecretRecord, sum: bigint): Promise<bigint> {
    const before = await edit.record(record.secretId);
    if (before === undefined && (await edit.countRecords()) >= MAX_SECRETS)
      throw new CofferdamError("RESOURCE_EXHAUSTED", `there are ${MAX_SECRETS} secrets already, deleted ones included`);
    const text = seal.signRecord(record.secretId, bodyOf(record));
    await edit.saveRecord(record.secretId, record.deleted, text);
    return seal.sumWith(sum, before?.tag, text.tag);
  }

  /** The state as this store signed it, and what it signs with. Throws INTEGRITY_FAILURE. */
  async #proven(text: SignedText): Promise<{ readonly seal: StoreSeal; readonly state: StoreState }> {
    const known = parseState(text.body);
    const seal = new StoreSeal(await this.master(known.keyId), known);
    return { seal, state: seal.checkState(text) };
  }

  /** After the commit, in a turn of its own and from what is there then: a crash in between leaves a head that is behind, which is no alarm. */
  async #acknowledge(head: HeadFile, epoch: number): Promise<void> {
    await this.#parts.rows.write(async (edit) => {
      const text = await edit.store();
      const state = text === undefined ? undefined : this.#opened().checkState(text);
      if (text === undefined || state === undefined || state.epoch < epoch) throw rolledBack("a change was committed, and is not in it any more");
      head.advance(headOf(state, text));
    });
  }

  #opened(): StoreSeal {
    if (this.#seal === undefined) throw new CofferdamError("NOT_INITIALIZED", "secrets: call initialize() first");
    return this.#seal;
  }
}

/** Of all records, each of them proven. Throws INTEGRITY_FAILURE. */
async function sumOf(view: RowsView, seal: StoreSeal, see: (record: SecretRecord) => void): Promise<bigint> {
  let sum = NOTHING;
  for await (const one of view.records()) {
    const record = provenRecord(seal, one.secretId, one);
    // What lists are made from says the same as what is signed.
    if (record.deleted !== one.deleted) throw cannotOpen();
    see(record);
    sum = seal.sumWith(sum, undefined, one.tag);
  }
  return sum;
}

function provenRecord(seal: StoreSeal, secretId: string, text: SignedText): SecretRecord {
  seal.checkRecord(secretId, text);
  const record = parseRecord(text.body);
  if (record?.secretId !== secretId) throw cannotOpen();
  return record;
}

function headOf({ storeId, epoch }: StoreState, { tag }: SignedText): Head {
  return { logId: storeId, seq: epoch, hash: Buffer.from(tag).toString("hex") };
}

/** Throws INTEGRITY_FAILURE when the database is not what was acknowledged, or something later. */
function assertContinues(state: StoreState, text: SignedText, acknowledged: HeadState | undefined): void {
  if (acknowledged === undefined) return;
  if ("absent" in acknowledged) throw rolledBack("its head file is missing, so that nobody can tell whether it is the latest");
  if ("damaged" in acknowledged) throw rolledBack(`its head file is damaged (${acknowledged.damaged})`);
  const { logId, seq, hash } = acknowledged.head;
  if (logId !== state.storeId) throw rolledBack("its head file belongs to another store");
  if (state.epoch < seq) throw rolledBack(`${seq} changes were acknowledged, it has ${state.epoch}`);
  if (state.epoch === seq && hash !== Buffer.from(text.tag).toString("hex")) throw rolledBack(`change ${seq} is not the one that was acknowledged`);
}

function rolledBack(why: string): CofferdamError {
  return new CofferdamError("INTEGRITY_FAILURE", `the store of the secrets was put back or changed: ${why}`, {
    hint: "restore the latest; if this one is meant: cofferdam secret recover --reason TEXT",
  });
}
