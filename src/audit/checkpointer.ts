/**
 * Makes checkpoints: signs the root of the tree every so many events and every so often, keeps each in the database and the
 * latest in `checkpoints/latest`, and hands it to witnesses and outside copies. What fails is kept to be told, never hidden.
 */
import { type Clock, CofferdamError, isoTime, messageOf, wrapError } from "../foundation/index.ts";
import type { Store, Transaction } from "../store/index.ts";
import { type Checkpoint, originOf } from "./checkpoint.ts";
import type { Deliveries, Delivery } from "./deliveries.ts";
import type { AuditEventInput } from "./event.ts";
import { type LogIdentity, lastEvent } from "./log-table.ts";
import { EMPTY_ROOT, verifyConsistency } from "./merkle.ts";
import { bytesOf } from "./row.ts";
import type { Signer } from "./signer.ts";
import { StoredTree } from "./tree.ts";

export interface SignedCheckpoint extends Checkpoint {
  /** The signed note: its text, then the lines of the log's keys and of witnesses. */
  readonly note: string;
  /** ISO 8601. Told by this machine's clock and not signed. */
  readonly madeAt: string;
}

/** Where a new checkpoint goes besides the database. */
export interface CheckpointOutlet {
  /** Name of the place when it is outside of this host: what came of it is kept. */
  readonly place: string | undefined;
  /** @returns the note with what was added to it. Throws what is then kept in {@link Checkpointer.problems}. */
  take(checkpoint: SignedCheckpoint): Promise<string | undefined>;
}

export interface CheckpointSchedule {
  /** Events after which a checkpoint is made. */
  readonly events: number;
  /** Time after which one is made if there are new events, ms. */
  readonly interval: number;
}

interface Parts {
  readonly store: Store;
  readonly log: LogIdentity;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly schedule: CheckpointSchedule;
  /** Asked when there is something to bring out: most processes never have. */
  readonly outlets: () => Promise<readonly CheckpointOutlet[]>;
  readonly deliveries: Deliveries;
  /** Records an event of the log about itself. */
  record(event: AuditEventInput): Promise<unknown>;
}

const FAILED = "checkpoint_failed";
const DELIVERED = "checkpoint_delivered";

export class Checkpointer {
  readonly #parts: Parts;
  #running: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #last: { readonly size: number; readonly at: number } | undefined;
  #problem: CofferdamError | undefined;
  /** Size of the log at this process's last commit; one that only reads makes no checkpoints. */
  #seen = 0;

  /** @param last the log's latest checkpoint, from which the schedule counts. */
  constructor(parts: Parts, last: SignedCheckpoint | undefined) {
    this.#parts = parts;
    this.#last = last === undefined ? undefined : { size: last.size, at: Date.parse(last.madeAt) };
  }

  /** Why the last attempt made no checkpoint or brought it nowhere; undefined when it did. */
  get problem(): CofferdamError | undefined {
    return this.#problem;
  }

