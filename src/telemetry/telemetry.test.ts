import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Clock } from "../foundation/index.ts";
import { Histogram } from "./histogram.ts";
import { OPERATIONS, Telemetry, type ThresholdExceeded } from "./index.ts";

/** A clock that moves only when told. */
function manual(): { clock: Clock; pass(ms: number): void } {
  let now = 0;
  return {
    clock: { now: () => now, monotonic: () => now },
    pass: (ms) => {
      now += ms;
    },
  };
}

test("property: quantiles are those of the sorted values", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200_000), { minLength: 1, maxLength: 400 }), (values) => {
      const histogram = new Histogram();
      for (const value of values) histogram.add(value);
      const sorted = [...values].sort((a, b) => a - b);
      const { count, sum, max, p50, p95 } = histogram.summary();
      expect({ count, sum, max }).toEqual({ count: values.length, sum: values.reduce((a, b) => a + b, 0), max: sorted.at(-1) });
      // Nearest rank: the smallest value with at least that share of values at or below it.
      const share = (value: number): number => sorted.filter((one) => one <= value).length / sorted.length;
      expect(share(p50)).toBeGreaterThanOrEqual(0.5);
      expect(share(p95)).toBeGreaterThanOrEqual(0.95);
      expect(sorted.filter((one) => one < p95).length / sorted.length).toBeLessThan(0.95);
    }),
  );
});

describe("thresholds", () => {
  test("exactly at it is fine; past it is an event; repeats within a minute are counted", async () => {
    const { clock, pass } = manual();
    const telemetry = new Telemetry({ clock });
    const events: ThresholdExceeded[] = [];
    telemetry.events.on("thresholdExceeded", (event) => events.push(event));
    const take = (ms: number): Promise<void> => telemetry.time("integrity", async () => pass(ms));
    await take(100);
    expect(events).toEqual([]);
    await take(101);
    await take(500);
    await take(500);
    expect(events).toEqual([{ operation: "integrity", thresholdMs: 100, valueMs: 101, count: 1 }]);
    pass(60_000);
    await take(200);
    expect(events[1]).toEqual({ operation: "integrity", thresholdMs: 100, valueMs: 200, count: 3 });
  });

  test("can be set, and the others keep their defaults", async () => {
    const { clock, pass } = manual();
    const telemetry = new Telemetry({ clock, thresholds: { integrity: 5 } });
    const seen: string[] = [];
    telemetry.events.on("thresholdExceeded", ({ operation }) => seen.push(operation));
    await telemetry.time("integrity", async () => pass(6));
    await telemetry.time("script", async () => pass(29_999));
    await telemetry.time("audit", async () => pass(11));
    expect(seen).toEqual(["integrity", "audit"]);
  });

  test("a listener that throws harms neither the operation nor its neighbours", async () => {
    const { clock, pass } = manual();
    const telemetry = new Telemetry({ clock });
    let heard = 0;
    telemetry.events.on("thresholdExceeded", () => {
      throw new Error("listener");
    });
    telemetry.events.on("thresholdExceeded", () => {
      heard += 1;
    });
    await expect(
      telemetry.time("audit", async () => {
        pass(1000);
        return "result";
      }),
    ).resolves.toBe("result");
    expect(heard).toBe(1);
  });
});

test("failures pass through and are counted; CPU is a real measurement", async () => {
  const telemetry = new Telemetry();
  await expect(telemetry.time("scan", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await telemetry.time("scan", async () => {
    for (const end = Date.now() + 60; Date.now() < end; );
  });
  const summary = telemetry.snapshot().get("scan");
  expect(summary).toMatchObject({ count: 2, failures: 1 });
  expect(summary?.cpuMs).toBeGreaterThan(20);
  expect(summary?.max).toBeGreaterThanOrEqual(59);
});

test("Prometheus text: parses, counts up, and stays far below 2,500 series", async () => {
  const { clock, pass } = manual();
  const telemetry = new Telemetry({ clock });
  for (const operation of OPERATIONS) {
    for (const ms of [0.5, 7, 90, 400_000]) await telemetry.time(operation, async () => pass(ms));
    await telemetry.time(operation, () => Promise.reject(new Error("x"))).catch(() => undefined);
  }
  const lines = telemetry
    .prometheus('1.0.0"\\\n')
    .trimEnd()
    .split("\n")
    .filter((line) => !line.startsWith("#"));
  for (const line of lines) expect(line).toMatch(/^cofferdam_[a-z_]+\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\} -?\d+(?:\.\d+)?$/);
  expect(lines.length).toBeLessThan(200);
  expect(new Set(lines.map((line) => line.slice(0, line.lastIndexOf(" ")))).size).toBe(lines.length);
  const bucket = (le: string): string | undefined =>
    lines.find((line) => line.startsWith(`cofferdam_op_duration_seconds_bucket{op="audit",result="success",le="${le}"}`))?.split(" ")[1];
  expect(["0.001", "0.01", "0.1", "120", "+Inf"].map(bucket)).toEqual(["1", "2", "3", "3", "4"]);
});
