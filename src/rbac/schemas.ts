/** What comes in from callers and files, each checked and bounded by one schema. Names leave here folded. */
import { z } from "zod";
import { parseCidr } from "./conditions/cidr.ts";
import { isTimeZone } from "./conditions/zone.ts";
import { type AccessContext, type AccessLimits, type Actor, type Constraints, DAYS, type Scope, type TimeRestriction, type User } from "./contract.ts";
import { foldName, isPrintable, ORGANISATION, REPOSITORY } from "./names.ts";
import { permissionPatternSchema } from "./permission.ts";
import { repositoryPatternSchema } from "./repository-pattern.ts";

/** Most entries of each list of a role. */
export const MAX_RULES = 1000;

/** @param most characters. */
export const line = (most: number): z.ZodType<string> => z.string().min(1).max(most).refine(isPrintable, "has characters that do not print");

export const repositoryNameSchema: z.ZodType<string> = z.string().max(201).regex(REPOSITORY, "a repository is owner/name").transform(foldName);
const organisationSchema: z.ZodType<string> = z
  .string()
  .regex(ORGANISATION, "an organisation is letters, digits, dot, dash and underscore")
  .transform(foldName);
const environmentSchema: z.ZodType<string> = line(255).transform(foldName);

/** Ids compare without case, so they are stored in lower case. */
export const idSchema: z.ZodType<string> = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$/, "an id is letters, digits and _.:@-, 1 to 128 of them")
  .transform((id) => id.toLowerCase())
  .refine((id) => id !== "local-owner" && id !== "unidentified", "records use that name for somebody else");
export const roleIdSchema: z.ZodType<string> = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "a role's id is letters, digits and _.-, 1 to 64 of them")
  .transform((id) => id.toLowerCase());
const usernameSchema: z.ZodType<string> = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{M}\p{N}_.@+-]{0,127}$/u, "a user name is letters, digits and _.@+-, 1 to 128 of them, without spaces");

export const scopeSchema: z.ZodType<Scope> = z
  .strictObject({
    organisation: organisationSchema.optional(),
    repository: repositoryNameSchema.optional(),
    environment: environmentSchema.optional(),
  })
  .refine(
    ({ organisation, repository }) => organisation === undefined || repository?.startsWith(`${organisation}/`) !== false,
    "the repository is not of that organisation: it would hold nowhere",
  );

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time is HH:MM, 00:00 to 23:59");
const timeRestriction: z.ZodType<TimeRestriction> = z
  .strictObject({
    startTime: timeOfDay,
    endTime: timeOfDay,
    timezone: z.string().max(64).refine(isTimeZone, "not a time zone of the IANA database").optional(),
    days: z.array(z.enum(DAYS)).min(1).max(7).optional(),
  })
  .refine(({ startTime, endTime }) => startTime !== endTime, "it would start and end at the same time: leave it out for the whole day");

export const constraintsSchema: z.ZodType<Constraints> = z.strictObject({
  repositories: z.union([z.enum(["owned", "assigned", "public"]), z.array(repositoryPatternSchema).min(1).max(MAX_RULES)]).optional(),
  timeRestriction: timeRestriction.optional(),
  ipAllowList: z
    .array(
      z
        .string()
        .max(64)
        .refine((text) => parseCidr(text) !== undefined, "not an address or a CIDR block"),
    )
    .min(1)
    .max(MAX_RULES)
    .optional(),
  mfa: z.literal(true).optional(),
});

/** What createUser takes. */
export interface UserInput {
  readonly username: string;
  /** Default: a new one. */
  readonly id?: string | undefined;
  /** Default person. */
  readonly kind?: User["kind"] | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly github?: User["github"];
}

const user = {
  username: usernameSchema,
  kind: z.enum(["person", "service"]).optional(),
  email: z.email().max(254).optional(),
  name: line(200).optional(),
  github: z
    .strictObject({
      id: z.int().min(1),
      login: z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,98}[A-Za-z0-9])?(?:\[bot\])?$/, "not a login of GitHub"),
    })
    .optional(),
};
export const userInputSchema: z.ZodType<UserInput> = z.strictObject({ ...user, id: idSchema.optional() });

