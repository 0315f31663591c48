import { setImmediate as settled } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Clock } from "../foundation/index.ts";
import { BUCKETS, Histogram, WINDOW } from "./histogram.ts";
import { OPERATIONS, type Operation, Telemetry, type ThresholdExceeded } from "./index.ts";

/** A clock that moves only when told. */
function manual(): { clock: Clock; pass(ms: number): void } {
  let now = 0;
  const pass = (ms: number): void => {
    now += ms;
  };
  return { clock: { now: () => now, monotonic: () => now }, pass };
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
    const work = async (): Promise<string> => {
      pass(1000);
      return "result";
    };
    await expect(telemetry.time("audit", work)).resolves.toBe("result");
    expect(heard).toBe(1);
  });

  test("a listener of once() is told once", async () => {
    const { clock, pass } = manual();
    const telemetry = new Telemetry({ clock });
    let heard = 0;
    telemetry.events.once("thresholdExceeded", () => {
      heard += 1;
    });
    for (let i = 0; i < 3; i++) await telemetry.time("audit", async () => pass(60_001));
    expect(heard).toBe(1);
  });

  test("a listener whose promise rejects does not end the process", async () => {
    const { clock, pass } = manual();
    const telemetry = new Telemetry({ clock });
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      telemetry.events.on("thresholdExceeded", async () => {
        throw new Error("listener");
      });
      await telemetry.time("audit", async () => pass(1000));
      // Node reports it after the microtasks of this turn.
      await settled();
      await settled();
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

test("failures pass through and are counted; CPU is a real measurement", async () => {
  const telemetry = new Telemetry();
  // From before the first measurement on: what that one took is in the sum as well.
  const before = process.cpuUsage();
  await expect(telemetry.time("scan", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  // Burns CPU and not wall time: on a busy machine the two have little to do with each other.
  const used = (): number => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  await telemetry.time("scan", async () => {
    for (const end = used() + 60; used() < end; );
  });
  const summary = telemetry.snapshot().get("scan");
  expect(summary).toMatchObject({ count: 2, failures: 1 });
  expect(summary?.cpuMs).toBeGreaterThanOrEqual(59);
  expect(summary?.cpuMs).toBeLessThanOrEqual(used());
});

test("memory is the growth of the process", async () => {
  const telemetry = new Telemetry();
  const held = await telemetry.time("scan", async () => Buffer.alloc(64 * 2 ** 20, 1));
  expect(held.length).toBe(64 * 2 ** 20);
  expect(telemetry.snapshot().get("scan")?.maxMemoryBytes).toBeGreaterThan(32 * 2 ** 20);
});

test("start: measures until it is stopped, once", () => {
  const { clock, pass } = manual();
  const telemetry = new Telemetry({ clock });
  const [one, two] = [telemetry.start("protection"), telemetry.start("protection")];
  pass(7);
  one();
  pass(3);
  two("failure");
  one();
  expect(telemetry.snapshot().get("protection")).toMatchObject({ count: 2, failures: 1, sum: 17, max: 10, exceeded: 0 });
});

test("quantiles are of the last 1,000 values; count and maximum of all", () => {
  const histogram = new Histogram();
  for (let i = 0; i < WINDOW; i++) histogram.add(90_000);
  for (let i = 1; i <= WINDOW; i++) histogram.add(i);
  expect(histogram.summary()).toMatchObject({ count: 2 * WINDOW, max: 90_000, p50: WINDOW / 2, p95: WINDOW * 0.95 });
});

describe("what is refused", () => {
  test("an operation that is not listed makes no series", async () => {
    const telemetry = new Telemetry();
    const names: Operation[] = JSON.parse('["install", "__proto__"]');
    for (const name of names) await expect(telemetry.time(name, async () => 1)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(telemetry.snapshot().size).toBe(0);
  });

  test.each(['{"thresholds":{"scan":-1}}', '{"thresholds":{"scan":"5s"}}', '{"thresholds":{"scn":1}}', '{"threshold":{}}'])("%s", (options) => {
    expect(() => new Telemetry(JSON.parse(options))).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("Prometheus text", () => {
  const VERSION = '1.0.0"\\\n';
  async function scrape(): Promise<Sample[]> {
    const { clock, pass } = manual();
    const telemetry = new Telemetry({ clock });
    for (const operation of OPERATIONS) {
      for (const ms of [0.5, 7, 90, 400_000]) await telemetry.time(operation, async () => pass(ms));
      await telemetry.time(operation, () => Promise.reject(new Error("x"))).catch(() => undefined);
    }
    return parsePrometheus(telemetry.prometheus(VERSION));
  }

  test("parses, names each series once, and stays far below 2,500 of them", async () => {
    const samples = await scrape();
    const series = samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).sort()]));
    expect(new Set(series).size).toBe(series.length);
    // Every operation with every outcome: no more can come, whatever is measured.
    expect(series.length).toBe(1 + OPERATIONS.length * (2 * (BUCKETS.length + 3) + 1));
    expect(series.length).toBeLessThan(2500);
    expect(samples.find(({ name }) => name === "cofferdam_build_info")).toEqual({ name: "cofferdam_build_info", labels: { version: VERSION }, value: 1 });
  });

  test("twelve buckets count up in seconds, to the count; thresholds are counted", async () => {
    const samples = await scrape();
    const of = (suffix: string, le?: string): number | undefined =>
      samples.find(
        ({ name, labels }) =>
          name === `cofferdam_op_duration_seconds_${suffix}` && labels["op"] === "audit" && labels["result"] === "success" && labels["le"] === le,
      )?.value;
    expect(BUCKETS).toHaveLength(12);
    expect(["0.001", "0.005", "0.01", "0.05", "0.1", "120", "+Inf"].map((le) => of("bucket", le))).toEqual([1, 1, 2, 2, 3, 3, 4]);
    expect([of("count"), of("sum")]).toEqual([4, 400.0975]);
    const exceeded = samples.filter(({ name }) => name === "cofferdam_op_threshold_exceeded_total").map(({ labels, value }) => [labels["op"], value]);
    expect(exceeded).toEqual([
      ["integrity", 1],
      ["scan", 1],
      ["audit", 2],
      ["protection", 2],
      ["script", 1],
    ]);
  });
});

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Text format 0.0.4, as far as we write it; anything else throws. Each sample must follow the TYPE of its family. */
function parsePrometheus(text: string): Sample[] {
  expect(text.endsWith("\n")).toBe(true);
  const types = new Map<string, string>();
  return text
    .slice(0, -1)
    .split("\n")
    .flatMap((line) => {
      const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
      if (comment !== null) {
        if (comment[1] === "TYPE") types.set(comment[2] ?? "", comment[3] ?? "");
        return [];
      }
      const [, name = "", inner = "", value = ""] = /^([a-z_]+)\{(.*)\} ([^ ]+)$/.exec(line) ?? [];
      const labels = [...inner.matchAll(/([a-z]+)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/gy)];
      if (labels.map(([whole]) => whole).join("") !== inner || inner === "" || !Number.isFinite(Number(value))) throw new Error(`not a sample: ${line}`);
      if (!types.has(name) && types.get(name.replace(/_(?:bucket|sum|count)$/, "")) !== "histogram") throw new Error(`no TYPE before ${line}`);
      const unquoted = (quoted = ""): string => quoted.replace(/\\(.)/g, (_all, character: string) => (character === "n" ? "\n" : character));
      return [{ name, labels: Object.fromEntries(labels.map(([, key, quoted]) => [key, unquoted(quoted)])), value: Number(value) }];
    });
}
