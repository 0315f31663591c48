import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HELD, IMAGE_DIGEST, jobFacts } from "../../../test/world/job-facts.ts";
import { parseBytes, systemClock } from "../../foundation/index.ts";
import { newThreat, SEVERITIES, type Threat } from "../threats/threat.ts";
import { sizeText, sizeWord } from "./amounts.ts";
import { jsonBytes } from "./bounds.ts";
import { buildReport, NOT_COVERED } from "./report.ts";
import { type JobFacts, type JobReport, jobReportSchema, MAX_REPORT_BYTES, parseReport, type Recommendation } from "./schema.ts";

const report = (more: Partial<JobFacts> = {}): JobReport => buildReport(jobFacts(more));
const resources = (more: Partial<JobFacts["resources"]>): Partial<JobFacts> => ({ resources: { ...jobFacts().resources, ...more } });
const threat = (more: object = {}): Threat => newThreat({ type: "suspicious_process", severity: "high", ...more }, systemClock);
const GiB = 2 ** 30;

const WATCHED = { state: "watching", lacks: [], events: 90, lost: 0, gaps: 0, programs: 3, notes: [], evidence: [] } as const;

describe("the report", () => {
  test("a watched job says so, one that was watched in part says what was not seen", () => {
    const told = (monitoring: JobFacts["monitoring"]): unknown => report({ monitoring }).notCovered.filter(({ what }) => what.includes("monitor"));
    expect(told(WATCHED)).toEqual([]);
    expect(told({ ...WATCHED, state: "degraded", why: "no BTF" })).toEqual([
      { what: "part of the runtime monitor", means: "not everything that its processes did was seen: no BTF" },
    ]);
    const notes = Array.from({ length: 100 }, (_, i) => ({ rule: `rule-${i}`, message: "x".repeat(1000), times: 1 }));
    const { monitoring, cut } = report({ monitoring: { ...WATCHED, notes } });
    expect(monitoring?.notes.length).toBeLessThanOrEqual(60);
    expect(cut["monitoring.notes"]).toBe(100 - (monitoring?.notes.length ?? 0));
  });

  test("its score has it proven only when nothing was missed", () => {
    const lines = (monitoring: JobFacts["monitoring"]): unknown => report({ monitoring }).score?.lines.find(({ control }) => control === "job.monitored")?.why;
    expect(lines(WATCHED)).toBeUndefined();
    expect(lines({ ...WATCHED, lost: 3 })).toBe("3 events were not seen");
    expect(lines({ ...WATCHED, gaps: 1 })).toBe("for a while nobody looked");
    expect(lines({ ...WATCHED, state: "absent", why: "no root" })).toBe("no root");
  });

  test("keeps the facts, and adds percent, score, what is not covered, and nothing left out", () => {
    const { percent, ...rest } = report().resources;
    expect(rest).toEqual(jobFacts().resources);
    expect(percent).toEqual({ cpu: 67.5, memory: 23.8, pids: 14.3, disk: 5 });
    const { schema, notCovered, score, recommendations, cut, resources: _, ...facts } = report();
    expect(facts).toEqual((({ resources: __, ...own }) => own)(jobFacts()));
    expect(schema).toBe("cofferdam/job-report/v1");
    expect(notCovered).toEqual([...NOT_COVERED, { what: "runtime monitor", means: "nobody watched what its processes did" }]);
    expect(cut).toEqual({});
    expect(score?.units).toEqual({ job: 1, install: 0 });
    expect(recommendations.map(({ message }) => message)).toEqual(["it ran as root"]);
  });

  test("is what its schema says, through JSON and back", () => {
    const reports = [
      report(),
      report({
        repository: undefined,
        exit: undefined,
        proof: undefined,
        verdict: "blocked",
        stoppedBy: { code: "SECURITY_VIOLATION", message: "no", hint: "yes" },
      }),
      report({
        reconciled: { at: "2026-11-27T03:00:00.000Z", found: ["container"] },
        verdict: "aborted",
        threats: [threat({ details: { a: [1, { b: null }] } })],
      }),
    ];
    for (const one of reports) expect(parseReport(JSON.parse(JSON.stringify(one)))).toEqual(JSON.parse(JSON.stringify(one)));
  });

  test("what was stored and is no report is INTEGRITY_FAILURE", () => {
    for (const stored of [undefined, null, 7, "{}", {}, { ...report(), verdict: "fine" }, { ...report(), extra: 1 }])
      expect(() => parseReport(stored)).toThrow(expect.objectContaining({ code: "INTEGRITY_FAILURE" }));
  });

  test("what was not measured has no percent", () =>
    expect(report(resources({ peak: { memory: GiB }, quota: { cpu: 4, memory: 0 } })).resources.percent).toEqual({}));

  test("a trail that nobody verified caps the score", () => {
    const auditTrail = { ...jobFacts().auditTrail, verified: false };
    expect(report({ auditTrail }).score).toMatchObject({ value: 10, cap: { value: 10 } });
    const open = [threat({ severity: "critical" })];
    expect(report({ threats: open }).score?.value).toBeLessThanOrEqual(35);
    expect(report({ level: "high", proof: { at: "2026-11-27T03:00:00.350Z", held: HELD, controls: [] } }).score?.value).toBeGreaterThan(
      report().score?.value ?? 100,
    );
  });
});

