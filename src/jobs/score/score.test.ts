import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SEVERITIES, type Severity } from "../threats/threat.ts";
import { CATALOGUE, type UnitKind } from "./catalogue.ts";
import { CAPS, computeScore, type Evidence, PENALTIES, type Score, type ScoreInput, type ScoreUnit, UNVERIFIED_CAP, WINDOW_MS } from "./score.ts";

const NOW = Date.parse("2026-11-27T03:00:00Z");
const ids = (kind: UnitKind): string[] => CATALOGUE.filter((control) => control.kind === kind).map(({ id }) => id);
const perfect = (kind: UnitKind): ScoreUnit => ({ kind, at: NOW, evidence: Object.fromEntries(ids(kind).map((id) => [id, { state: "proven" }])) });
const without = (unit: ScoreUnit, id: string, evidence?: Evidence): ScoreUnit => {
  const { [id]: _, ...rest } = unit.evidence;
  return { ...unit, evidence: evidence === undefined ? rest : { ...rest, [id]: evidence } };
};
const input = (more: Partial<ScoreInput> = {}): ScoreInput => ({
  units: [perfect("job"), perfect("install")],
  threats: [],
  chainVerified: true,
  now: NOW,
  ...more,
});
const open = (...severities: Severity[]): ScoreInput["threats"] => severities.map((severity) => ({ severity, state: "open" }));
const score = (more: Partial<ScoreInput> = {}): Score => {
  const found = computeScore(input(more));
  if (found === undefined) throw new Error("no score");
  return found;
};
const weightOf = (keep: (id: string) => boolean): number => CATALOGUE.filter(({ id }) => keep(id)).reduce((sum, { weight }) => sum + weight, 0);
const ALL = weightOf(() => true);

describe("the catalogue", () => {
  test("docs/score.md has the same controls, weights and proofs, and the same caps and penalties", () => {
    const page = readFileSync(new URL("../../../docs/score.md", import.meta.url), "utf8");
    const controls = [...page.matchAll(/^\| `([a-z.-]+)` \| (\d+) \| (.+) \|$/gm)].map(([, id, weight, proof]) => ({ id, weight: Number(weight), proof }));
    expect(controls).toEqual(CATALOGUE.map(({ id, weight, proof }) => ({ id, weight, proof })));
    const severities = [...page.matchAll(/^\| (critical|high|medium|low) \| (\d+) \| ([\d.]+) \|$/gm)].map(([, name, cap, factor]) => [
      name,
      Number(cap),
      Number(factor),
    ]);
    expect(severities).toEqual(SEVERITIES.map((severity) => [severity, CAPS[severity], PENALTIES[severity]]));
    expect(page).toContain(`at most ${UNVERIFIED_CAP} `);
  });

  test("ids are unique and name their kind; weights are 1 to 10", () => {
    expect(new Set(CATALOGUE.map(({ id }) => id)).size).toBe(CATALOGUE.length);
    for (const { id, kind, weight } of CATALOGUE) {
      expect(id.startsWith(`${kind}.`)).toBe(true);
      expect(weight).toBeGreaterThanOrEqual(1);
      expect(weight).toBeLessThanOrEqual(10);
    }
  });
});

