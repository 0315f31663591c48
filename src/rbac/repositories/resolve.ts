/** One answer from several sources of ownership: the first that knows a thing is believed; what none knows is not known. */
import { setTimeout as delay } from "node:timers/promises";
import type { RepositoryFacts, RepositoryResolver, User } from "../contract.ts";

export class Resolvers {
  readonly #sources: readonly RepositoryResolver[];
  readonly #patience: number;
  readonly #failed: (error: unknown) => void;

  /** @param patience for each of them, ms. @param failed is told what they throw, and of those that took longer. */
  constructor(sources: readonly RepositoryResolver[], patience: number, failed: (error: unknown) => void) {
    this.#sources = sources;
    this.#patience = patience;
    this.#failed = failed;
  }

  async factsOf(user: User, repository: string): Promise<RepositoryFacts> {
    let known: RepositoryFacts = {};
    for (const source of this.#sources) {
      const more = await this.#ask(source, user, repository);
      known = { owned: known.owned ?? more.owned, assigned: known.assigned ?? more.assigned, public: known.public ?? more.public };
      if (known.owned !== undefined && known.assigned !== undefined && known.public !== undefined) break;
    }
    return known;
  }

  async #ask(source: RepositoryResolver, user: User, repository: string): Promise<RepositoryFacts> {
    const over = new AbortController();
    try {
      const late = delay(this.#patience, undefined, { signal: over.signal }).then(() => {
        throw new Error(`who owns ${repository} was not told within ${this.#patience} ms`);
      });
      const answer: Readonly<Record<string, unknown>> = { ...(await Promise.race([source.factsOf(user, repository), late])) };
      // A program's own resolver may answer anything.
      const flag = (name: string): boolean | undefined => (typeof answer[name] === "boolean" ? answer[name] : undefined);
      return { owned: flag("owned"), assigned: flag("assigned"), public: flag("public") };
    } catch (error) {
      this.#failed(error);
      return {};
    } finally {
      over.abort();
    }
  }
}
