/** Baselines as the store remembers them, one a repository, workflow and job. */
import { type Clock, CofferdamError, canonicalText } from "../../foundation/index.ts";
import { Facts, type Store } from "../../store/index.ts";
import { type Baseline, baselineSchema, NO_BASELINE, trained } from "./baseline.ts";
import type { ObservedRun } from "./observation.ts";

export interface BaselineKey {
  readonly repository: string;
  readonly workflow?: string | undefined;
  readonly job?: string | undefined;
}

export class BaselineStore {
  readonly #facts: Facts;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#facts = new Facts(store, "baseline");
    this.#clock = clock;
  }

  async initialize(): Promise<void> {
    await this.#facts.initialize();
  }

  /** Throws INTEGRITY_FAILURE for one that cannot be read. */
  async get(key: BaselineKey): Promise<Baseline> {
    return parsed(await this.#facts.get(nameOf(key)), key);
  }

  /** Adds a run, of several processes none is lost. */
  async train(key: BaselineKey, run: ObservedRun): Promise<Baseline> {
    return await this.#facts.update(nameOf(key), this.#clock.now(), (before) => {
      const result = trained(parsed(before, key), run);
      return { after: JSON.stringify(result), result };
    });
  }
}

/** No separator that a name could hold. */
function nameOf({ repository, workflow = "", job = "" }: BaselineKey): string {
  return canonicalText([repository.toLowerCase(), workflow, job]);
}

function parsed(text: string | undefined, { repository }: BaselineKey): Baseline {
  if (text === undefined) return NO_BASELINE;
  const result = baselineSchema.safeParse(jsonOf(text));
  if (!result.success) throw new CofferdamError("INTEGRITY_FAILURE", `the baseline of ${repository.slice(0, 100)} in the database cannot be read`);
  return result.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
