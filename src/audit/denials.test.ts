import { describe, expect, test, vi } from "vitest";
import type { AuditEventInput } from "./event.ts";
import { AuditLogger } from "./index.ts";

const refusal = (userId: string, resourceId = "r"): Omit<AuditEventInput, "result"> => ({ category: "rbac", action: "permission_denied", userId, resourceId });

async function memory(): Promise<AuditLogger> {
  const audit = new AuditLogger({ checkpoint: { events: 1_000_000, interval: 1e12 } });
  await audit.initialize();
  return audit;
}

describe("refusals", () => {
  test("none is lost: 5,000 of one actor are a few events, whose counts come to 5,000; another actor is not counted with it", async () => {
    await using audit = await memory();
    const flood = Array.from({ length: 5000 }, (_, i) => audit.denied(refusal("mallory", `repo/${i}`)));
    const other = await audit.denied(refusal("alice"));
    const events = new Map((await Promise.all(flood)).map((event) => [event.seq, event]));
    expect(events.size).toBe(21);
    expect(other.details).toBeUndefined();
    const recorded = await audit.search({ userId: "mallory" });
    expect(recorded.map((event) => event.seq)).toEqual([...events.keys()].sort((a, b) => a - b));
    const counts = recorded.map((event) => {
      const coalesced = event.details?.["coalesced"];
      return typeof coalesced === "object" && coalesced !== null && "count" in coalesced ? Number(coalesced.count) : 1;
    });
    expect(counts.reduce((sum, one) => sum + one, 0)).toBe(5000);
    expect(recorded.at(-1)).toMatchObject({ result: "failure", details: { coalesced: { resources: { length: 20 }, moreResources: true } } });
  });

  test("closing records what is being counted", async () => {
    const audit = await memory();
    const flood = Array.from({ length: 30 }, () => audit.denied(refusal("mallory")));
    await audit.close();
    expect((await Promise.all(flood)).at(-1)).toMatchObject({ details: { coalesced: { count: 10, resources: ["r"] } } });
  });

  test("one that waited alone is recorded as itself", async () => {
    await using audit = await memory();
    for (let i = 0; i < 20; i++) await audit.denied(refusal("mallory"));
    const last = audit.denied({ ...refusal("mallory", "x"), details: { why: "y" } });
    expect(await last).toMatchObject({ resourceId: "x", details: { why: "y" } });
  });

  test("the next minute begins anew; inventing actors does not help", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      let now = 0;
      const audit = new AuditLogger({ clock: { now: () => now, monotonic: () => now }, checkpoint: { events: 1_000_000, interval: 1e12 } });
      await audit.initialize();
      for (let i = 0; i < 20; i++) await audit.denied(refusal("mallory"));
      now = 60_001;
      expect((await audit.denied(refusal("mallory"))).seq).toBe(21);
      for (let i = 0; i < 999; i++) await audit.denied(refusal(`m${i}`));
      const invented = Array.from({ length: 500 }, (_, i) => audit.denied(refusal(`n${i}`)));
      await vi.advanceTimersByTimeAsync(1000);
      expect(new Set((await Promise.all(invented)).map((event) => event.seq)).size).toBe(1);
      await audit.close();
    } finally {
      vi.useRealTimers();
    }
  });

  test("an event that the log refuses is refused to all it stands for", async () => {
    await using audit = await memory();
    const bad = { ...refusal("mallory"), details: { x: "\ud800" } };
    for (let i = 0; i < 20; i++) await expect(audit.denied(bad)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(Promise.all([audit.denied(bad), audit.denied(bad)])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
