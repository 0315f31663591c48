/**
 * What nobody watches stands still: from the moment that the kernel shows less than everything until it shows everything again.
 * One that nobody can watch for long is told as a threat, and stands until somebody answers that.
 */
import type { SensorStatus } from "../event.ts";
import type { ContainerResponse } from "./container-response.ts";

export interface StandStillParts {
  /** Containers under watch, each by its id. */
  readonly watched: () => Iterable<readonly [string, ContainerResponse]>;
  /** They stood for so long, ms, and nobody watches them yet. */
  readonly tooLong: (containerId: string, ms: number) => void;
}

/** The longest that a sensor needs to be started again on a busy machine, ms; its pauses before that are shorter. */
export const MOST_STILL_MS = 30_000;

export class StandStill {
  readonly #parts: StandStillParts;
  #state: SensorStatus["state"] | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: StandStillParts) {
    this.#parts = parts;
  }

  /** @param state of the sensor, from its first word on. */
  heard(state: SensorStatus["state"]): void {
    const before = this.#state;
    this.#state = state;
    if (state === "watching") this.#goOn();
    else if (before === "watching") this.#stand();
  }

  close(): void {
    this.#goOn();
  }

  #stand(): void {
    for (const [, response] of this.#parts.watched()) response.hold();
    this.#timer = setTimeout(() => {
      for (const [id, response] of this.#parts.watched()) if (response.isHeld) this.#parts.tooLong(id, MOST_STILL_MS);
    }, MOST_STILL_MS).unref();
  }

  #goOn(): void {
    clearTimeout(this.#timer);
    for (const [, response] of this.#parts.watched()) response.release();
  }
}
