import { expect, test } from "vitest";
import type { Role } from "./contract.ts";
import { coversPermission, parsePattern, parsePermission, permissionsOverlap } from "./permission.ts";
import { matchesRepository } from "./repository-pattern.ts";
import { checkRoles, closureOf, inheritanceOrder, MAX_ROLES } from "./role-graph.ts";

const role = (id: string, inherits: readonly string[] = [], permissions: readonly string[] = []): Role => ({
  id,
  name: id,
  inherits,
  permissions,
  deny: [],
  builtIn: false,
  version: 1,
});
const graph = (...roles: readonly Role[]): ReadonlyMap<string, Role> => new Map(roles.map((one) => [one.id, one]));
const chain = (length: number): ReadonlyMap<string, Role> => graph(...Array.from({ length }, (_, at) => role(`r${at}`, at + 1 < length ? [`r${at + 1}`] : [])));

test("a chain of ten thousand is a typed error, and no deep stack", () => {
  expect(() => inheritanceOrder(chain(10_000))).toThrowError(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
  expect(inheritanceOrder(chain(33)).length).toBe(33);
  expect(() => inheritanceOrder(chain(34))).toThrowError(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
});

test("a circle is named; one's own parent is a circle; a parent that is not there is an error", () => {
  const circle = graph(role("a", ["b"]), role("b", ["c"]), role("c", ["a"]));
  expect(() => inheritanceOrder(circle)).toThrowError(
    expect.objectContaining({ code: "INVALID_ARGUMENT", message: "roles inherit from each other in a circle: a > b > c > a" }),
  );
  expect(() => inheritanceOrder(graph(role("a", ["a"])))).toThrowError(/circle: a > a/);
  expect(() => inheritanceOrder(graph(role("a", ["x"])))).toThrowError(/which is not there/);
  const large = graph(...Array.from({ length: 20_000 }, (_, at) => role(`r${at}`, [`r${(at + 1) % 20_000}`])));
  expect(() => inheritanceOrder(large)).toThrowError(/circle: r0 > r1 .* > \.\.\. > r0/);
});

test("a diamond is reached once, by the nearest way", () => {
  const diamond = graph(role("top", ["left", "right"]), role("left", ["base"]), role("right", ["base"]), role("base"));
  expect(closureOf(diamond, "top").map(({ path }) => path.join(" > "))).toEqual(["top", "top > left", "top > right", "top > left > base"]);
  expect(closureOf(diamond, "nobody")).toEqual([]);
});

test("more roles, patterns or parents than are kept are refused", () => {
  const refused = expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" });
  const many = (count: number, make: (at: number) => Role): ReadonlyMap<string, Role> => graph(...Array.from({ length: count }, (_, at) => make(at)));
  expect(() => checkRoles(many(MAX_ROLES + 1, (at) => role(`r${at}`)))).toThrowError(refused);
  expect(() =>
    checkRoles(
      many(21, (at) =>
        role(
          `r${at}`,
          [],
          Array.from({ length: 1000 }, (_, one) => `a${at}:b${one}`),
        ),
      ),
    ),
  ).toThrowError(refused);
  const parents = Array.from({ length: 256 }, (_, at) => `r${at}`);
  expect(() => checkRoles(new Map([...many(256, (at) => role(`r${at}`)), ["all", role("all", parents)]]))).toThrowError(refused);
  checkRoles(new Map([...many(255, (at) => role(`r${at}`)), ["all", role("all", parents.slice(0, 255))]]));
});

test("permissions are two words; a star stands for a whole one", () => {
  for (const text of ["workflows:execute", "a:b", `${"a".repeat(64)}:${"b".repeat(64)}`, "a-1:b-2"]) expect(parsePermission(text), text).toBeDefined();
  for (const text of ["", ":", "a:", ":b", "a", "a:b:c", "A:b", "a:*", "1a:b", "-a:b", "a b:c", "é:b", `${"a".repeat(65)}:b`, "a:b\n", "__proto__:x"])
    expect(parsePermission(text), text).toBeUndefined();
  for (const text of ["workflows:*", "*:read", "*:*"]) expect(parsePattern(text), text).toBeDefined();
  for (const text of ["*", "work*:read", "**:a", "a:r*"]) expect(parsePattern(text), text).toBeUndefined();
  expect(coversPermission("workflows:*", "workflows:execute") && coversPermission("*:*", "workflows:*")).toBe(true);
  expect(coversPermission("workflows:execute", "workflows:*") || coversPermission("*:read", "*:*")).toBe(false);
  expect(permissionsOverlap("workflows:*", "*:read")).toBe(true);
  expect(permissionsOverlap("workflows:*", "jobs:*")).toBe(false);
});

test("patterns of repositories", () => {
  for (const pattern of ["*", "acme/*", "acme/web", "*/web", "ac*/w*"]) expect(matchesRepository(pattern, "acme/web"), pattern).toBe(true);
  for (const pattern of ["acme", "acme/we", "acm/web", "*/*x", "acme/web2", "cme/*"]) expect(matchesRepository(pattern, "acme/web"), pattern).toBe(false);
});
