/** Writing down who has to do with a repository. Where roles hang on that, it gives rights away like they do. */
import { type JsonObject, parseInput } from "../../foundation/index.ts";
import type { Store } from "../../store/index.ts";
import type { GivenRule } from "../authority.ts";
import type { Changes } from "../changes.ts";
import type { Checker } from "../checker.ts";
import type { Actor, Role } from "../contract.ts";
import { type RepositoryInput, readRepository, repositoryInputSchema, writeRepository } from "../repositories/stored-facts.ts";
import { repositoryNameSchema } from "../schemas.ts";

export class RepositoryDesk {
  readonly #store: Store;
  readonly #changes: Changes;

  constructor(store: Store, changes: Changes) {
    this.#store = store;
    this.#changes = changes;
  }

  /** @param input all that is known of it from now on; undefined: nothing. */
  async set(repository: string, input: RepositoryInput | undefined, actor?: Actor): Promise<RepositoryInput | undefined> {
    const name = parseInput(repositoryNameSchema, repository, "repository");
    const after = input === undefined ? undefined : parseInput(repositoryInputSchema, input, "people of a repository");
    const wanted = {
      action: "repository_updated",
      permission: "repositories:update",
      resource: { type: "repository", id: name },
      scope: { repository: name },
    } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, policy, requireHeld }) => {
      const before = await readRepository(tx, name);
      requireHeld(rulesOnRelations(policy, name));
      await writeRepository(tx, name, after);
      return { result: after, before: before && recordOf(before), after: after && recordOf(after), touched: [] };
    });
  }

  async get(repository: string): Promise<RepositoryInput | undefined> {
    const name = parseInput(repositoryNameSchema, repository, "repository");
    return await this.#store.read((tx) => readRepository(tx, name));
  }
}

/** What any role gives or refuses by a relation: without it, since it is the relation that is given. */
function rulesOnRelations(policy: Checker, repository: string): readonly GivenRule[] {
  const related = ({ constraints }: Role): boolean => typeof constraints?.repositories === "string";
  return [...policy.parts.roles.source.values()].filter(related).flatMap(({ permissions, deny, constraints }) =>
    [...permissions, ...deny].map((pattern) => ({
      pattern,
      constraints: { ...constraints, repositories: undefined },
      scope: { repository },
      expiresAt: Number.POSITIVE_INFINITY,
    })),
  );
}

/** Most people that a record names; it says how many there are. */
const NAMED = 100;

function recordOf({ owners, assigned, public: isPublic }: RepositoryInput): JsonObject {
  const people = (ids: readonly string[]): JsonObject => ({ count: ids.length, first: ids.slice(0, NAMED) });
  return {
    ...(isPublic !== undefined && { public: isPublic }),
    ...(owners !== undefined && { owners: people(owners) }),
    ...(assigned !== undefined && { assigned: people(assigned) }),
  };
}
