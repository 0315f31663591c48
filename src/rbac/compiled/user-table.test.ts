import fc from "fast-check";
import { expect, test } from "vitest";
import { DISABLED, NO_ROLES, PackedUsers, type UserEntry } from "./packed-users.ts";
import { UserTable } from "./user-table.ts";

const id = fc.oneof(fc.stringMatching(/^[a-z0-9][a-z0-9_.:@-]{0,127}$/), fc.constantFrom("a", "b", "user-1", "user-10", "__proto__"));
const entry: fc.Arbitrary<UserEntry> = fc.oneof(
  fc.constant(DISABLED),
  fc.constant(NO_ROLES),
  fc.array(fc.record({ role: fc.nat(5), scope: fc.constant(undefined), expiresAt: fc.nat(3) }), { minLength: 1, maxLength: 4 }),
);

test("a table answers like a map, before and after changes", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(id, entry), { selector: ([one]) => one, maxLength: 60 }),
      fc.array(fc.array(fc.tuple(id, fc.option(entry, { nil: undefined })), { maxLength: 5 }), { maxLength: 4 }),
      fc.array(id),
      (first, changes, asked) => {
        let table = UserTable.of(first);
        const map = new Map<string, UserEntry | undefined>(first);
        const before = table;
        for (const change of changes) {
          table = table.with(change);
          for (const [one, to] of change) map.set(one, to);
        }
        for (const one of [...map.keys(), ...asked]) expect(table.get(one)).toEqual(map.get(one));
        for (const one of map.keys()) if (map.get(one) === DISABLED) expect(table.get(one)).toBe(DISABLED);
        expect([...table.ids()].sort()).toEqual([...map].flatMap(([one, to]) => (to === undefined ? [] : [one])).sort());
        // The one before is as it was.
        expect([...before.ids()].sort()).toEqual(first.map(([one]) => one).sort());
      },
    ),
    { numRuns: 300, seed: 9 },
  );
});

test("what is no id is nobody; more users than were announced is an error", () => {
  const packed = new PackedUsers({ users: 1, characters: 3, assignments: 0 });
  packed.add("ada", NO_ROLES);
  expect(() => packed.add("bob", NO_ROLES)).toThrow(RangeError);
  for (const one of ["", "ad", "adaa", "\u0161da", "x".repeat(1e6)]) expect(packed.get(one)).toBeUndefined();
  expect(new PackedUsers({ users: 0, characters: 0, assignments: 0 }).get("ada")).toBeUndefined();
});
