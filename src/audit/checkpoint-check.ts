/** Checkpoints, the log's own and those from outside, against the tree that the events come to. */
import { messageOf } from "../foundation/index.ts";
import type { Row, Transaction } from "../store/index.ts";
import type { EventBody } from "./body.ts";
import { type Checkpoint, type OpenedCheckpoint, openCheckpoint, originOf } from "./checkpoint.ts";
import type { AuditFault } from "./faults.ts";
import type { KeyRing } from "./key-ring.ts";
import type { LogIdentity } from "./log-table.ts";
import { EMPTY_ROOT, type GrowingRoot } from "./merkle.ts";
import { parseNote, type VerifierKey, verifierKey } from "./note.ts";
import { bytesOf } from "./row.ts";

/** The first key of a log, which its chain starts from. */
export function firstKey({ logId, publicKey }: LogIdentity): VerifierKey {
  return verifierKey(originOf(logId), 1, Buffer.from(publicKey, "base64"));
}

export interface CheckpointResult {
  readonly anchored: boolean;
  /** The largest that fits: from outside if there was one, else of the log itself. */
  readonly checkpoint: { readonly size: number; readonly root: string } | undefined;
  /** Largest size up to which the events are those of a checkpoint, when a later checkpoint has others. */
  readonly forkedAfter: number | undefined;
}

/** What a verifier has that the log's own host cannot have made up. */
export interface FromOutside {
  /** Checkpoints, their signatures verified. */
  readonly outside: readonly Checkpoint[];
  /** Keys of witnesses. */
  readonly witnesses: readonly VerifierKey[];
}

export class CheckpointCheck {
  readonly #rows: AsyncIterator<Row>;
  readonly #origin: string;
  readonly #keys: KeyRing;
  readonly #outside: Checkpoint[];
  readonly #witnesses: readonly VerifierKey[];
  #next: IteratorResult<Row> | undefined;
  #own: Checkpoint | undefined;
  #fitting: Checkpoint | undefined;
  #lastFit = 0;
  #forkedAfter: number | undefined;
  /** A verifier that pins a later key of the log cannot know the earlier ones. */
  readonly #forgiving: boolean;
  /** Checkpoints that only unknown keys signed; forgotten once a later one, which covers them, is signed by a known one. */
  #unknown: AuditFault | undefined;

  /** @param keys of the log, as learnt so far. @param from size to begin with. */
  constructor(tx: Transaction, log: LogIdentity, keys: KeyRing, { outside, witnesses }: FromOutside, from: number) {
    this.#rows = tx.iterate("SELECT size, root, note FROM audit_checkpoints WHERE size > ? ORDER BY size", [from])[Symbol.asyncIterator]();
    this.#origin = originOf(log.logId);
    this.#keys = keys;
    const first = firstKey(log).raw;
    this.#forgiving = keys.isPinned && !keys.known.some(({ key }) => key.raw.equals(first));
    this.#witnesses = witnesses;
    this.#outside = outside.filter(({ size }) => size > from || size === 0).sort((a, b) => a.size - b.size);
  }

  get result(): CheckpointResult {
    const best = this.#fitting ?? this.#own;
    return {
      anchored: this.#fitting !== undefined,
      checkpoint: best === undefined ? undefined : { size: best.size, root: best.root.toString("base64") },
      forkedAfter: this.#forkedAfter,
    };
  }

  /** Keys that later checkpoints may be signed with come from the events themselves. */
  learn(seq: number, body: EventBody | undefined): AuditFault[] {
    const wrong = body === undefined ? undefined : this.#keys.learn(body);
    return wrong === undefined ? [] : [{ seq, kind: "signature", detail: wrong }];
  }

