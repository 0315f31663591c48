/**
 * Changes and their events: an event is written with the change, in one transaction, and goes from there to the audit trail
 * before the caller hears of it. A process that is killed in between leaves it for the next one: no change is without its
 * event. An event may be recorded twice then; `details.change` is the same.
 */
import { CofferdamError, type JsonObject, newId } from "../../foundation/index.ts";
import type { Store, Transaction } from "../../store/index.ts";
import type { IdentityClock } from "./identity-clock.ts";

export interface TrailEvent {
  readonly category: string;
  readonly action: string;
  readonly result: "success" | "failure";
  readonly userId?: string;
  readonly sessionId?: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  readonly details?: JsonObject;
  readonly personal?: { readonly subject: string; readonly data: JsonObject };
}

/** AuditLogger is one. */
export interface IdentityTrail {
  log(event: TrailEvent): Promise<unknown>;
  /** For refusals: floods of them are counted. */
  denied(event: Omit<TrailEvent, "result">): Promise<unknown>;
}

export interface Change<T> {
  readonly result: T;
  readonly events: readonly TrailEvent[];
}

/** An event of another process is left to that one for so long, ms. */
const THEIRS = 5000;
/** Events that are taken over at once. */
const AT_ONCE = 100;

export class ChangeBook {
  readonly #store: Store;
  readonly #trail: IdentityTrail;
  readonly #clock: IdentityClock;

  constructor(store: Store, trail: IdentityTrail, clock: IdentityClock) {
    this.#store = store;
    this.#trail = trail;
    this.#clock = clock;
  }

  /** Throws what `work` throws, and AUDIT_UNAVAILABLE when the change stands and its event could not be recorded yet. */
  async make<T>(work: (tx: Transaction) => Promise<Change<T>>): Promise<T> {
    await this.takeOver();
    const entries: { readonly id: string; readonly event: TrailEvent }[] = [];
    const result = await this.#store.write(async (tx) => {
      const change = await work(tx);
      await this.#clock.mark(tx);
      for (const event of change.events) {
        const id = newId("chg");
        const marked = { ...event, details: { ...event.details, change: id } };
        await tx.run("INSERT INTO identity_unrecorded (id, at, event) VALUES (?, ?, ?)", [id, this.#clock.now(), JSON.stringify(marked)]);
        entries.push({ id, event: marked });
      }
      return change.result;
    });
    await this.#record(entries);
    return result;
  }

  /** Records what processes left that ended too early. */
  async takeOver(): Promise<void> {
    const before = this.#clock.now() - THEIRS;
    const left = await this.#store.read((tx) => tx.all("SELECT id, event FROM identity_unrecorded WHERE at <= ? ORDER BY at LIMIT ?", [before, AT_ONCE]));
    if (left.length > 0) await this.#record(left.map((row) => ({ id: String(row["id"]), event: JSON.parse(String(row["event"])) })));
  }

  async #record(entries: readonly { readonly id: string; readonly event: TrailEvent }[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      for (const { event } of entries) await this.#trail.log(event);
    } catch (error) {
      throw new CofferdamError("AUDIT_UNAVAILABLE", "a change was made and is not on record yet; it will be with the next one", { cause: error });
    }
    await this.#store.write(async (tx) => {
      for (const { id } of entries) await tx.run("DELETE FROM identity_unrecorded WHERE id = ?", [id]);
    });
  }
}
