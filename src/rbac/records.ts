/** Records as they stand in the tables. What does not read as one is a damaged database, never somebody without rights or rules. */
import { z } from "zod";
import { parseInput } from "../foundation/index.ts";
import type { Row } from "../store/index.ts";
import type { Assignment, Role, Scope, User } from "./contract.ts";
import { constraintsSchema, scopeSchema } from "./schemas.ts";

const text = z.string();
const userSchema: z.ZodType<User> = z.strictObject({
  id: text,
  username: text,
  kind: z.enum(["person", "service"]),
  email: text.optional(),
  name: text.optional(),
  github: z.strictObject({ id: z.int(), login: text }).optional(),
  disabled: z.boolean(),
  createdAt: text,
});
const roleSchema: z.ZodType<Role> = z.strictObject({
  id: text,
  name: text,
  description: text.optional(),
  inherits: z.array(text),
  permissions: z.array(text),
  deny: z.array(text),
  constraints: constraintsSchema.optional(),
  builtIn: z.literal(false),
  version: z.int(),
});
const assignmentSchema: z.ZodType<Assignment> = z.strictObject({
  id: text,
  userId: text,
  roleId: text,
  scope: scopeSchema.optional(),
  expiresAt: text.optional(),
  grantedBy: text,
  createdAt: text,
});

/** Each throws INTEGRITY_FAILURE. */
export function userOf(row: Row): User {
  return read(userSchema, row["body"], "a user");
}

export function roleOf(row: Row): Role {
  return read(roleSchema, row["body"], "a role");
}

export function assignmentOf(row: Row): Assignment {
  return read(assignmentSchema, row["body"], "an assignment");
}

/** One spelling for each scope: parts in one order, none for everywhere. */
export function scopeText(scope: Scope | undefined): string {
  const { organisation, repository, environment } = scope ?? {};
  const parts = Object.entries({ organisation, repository, environment }).filter(([, value]) => value !== undefined);
  return parts.length === 0 ? "" : JSON.stringify(Object.fromEntries(parts));
}

export function scopeOf(column: unknown): Scope | undefined {
  return column === "" ? undefined : read(scopeSchema, column, "a scope");
}

function read<T>(schema: z.ZodType<T>, column: unknown, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(String(column));
  } catch {
    value = undefined;
  }
  return parseInput(schema, value, `${what} in the database of roles`, "INTEGRITY_FAILURE");
}