  /** Compares the checkpoints of the size that the tree has now. */
  async at(tree: GrowingRoot): Promise<AuditFault[]> {
    const faults: AuditFault[] = [];
    this.#next ??= await this.#rows.next();
    while (this.#next.done !== true && Number(this.#next.value["size"]) <= tree.size) {
      faults.push(...this.#ownFaults(this.#next.value, tree));
      this.#next = await this.#rows.next();
    }
    for (let first = this.#outside[0]; first !== undefined && first.size <= tree.size; first = this.#outside[0]) {
      this.#outside.shift();
      if (first.origin === this.#origin && fits(first, tree)) {
        this.#fitting = first;
        continue;
      }
      const what =
        first.origin === this.#origin
          ? "the events up to here are not those of the checkpoint from outside: the log was written again"
          : `the checkpoint from outside is of another log, ${first.origin}`;
      faults.push({ seq: first.size, kind: "fork", detail: what });
      // Against one from outside, what the log signed itself says nothing.
      this.#forkedAfter = Math.min(this.#forkedAfter ?? first.size, this.#fitting?.size ?? 0);
    }
    return faults;
  }

  /** Checkpoints of more events than there are. @param size undefined when places are missing, and nothing later could be compared. */
  async end(size: number | undefined): Promise<AuditFault[]> {
    const faults: AuditFault[] = [];
    this.#next ??= await this.#rows.next();
    const last = this.#next.done === true ? undefined : await this.#largest(this.#next.value);
    const tell = (checkpoint: number, whose: string): void => {
      const detail =
        size === undefined
          ? `${whose} of ${checkpoint} events could not be compared: places are missing`
          : `${whose} is of ${checkpoint} events, the log has ${size}: it was cut off or rolled back`;
      faults.push({ seq: checkpoint, kind: "size", detail });
    };
    if (this.#unknown !== undefined) faults.push(this.#unknown);
    if (last !== undefined) tell(last, "a checkpoint of the log");
    for (const { size: outside } of this.#outside) tell(outside, "the checkpoint from outside");
    await this.#rows.return?.();
    return faults;
  }

  #ownFaults(row: Row, tree: GrowingRoot): AuditFault[] {
    const seq = Number(row["size"]);
    const fault = (kind: AuditFault["kind"], detail: string): AuditFault[] => [{ seq, kind, detail }];
    if (seq !== tree.size) return fault("fork", "a checkpoint of a size that the log never had");
    let opened: OpenedCheckpoint;
    try {
      opened = openCheckpoint(String(row["note"]), [...this.#keys.keysFor(seq), ...this.#witnesses]);
    } catch (error) {
      const found = fault("signature", `the checkpoint of ${seq} events: ${messageOf(error)}`);
      if (!this.#forgiving || !isOfUnknownKeys(String(row["note"]), this.#keys.keysFor(seq))) return found;
      this.#unknown = found[0];
      return [];
    }
    this.#unknown = undefined;
    if (opened.origin !== this.#origin || opened.size !== seq || !opened.root.equals(bytesOf(row["root"])))
      return fault("signature", `the checkpoint of ${seq} events is another one than its row says`);
    if (!fits(opened, tree)) {
      this.#forkedAfter ??= this.#lastFit;
      return fault("fork", "the events up to here are not those that were signed: the log was written again");
    }
    this.#own = opened;
    if (opened.cosigned.length > 0) this.#fitting = opened;
    this.#lastFit = seq;
    return [];
  }

  async #largest(first: Row): Promise<number> {
    let largest = Number(first["size"]);
    for (let next = await this.#rows.next(); next.done !== true; next = await this.#rows.next()) largest = Number(next.value["size"]);
    return largest;
  }
}

function isOfUnknownKeys(note: string, keys: readonly VerifierKey[]): boolean {
  try {
    return !parseNote(note).signatures.some(({ name, id }) => keys.some((key) => key.name === name && key.id === id));
  } catch {
    return false;
  }
}

function fits({ size, root }: Checkpoint, tree: GrowingRoot): boolean {
  return size === 0 ? root.equals(EMPTY_ROOT) : size === tree.size && tree.root().equals(root);
}
