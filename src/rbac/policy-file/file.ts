/**
 * The whole policy as one YAML text: roles of one's own, users with their roles, repositories. Lists with ids, so that nothing
 * can stand in it under a name that an object has anyway. Credentials and sessions are no part of it.
 */
import { LineCounter, parseDocument, stringify } from "yaml";
import { z } from "zod";
import { CofferdamError, describeProblem, problemsOf } from "../../foundation/index.ts";
import { type RepositoryInput, repositoryInputSchema } from "../repositories/stored-facts.ts";
import { type FileRole, type FileUser, fileRoleSchema, fileUserSchema, repositoryNameSchema } from "../schemas.ts";

/** Most bytes of such a text. A store may have more users than fit: then its database is what is copied. */
export const MAX_POLICY_FILE: number = 8 * 1024 * 1024;

export interface FileRepository {
  readonly repository: string;
  readonly known: RepositoryInput;
}

/** What is left out is not spoken of; an empty list says that there are none. */
export interface PolicyFile {
  readonly version: 1;
  readonly roles?: readonly FileRole[] | undefined;
  readonly users?: readonly FileUser[] | undefined;
  readonly repositories?: readonly FileRepository[] | undefined;
}

const schema: z.ZodType<PolicyFile> = z.strictObject({
  version: z.literal(1),
  roles: z.array(fileRoleSchema).optional(),
  users: z.array(fileUserSchema).optional(),
  repositories: z.array(z.strictObject({ repository: repositoryNameSchema, known: repositoryInputSchema })).optional(),
});

/** Throws INVALID_ARGUMENT with line and column, PAYLOAD_TOO_LARGE. */
export function parsePolicyFile(text: string): PolicyFile {
  if (Buffer.byteLength(text) > MAX_POLICY_FILE) throw tooLarge("the policy");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, version: "1.2", prettyErrors: false, stringKeys: true });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    throw invalid(`line ${line}, column ${col}: ${broken.message}`);
  }
  let value: unknown;
  try {
    // Nothing in a policy is worth an alias, and a few lines of them can stand for gigabytes.
    value = document.toJS({ maxAliasCount: 0 });
  } catch {
    throw invalid("it has aliases");
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const problems = problemsOf(schema, parsed.error);
    throw invalid(problems.map(describeProblem).join("; "));
  }
  const { roles = [], users = [], repositories = [] } = parsed.data;
  for (const ids of [roles.map(({ id }) => id), users.map(({ id }) => id), repositories.map(({ repository }) => repository)]) {
    const seen = new Set<string>();
    for (const id of ids) {
      if (seen.has(id)) throw invalid(`${id} stands in it twice`);
      seen.add(id);
    }
  }
  return parsed.data;
}

/** Throws PAYLOAD_TOO_LARGE for one that could not be read again. */
export function writePolicyFile(file: PolicyFile): string {
  const text = stringify(file, { lineWidth: 0, aliasDuplicateObjects: false });
  if (Buffer.byteLength(text) > MAX_POLICY_FILE) throw tooLarge("this policy");
  return text;
}

function invalid(message: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `policy of roles: ${message}`, { hint: "docs/rbac.md shows one; cofferdam rbac policy export writes one" });
}

function tooLarge(what: string): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `${what} has more than ${MAX_POLICY_FILE} bytes as YAML`, {
    details: { maxBytes: MAX_POLICY_FILE },
    hint: "copy the database of the state directory instead",
  });
}