describe("the score", () => {
  test("nothing seen is no score, whatever else is known", () => {
    expect(computeScore(input({ units: [] }))).toBeUndefined();
    expect(computeScore(input({ units: [], absent: { job: "none", install: "none" } }))).toBeUndefined();
    expect(computeScore(input({ units: [{ ...perfect("job"), at: NOW - WINDOW_MS - 1 }] }))).toBeUndefined();
    expect(computeScore(input({ units: [{ ...perfect("job"), at: NOW - WINDOW_MS }] }))).toBeDefined();
  });

  test("all proven is 100, without a line", () =>
    expect(score()).toMatchObject({ value: 100, base: 100, penalty: 1, lines: [], units: { job: 1, install: 1 } }));

  test.each([["off"], ["unknown"], ["errored"]] as const)("%s counts nothing, and is named with its reason", (state) => {
    const found = score({ units: [without(perfect("job"), "job.seccomp", { state, why: "because" }), perfect("install")] });
    expect(found.base).toBeCloseTo(100 - 500 / ALL, 9);
    expect(found.lines).toEqual([{ control: "job.seccomp", lost: expect.closeTo(500 / ALL, 9), proven: 0, units: 1, why: "because" }]);
    expect(found.value).toBe(Math.floor(100 - 500 / ALL));
  });

  test("half of the units is half of the points; the most frequent reason is told", () => {
    const bad = (why: string): ScoreUnit => without(perfect("job"), "job.monitored", { state: "off", why });
    const found = score({ units: [perfect("job"), perfect("job"), perfect("job"), bad("b"), bad("a"), bad("b"), perfect("install")] });
    expect(found.lines).toEqual([{ control: "job.monitored", lost: expect.closeTo(400 / ALL, 9), proven: 3, units: 6, why: "b" }]);
  });

  test("rounding of sums costs no point: one job of five is 20", () => {
    const seen: ScoreUnit[] = Array.from({ length: 5 }, (_, i) => (i === 0 ? perfect("job") : { kind: "job", at: NOW, evidence: {} }));
    expect(score({ units: seen, absent: { install: "none" } }).value).toBe(20);
  });

  test("not applicable needs a proof", () => {
    const stated = without(perfect("job"), "job.secrets", { state: "not-applicable", why: "it was given none" });
    expect(score({ units: [stated, perfect("install")] })).toMatchObject({ value: 100, lines: [] });
    const bare = without(perfect("job"), "job.secrets", { state: "not-applicable" });
    expect(score({ units: [bare, perfect("install")] }).lines).toMatchObject([{ control: "job.secrets", why: "said not to apply, without a proof" }]);
  });

  test("a kind of which nothing was seen counts as not proven, unless it is proven that there was none", () => {
    const jobs = weightOf((id) => id.startsWith("job."));
    const found = score({ units: [perfect("job")] });
    expect(found.base).toBeCloseTo((100 * jobs) / ALL, 9);
    expect(found.lines.every(({ control, why }) => control.startsWith("install.") && why === "no install seen")).toBe(true);
    expect(score({ units: [perfect("job")], absent: { install: "records 1 to 90 have none" } })).toMatchObject({
      value: 100,
      absent: { install: "records 1 to 90 have none" },
    });
    expect(score({ units: [perfect("job")], absent: { install: "" } }).value).toBe(found.value);
    // What is there cannot be said away.
    const bad: ScoreUnit = { kind: "install", at: NOW, evidence: {} };
    expect(score({ units: [perfect("job"), bad], absent: { install: "none" } }).value).toBe(found.value);
  });

  test("a name of every object is no evidence", () => {
    const units = [{ kind: "job", at: NOW, evidence: Object.create({ "job.seccomp": { state: "proven" } }) }] satisfies ScoreUnit[];
    expect(score({ units }).value).toBe(0);
  });

  test.each([
    [open("critical"), 35, 39],
    [open("high"), 65, 69],
    [open("medium"), 87, 89],
    [open("low"), 98, 99],
    [open("low", "critical", "high"), Math.floor(39 * 0.9 * 0.95 * 0.995), 39],
  ])("an open threat caps and costs: %j", (threats, value, cap) => expect(score({ threats })).toMatchObject({ value, cap: { value: cap } }));

  test("without a verified trail the evidence is a claim", () => {
    expect(score({ chainVerified: false })).toMatchObject({ value: 10, cap: { value: 10, why: "the audit trail was not verified" } });
    expect(score({ chainVerified: false, threats: open("critical") }).value).toBe(9);
    expect(score({ threats: [{ severity: "critical", state: "resolved" }] }).value).toBe(100);
  });
});

