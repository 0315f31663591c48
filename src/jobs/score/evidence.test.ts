import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HELD, IMAGE_DIGEST, jobFacts } from "../../../test/world/job-facts.ts";
import type { AuditEvent } from "../../audit/index.ts";
import type { JsonObject } from "../../foundation/index.ts";
import type { JobFacts } from "../report/schema.ts";
import { CATALOGUE } from "./catalogue.ts";
import { installUnits } from "./install-evidence.ts";
import { isPinned, jobUnit, type TrailState } from "./job-evidence.ts";
import { computeScore, type Evidence, type ScoreUnit } from "./score.ts";

const evidence = (more: Partial<JobFacts> = {}, trail?: TrailState): ScoreUnit["evidence"] => jobUnit(jobFacts(more), trail).evidence;
const states = (unit: ScoreUnit["evidence"], state: Evidence["state"]): string[] =>
  Object.entries(unit).flatMap(([id, one]) => (one.state === state ? [id.replace(/^\w+\./, "")] : []));

describe("jobs", () => {
  test("every control of the catalogue is spoken of, and no other", () =>
    expect(Object.keys(evidence()).toSorted()).toEqual(CATALOGUE.flatMap(({ id, kind }) => (kind === "job" ? [id] : [])).toSorted()));

  test("what is absent is off: rooms that are not built, and what the level does not ask", () => {
    expect(states(evidence(), "off")).toEqual([...["user-namespace", "non-root", "read-only-root", "authorized", "image-scanned", "monitored"]]);
    expect(evidence()["job.non-root"]?.why).toBe("not in force at level medium");
    expect(states(evidence(), "unknown")).toEqual([]);
  });

  test("a control counts by what the kernel showed, not by what was asked", () => {
    const proof = {
      at: "2026-11-27T03:00:00.350Z",
      held: HELD.filter((name) => name !== "seccomp"),
      controls: [{ name: "seccomp", what: "mode", expected: "2", actual: "0", ok: false }],
    };
    expect(evidence({ proof })["job.seccomp"]).toEqual({ state: "off", why: "mode: expected 2, found 0" });
    expect(states(evidence({ proof: undefined }), "unknown")).toEqual([
      ...["namespaces", "user-namespace", "mounts", "devices", "capabilities", "no-new-privileges", "seccomp", "non-root", "read-only-root"],
      ...["masked-paths", "memory-limit", "cpu-limit", "pids-limit", "network-isolation", "proven-before-start"],
    ]);
  });

  test("a job that was refused before it started had no container; that it was refused is the check at work", () => {
    const times = { asked: "2026-11-27T03:00:00.000Z", ended: "2026-11-27T03:00:00.010Z", totalMs: 10 };
    const reached = jobFacts().checks;
    const checks: JobFacts["checks"] = {
      ...reached,
      authentication: { state: "refused", why: "no session" },
      ...{
        authorization: { state: "not-reached", why: "" },
        scanning: { state: "not-reached", why: "" },
        resourceAllocation: { state: "not-reached", why: "" },
      },
    };
    const blocked = evidence({
      verdict: "blocked",
      times,
      checks,
      proof: undefined,
      exit: undefined,
      identity: { rule: "session" },
      workspace: { mode: "none", leftOut: [] },
    });
    expect(states(blocked, "proven")).toEqual(["enforced", "authenticated", "image-pinned", "cleaned-up", "recorded", "record-verified", "record-anchored"]);
    expect(states(blocked, "off")).toEqual([]);
    expect(states(blocked, "unknown")).toEqual([]);
    for (const { state, why } of Object.values(blocked)) if (state === "not-applicable") expect(why).toMatch(/workload never ran|no workspace|earlier check/);
    // Not so for one that may have run.
    expect(states(evidence({ verdict: "aborted", times, proof: undefined }), "not-applicable")).toEqual([]);
    expect(evidence({ verdict: "aborted" })["job.output-bounded"]?.state).toBe("unknown");
  });

  test.each<[string, Partial<JobFacts>, Evidence["state"]]>([
    ["job.secrets", {}, "not-applicable"],
    ["job.secrets", { secretsUsed: ["A"] }, "proven"],
    ["job.secrets", { secretsUsed: ["A", "B"], secretVariables: ["B"] }, "off"],
    ["job.secrets", { verdict: "aborted" }, "unknown"],
    ["job.enforced", { mode: "observe" }, "off"],
    ["job.authenticated", { checks: { ...jobFacts().checks, authentication: { state: "not-checked", why: "a library call" } } }, "off"],
    ["job.authorized", { identity: { rule: "session" } }, "proven"],
    ["job.image-pinned", { image: { reference: "node:22", scanned: "not-scanned" } }, "off"],
    ["job.disk-limit", { resources: { ...jobFacts().resources, limits: [{ resource: "disk", by: "watched" }] } }, "off"],
    ["job.disk-limit", { resources: { ...jobFacts().resources, limits: [] } }, "unknown"],
    ["job.workspace-copied", { workspace: { mode: "bind", leftOut: [] } }, "off"],
    ["job.workspace-confined", { workspace: { mode: "bind", leftOut: [] } }, "proven"],
    ["job.workspace-confined", { workspace: { mode: "none", leftOut: [] } }, "not-applicable"],
    ["job.cleaned-up", { leftBehind: [{ what: "container 1", why: "the engine is gone" }] }, "off"],
    ["job.recorded", { auditTrail: { verified: false, anchored: false, events: [] } }, "off"],
    ["job.recorded", { auditTrail: { first: 4, last: 4, verified: false, anchored: false, events: [] } }, "off"],
    ["job.record-verified", { auditTrail: { first: 4, last: 5, verified: false, anchored: true, events: [] } }, "unknown"],
  ])("%s, %j: %s", (id, more, state) => expect(evidence(more)[id]?.state).toBe(state));

  test("records that were verified or anchored later count by what is known now", () => {
    const auditTrail = { first: 41, last: 47, verified: false, anchored: false, events: [] };
    const known = (trail: TrailState): (string | undefined)[] =>
      ["verified", "anchored"].map((word) => evidence({ auditTrail }, trail)[`job.record-${word}`]?.state);
    expect(known({})).toEqual(["unknown", "unknown"]);
    expect(known({ verifiedTo: 47, anchoredTo: 46 })).toEqual(["proven", "unknown"]);
    expect(known({ verifiedTo: 100, anchoredTo: 47 })).toEqual(["proven", "proven"]);
  });

  test("a digest pins an image, a tag that looks like one does not", () => {
    expect(isPinned(`node@${IMAGE_DIGEST}`)).toBe(true);
    expect(isPinned(IMAGE_DIGEST)).toBe(true);
    expect(isPinned(`node:22@${IMAGE_DIGEST}`)).toBe(true);
    expect(isPinned("node:22")).toBe(false);
    expect(isPinned(`node:sha256-${"a".repeat(64)}`)).toBe(false);
    expect(isPinned(`x${IMAGE_DIGEST}`)).toBe(false);
    expect(isPinned(`node@${IMAGE_DIGEST}\n`)).toBe(false);
  });
});

