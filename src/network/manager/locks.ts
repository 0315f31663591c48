/**
 * Where locks come from: one helper program a process, started when the first is asked for and again after it died, and so
 * many locks kept ready as were asked for. Making one takes milliseconds of one core; taking a ready one takes none.
 */
import type { CofferdamError } from "../../foundation/index.ts";
import { Hands } from "../kernel/hands.ts";
import { closeSockets, Lock } from "../kernel/lock.ts";
import { subnetOf } from "../kernel/plan.ts";
import type { AddressBook, Place } from "./address-book.ts";

export interface OpenLock {
  readonly place: Place;
  readonly lock: Lock;
}

export interface LocksParts {
  readonly book: AddressBook;
  readonly ready: number;
  /** Unique local prefix of the jobs' IPv6 (RFC 4193), and whether those kept ready have it. */
  readonly v6Prefix: string;
  readonly v6: boolean;
  /** The helper died: every lock is gone. */
  gone(error: CofferdamError): void;
}

export class Locks {
  readonly #parts: LocksParts;
  readonly #ready: OpenLock[] = [];
  #hands: Promise<Hands> | undefined;
  #filling: Promise<void> | undefined;
  #ids = 0;
  readonly #freeIds: number[] = [];
  readonly #idOf = new Map<Lock, number>();
  #closed = false;

  constructor(parts: LocksParts) {
    this.#parts = parts;
  }

  /** Throws ENVIRONMENT_UNFIT, RESOURCE_EXHAUSTED, CONFLICT. */
  async take(jobId: string, v6: boolean): Promise<OpenLock> {
    const ready = v6 === this.#parts.v6 ? this.#ready.shift() : undefined;
    if (ready === undefined) return await this.#open(await this.#parts.book.take(jobId), v6);
    this.fill();
    try {
      await this.#parts.book.assign(ready.place, jobId);
      return ready;
    } catch (error) {
      await this.giveBack(ready);
      throw error;
    }
  }

  /** Its sockets must be closed already where somebody had them. */
  async giveBack({ lock, place }: OpenLock): Promise<void> {
    const id = this.#idOf.get(lock);
    this.#idOf.delete(lock);
    try {
      await lock.close();
      if (id !== undefined) this.#freeIds.push(id);
    } finally {
      await this.#parts.book.giveBack(place);
    }
  }

  /** Makes as many ready as are missing, one after the other; what fails is made when it is asked for, and told then. */
  fill(): void {
    if (this.#filling !== undefined || this.#closed) return;
    this.#filling = this.#fill()
      .catch(() => undefined)
      .finally(() => {
        this.#filling = undefined;
      });
  }

  /** When as many are ready as can be. */
  async filled(): Promise<void> {
    await this.#filling;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#filling;
    for (const one of this.#ready.splice(0)) await discard(one, this);
    const hands = await this.#hands?.catch(() => undefined);
    await hands?.end();
  }

  async #fill(): Promise<void> {
    const { book, ready, v6 } = this.#parts;
    while (this.#ready.length < ready && !this.#closed) this.#ready.push(await this.#open(await book.take(undefined), v6));
  }

  async #open(place: Place, v6: boolean): Promise<OpenLock> {
    const { book, v6Prefix } = this.#parts;
    try {
      const hands = await this.#start();
      const id = this.#freeIds.pop() ?? this.#ids++;
      const lock = await Lock.open(hands, id, subnetOf(place.range, place.index, v6 ? v6Prefix : undefined));
      this.#idOf.set(lock, id);
      return { place, lock };
    } catch (error) {
      await book.giveBack(place);
      throw error;
    }
  }

  #start(): Promise<Hands> {
    this.#hands ??= this.#startOnce();
    return this.#hands;
  }

  async #startOnce(): Promise<Hands> {
    try {
      const hands = await Hands.start();
      hands.events.once("gone", (error) => this.#gone(error));
      return hands;
    } catch (error) {
      this.#hands = undefined;
      throw error;
    }
  }

  #gone(error: CofferdamError): void {
    this.#hands = undefined;
    this.#ids = 0;
    this.#freeIds.length = 0;
    this.#idOf.clear();
    if (this.#closed) return;
    for (const one of this.#ready.splice(0)) void discard(one, this).catch(() => undefined);
    this.#parts.gone(error);
  }
}

/** Nobody had its sockets. */
async function discard(one: OpenLock, locks: Locks): Promise<void> {
  closeSockets(one.lock.sockets);
  await locks.giveBack(one).catch(() => undefined);
}
