import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressTest, parseCidr } from "./cidr.ts";
import { TimeWindow } from "./time-window.ts";
import { isTimeZone } from "./zone.ts";

describe("times of day", () => {
  const at = (text: string): number => Date.parse(text);
  const open = (window: ConstructorParameters<typeof TimeWindow>[0], ...times: readonly string[]): boolean[] => {
    const made = new TimeWindow(window);
    return times.map((time) => made.isOpen(at(time)));
  };

  test("from the start to before the end, in the zone", () => {
    const berlin = { startTime: "09:00", endTime: "18:00", timezone: "Europe/Berlin" };
    const times = ["2026-01-15T07:59:59.999Z", "2026-01-15T08:00Z", "2026-01-15T16:59:59.999Z", "2026-01-15T17:00Z"];
    expect(open(berlin, ...times)).toEqual([false, true, true, false]);
    // In summer an hour earlier by UTC.
    expect(open(berlin, "2026-07-15T07:00Z", "2026-07-15T16:00Z")).toEqual([true, false]);
    expect(open({ startTime: "09:00", endTime: "18:00" }, "2026-01-15T08:59Z", "2026-01-15T09:00Z")).toEqual([false, true]);
  });

  test("over midnight it belongs to the day on which it starts", () => {
    const night = { startTime: "22:00", endTime: "06:00", days: ["fri"] as const };
    // 2026-01-16 is a Friday.
    const times = ["2026-01-16T05:00Z", "2026-01-16T21:59Z", "2026-01-16T22:00Z", "2026-01-17T05:59Z", "2026-01-17T06:00Z", "2026-01-17T23:00Z"];
    expect(open(night, ...times)).toEqual([false, false, true, true, false, false]);
  });

  test("spring: an hour that no clock shows is not waited for; it is open when the clock shows a time inside", () => {
    // Berlin, 2026-03-29: 02:00 is 03:00 at once, 01:00Z.
    const inGap = { startTime: "02:00", endTime: "03:00", timezone: "Europe/Berlin" };
    expect(open(inGap, "2026-03-29T00:59:59Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z")).toEqual([false, false, false]);
    // The day before it was there.
    expect(open(inGap, "2026-03-28T01:30Z")).toEqual([true]);
    const over = { startTime: "01:30", endTime: "02:30", timezone: "Europe/Berlin" };
    expect(open(over, "2026-03-29T00:30Z", "2026-03-29T00:59:59Z", "2026-03-29T01:00Z")).toEqual([true, true, false]);
    const into = { startTime: "02:30", endTime: "04:00", timezone: "Europe/Berlin" };
    expect(open(into, "2026-03-29T00:59Z", "2026-03-29T01:00Z", "2026-03-29T02:00Z")).toEqual([false, true, false]);
  });

  test("autumn: an hour that the clock shows twice is open twice", () => {
    // New York, 2026-11-01: 02:00 is 01:00 once more, 06:00Z.
    const twice = { startTime: "01:15", endTime: "01:45", timezone: "America/New_York" };
    const times = [
      "2026-11-01T05:15Z",
      "2026-11-01T05:44Z",
      "2026-11-01T05:45Z",
      "2026-11-01T06:00Z",
      "2026-11-01T06:15Z",
      "2026-11-01T06:44Z",
      "2026-11-01T06:45Z",
    ];
    expect(open(twice, ...times)).toEqual([true, true, false, false, true, true, false]);
  });

  test("half an hour of summer (Lord Howe), and a zone that skipped a day (Apia, 30 December 2011)", () => {
    const lordHowe = { startTime: "01:45", endTime: "02:15", timezone: "Australia/Lord_Howe" };
    // 2026-04-05: 02:00 is 01:30 once more, 15:00Z the day before.
    expect(open(lordHowe, "2026-04-04T14:50Z", "2026-04-04T15:00Z", "2026-04-04T15:20Z", "2026-04-04T15:45Z")).toEqual([true, false, true, false]);
    const friday = { startTime: "00:00", endTime: "23:59", timezone: "Pacific/Apia", days: ["fri"] as const };
    expect(open(friday, "2011-12-30T09:00Z", "2011-12-30T11:00Z")).toEqual([false, false]);
  });

  test("an answer is never kept past its edge", () => {
    const window = fc.record({
      startTime: fc.constantFrom("00:00", "01:30", "02:30", "23:45"),
      endTime: fc.constantFrom("00:15", "02:15", "03:00", "12:00"),
      timezone: fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"),
    });
    const now = fc.oneof(
      ...["2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-11-01T06:00Z", "2026-04-04T15:00Z", "2011-12-30T10:00Z"].map((time) =>
        fc.integer({ min: at(time) - 7_200_000, max: at(time) + 7_200_000 }),
      ),
    );
    fc.assert(
      fc.property(window, fc.array(now, { minLength: 2, maxLength: 8 }), (one, times) => {
        const kept = new TimeWindow(one);
        for (const time of times) {
          // One that was asked before, in any order, says the same as one that was not.
          expect(kept.isOpen(time)).toBe(new TimeWindow(one).isOpen(time));
          const edge = kept.edge(time);
          expect(edge).toBeGreaterThan(time);
          expect(new TimeWindow(one).isOpen(edge - 1)).toBe(kept.isOpen(time));
        }
      }),
      { numRuns: 300, seed: 9 },
    );
  });

  test("zones are names of the database", () => {
    expect(["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires"].map(isTimeZone)).toEqual([true, true, true, true]);
    expect(["+02:00", "Mars/Olympus", "", "europe/../etc", "__proto__"].map(isTimeZone)).toEqual([false, false, false, false, false]);
  });
});

describe("addresses", () => {
  const inside = (blocks: readonly string[], ...addresses: readonly string[]): (boolean | undefined)[] => addresses.map(addressTest(blocks));

  test("blocks and single addresses of both families; a mapped one is the IPv4 address", () => {
    expect(inside(["10.0.0.0/8"], "10.255.255.255", "11.0.0.0", "::ffff:10.0.0.1", "::ffff:0a00:0001", "::a00:1")).toEqual([true, false, true, true, false]);
    expect(inside(["2001:db8::/32"], "2001:DB8::1", "2001:db9::", "10.0.0.1")).toEqual([true, false, false]);
    expect(inside(["::ffff:192.0.2.0/120"], "192.0.2.200", "192.0.3.1")).toEqual([true, false]);
    expect(inside(["192.0.2.7"], "192.0.2.7", "192.0.2.8")).toEqual([true, false]);
    expect(inside(["0.0.0.0/0"], "255.255.255.255", "::1")).toEqual([true, false]);
  });

  test("what is no address cannot be looked at", () => {
    for (const text of ["", "localhost", "10.0.0", "010.0.0.1", "10.0.0.1 ", "fe80::1%eth0", "1".repeat(1000), "/var/run/x.sock"])
      expect(inside(["0.0.0.0/0", "::/0"], text), text).toEqual([undefined]);
  });

  test("what is no block is none", () => {
    for (const text of ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/", "::/129", "::ffff:10.0.0.0/95", "fe80::1%eth0/64", "x/8"])
      expect(parseCidr(text), text).toBeUndefined();
  });
});
