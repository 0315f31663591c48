/** Random policies and questions about them: few names, so that they meet; and the parts of src/rbac made from them. */
import fc from "fast-check";
import { Checker } from "../../src/rbac/checker.ts";
import { RoleTable } from "../../src/rbac/compiled/role-table.ts";
import { UserTable } from "../../src/rbac/compiled/user-table.ts";
import type { Constraints, Role, Scope } from "../../src/rbac/index.ts";
import type { OraclePolicy, OracleQuestion } from "./rbac-oracle.ts";

export const USERS: readonly string[] = ["ada", "bob", "cleo"];
const resource = fc.constantFrom("jobs", "secrets", "audit-log");
const verb = fc.constantFrom("read", "write", "create");
const pattern = fc
  .tuple(fc.oneof({ weight: 4, arbitrary: resource }, fc.constant("*")), fc.oneof({ weight: 4, arbitrary: verb }, fc.constant("*")))
  .map((parts) => parts.join(":"));
/** Left out every other time. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 2 });
const time = fc.tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom("00", "17", "30")).map(([hour, minute]) => `${String(hour).padStart(2, "0")}:${minute}`);

const constraints: fc.Arbitrary<Constraints> = fc.record({
  repositories: maybe(
    fc.oneof(
      fc.constantFrom("owned" as const, "assigned" as const, "public" as const),
      fc.array(fc.constantFrom("acme/*", "acme/web", "*/web", "other/w*", "*"), { minLength: 1, maxLength: 2 }),
    ),
  ),
  timeRestriction: maybe(
    fc
      .record({
        startTime: time,
        endTime: time,
        timezone: maybe(fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")),
        days: maybe(fc.subarray(["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const, { minLength: 1 })),
      })
      .filter(({ startTime, endTime }) => startTime !== endTime),
  ),
  ipAllowList: maybe(fc.array(fc.constantFrom("10.0.0.0/8", "192.0.2.7", "2001:db8::/33", "::1"), { minLength: 1, maxLength: 2 })),
  mfa: maybe(fc.constant(true as const)),
});

/** Roles may inherit from those before them. */
const roles: fc.Arbitrary<readonly Role[]> = fc
  .array(
    fc.record({
      inherits: fc.array(fc.nat(6), { maxLength: 2 }),
      permissions: fc.array(pattern, { maxLength: 3 }),
      deny: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(pattern, { maxLength: 2 })),
      constraints: maybe(constraints),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((drafts) =>
    drafts.map((draft, at) => ({
      ...draft,
      id: `r${at}`,
      name: `r${at}`,
      inherits: [...new Set(draft.inherits.filter((parent) => parent < at).map((parent) => `r${parent}`))],
      builtIn: false,
      version: 1,
    })),
  );

const scope: fc.Arbitrary<Scope> = fc.record({
  organisation: maybe(fc.constant("acme")),
  repository: maybe(fc.constantFrom("acme/web", "other/web")),
  environment: maybe(fc.constant("production")),
});
/** Around one change of clocks in Europe, and one in America. */
const now = fc.oneof(
  fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2026, 11, 31) }),
  fc.integer({ min: Date.UTC(2026, 2, 28, 20), max: Date.UTC(2026, 2, 29, 20) }),
  fc.integer({ min: Date.UTC(2026, 9, 31, 20), max: Date.UTC(2026, 10, 1, 20) }),
);

export const policies: fc.Arbitrary<OraclePolicy> = roles.chain((made) =>
  fc.record({
    roles: fc.constant(made),
    assignments: fc.array(
      fc.record({ userId: fc.constantFrom(...USERS), roleId: fc.constantFrom(...made.map(({ id }) => id)), scope: maybe(scope), expiresAt: maybe(now) }),
      { maxLength: 8 },
    ),
  }),
);

export const questions: fc.Arbitrary<OracleQuestion> = fc.record({
  userId: fc.constantFrom(...USERS),
  permission: fc.tuple(resource, verb).map((parts) => parts.join(":")),
  context: fc.record({
    repository: maybe(fc.constantFrom("acme/web", "Acme/API", "other/Web", "x/y")),
    environment: maybe(fc.constantFrom("production", "Production", "test")),
    ipAddress: maybe(fc.constantFrom("10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "192.0.2.8", "2001:db8:7fff::1", "2001:db8:8000::1", "::1", "localhost")),
  }),
  now,
  mfa: maybe(fc.boolean()),
  facts: fc.record({ owned: maybe(fc.boolean()), assigned: maybe(fc.boolean()), public: maybe(fc.boolean()) }),
});

export function checkerOf({ roles: source, assignments }: OraclePolicy): Checker {
  const table = new RoleTable(new Map(source.map((role) => [role.id, role])));
  const entry = (user: string) =>
    assignments
      .filter(({ userId }) => userId === user)
      .map(({ roleId, scope: where, expiresAt = Number.POSITIVE_INFINITY }) => ({ role: table.numberOf(roleId) ?? -1, scope: where, expiresAt }));
  const users = UserTable.of(USERS.map((user) => [user, entry(user)]));
  return new Checker({ roles: table, users, epoch: 1, denyByDefault: true, requireAuthentication: true });
}
