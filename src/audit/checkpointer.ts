/** When checkpoints are made: every so many events and every so often, one after another. What fails is kept to be told, never hidden. */
import { type Clock, type CofferdamError, wrapError } from "../foundation/index.ts";
import type { CheckpointMaker } from "./checkpoint-maker.ts";
import type { SignedCheckpoint } from "./checkpoint-table.ts";

export interface CheckpointSchedule {
  /** Events after which a checkpoint is made. */
  readonly events: number;
  /** Time after which one is made if there are new events, ms. */
  readonly interval: number;
}

interface Parts {
  readonly clock: Clock;
  readonly schedule: CheckpointSchedule;
  /** Asked when one is due. */
  readonly maker: () => Promise<CheckpointMaker>;
}

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
    let maker: CheckpointMaker | undefined;
    try {
      maker = await this.#parts.maker();
      const made = await maker.sign();
      this.#last = { size: made.size, at: Date.parse(made.madeAt) };
      const delivered = await maker.deliver(made);
      this.#problem = undefined;
      await maker.tell(undefined);
      return delivered;
    } catch (error) {
      this.#problem = wrapError(error, "INTERNAL", "checkpoint");
      await maker?.tell(this.#problem);
      throw this.#problem;
    }
  }

  #isDue(size: number): boolean {
    const { schedule, clock } = this.#parts;
    if (this.#last === undefined) return true;
    // A clock that was put back makes the difference negative: better one checkpoint too many.
    const since = clock.now() - this.#last.at;
    return size > this.#last.size && (size - this.#last.size >= schedule.events || since >= schedule.interval || since < 0);
  }
}
