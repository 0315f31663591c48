import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../foundation/index.ts";
import { RULE_ACTIONS } from "../../monitor/index.ts";
import { LEVELS } from "../../policy/index.ts";
import { ACTIONS, type Action, planReason, planResponse, RESPONSES, RULE_ANSWERS, respond, type ThreatActions } from "./response.ts";
import { MAX_DETAILS_BYTES, newThreat, resolved, SEVERITIES, type Threat, threatSchema } from "./threat.ts";

const threat = (more: object = {}): Threat => newThreat({ type: "suspicious_process", severity: "high", ...more }, systemClock);

describe("threats", () => {
  test("the seed's example is one; what it leaves open is filled in", () => {
    const made = newThreat({ type: "suspicious_process", severity: "high", containerId: "container123", details: { exe: "/tmp/x" } }, systemClock);
    expect(made).toMatchObject({ containerId: "container123", details: { exe: "/tmp/x" }, evidence: [], anomaly: false, source: "caller", state: "open" });
    expect(made.id).toMatch(/^thr_[0-9a-z]{26}$/);
    expect(threatSchema.parse(JSON.parse(JSON.stringify(made)))).toEqual(made);
  });

  test("a time is kept in UTC; a nonsense one is refused", () => {
    expect(threat({ timestamp: "2026-11-27T04:00:00+02:00" }).timestamp).toBe("2026-11-27T02:00:00.000Z");
    expect(() => threat({ timestamp: "yesterday" })).toThrow(/timestamp/);
  });

  test.each([
    ["an unknown severity", { severity: "urgent" }],
    ["an unknown key", { serverity: "low" }],
    ["a state of the caller's", { state: "resolved" }],
    ["a type with a line feed", { type: "a\nb" }],
    ["details that are a list", { details: [] }],
    ["a broken character", { jobId: "\ud800" }],
    ["too much evidence", { evidence: Array.from({ length: 65 }, () => 1) }],
  ])("%s is INVALID_ARGUMENT", (_, more) => expect(() => threat(more)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" })));

  test("details are bounded in bytes and in depth", () => {
    const fits = { text: "x".repeat(MAX_DETAILS_BYTES - '{"text":""}'.length) };
    expect(threat({ details: fits }).details).toEqual(fits);
    expect(() => threat({ details: { text: `${fits.text}x` } })).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
    let deep: object = {};
    for (let i = 0; i < 10_000; i++) deep = { deep };
    expect(() => threat({ details: deep })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("is resolved once, by somebody", () => {
    const done = resolved(threat(), { by: "uid 1000", note: "a test of ours" }, systemClock);
    expect(done).toMatchObject({ state: "resolved", resolution: { by: "uid 1000", note: "a test of ours" } });
    expect(() => resolved(done, { by: "x", note: "" }, systemClock)).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    expect(() => resolved(threat(), { by: "", note: "" }, systemClock)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(threatSchema.safeParse({ ...threat(), state: "resolved" }).success).toBe(false);
  });
});

describe("the response table", () => {
  // Written out a second time, in the words of the table of levels.
  const alert: Action[] = ["record", "alert"];
  const cut: Action[] = ["record", "alert", "disconnect"];
  const capture: Action[] = ["record", "alert", "freeze", "evidence", "kill"];
  const kill: Action[] = ["record", "alert", "kill"];
  test.each([
    ["low", "critical", alert],
    ["low", "high", alert],
    ["low", "medium", ["record"]],
    ["low", "low", ["record"]],
    ["low", "anomaly", ["record"]],
    ["medium", "critical", capture],
    ["medium", "high", cut],
    ["medium", "medium", alert],
    ["medium", "low", ["record"]],
    ["medium", "anomaly", alert],
    ["high", "critical", capture],
    ["high", "high", capture],
    ["high", "medium", cut],
    ["high", "low", alert],
    ["high", "anomaly", cut],
    ["paranoid", "critical", ["record", "alert", "freeze", "evidence", "stop-job"]],
    ["paranoid", "high", kill],
    ["paranoid", "medium", kill],
    ["paranoid", "low", alert],
    ["paranoid", "anomaly", kill],
  ] as const)("level %s, %s", (level, column, actions) => {
    const told = column === "anomaly" ? { severity: "critical" as const, anomaly: true } : { severity: column, anomaly: false };
    expect(planResponse(level, told)).toEqual(actions);
    expect(planResponse(level, told, "observe")).toEqual(actions.filter((action) => action === "record" || action === "alert"));
  });

  test("docs/score.md has the same table", () => {
    const page = readFileSync(new URL("../../../docs/score.md", import.meta.url), "utf8");
    const columns = [...SEVERITIES, "anomaly"] as const;
    for (const level of LEVELS) expect(page).toContain(`\n| ${level} | ${columns.map((column) => RESPONSES[level][column].join(", ")).join(" | ")} |\n`);
  });

  test("has every cell, in the order of the actions, and a stricter level or a higher severity does not do less", () => {
    // How far an answer goes: nothing, a word, the network, the container.
    const reach = (actions: readonly Action[]): number => Math.max(...actions.map((action) => [0, 1, 1, 1, 2, 3, 3][ACTIONS.indexOf(action)] ?? 0));
    for (const level of LEVELS) {
      for (const actions of Object.values(RESPONSES[level])) expect(actions).toEqual(ACTIONS.filter((action) => actions.includes(action)));
      const bySeverity = SEVERITIES.map((severity) => reach(RESPONSES[level][severity]));
      expect(bySeverity).toEqual(bySeverity.toSorted((a, b) => b - a));
    }
    for (const column of [...SEVERITIES, "anomaly"] as const) {
      const byLevel = LEVELS.map((level) => reach(RESPONSES[level][column]));
      expect(byLevel).toEqual(byLevel.toSorted((a, b) => a - b));
    }
  });
});

describe("what a rule asks for", () => {
  test.each([
    // Raised, from the table of its severity.
    ["medium", "low", "alert", "record, alert: its rule asks for alert, level medium for record"],
    ["medium", "medium", "kill", "record, alert, kill: its rule asks for kill, level medium for record, alert"],
    ["medium", "high", "freeze", "record, alert, freeze, evidence, disconnect, kill: its rule asks for freeze, level medium for record, alert, disconnect"],
    ["low", "critical", "stop-job", "record, alert, freeze, evidence, stop-job: its rule asks for stop-job, level low for record, alert"],
    // What the level does is never less for it, and whether a container ends or stays is the level's.
    ["high", "critical", "alert", "record, alert, freeze, evidence, kill: its rule asks for alert, level high for record, alert, freeze, evidence, kill"],
    [
      "paranoid",
      "critical",
      "kill",
      "record, alert, freeze, evidence, stop-job: its rule asks for kill, level paranoid for record, alert, freeze, evidence, stop-job",
    ],
    ["paranoid", "high", "stop-job", "record, alert, freeze, evidence, kill: its rule asks for stop-job, level paranoid for record, alert, kill"],
  ] as const)("level %s, %s, %s", (level, severity, action, reason) => {
    const asked = { severity, anomaly: false, action };
    expect(planReason(level, asked)).toBe(reason);
    expect(planResponse(level, asked).join(", ")).toBe(reason.split(":")[0]);
  });

  test("mode observe does none of it, and says so", () => {
    const asked = { severity: "low", anomaly: false, action: "kill" } as const;
    expect(planReason("medium", asked, "observe")).toBe("record, alert: its rule asks for kill, level medium for record; mode observe does no more");
    expect(planReason("medium", { severity: "low", anomaly: false })).toBeUndefined();
  });

  test("at every level: no less than without it, one ending at most, and what was asked for unless the level ends it otherwise", () => {
    const ends = (plan: readonly Action[]): readonly Action[] => plan.filter((action) => action === "kill" || action === "stop-job");
    for (const level of LEVELS)
      for (const column of [...SEVERITIES, "anomaly"] as const)
        for (const action of RULE_ACTIONS) {
          const about = column === "anomaly" ? { severity: "low" as const, anomaly: true } : { severity: column, anomaly: false };
          const usual = planResponse(level, about);
          const plan = planResponse(level, { ...about, action });
          expect(plan).toEqual(expect.arrayContaining([...usual]));
          expect(plan).toEqual(ACTIONS.filter((one) => plan.includes(one)));
          expect(ends(plan).length).toBeLessThanOrEqual(1);
          if (ends(usual).length > 0) expect(ends(plan)).toEqual(ends(usual));
          else if (action === "freeze" || action === "kill") expect(ends(plan)).toEqual(["kill"]);
          else expect(plan).toContain(action);
        }
  });

  test("docs/rules.md says what each stands for", () => {
    const page = readFileSync(new URL("../../../docs/rules.md", import.meta.url), "utf8");
    for (const action of RULE_ACTIONS) expect(page).toContain(`\n| \`${action}\` | ${RULE_ANSWERS[action].join(", ")} |\n`);
  });

  test("is one of the known words, in what a caller tells as well", () => {
    expect(threat({ action: "kill" }).action).toBe("kill");
    for (const action of ["record", "thaw", ""]) expect(() => threat({ action })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("carrying a plan out", () => {
  const options = { clock: systemClock, limitMs: 60_000 };
  function recorder(special: Partial<ThreatActions> = {}): { readonly actions: ThreatActions; readonly tried: Action[] } {
    const tried: Action[] = [];
    const one =
      (action: Action): ThreatActions[Action] =>
      async (about, signal) => {
        tried.push(action);
        return await special[action]?.(about, signal);
      };
    const actions: ThreatActions = {
      ...{ record: one("record"), alert: one("alert"), freeze: one("freeze"), evidence: one("evidence") },
      ...{ disconnect: one("disconnect"), kill: one("kill"), "stop-job": one("stop-job") },
    };
    return { actions, tried };
  }

  test("in order, with what each says", async () => {
    const { actions, tried } = recorder({ disconnect: async () => "it has no network" });
    const outcomes = await respond(threat(), ["record", "alert", "disconnect"], actions, options);
    expect(tried).toEqual(["record", "alert", "disconnect"]);
    expect(outcomes.map(({ action, done, detail }) => [action, done, detail])).toEqual([
      ["record", true, undefined],
      ["alert", true, undefined],
      ["disconnect", true, "it has no network"],
    ]);
  });

  test("property: whatever fails, everything is tried, and only what failed is told so", () =>
    fc.assert(
      fc.asyncProperty(fc.subarray([...ACTIONS]), async (failing) => {
        const broken = Object.fromEntries(failing.map((action) => [action, async () => Promise.reject(new Error(`no ${action}`))]));
        const { actions, tried } = recorder(broken);
        const outcomes = await respond(threat(), ACTIONS, actions, options);
        expect(tried).toEqual(ACTIONS);
        for (const { action, done, detail } of outcomes) expect([done, detail]).toEqual(failing.includes(action) ? [false, `no ${action}`] : [true, undefined]);
      }),
    ));

  test("evidence that hangs does not keep the container alive, and is told to end", async () => {
    let ended = false;
    const hang = async (_: Threat, signal: AbortSignal): Promise<undefined> => {
      await new Promise(() => signal.addEventListener("abort", () => (ended = true)));
    };
    const { actions, tried } = recorder({ evidence: hang });
    const outcomes = await respond(threat(), ["evidence", "kill"], actions, { clock: systemClock, limitMs: 10 });
    expect(tried).toEqual(["evidence", "kill"]);
    expect(outcomes).toMatchObject([
      { done: false, detail: "not done within 10 ms" },
      { action: "kill", done: true },
    ]);
    expect(ended).toBe(true);
  });
});
