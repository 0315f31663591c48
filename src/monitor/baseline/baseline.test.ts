import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../foundation/index.ts";
import { SqliteStore } from "../../store/index.ts";
import { type Baseline, baselineSchema, chanceOfNew, NO_BASELINE, noveltyOf, outOfRange, trained } from "./baseline.ts";
import { BaselineStore } from "./baseline-store.ts";
import { collapsed, type ObservedRun } from "./observation.ts";

const run = (program: readonly string[], processes = 10): ObservedRun => ({
  seen: { program, destination: [], folder: [], secret: [] },
  amounts: { processes, connections: 0, filesWritten: 0 },
  cut: 0,
});
const of = (runs: readonly ObservedRun[]): Baseline => runs.reduce(trained, NO_BASELINE);
const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));

describe("what is new", () => {
  test("nothing before the tenth run", () => {
    expect(noveltyOf(of(times(9, () => run(["sh > ls"]))), "program", "sh > nc")).toBeUndefined();
    const ten = of(times(10, () => run(["sh > ls"])));
    expect(noveltyOf(ten, "program", "sh > ls")).toBeUndefined();
    expect(noveltyOf(ten, "program", "sh > nc")).toMatchObject({ chance: 0, message: "program never seen in 10 runs: sh > nc (none was new in any of them)" });
  });

  test("where new ones are rare it says how rare; where they are everyday it says nothing", () => {
    const rare = of(times(20, (i) => run(["sh > ls", ...(i === 3 ? ["sh > odd"] : [])])));
    expect(noveltyOf(rare, "program", "sh > nc")?.message).toBe("program never seen in 20 runs: sh > nc (a new one comes in about 1 of 20 runs)");
    expect(noveltyOf(of(times(20, (i) => run([`sh > test-${String.fromCharCode(97 + i)}`]))), "program", "sh > nc")).toBeUndefined();
  });

  test("property: the chance is the share of runs that brought what came once, and no names of objects are special", () => {
    const programs = fc.array(fc.constantFrom("a", "b", "c", "__proto__", "constructor"), { maxLength: 4 }).map((list) => [...new Set(list)]);
    fc.assert(
      fc.property(fc.array(programs, { minLength: 1, maxLength: 30 }), (runs) => {
        const baseline = of(runs.map((list) => run(list)));
        const once = [...new Set(runs.flat())].filter((one) => runs.filter((list) => list.includes(one)).length === 1);
        expect(chanceOfNew(baseline, "program")).toBeCloseTo(Math.min(1, once.length / runs.length));
        for (const one of runs.flat()) expect(noveltyOf(baseline, "program", one)).toBeUndefined();
      }),
    );
  });

  test("its size is bounded: what was seen least goes", () => {
    const baseline = of([...times(3, () => run(["often"])), ...times(6, (i) => run(times(500, (j) => `rare ${i} ${j}`)))]);
    expect(Object.keys(baseline.seen.program).length).toBe(2000);
    expect(baseline.seen.program["often"]).toBe(3);
    expect(baselineSchema.safeParse(JSON.parse(JSON.stringify(baseline))).success).toBe(true);
  });
});

test("amounts far over the usual are told, with the usual; under it never", () => {
  const baseline = of(times(12, (i) => run([], 100 + (i % 5))));
  expect(outOfRange(baseline, run([], 5000))).toEqual(["programs started: 5000, usually about 102 (in 12 runs)"]);
  expect(outOfRange(baseline, run([], 120))).toEqual([]);
  expect(outOfRange(baseline, run([], 0))).toEqual([]);
  expect(outOfRange(of(times(9, () => run([], 1))), run([], 5000))).toEqual([]);
});

test.each([
  ["/opt/node-24.12.0/bin/node", "/opt/node-26.1.3/bin/node"],
  ["/tmp/npm-x8Kd2f/a", "/tmp/npm-Q2k9Zz/a"],
  ["/usr/lib/python3.11/os.pyc", "/usr/lib/python3.12/os.pyc"],
  ["/workspace/target/0a1b2c3d4e5f60/x", "/workspace/target/ffeeddccbbaa99/x"],
  ["/proc/12345/comm", "/proc/999/comm"],
])("%s and %s are one", (a, b) => expect(collapsed(a)).toBe(collapsed(b)));

test.each([
  ["/usr/bin/gcc", "/usr/bin/g++"],
  ["/bin/sh", "/bin/bash"],
  ["/workspace/src", "/workspace/dist"],
])("%s and %s are two", (a, b) => expect(collapsed(a)).not.toBe(collapsed(b)));

test("of several processes no run is lost; one that cannot be read is INTEGRITY_FAILURE; names do not run into each other", async () => {
  await using store = new SqliteStore();
  const baselines = new BaselineStore(store, systemClock);
  await baselines.initialize();
  await Promise.all(times(20, () => baselines.train({ repository: "a/b" }, run(["x"]))));
  expect(await baselines.get({ repository: "A/B" })).toMatchObject({ runs: 20, seen: { program: { x: 20 } } });
  expect((await baselines.get({ repository: "a", workflow: "b" })).runs).toBe(0);
  await store.write((tx) => tx.run("UPDATE facts SET value = '{}' WHERE namespace = 'baseline'"));
  await expect(baselines.get({ repository: "a/b" })).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
});