describe("installs", () => {
  let seq = 0;
  const event = (action: string, details: JsonObject, more: Partial<AuditEvent> = {}): AuditEvent => {
    seq++;
    return {
      ...{
        id: `evt_${seq}`,
        seq,
        category: "packages",
        action,
        result: "success",
        sessionId: "run_1",
        timestamp: `2026-11-27T03:00:${String(seq % 60).padStart(2, "0")}.000Z`,
      },
      ...{ logId: "log", schemaVersion: 1, salt: "00", integrity: { hash: "", algorithm: "sha256", previousHash: "" }, details },
      ...more,
    };
  };
  const outcome = { command: "npm ci", mode: "enforce", packages: 3, verified: 3, scripts: 1, exit: 0, signal: null, files: 90, differences: 0, boxed: true };
  const script = { package: "a@1.0.0", script: "postinstall", layers: { landlock: 6 } };
  /** As a guarded install writes them. */
  const good = (more: JsonObject = {}): AuditEvent[] => [
    event("VulnerabilityScan", { sources: [{ name: "osv:npm", status: "fresh" }] }),
    event("IntegrityCheck", { packages: [["a", "1.0.0", "sha512-x"]] }),
    event("RuntimeProtection", script),
    event("PackageInstall", { ...outcome, ...more }),
  ];
  const trail = { verifiedTo: 1e9, anchoredTo: 1e9 };
  const unit = (events: readonly AuditEvent[], state: TrailState = trail): ScoreUnit["evidence"] => {
    const units = installUnits(events, state);
    expect(units).toHaveLength(1);
    return units[0]?.evidence ?? {};
  };

  test("a good one proves all but what is not built; every control is spoken of, and no other", () => {
    const found = unit(good());
    expect(Object.keys(found).toSorted()).toEqual(CATALOGUE.flatMap(({ id, kind }) => (kind === "install" ? [id] : [])).toSorted());
    expect(states(found, "off")).toEqual(["signatures", "provenance", "age"]);
    expect(states(found, "proven")).toHaveLength(Object.keys(found).length - 3);
  });

  test("one unit a run, in any order; other events are none", () => {
    const others = [
      event("VulnerabilityScan", { sources: [] }, { sessionId: "scan_1" }),
      event("IntegrityCheck", { file: "a.tgz" }, { sessionId: "file_1" }),
      event("RuntimeProtection", {}, { sessionId: undefined }),
      event("PackageInstall", outcome, { category: "other", sessionId: "run_3" }),
    ];
    const second = good().map((one) => ({ ...one, sessionId: "run_2" }));
    const events = [...good(), ...others, ...second];
    expect(installUnits(events.toReversed(), trail)).toHaveLength(2);
    expect(installUnits(others, trail)).toEqual([]);
  });

  test.each<[string, JsonObject, Evidence["state"]]>([
    ["install.enforced", { mode: "observe" }, "off"],
    ["install.integrity", { verified: 2 }, "off"],
    ["install.integrity", { packages: 0, verified: 0 }, "not-applicable"],
    ["install.boxed", { boxed: false }, "off"],
    ["install.boxed", { boxed: null }, "off"],
    ["install.scripts-jailed", { scripts: 2 }, "unknown"],
    ["install.scripts-jailed", { scripts: 0 }, "not-applicable"],
  ])("%s, outcome with %j: %s", (id, more, state) => expect(unit(good(more))[id]?.state).toBe(state));

  test("a denial before the client started had no box, no tree and no scripts", () => {
    const { exit: _, differences: __, ...before } = outcome;
    const denied = event("PackageInstall", { ...before, boxed: null, verified: 0, scripts: 0 }, { result: "failure" });
    const found = unit([event("VulnerabilityScan", { sources: [{ status: "fresh" }] }), denied]);
    expect(states(found, "not-applicable")).toEqual(["boxed", "compared", "scripts-jailed", "integrity"]);
    expect(states(found, "proven")).toEqual(["enforced", "advisories-fresh", "recorded", "record-verified", "record-anchored"]);
  });

  test.each([["old"], ["stale"], ["missing"]])("%s advisories are not fresh", (status) => {
    const events = [event("VulnerabilityScan", { sources: [{ status: "fresh" }, { status }] }), ...good().slice(1)];
    expect(unit(events)["install.advisories-fresh"]?.state).toBe("off");
  });

  test("a run that was killed has no outcome: nothing of it is proven but what stands alone", () => {
    const found = unit(good().slice(0, 3));
    expect(found["install.integrity"]?.state).toBe("unknown");
    expect(found["install.recorded"]?.state).toBe("off");
    expect(found["install.boxed"]).toBeUndefined();
  });

  test("an outcome of another form proves nothing, and stops nothing", () => {
    const found = unit([...good().slice(0, 3), event("PackageInstall", { mode: 7, packages: "many" })]);
    expect(found["install.enforced"]).toBeUndefined();
    expect(found["install.integrity"]?.state).toBe("unknown");
    expect(unit([event("PackageInstall", {}, { details: undefined })])["install.integrity"]?.state).toBe("unknown");
  });

  test("records count by how far the trail was verified", () => {
    const events = good();
    const last = Math.max(...events.map((one) => one.seq));
    expect(unit(events, { verifiedTo: last, anchoredTo: last - 1 })["install.record-anchored"]?.state).toBe("unknown");
    expect(unit(events, { verifiedTo: last - 1 })["install.record-verified"]?.state).toBe("unknown");
  });

  test("property: an event that is missing never raises the score", () => {
    const scoreOf = (events: readonly AuditEvent[]): number =>
      computeScore({ units: installUnits(events, trail), threats: [], chainVerified: true, absent: { job: "none" }, now: Date.parse("2026-11-27T03:00:00Z") })
        ?.value ?? 0;
    const more = fc.record({
      boxed: fc.constantFrom(true, false),
      verified: fc.integer({ min: 0, max: 3 }),
      scripts: fc.integer({ min: 0, max: 3 }),
      mode: fc.constantFrom("enforce", "observe"),
    });
    fc.assert(
      fc.property(more, fc.integer({ min: 0, max: 3 }), fc.constantFrom("fresh", "stale"), (facts, at, status) => {
        const events = [event("VulnerabilityScan", { sources: [{ status }] }), ...good(facts).slice(1)];
        expect(scoreOf(events.filter((_, i) => i !== at))).toBeLessThanOrEqual(scoreOf(events));
      }),
    );
  });
});
