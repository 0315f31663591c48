/** Who has to do with which repository, as it was written down here. A repository that was not is unknown, not nobody's. */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import type { Lookup, Store, Transaction } from "../../store/index.ts";
import type { RepositoryFacts, RepositoryResolver, User } from "../contract.ts";
import { idSchema } from "../schemas.ts";

/** What is known of a repository; what is left out is not known. */
export interface RepositoryInput {
  readonly public?: boolean | undefined;
  /** Ids of users. With `assigned`, all of them: who is in neither list has nothing to do with it. */
  readonly owners?: readonly string[] | undefined;
  readonly assigned?: readonly string[] | undefined;
}

/** Most people of one repository. */
const MAX_PEOPLE = 10_000;
const people = z.array(idSchema).max(MAX_PEOPLE).optional();
export const repositoryInputSchema: z.ZodType<RepositoryInput> = z.strictObject({ public: z.boolean().optional(), owners: people, assigned: people });

const QUESTION = `SELECT is_public, lists_people,
  (SELECT relation FROM rbac_repository_users p WHERE p.repository = r.repository AND p.user_id = ?) AS relation
  FROM rbac_repositories r WHERE r.repository = ?`;

export class StoredFacts implements RepositoryResolver {
  readonly #lookup: Lookup;

  constructor(store: Store) {
    this.#lookup = store.lookup(QUESTION);
  }

  async factsOf(user: Pick<User, "id">, repository: string): Promise<RepositoryFacts> {
    const row = await this.#lookup.get([user.id, repository]);
    if (row === undefined) return {};
    const { is_public: isPublic, lists_people: listsPeople, relation } = row;
    return {
      ...(isPublic === null ? {} : { public: Number(isPublic) === 1 }),
      ...(Number(listsPeople) === 1 && { owned: relation === "owner", assigned: relation !== null }),
    };
  }

  close(): void {
    this.#lookup.close();
  }
}

export async function readRepository(tx: Transaction, repository: string): Promise<RepositoryInput | undefined> {
  const row = await tx.get("SELECT is_public, lists_people FROM rbac_repositories WHERE repository = ?", [repository]);
  if (row === undefined) return undefined;
  const rows = await tx.all("SELECT user_id, relation FROM rbac_repository_users WHERE repository = ? ORDER BY user_id", [repository]);
  const of = (relation: string): string[] => rows.filter((one) => one["relation"] === relation).map((one) => String(one["user_id"]));
  return {
    ...(row["is_public"] === null ? {} : { public: Number(row["is_public"]) === 1 }),
    ...(Number(row["lists_people"]) === 1 && { owners: of("owner"), assigned: of("assigned") }),
  };
}

/** Throws NOT_FOUND for somebody who is no user. @param input undefined forgets it. An owner who is also assigned is an owner. */
export async function writeRepository(tx: Transaction, repository: string, input: RepositoryInput | undefined): Promise<void> {
  await tx.run("DELETE FROM rbac_repositories WHERE repository = ?", [repository]);
  if (input === undefined) return;
  const { owners, assigned } = input;
  const listed = owners !== undefined || assigned !== undefined;
  const isPublic = input.public === undefined ? null : Number(input.public);
  await tx.run("INSERT INTO rbac_repositories (repository, is_public, lists_people) VALUES (?, ?, ?)", [repository, isPublic, Number(listed)]);
  const relations = new Map([...(assigned ?? []).map((id) => [id, "assigned"] as const), ...(owners ?? []).map((id) => [id, "owner"] as const)]);
  for (const [id, relation] of relations) {
    if ((await tx.get("SELECT id FROM rbac_users WHERE id = ?", [id])) === undefined)
      throw new CofferdamError("NOT_FOUND", `no user ${JSON.stringify(id)}`, { hint: "cofferdam rbac user list" });
    await tx.run("INSERT INTO rbac_repository_users (repository, user_id, relation) VALUES (?, ?, ?)", [repository, id, relation]);
  }
}