/** What updateUser takes: what is given replaces what was. */
export type UserPatch = { readonly [K in Exclude<keyof UserInput, "id">]?: UserInput[K] | undefined } & { readonly disabled?: boolean | undefined };
export const userPatchSchema: z.ZodType<UserPatch> = z.strictObject({ ...user, username: usernameSchema.optional(), disabled: z.boolean().optional() });

/** What createRole takes. */
export interface RoleInput {
  readonly name: string;
  /** Default: made of the name. */
  readonly id?: string | undefined;
  readonly description?: string | undefined;
  readonly inherits?: readonly string[] | undefined;
  readonly permissions?: readonly string[] | undefined;
  readonly deny?: readonly string[] | undefined;
  readonly constraints?: Constraints | undefined;
}

const rules = z.array(permissionPatternSchema).max(MAX_RULES).optional();
const role = {
  name: line(100),
  description: line(500).optional(),
  inherits: z.array(roleIdSchema).max(100).optional(),
  permissions: rules,
  deny: rules,
  constraints: constraintsSchema.optional(),
};
export const roleInputSchema: z.ZodType<RoleInput> = z.strictObject({ ...role, id: roleIdSchema.optional() });

/** What updateRole takes: what is given replaces what was; `constraints: null` takes them away. */
export type RolePatch = { readonly [K in Exclude<keyof RoleInput, "id" | "constraints">]?: RoleInput[K] | undefined } & {
  readonly constraints?: Constraints | null | undefined;
  /** The version that the change is of. Another one there is a CONFLICT. */
  readonly ifVersion?: number | undefined;
};
export const rolePatchSchema: z.ZodType<RolePatch> = z.strictObject({
  ...role,
  name: line(100).optional(),
  constraints: constraintsSchema.nullable().optional(),
  ifVersion: z.int().min(1).optional(),
});

/** How a role is given. */
export interface AssignOptions {
  readonly scope?: Scope | undefined;
  /** When it ends. A Date, or ISO 8601 with a zone. */
  readonly expiresAt?: Date | string | undefined;
}
export const assignOptionsSchema: z.ZodType<{ readonly scope?: Scope | undefined; readonly expiresAt?: number | undefined }> = z.strictObject({
  scope: scopeSchema.optional(),
  expiresAt: z
    .union([z.date(), z.iso.datetime({ offset: true })])
    .transform((time) => new Date(time).getTime())
    .optional(),
});

export const accessLimitsSchema: z.ZodType<AccessLimits> = z.strictObject({
  permissions: z.array(permissionPatternSchema).max(MAX_RULES).optional(),
  repositories: z.array(repositoryPatternSchema).max(MAX_RULES).optional(),
});

const accessContextSchema: z.ZodType<AccessContext> = z.strictObject({
  repository: repositoryNameSchema.optional(),
  organisation: organisationSchema.optional(),
  environment: environmentSchema.optional(),
  ipAddress: z.string().min(1).max(64).optional(),
  userAgent: z.string().max(1024).optional(),
  sessionId: z.string().min(1).max(512).optional(),
  isOwner: z.boolean().optional(),
  mfa: z.boolean().optional(),
  trustContext: z.boolean().optional(),
  limits: accessLimitsSchema.optional(),
});

export const actorSchema: z.ZodType<Actor> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("user"), userId: idSchema, context: accessContextSchema.optional() }),
  z.strictObject({ kind: z.literal("local-owner") }),
  z.strictObject({ kind: z.literal("embedding"), vouchedBy: line(200) }),
]);

/** A role as it stands in a policy file. */
export type FileRole = RoleInput & { readonly id: string };
export const fileRoleSchema: z.ZodType<FileRole> = z.strictObject({ ...role, id: roleIdSchema });

/** A user as they stand in a policy file, with all roles that they have. */
export type FileUser = UserInput & { readonly id: string; readonly disabled?: boolean | undefined; readonly roles?: readonly FileAssignment[] | undefined };
export interface FileAssignment {
  readonly role: string;
  readonly scope?: Scope | undefined;
  /** ISO 8601 with a zone. */
  readonly expiresAt?: string | undefined;
}
export const fileUserSchema: z.ZodType<FileUser> = z.strictObject({
  ...user,
  id: idSchema,
  disabled: z.boolean().optional(),
  roles: z
    .array(z.strictObject({ role: roleIdSchema, scope: scopeSchema.optional(), expiresAt: z.iso.datetime({ offset: true }).optional() }))
    .max(MAX_RULES)
    .optional(),
});
