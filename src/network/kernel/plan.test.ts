/** The address plan against a plain oracle, and the rules of a lock as text. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { numberOf, overlaps, rangeOf, rangeText, subnetOf, subnetRange, subnetsIn } from "./plan.ts";
import { macOf, rulesetOf } from "./ruleset.ts";

const prefixes = fc.integer({ min: 20, max: 28 });
const ranges = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 255 }), prefixes), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map(([second, prefix]) => ({ first: numberOf(`10.${second}.0.0`), size: 2 ** (32 - prefix) })));

describe("subnets", () => {
  test("property: as many as fit, each within one range, none of a range twice", () => {
    fc.assert(
      fc.property(ranges, (all) => {
        const count = subnetsIn(all);
        expect(count).toBe(all.reduce((sum, { size }) => sum + size / 16, 0));
        const cut = Array.from({ length: count }, (_, index) => subnetRange(all, index));
        for (const one of cut) expect(all.some(({ first, size }) => one.first >= first && one.first + one.size <= first + size)).toBe(true);
        const places = new Set(all.flatMap(({ first, size }) => Array.from({ length: size / 16 }, (_, at) => first + 16 * at)));
        expect(new Set(cut.map(({ first }) => first))).toEqual(places);
        expect(() => subnetRange(all, count)).toThrow();
      }),
      { numRuns: 50 },
    );
  });

  test("property: two ranges overlap when an address is in both", () => {
    const small = fc.record({ first: fc.integer({ min: 0, max: 40 }), size: fc.integer({ min: 1, max: 16 }) });
    fc.assert(
      fc.property(small, small, (one, other) => {
        const inside = Array.from({ length: one.size }, (_, at) => one.first + at).some((at) => at >= other.first && at < other.first + other.size);
        expect(overlaps(one, other)).toBe(inside);
      }),
    );
  });

  test("property: a range as text is that range; other texts are refused, and with which bits", () => {
    fc.assert(
      fc.property(ranges, (all) => {
        expect(all.map((range) => rangeOf(rangeText(range)))).toEqual(all);
      }),
    );
    for (const text of ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "::/0", "10.0.0.0/8 ", "10.0.0.1/8", "010.0.0.0/8"])
      expect(() => rangeOf(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(() => rangeOf("198.18.0.1/15")).toThrow(/bits set/);
  });

  test("what a network has: gateway, 13 containers, nothing twice; IPv6 as everybody writes it", () => {
    const { v4, v6 } = subnetOf(subnetRange([rangeOf("198.18.0.0/15")], 4097), 4097, "fd00:0:1");
    expect(v4).toMatchObject({ cidr: "198.19.0.16/28", gateway: "198.19.0.17" });
    expect([v4.hosts.length, v4.hosts[0], v4.hosts.at(-1)]).toEqual([13, "198.19.0.18", "198.19.0.30"]);
    expect(v6).toMatchObject({ cidr: "fd00:0:1:1001::/64", gateway: "fd00:0:1:1001::1" });
    expect(subnetOf(rangeOf("198.18.0.0/28"), 0, "fd12:3456:789a").v6?.gateway).toBe("fd12:3456:789a::1");
  });
});

test("the rules name every port with its addresses, and drop by default in every chain but the bridge's way out", () => {
  const subnet = subnetOf(rangeOf("198.18.0.0/28"), 0, "fd12:3456:789a");
  const rules = rulesetOf(subnet);
  for (const [at, address] of subnet.v4.hosts.entries()) expect(rules).toContain(`"p${at + 1}" . ${macOf(address)} . ${address}`);
  for (const address of subnet.v6?.hosts ?? []) expect(rules).toContain(`. ${address}`);
  expect(rules.match(/policy (\w+)/g)).toEqual(["policy drop", "policy accept", "policy drop", "policy drop", "policy drop", "policy drop"]);
  expect(rulesetOf(subnetOf(rangeOf("198.18.0.0/28"), 0))).not.toContain("ip6 saddr @v6");
});