describe("properties", () => {
  const states = fc.constantFrom("proven", "proven", "proven", "off", "unknown", "errored", "not-applicable");
  const evidence: fc.Arbitrary<Evidence> = fc.record({ state: states, why: fc.constantFrom("a reason", "another", "", undefined) });
  const unit: fc.Arbitrary<ScoreUnit> = fc
    .record({
      kind: fc.constantFrom("job", "install"),
      age: fc.integer({ min: -1000, max: WINDOW_MS + 1000 }),
      all: fc.boolean(),
      some: fc.array(evidence, { maxLength: 45 }),
    })
    .map(({ kind, age, all, some }) => {
      const base = all ? perfect(kind).evidence : {};
      return { kind, at: NOW - age, evidence: { ...base, ...Object.fromEntries(some.map((one, i) => [ids(kind)[(i * 3) % ids(kind).length] ?? "", one])) } };
    });
  const severities = fc.constantFrom(...SEVERITIES);
  const threats = fc.array(fc.record({ severity: severities, state: fc.constantFrom("open", "resolved") }), { maxLength: 6 });
  const inputs: fc.Arbitrary<ScoreInput> = fc.record({
    units: fc.array(unit, { minLength: 1, maxLength: 8 }),
    threats,
    chainVerified: fc.boolean(),
    absent: fc.record({ job: fc.constantFrom(undefined, "none"), install: fc.constantFrom(undefined, "none") }),
    now: fc.constant(NOW),
  });
  const points = (one: ScoreInput): number | undefined => computeScore(one)?.value;
  const runs = { numRuns: 500 };

  /** The formula of the page, in whole numbers, without a floating point until the end. */
  function naive({ units, threats: told, chainVerified, absent, now }: ScoreInput): { readonly value: number; readonly base: number } | undefined {
    const seen = units.filter(({ at }) => now - at <= 7 * 24 * 3600 * 1000);
    let top = 0n;
    let bottom = 0n;
    // Divisible by every count of units that there can be.
    const whole = 840n;
    for (const { id, kind, weight } of CATALOGUE) {
      const of = seen.filter((one) => one.kind === kind);
      if (of.length === 0) {
        if (absent?.[kind] === undefined) bottom += BigInt(weight) * whole;
        continue;
      }
      const counted = of.filter(({ evidence: all }) => all[id]?.state !== "not-applicable" || (all[id]?.why ?? "") === "");
      if (counted.length === 0) continue;
      bottom += BigInt(weight) * whole;
      top += (BigInt(weight) * whole * BigInt(counted.filter(({ evidence: all }) => all[id]?.state === "proven").length)) / BigInt(counted.length);
    }
    if (seen.length === 0 || bottom === 0n) return undefined;
    const worst = told.filter(({ state }) => state === "open").map(({ severity }) => ({ critical: 39n, high: 69n, medium: 89n, low: 99n })[severity]);
    const cap = [...worst, ...(chainVerified ? [] : [10n]), 100n].reduce((a, b) => (a < b ? a : b));
    const capped = 100n * top < cap * bottom ? [100n * top, bottom] : [cap * bottom, bottom];
    let [a, b] = [capped[0] ?? 0n, capped[1] ?? 1n];
    for (const { severity, state } of told) {
      if (state !== "open") continue;
      a *= { critical: 900n, high: 950n, medium: 980n, low: 995n }[severity];
      b *= 1000n;
    }
    return { value: Number(a / b), base: Number((100_000_000n * top) / bottom) / 1e6 };
  }

  test("is what a naive reading of the formula gives", () =>
    fc.assert(
      fc.property(inputs, (one) => {
        const [found, wanted] = [computeScore(one), naive(one)];
        expect(found?.value).toBe(wanted?.value);
        if (found !== undefined) expect(found.base).toBeCloseTo(wanted?.base ?? Number.NaN, 4);
      }),
      runs,
    ));

  test("silencing a control never raises it", () => {
    let lowered = 0;
    fc.assert(
      fc.property(inputs, fc.nat(), fc.nat(), fc.constantFrom(undefined, "off", "unknown", "errored"), (one, which, at, state) => {
        const before = points(one);
        const chosen = one.units[at % one.units.length];
        if (chosen === undefined || before === undefined) return;
        const id = ids(chosen.kind)[which % ids(chosen.kind).length] ?? "";
        const silenced = one.units.map((own) => (own === chosen ? without(own, id, state === undefined ? undefined : { state, why: "silenced" }) : own));
        const after = points({ ...one, units: silenced });
        expect(after).toBeLessThanOrEqual(before);
        if (after !== undefined && after < before) lowered++;
      }),
      runs,
    );
    expect(lowered).toBeGreaterThan(0);
  });

  test("a new open threat never raises it, resolving never lowers it, nor does verifying the trail", () =>
    fc.assert(
      fc.property(inputs, severities, (one, severity) => {
        const before = points(one);
        if (before === undefined) return;
        const more = points({ ...one, threats: [...one.threats, { severity, state: "open" }] });
        expect(more).toBeLessThanOrEqual(before);
        one.threats.forEach((_, at) => {
          const resolvedOne = one.threats.map((threat, i) => (i === at ? { ...threat, state: "resolved" as const } : threat));
          expect(points({ ...one, threats: resolvedOne })).toBeGreaterThanOrEqual(before);
        });
        expect(points({ ...one, chainVerified: true })).toBeGreaterThanOrEqual(before);
      }),
      runs,
    ));

  test("the order of units and threats changes nothing, not even a digit", () =>
    fc.assert(
      fc.property(inputs, fc.nat(), (one, turn) => {
        const turned = <T>(list: readonly T[]): T[] => [...list.slice(turn % (list.length || 1)), ...list.slice(0, turn % (list.length || 1))].toReversed();
        expect(computeScore({ ...one, units: turned(one.units), threats: turned(one.threats) })).toEqual(computeScore(one));
      }),
      runs,
    ));

  test("the lost points sum to 100 - base, and every line lost some", () =>
    fc.assert(
      fc.property(inputs, (one) => {
        const found = computeScore(one);
        if (found === undefined) return;
        expect(found.lines.reduce((sum, { lost }) => sum + lost, 0)).toBeCloseTo(100 - found.base, 9);
        for (const { lost, proven, units, why } of found.lines) {
          expect(lost).toBeGreaterThan(0);
          expect(proven < units || units === 0).toBe(true);
          expect(typeof why).toBe("string");
        }
      }),
      runs,
    ));
});