  /** Told after every commit; makes a checkpoint in the background when one is due. */
  appended(size: number): void {
    this.#seen = size;
    if (this.#running !== undefined || !this.#isDue(size)) return;
    this.#running = this.make()
      .then(
        () => undefined,
        // Kept for whoever asks; the events themselves are recorded, and the next commit tries again.
        () => undefined,
      )
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Brings out what there is now; an empty log gets an event for that. @returns what came of it, place by place. */
  async bringOut(): Promise<readonly Delivery[]> {
    const { record, deliveries } = this.#parts;
    try {
      await this.make();
    } catch (error) {
      // The place that failed says so in what is returned.
      if (error instanceof CofferdamError && isEmptyLog(error)) {
        await record({ category: "audit", action: "copy_wanted", result: "success" });
        await (this.#running ?? this.make().catch(() => undefined));
      }
    }
    return await deliveries.all();
  }

  /** Waits for a checkpoint that is being made; makes one more if it is due. */
  async close(): Promise<void> {
    await this.#running;
    if (this.#seen > 0 && this.#isDue(this.#seen)) await this.make().catch(() => undefined);
  }

  /**
   * Signs what the log holds now; without new events, the last checkpoint once more goes out. Throws FAILED_PRECONDITION
   * for an empty log or a lost key, INTEGRITY_FAILURE when the log is not what the last checkpoint said, and what an outlet throws.
   * One after another: two deliveries to one place would get in each other's way.
   */
  make(): Promise<SignedCheckpoint> {
    const mine = this.#turn.then(() => this.#make());
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #make(): Promise<SignedCheckpoint> {
    try {
      const made = await this.#parts.store.write((tx) => this.#sign(tx));
      this.#last = { size: made.size, at: Date.parse(made.madeAt) };
      const delivered = await this.#deliver(made);
      await this.#tell(undefined);
      return delivered;
    } catch (error) {
      const problem = error instanceof CofferdamError ? error : new CofferdamError("INTERNAL", messageOf(error), { cause: error });
      await this.#tell(problem);
      throw problem;
    }
  }

  /** Nobody waits for most checkpoints: that one failed, and that the next did not, is recorded once each. */
  async #tell(problem: CofferdamError | undefined): Promise<void> {
    this.#problem = problem;
    const { store, record } = this.#parts;
    try {
      const told = await store.read((tx) => tx.get("SELECT action FROM audit_events WHERE action IN (?, ?) ORDER BY seq DESC LIMIT 1", [FAILED, DELIVERED]));
      const failing = told?.["action"] === FAILED;
      if (problem !== undefined && !failing && !isEmptyLog(problem))
        await record({ category: "audit", action: FAILED, result: "failure", details: { code: problem.code, message: problem.message.slice(0, 1000) } });
      if (problem === undefined && failing) await record({ category: "audit", action: DELIVERED, result: "success" });
    } catch {
      // A log that takes no event now says so to whoever logs; here it would only hide what went wrong first.
    }
  }

  #isDue(size: number): boolean {
    const { schedule, clock } = this.#parts;
    if (this.#last === undefined) return true;
    // A clock that was put back makes the difference negative: better one checkpoint too many.
    const since = clock.now() - this.#last.at;
    return size > this.#last.size && (size - this.#last.size >= schedule.events || since >= schedule.interval || since < 0);
  }

  async #sign(tx: Transaction): Promise<SignedCheckpoint> {
    const { log, signer, clock } = this.#parts;
    const size = (await lastEvent(tx))?.seq ?? 0;
    if (size === 0) throw new CofferdamError("FAILED_PRECONDITION", "the audit trail has no events yet: there is nothing to sign", { details: { events: 0 } });
    const before = await latestCheckpoint(tx, log);
    const tree = new StoredTree(tx);
    const root = await tree.root(size);
    if (before !== undefined && before.size <= size) {
      // What was signed once is never contradicted, not even when somebody changed the stored tree meanwhile.
      const proof = await tree.consistency(before.size, size);
      if (!verifyConsistency(before.size, before.root, size, root, proof)) throw contradicts(before.size);
      if (before.size === size) return before;
    } else if (before !== undefined) throw contradicts(before.size);
    const checkpoint: Checkpoint = { origin: originOf(log.logId), size, root };
    const made: SignedCheckpoint = { ...checkpoint, note: await signer.sign(tx, checkpoint), madeAt: isoTime(clock) };
    await tx.run("INSERT INTO audit_checkpoints (size, root, note, made_at) VALUES (?, ?, ?, ?)", [size, root, made.note, made.madeAt]);
    return made;
  }

  /** One outlet that fails does not keep the others from it. */
  async #deliver(made: SignedCheckpoint): Promise<SignedCheckpoint> {
    let checkpoint = made;
    const failures: unknown[] = [];
    const { outlets, deliveries } = this.#parts;
    for (const outlet of await outlets()) {
      try {
        const note = await outlet.take(checkpoint);
        if (note !== undefined && note !== checkpoint.note) {
          checkpoint = { ...checkpoint, note };
          await this.#parts.store.write((tx) => tx.run("UPDATE audit_checkpoints SET note = ? WHERE size = ?", [note, made.size]));
        }
        if (outlet.place !== undefined) await deliveries.succeeded(outlet.place, made.size);
      } catch (error) {
        failures.push(error);
        // A store that does not take this either takes no event: whoever logs is told.
        if (outlet.place !== undefined) await deliveries.failed(outlet.place, wrapError(error, "INTERNAL", "checkpoint")).catch(() => undefined);
      }
    }
    if (failures.length > 0) throw failures[0];
    return checkpoint;
  }
}

/** The largest checkpoint of the log, or undefined before the first. */
export async function latestCheckpoint(tx: Transaction, log: LogIdentity): Promise<SignedCheckpoint | undefined> {
  const row = await tx.get("SELECT size, root, note, made_at FROM audit_checkpoints ORDER BY size DESC LIMIT 1");
  if (row === undefined) return undefined;
  return {
    origin: originOf(log.logId),
    size: Number(row["size"]),
    root: row["root"] === null ? EMPTY_ROOT : bytesOf(row["root"]),
    note: String(row["note"]),
    madeAt: String(row["made_at"]),
  };
}

function isEmptyLog({ code, details }: CofferdamError): boolean {
  return code === "FAILED_PRECONDITION" && details["events"] === 0;
}

function contradicts(size: number): CofferdamError {
  return new CofferdamError("INTEGRITY_FAILURE", `the audit trail is not what its checkpoint of ${size} events says: nothing is signed`, {
    details: { size },
    hint: "cofferdam audit verify",
  });
}
