/**
 * Changes and their events. An event is written with the change, in one transaction, and goes from there to the audit trail
 * before the caller hears of it; a process that is killed in between leaves it for the next one. So no change is without its
 * event, and an event may be recorded twice: `details.change` is the same then.
 */
import { type Clock, CofferdamError, type JsonObject, newId, type TrailEvent } from "../foundation/index.ts";
import type { Store, Transaction } from "../store/index.ts";
import type { AuditTrail } from "./trail.ts";

export interface Change<T> {
  readonly result: T;
  readonly events: readonly TrailEvent[];
}

/** An event of another process is left to that one for so long, ms. */
const THEIRS = 5000;
/** Events that are taken over at once. */
const AT_ONCE = 1000;

export class ChangeBook {
  readonly #store: Store;
  readonly #trail: AuditTrail;
  readonly #clock: Pick<Clock, "now">;
  readonly #besides: (tx: Transaction) => Promise<void>;
  /** What this process could not record goes first. */
  #failed = false;

  /** @param besides goes into the transaction of every change. */
  constructor(store: Store, trail: AuditTrail, clock: Pick<Clock, "now">, besides: (tx: Transaction) => Promise<void> = async () => undefined) {
    this.#besides = besides;
    this.#store = store;
    this.#trail = trail;
    this.#clock = clock;
  }

  /**
   * Throws what `work` throws, and AUDIT_UNAVAILABLE: before the change while older events cannot be recorded, or after it,
   * with `details.made`, when its own could not.
   */
  async make<T>(work: (tx: Transaction) => Promise<Change<T>>): Promise<T> {
    await this.takeOver(this.#failed ? 0 : THEIRS);
    const entries: Entry[] = [];
    const result = await this.#store.write(async (tx) => {
      const change = await work(tx);
      await this.#besides(tx);
      for (const event of change.events) {
        const id = newId("chg");
        const marked = { ...event, details: { ...event.details, change: id } };
        await tx.run("INSERT INTO rbac_unrecorded (id, at, event) VALUES (?, ?, ?)", [id, this.#clock.now(), JSON.stringify(marked)]);
        entries.push({ id, event: marked });
      }
      return change.result;
    });
    await this.#record(entries, { made: true });
    return result;
  }

  /** Records what was left: by this process, and by others that ended too early. */
  async takeOver(patience: number = THEIRS): Promise<void> {
    const before = this.#clock.now() - patience;
    const rows = await this.#store.read((tx) => tx.all("SELECT id, event FROM rbac_unrecorded WHERE at <= ? ORDER BY at LIMIT ?", [before, AT_ONCE]));
    await this.#record(
      rows.map((row) => ({ id: String(row["id"]), event: JSON.parse(String(row["event"])) })),
      { made: false },
    );
  }

  async #record(entries: readonly Entry[], details: JsonObject): Promise<void> {
    if (entries.length === 0) return;
    try {
      await Promise.all(entries.map(({ event }) => this.#trail.log(event)));
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      throw new CofferdamError("AUDIT_UNAVAILABLE", "the audit trail takes no events: a change that was made before is not on record yet", {
        details,
        hint: "cofferdam audit verify; it is recorded before the next change",
        cause: error,
      });
    }
    await this.#store.write(async (tx) => {
      for (const { id } of entries) await tx.run("DELETE FROM rbac_unrecorded WHERE id = ?", [id]);
    });
  }
}

interface Entry {
  readonly id: string;
  readonly event: TrailEvent;
}
