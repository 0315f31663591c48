/** What came of bringing checkpoints out of this host: by place, the last success and the last failure, kept between processes. */
import { z } from "zod";
import { type Clock, type CofferdamError, isoTime } from "../foundation/index.ts";
import { Facts, type Store } from "../store/index.ts";

/** A place outside of this host: a copy, or a witness. */
export interface Delivery {
  /** Address without credentials; of a witness, `witness` and the name of its key. */
  readonly place: string;
  /** What the last try came to; undefined before the first. */
  readonly last?: "success" | "failure" | undefined;
  /** The last checkpoint that it took. Times are ISO 8601, by this machine's clock. */
  readonly lastSuccess?: { readonly at: string; readonly size: number } | undefined;
  readonly lastFailure?: { readonly at: string; readonly code: string; readonly message: string } | undefined;
}

const keptSchema: z.ZodType<Omit<Delivery, "place">> = z.object({
  last: z.enum(["success", "failure"]).optional(),
  lastSuccess: z.object({ at: z.iso.datetime(), size: z.int().min(0) }).optional(),
  lastFailure: z.object({ at: z.iso.datetime(), code: z.string(), message: z.string() }).optional(),
});

export class Deliveries {
  readonly #facts: Facts;
  readonly #logId: string;
  readonly #places: readonly string[];
  readonly #clock: Clock;
  #ready: Promise<void> | undefined;

  /** @param places names of the places that are configured now. */
  constructor(store: Store, logId: string, places: readonly string[], clock: Clock) {
    this.#facts = new Facts(store, "audit-deliveries");
    this.#logId = logId;
    this.#places = places;
    this.#clock = clock;
  }

  /** Every configured place, in the order of the configuration. */
  async all(): Promise<readonly Delivery[]> {
    if (this.#places.length === 0) return [];
    await this.#open();
    return await Promise.all(this.#places.map(async (place) => ({ place, ...kept(await this.#facts.get(this.#key(place))) })));
  }

  async succeeded(place: string, size: number): Promise<void> {
    await this.#change(place, { last: "success", lastSuccess: { at: isoTime(this.#clock), size } });
  }

  async failed(place: string, { code, message }: CofferdamError): Promise<void> {
    await this.#change(place, { last: "failure", lastFailure: { at: isoTime(this.#clock), code, message: message.slice(0, 1000) } });
  }

  async #change(place: string, change: Omit<Delivery, "place">): Promise<void> {
    await this.#open();
    await this.#facts.update(this.#key(place), this.#clock.now(), (before) => ({ after: JSON.stringify({ ...kept(before), ...change }), result: undefined }));
  }

  async #open(): Promise<void> {
    this.#ready ??= this.#facts.initialize();
    await this.#ready;
  }

  /** What another log brought out says nothing about this one. */
  #key(place: string): string {
    return `${this.#logId} ${place}`;
  }
}

/** What cannot be read counts as never: then it is tried again. */
function kept(json: string | undefined): Omit<Delivery, "place"> {
  if (json === undefined) return {};
  try {
    return keptSchema.safeParse(JSON.parse(json)).data ?? {};
  } catch {
    return {};
  }
}
