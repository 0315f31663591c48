/**
 * Signs the root of the tree, keeps the checkpoint in the database and brings it everywhere it goes. Loaded when the first
 * one of a process is due: most processes record an event or two, and make none.
 */
import { type Clock, CofferdamError, isoTime, wrapError } from "../foundation/index.ts";
import type { Store, Transaction } from "../store/index.ts";
import { type Checkpoint, originOf } from "./checkpoint.ts";
import { latestCheckpoint, type SignedCheckpoint } from "./checkpoint-table.ts";
import type { Deliveries } from "./deliveries.ts";
import type { AuditEventInput } from "./event.ts";
import { type LogIdentity, lastEvent } from "./log-table.ts";
import { verifyConsistency } from "./merkle.ts";
import type { CheckpointOutlet } from "./outlets.ts";
import type { Signer } from "./signer.ts";
import { StoredTree } from "./tree.ts";

export interface MakerParts {
  readonly store: Store;
  readonly log: LogIdentity;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly outlets: readonly CheckpointOutlet[];
  readonly deliveries: Deliveries;
  /** Records an event of the log about itself. */
  record(event: AuditEventInput): Promise<unknown>;
}

const FAILED = "checkpoint_failed";
const DELIVERED = "checkpoint_delivered";

export class CheckpointMaker {
  readonly #parts: MakerParts;

  constructor(parts: MakerParts) {
    this.#parts = parts;
  }

  /**
   * Signs what the log holds now; without new events, it is the last checkpoint once more. Throws FAILED_PRECONDITION for an
   * empty log or a lost key, INTEGRITY_FAILURE when the log is not what the last checkpoint said.
   */
  async sign(): Promise<SignedCheckpoint> {
    return await this.#parts.store.write((tx) => this.#sign(tx));
  }

  /** Brings it to every outlet; one that fails does not keep the others from it. @returns it with what they added. Throws what the first of them threw. */
  async deliver(made: SignedCheckpoint): Promise<SignedCheckpoint> {
    let checkpoint = made;
    const failures: unknown[] = [];
    const { outlets, deliveries, store } = this.#parts;
    for (const outlet of outlets) {
      try {
        const note = await outlet.take(checkpoint);
        if (note !== undefined && note !== checkpoint.note) {
          checkpoint = { ...checkpoint, note };
          await store.write((tx) => tx.run("UPDATE audit_checkpoints SET note = ? WHERE size = ?", [note, made.size]));
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

  /** Nobody waits for most checkpoints: that one failed, and that the next did not, is recorded once each. */
  async tell(problem: CofferdamError | undefined): Promise<void> {
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