describe("the bound", () => {
  const hostile = "\u0001\ud83d\ude00<script>\n\u202e".repeat(2000);

  test("holds for facts without end; what was left out is counted", () => {
    const many = <T>(one: T): T[] => Array.from({ length: 5000 }, () => one);
    const details = { text: "x".repeat(10_000) };
    const threats = Array.from({ length: 300 }, (_, i) =>
      threat({ severity: SEVERITIES[(i + 1) % 4], details: i % 2 === 0 ? details : {}, jobId: "\u0001".repeat(256) }),
    );
    const check = { state: "passed", why: hostile } as const;
    const checks = { authentication: check, authorization: check, scanning: check, resourceAllocation: check, networkIsolation: check };
    const found = report({
      ...{ jobId: hostile, repository: hostile, policyDigest: hostile, identity: { rule: hostile, name: hostile }, checks, threats },
      image: { reference: hostile, id: hostile, digest: hostile, scanned: "not-scanned" },
      ...{ command: many(hostile), applied: many(hostile), refused: many(hostile), secretsUsed: many(hostile), verdict: "stopped" },
      stoppedBy: { code: "DEADLINE_EXCEEDED", message: hostile, hint: hostile },
      proof: {
        ...{ at: "2026-11-27T03:00:00.350Z", held: many(hostile) },
        controls: [
          ...many({ name: "seccomp", what: hostile, expected: hostile, actual: hostile, ok: true }),
          { name: "mounts", what: "last", expected: "a", actual: "b", ok: false },
        ],
      },
      violations: many({ at: "2026-11-27T03:00:00.000Z", rule: hostile, message: hostile, times: 1 }),
      workspace: { mode: "copy", path: hostile, leftOut: many({ path: hostile, why: hostile }), planted: many(hostile) },
      leftBehind: many({ what: hostile, why: hostile }),
      auditTrail: {
        ...{ first: 1, last: 5000, verified: true, anchored: true },
        events: Array.from({ length: 5000 }, (_, i) => ({ seq: i + 1, at: "2026-11-27T03:00:00.000Z", category: "jobs", action: "x", result: "success" })),
      },
      reconciled: { at: "2026-11-27T03:00:00.000Z", found: many(hostile) },
      ...resources({ limits: many({ resource: "disk", by: "watched", note: hostile }) }),
    });
    expect(jsonBytes(found)).toBeLessThanOrEqual(MAX_REPORT_BYTES);
    expect(jobReportSchema.safeParse(JSON.parse(JSON.stringify(found))).error).toBeUndefined();
    expect(found.cut).toMatchObject({ command: 5000 - found.command.length, threats: 300 - found.threats.length, "workspace.leftOut": expect.any(Number) });
    expect(found.cut["texts"]).toBeGreaterThan(0);
    expect(found.cut["threats.details"]).toBeGreaterThan(0);
    // What matters most is kept: the worst threats, what differed, and both ends of the trail.
    expect(found.threats[0]?.severity).toBe("critical");
    expect(found.proof?.controls[0]).toMatchObject({ what: "last", ok: false });
    expect(found.auditTrail.events).toHaveLength(100);
    expect([found.auditTrail.events[0]?.seq, found.auditTrail.events[50]?.seq, found.auditTrail.events[99]?.seq]).toEqual([1, 4951, 5000]);
    expect(found.cut["auditTrail.events"]).toBe(4900);
  });

  test("property: every text that is cut stays well-formed and begins as it did; one that fits is as it was", () =>
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 700 }), (name) => {
        const found = report({ image: { reference: name, scanned: "not-scanned" } });
        const kept = found.image.reference;
        expect(kept.isWellFormed()).toBe(true);
        if (found.cut["texts"] === undefined) expect(kept).toBe(name);
        else {
          expect(name.startsWith(kept.slice(0, -3))).toBe(true);
          expect(found.cut["texts"]).toBe(name.length - kept.length + 3);
        }
        expect(jsonBytes(kept)).toBeLessThanOrEqual(1200);
        expect(found.cut["texts"] === undefined).toBe(jsonBytes(name) <= 1200);
      }),
      { numRuns: 300 },
    ));

  test("half a character becomes the sign for one", () =>
    expect(report({ image: { reference: "a\ud800b", scanned: "not-scanned" } }).image.reference).toBe("a\ufffdb"));

  test("exactly a hundred events are all kept, in order", () => {
    const events = Array.from({ length: 100 }, (_, i) => ({
      seq: i + 1,
      at: "2026-11-27T03:00:00.000Z",
      category: "jobs",
      action: "x",
      result: "success" as const,
    }));
    const found = report({ auditTrail: { ...jobFacts().auditTrail, events } });
    expect(found.auditTrail.events).toEqual(events);
    expect(found.cut).toEqual({});
  });
});

