/** What level high asks of the trail: that a checkpoint left this host. Real logs, folders and processes; a clock that we turn. */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { presetOf } from "../policy/index.ts";
import { AuditLogger, type AuditLoggerOptions, type Delivery, type OutsideRule, outsideProblem, requireOutside } from "./index.ts";

const HOUR = 3_600_000;
let base: string;
let copy: string;
let now: number;
const clock = { now: () => now, monotonic: () => performance.now() };
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-outside-"));
  copy = join(base, "copy");
  mkdirSync(copy);
  now = 1_800_000_000_000;
});
afterEach(() => rmSync(base, { recursive: true }));

const RARELY = { events: 1_000_000, interval: 1e12 };
async function withLog<T>(work: (audit: AuditLogger) => Promise<T>, checkpoint: AuditLoggerOptions["checkpoint"] = { ...RARELY, copies: [copy] }): Promise<T> {
  await using audit = new AuditLogger({ storage: { directory: join(base, "state") }, clock, checkpoint });
  await audit.initialize();
  return await work(audit);
}
const rule = (more: Partial<OutsideRule> = {}): OutsideRule => ({ ...presetOf("high"), "audit.copy": [copy], ...more });
/** A process of its own each time, as installs are. */
const ask = (more: Partial<OutsideRule> = {}, checkpoint?: AuditLoggerOptions["checkpoint"]): Promise<string | undefined> =>
  withLog((audit) => requireOutside(audit, rule(more), clock), checkpoint);
/** An event by a process that brings nothing out. */
const log = (): Promise<unknown> => withLog((audit) => audit.log({ category: "c", action: "a", result: "success" }), RARELY);
const sizes = (): string[] => readdirSync(copy).flatMap((name) => readdirSync(join(copy, name)).filter((file) => file !== "checkpoint"));

test("what the levels ask for", () => {
  expect((["low", "medium", "high", "paranoid"] as const).map((level) => presetOf(level)["audit.copy-within"])).toEqual(["never", "never", 24 * HOUR, HOUR]);
  expect(presetOf("paranoid")["audit.checkpoint.events"]).toBe(100);
});

test("low and medium: nothing is asked, and nothing is looked at", async () => {
  const untouched = new AuditLogger({ storage: { directory: join(base, "none") } });
  for (const level of ["low", "medium"] as const) expect(await requireOutside(untouched, presetOf(level), clock)).toBeUndefined();
});

describe("high and paranoid", () => {
  test("without a copy or a witness: refused, with the YAML that helps; observing, it is only said", async () => {
    await expect(ask({ "audit.copy": [] }, RARELY)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: "level high needs checkpoints of the audit trail outside of this host, and no place for them is configured",
      hint: expect.stringMatching(/audit: \{copy: ".*"\}$/),
    });
    expect(await ask({ "audit.copy": [], mode: "observe" }, RARELY)).toMatch(/^level high needs .* is configured \(would be refused\)$/);
  });

  test("the very first action brings a checkpoint out, also of an empty log; the next ones do not, until it is too old", async () => {
    expect(await ask()).toBeUndefined();
    expect(sizes()).toEqual(["1"]);
    await log();
    now += 24 * HOUR;
    expect(await ask()).toBeUndefined();
    expect(sizes()).toEqual(["1"]);
    now += 1;
    expect(await ask()).toBeUndefined();
    expect(sizes().sort()).toEqual(["1", "2"]);
    expect(await withLog((audit) => audit.search())).toMatchObject([{ category: "audit", action: "copy_wanted" }, { category: "c" }]);
    expect((await withLog((audit) => audit.verify({}))).failed).toBe(0);
  });

  test("a place that is not reached: let go as long as the last success is young enough, then AUDIT_UNAVAILABLE until it is back", async () => {
    await ask();
    renameSync(copy, `${copy}.away`);
    now += 24 * HOUR;
    expect(await ask()).toBeUndefined();
    now += 1;
    const refused = { code: "AUDIT_UNAVAILABLE", message: expect.stringMatching(/^no checkpoint .* left this host since 2027-.*24 hours \(.*is not there\)$/) };
    await expect(ask()).rejects.toMatchObject(refused);
    await expect(ask()).rejects.toMatchObject(refused);
    expect(await ask({ mode: "observe" })).toContain("(would be refused)");
    expect(await withLog((audit) => audit.deliveries())).toMatchObject([
      { place: copy, last: "failure", lastSuccess: { size: 1, at: "2027-01-15T08:00:00.000Z" }, lastFailure: { code: "UPSTREAM_UNAVAILABLE" } },
    ]);
    renameSync(`${copy}.away`, copy);
    expect(await ask()).toBeUndefined();
  });

  test("never reached: refused at the first action", async () => {
    rmSync(copy, { recursive: true });
    await expect(ask()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", message: expect.stringContaining("left this host ever,") });
  });

  test("one of two places is enough", async () => {
    const copies = [join(base, "nowhere"), copy];
    expect(await ask({ "audit.copy": copies }, { ...RARELY, copies })).toBeUndefined();
    expect(await withLog((audit) => audit.deliveries(), { ...RARELY, copies })).toMatchObject([{ last: "failure" }, { last: "success" }]);
  });

  test("a copy that the log contradicts: INTEGRITY_FAILURE at once, also where another place took it", async () => {
    const second = join(base, "second");
    mkdirSync(second);
    const copies = { ...RARELY, copies: [copy, second] };
    await log();
    await ask({}, copies);
    renameSync(join(base, "state"), join(base, "kept"));
    await log();
    // Another log: what the first one brought out does not count for it.
    expect((await withLog((audit) => audit.deliveries(), copies)).map(({ last }) => last)).toEqual([undefined, undefined]);
    await ask({}, copies);
    const [first = "", other = ""] = readdirSync(copy).sort();
    renameSync(join(copy, first), join(copy, "aside"));
    renameSync(join(copy, other), join(copy, first));
    renameSync(join(copy, "aside"), join(copy, other));
    await log();
    now += 25 * HOUR;
    await expect(ask({}, copies)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
    await expect(ask({}, copies)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });
});

test("property: let go exactly when some place took a checkpoint in time, by a clock that may have been put back", () => {
  const within = 10;
  const place = fc.record({
    place: fc.string(),
    last: fc.constantFrom("success" as const, "failure" as const),
    took: fc.option(fc.integer({ min: 0, max: 60 })),
  });
  fc.assert(
    fc.property(fc.array(place, { maxLength: 4 }), fc.integer({ min: 0, max: 60 }), (places, at) => {
      const iso = (ms: number): string => new Date(ms).toISOString();
      const deliveries = places.map(({ took, ...one }): Delivery => ({ ...one, ...(took === null ? {} : { lastSuccess: { at: iso(took), size: 1 } }) }));
      const fine = places.some(({ took }) => took !== null && at - took >= 0 && at - took <= within);
      expect(outsideProblem(deliveries, within, at)?.code).toBe(fine ? undefined : "AUDIT_UNAVAILABLE");
    }),
  );
});