describe("recommendations", () => {
  const advice = (more: Partial<JobFacts>): Recommendation[] => report({ proof: undefined, ...more }).recommendations.slice();

  test("nothing to say is nothing said", () => expect(advice({})).toEqual([]));

  test.each<[string, Partial<JobFacts>, Recommendation]>([
    [
      "memory near its quota",
      resources({ quota: { memory: 4 * GiB }, peak: { memory: 3.88 * GiB } }),
      { priority: "medium", message: "memory peaked at 97 % of 4 GiB", fix: "--memory 8GiB, or quota: {defaults: {memory: 8GiB}} in cofferdam.yaml" },
    ],
    [
      "out of memory",
      resources({ quota: { memory: 512e6 }, peak: { memory: 512e6 }, total: { oomKills: 2 } }),
      {
        priority: "high",
        message: "out of memory: the kernel ended 2 processes at 512 MB",
        fix: "--memory 1024MB, or quota: {defaults: {memory: 1024MB}} in cofferdam.yaml",
      },
    ],
    [
      "forks refused",
      resources({ total: { forksRefused: 1 } }),
      {
        priority: "medium",
        message: "1 process was not started: 1000 at once is the limit",
        fix: "--pids 2000, or quota: {defaults: {pids: 2000}} in cofferdam.yaml",
      },
    ],
    [
      "disk near its quota",
      resources({ peak: { disk: 9 * GiB } }),
      { priority: "medium", message: "disk peaked at 90 % of 10 GiB", fix: "--disk 20GiB, or quota: {defaults: {disk: 20GiB}} in cofferdam.yaml" },
    ],
    [
      "disk that was watched",
      resources({ limits: [{ resource: "disk", by: "watched", note: "checked every 2 s" }] }),
      { priority: "low", message: "its disk limit was watched, not enforced: checked every 2 s", fix: "cofferdam doctor names what enforcing it needs" },
    ],
    [
      "waiting for cpu",
      resources({ total: { throttledMs: 35_500 } }),
      { priority: "low", message: "it was made to wait for cpu 50 % of its time", fix: "--cpu 8, or quota: {defaults: {cpu: 8}} in cofferdam.yaml" },
    ],
    [
      "a tag whose digest is known",
      { image: { reference: "registry.example:5000/node:22", digest: IMAGE_DIGEST, scanned: "not-scanned" } },
      {
        priority: "medium",
        message: "the image is named by a tag, which may lead to another image tomorrow",
        fix: `--image registry.example:5000/node@${IMAGE_DIGEST}`,
      },
    ],
    [
      "a time-out",
      { verdict: "stopped", exit: undefined, stoppedBy: { code: "DEADLINE_EXCEEDED", message: "30 min passed" } },
      { priority: "high", message: "30 min passed", fix: "--timeout, or jobs.timeout in cofferdam.yaml" },
    ],
    [
      "a refusal with a way out",
      { verdict: "blocked", stoppedBy: { code: "SECURITY_VIOLATION", message: "no digest", hint: "name one" } },
      { priority: "high", message: "no digest", fix: "name one" },
    ],
    [
      "observe",
      { mode: "observe" },
      { priority: "high", message: "mode observe: what the policy refuses was let through", fix: "mode: enforce in cofferdam.yaml" },
    ],
    [
      "what did not come back",
      { workspace: { mode: "copy", leftOut: [{ path: "a", why: "a link" }] } },
      {
        priority: "medium",
        message: "1 path of the workspace did not come back: a: a link",
        fix: "write plain files and folders; the report lists the others",
      },
    ],
    [
      "long output",
      { log: { bytes: 9e9, kept: 1e6, truncated: true } },
      { priority: "low", message: "its output was longer than what is kept", fix: "write long output to a file of the workspace" },
    ],
    [
      "a trail that is not anchored",
      { auditTrail: { ...jobFacts().auditTrail, anchored: false } },
      { priority: "low", message: "no checkpoint kept elsewhere covers its records", fix: "audit: {copy: PLACE} in cofferdam.yaml, see docs/audit.md" },
    ],
    [
      "what was left behind",
      { leftBehind: [{ what: "container 7", why: "the engine is gone" }] },
      { priority: "high", message: "container 7 is still there: the engine is gone", fix: "mend that; the next start takes it away" },
    ],
    [
      "an open threat",
      { threats: [threat(), { ...threat({ severity: "critical" }), state: "resolved", resolution: { by: "x", note: "", at: "2026-11-27T03:00:00.000Z" } }] },
      { priority: "high", message: "a threat is open, of severity high", fix: "find out what it was and resolve it: an open threat lowers the score" },
    ],
  ])("%s", (_, more, wanted) => expect(advice(more)).toEqual([wanted]));

  test("the most urgent first", () => {
    const found = advice({ ...resources({ total: { oomKills: 1, forksRefused: 3 }, limits: [{ resource: "disk", by: "watched" }] }), mode: "observe" });
    expect(found.map(({ priority }) => priority)).toEqual(["high", "high", "medium", "low"]);
  });

  test("a reference that a shell would run is not made into a command", () => {
    const [found] = advice({ image: { reference: "x$(reboot):1", digest: IMAGE_DIGEST, scanned: "not-scanned" } });
    expect(found?.fix).not.toContain("reboot");
  });
});

test("property: a size is written so that it reads back exactly, with the shortest unit", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 45 }), fc.constantFrom(1, 1000, 1024, 1e6, 2 ** 20, 1e9, 2 ** 30), (n, unit) => {
      const bytes = Math.min(n, 4096) * unit;
      expect(parseBytes(sizeWord(bytes))).toBe(bytes);
      expect(sizeText(bytes).replace(" ", "")).toBe(sizeWord(bytes));
    }),
  );
  expect(sizeText(8 * GiB)).toBe("8 GiB");
  expect(sizeText(0)).toBe("0 B");
});
