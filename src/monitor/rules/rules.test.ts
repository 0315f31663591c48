import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProcessEvent } from "../event.ts";
import { compileCondition } from "./condition.ts";
import { Counting } from "./counting.ts";
import { askedName } from "./dns-question.ts";
import { addressTest, matchesGlob, textTest } from "./match.ts";
import { shown } from "./message.ts";
import { JobPrograms } from "./programs.ts";
import { type Match, RuleSet } from "./rule-set.ts";
import { Scenario, type Step } from "./scenario.ts";
import { type RuleFile, type RulesFile, rulesFileSchema } from "./schema.ts";
import { parseYaml } from "./yaml.ts";

const RULE: RuleFile = { id: "r", title: "t", says: "{process.line}", severity: "high", attack: ["T1059"], on: ["exec"], when: { "process.name": "nc" } };
const setOf = (file: RulesFile): RuleSet => new RuleSet([{ path: "a.yaml", file }]);

/** What a set says of steps. */
function said(set: RuleSet, steps: readonly Step[], now = Date.now()): readonly Match[] {
  const scenario = new Scenario("test");
  const programs = new JobPrograms();
  const judge = set.forJob(programs, { now: () => now, monotonic: () => 0 });
  const take = (event: ProcessEvent): readonly Match[] => {
    programs.take(event);
    return judge(event);
  };
  return [...scenario.begin(), ...steps.flatMap((step) => [...scenario.take(step)])].flatMap(take);
}

describe("the language", () => {
  test("property: a glob is what the naive one says", () => {
    const naive = (value: string, pattern: string): boolean =>
      pattern === ""
        ? value === ""
        : pattern[0] === "*"
          ? naive(value, pattern.slice(1)) || (value !== "" && naive(value.slice(1), pattern))
          : value !== "" && (pattern[0] === "?" || pattern[0] === value[0]) && naive(value.slice(1), pattern.slice(1));
    const short = fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 10 });
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", "/", "*", "?"), maxLength: 7 });
    fc.assert(fc.property(short, pattern, (value, glob) => void expect(matchesGlob(value, glob)).toBe(naive(value, glob))));
  });

  test("a glob of many stars is no work", () => {
    const from = performance.now();
    expect(matchesGlob("a".repeat(20_000), `${"*a".repeat(100)}b`)).toBe(false);
    expect(performance.now() - from).toBeLessThan(2000);
  });

  test("names are whole: nc is not rsync", () => {
    const is = textTest(["nc", "$tools"], new Map([["tools", ["socat"]]]), "x");
    expect(["nc", "socat", "rsync", "ncat", "nc2"].map(is)).toEqual([true, true, false, false, false]);
  });

  test("addresses by block, in every notation", () => {
    const is = addressTest(["10.0.0.0/8", "fd00::/8", "169.254.169.254"], new Map(), "x");
    expect(["10.1.2.3", "11.0.0.1", "fd12::1", "::ffff:169.254.169.254", "::FFFF:10.0.0.1", "/run/x.sock", ""].map(is)).toEqual([
      ...[true, false, true, true, true, false, false],
    ]);
  });

  test.each([
    ["an unknown field", { when: { "process.nam": "nc" } }, /r\.when\.process\.nam: no field process\.nam/, /process\.name/],
    ["a field that these events do not have", { when: { "file.path": "/x" } }, /an event of kind exec has no file\.path/, undefined],
    ["a comparison that makes no sense", { when: { "process.uid": "root" } }, /cannot be compared with a number/, undefined],
    ["two comparisons at once", { when: { "process.name": { in: "a", prefix: "b" } } }, /cannot be compared/, undefined],
    ["an unknown list", { when: { "process.name": "$shels" } }, /no list \$shels/, undefined],
    ["an unknown condition", { when: { is: "shell" } }, /no condition shell/, undefined],
    ["an empty condition", { when: { any: [{}] } }, /an empty condition/, undefined],
    ["a message with an unknown field", { says: "{proces}" }, /no field \{proces\}/, undefined],
    ["an address that is none", { on: ["connect"], when: { "remote.address": "10.0.0.0/33" } }, /no block of them/, undefined],
  ] as const)("%s is INVALID_ARGUMENT, with its place", (_, more, message, hint) => {
    const make = (): RuleSet => setOf({ rules: [{ ...RULE, ...more }] });
    expect(make).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(message) }));
    if (hint !== undefined) expect(make).toThrow(expect.objectContaining({ hint: expect.stringMatching(hint) }));
  });

  test("a condition in itself, and one that is too deep, end", () => {
    const loop = { a: { any: [{ is: "b" }] }, b: { is: "a" } };
    expect(() => setOf({ conditions: loop, rules: [{ ...RULE, when: { is: "a" } }] })).toThrow(/conditions in more than 12 others/);
  });

  test("names are taken once: rules, lists, and exceptions for rules that there are", () => {
    expect(() => setOf({ rules: [RULE, RULE] })).toThrow(/there is a rule of this name/);
    const one = { path: "a", file: { lists: { x: ["a"] } } };
    expect(() => new RuleSet([one, { ...one, path: "b" }])).toThrow(/there is one of this name already/);
    expect(() => setOf({ rules: [RULE], exceptions: [{ rule: "s", reason: "x", until: "2999-01-01" }] })).toThrow(/no rule s/);
  });

  test("what is not known satisfies nothing, and so spares nobody", () => {
    const unseen = { kind: "open", actor: { key: "99:1" }, file: { path: "/x" } };
    const test = (condition: object): boolean =>
      // Of a process that nobody saw start.
      compileCondition(
        Object.fromEntries(Object.entries(condition)),
        ["open"],
        { lists: new Map(), conditions: new Map() },
        "x",
      )({
        event: { ...exampleOpen(), ...({ actor: { ...exampleOpen().actor, key: unseen.actor.key } } as object) } as ProcessEvent,
        program: undefined,
        processes: new JobPrograms(),
      });
    expect([
      test({ "process.name": "x" }),
      test({ "process.fresh": false }),
      test({ ancestor: { name: "dpkg" } }),
      test({ not: { "process.name": "x" } }),
    ]).toEqual([...[false, false, false, true]]);
  });
});

function exampleOpen(): ProcessEvent {
  const scenario = new Scenario("x");
  const [event] = [...scenario.take({ open: "/x", by: "job" })];
  if (event === undefined) throw new Error("no event");
  return event;
}

describe("lineage", () => {
  const guarded: RuleFile = { ...RULE, when: { ancestor: { name: "dpkg", fresh: false } } };

  test("is as it was when the process was made: who executes a trusted program afterwards has not lent its name", () => {
    const set = setOf({ rules: [guarded] });
    const honest: Step[] = [
      { exec: "/usr/bin/dpkg", as: "d" },
      { exec: "/bin/sh", by: "d" },
    ];
    expect(said(set, honest)).toHaveLength(1);
    const trick: Step[] = [
      { exec: "/bin/sh", as: "s" },
      { exec: "/tmp/evil", by: "s", fresh: true, as: "e" },
      { exec: "/usr/bin/dpkg", replaces: "s" },
      { exec: "/bin/sh", by: "e" },
    ];
    expect(said(set, trick)).toEqual([]);
  });

  test("goes on through a process that executes another program", () => {
    expect(
      said(setOf({ rules: [guarded] }), [
        { exec: "/usr/bin/dpkg", as: "d" },
        { exec: "/bin/sh", replaces: "d" },
      ]),
    ).toHaveLength(1);
  });

  test("memory is bounded: processes, files, and a chain of programs", () => {
    const programs = new JobPrograms({ processes: 10, files: 10, depth: 8 });
    const scenario = new Scenario("x");
    const steps: Step[] = Array.from({ length: 200 }, (_, i) => ({ exec: `/bin/${i}`, as: "a", ...(i === 0 ? {} : { replaces: "a" }) }));
    for (const step of steps) for (const event of scenario.take(step)) programs.take(event);
    for (const event of scenario.take({ exec: "/bin/x", times: 100 })) programs.take(event);
    for (const event of scenario.take({ open: "/f{n}", write: true, times: 100 })) programs.take(event);
    expect([...programs.running].length).toBeLessThanOrEqual(10);
    for (const program of programs.running) expect(depthOf(program)).toBeLessThanOrEqual(17);
    expect(programs.forgotten.running).toBeGreaterThan(0);
    expect(programs.forgotten.finished).toBeGreaterThan(0);
  });
});

function depthOf(program: { readonly from: unknown }): number {
  const { from } = program;
  return typeof from === "object" && from !== null && "from" in from ? 1 + depthOf({ from: from.from }) : 1;
}

describe("counting", () => {
  test("property: says so exactly when so many different ones came within the time, and then begins anew", () => {
    const events = fc.array(fc.record({ value: fc.nat(6), after: fc.nat(40) }), { maxLength: 60 });
    fc.assert(
      fc.property(events, fc.integer({ min: 2, max: 5 }), (list, at) => {
        const counting = new Counting({ at, within: 100, distinct: true });
        let seen: { value: string; time: number }[] = [];
        let time = 1000;
        for (const { value, after } of list) {
          time += after;
          seen = [...seen.filter((one) => one.value !== String(value)), { value: String(value), time }].filter((one) => one.time > time - 100);
          const due = seen.length >= at;
          if (due) seen = [];
          expect(counting.add("job", String(value), time)).toBe(due);
        }
      }),
    );
  });

  test("processes are counted apart, and not more of them than can be remembered", () => {
    const counting = new Counting({ at: 2, within: 1000, distinct: false });
    expect([counting.add("a", "", 1), counting.add("b", "", 2), counting.add("a", "", 3)]).toEqual([false, false, true]);
    for (let i = 0; i < 2000; i++) expect(counting.add(`p${i}`, "", 10)).toBe(false);
  });
});

describe("exceptions", () => {
  const exception = { rule: "r", when: { "process.args": "-h" }, reason: "its help alone", until: "2026-11-27" };
  const set = setOf({ rules: [RULE], exceptions: [exception] });
  const steps: Step[] = [{ exec: "/usr/bin/nc", args: ["nc", "-h"] }];

  test("hold where they say so, through their last day, with their reason", () => {
    expect(said(set, steps, Date.parse("2026-11-27T23:59:59Z"))).toMatchObject([{ excepted: { reason: "its help alone" } }]);
    expect(said(set, steps, Date.parse("2026-11-28T00:00:00Z"))).toMatchObject([{ excepted: undefined }]);
    expect(said(set, [{ exec: "/usr/bin/nc", args: ["nc", "x"] }], 0)).toMatchObject([{ excepted: undefined }]);
  });

  test("without a condition a rule is muted", () => {
    const muted = setOf({ rules: [RULE], exceptions: [{ rule: "r", reason: "noise", until: "2999-01-01" }] });
    expect(said(muted, steps)).toMatchObject([{ excepted: { reason: "noise" } }]);
  });
});

describe("files of rules", () => {
  test.each([
    ["rules: [{id: x}]", /^f:1:9: rules\.0\.title/],
    ["rules:\n  - {id: a, id: b}", /^f:2:/],
    ["rule: []", /did you mean "rules"/],
    ["rules: [{id: Upper, title: t, says: s, severity: high, attack: [T1059], on: [exec], when: {}}]", /rules\.0\.id: lower-case/],
    ["rules: [{id: a, title: t, says: s, severity: high, attack: [X1], on: [exec], when: {}}]", /ATT&CK/],
    ["a: &a [x, x]\nb: [*a, *a]", /unknown key/],
  ])("%s: refused, with its place", (text, message) => {
    expect(() => parseYaml(text, rulesFileSchema, "f")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(message) }));
  });

  test("aliases that multiply are refused", () => {
    const layers = Array.from(
      { length: 8 },
      (_, i) => `${String.fromCharCode(98 + i)}: &${String.fromCharCode(98 + i)} [${`*${String.fromCharCode(97 + i)},`.repeat(10)}]`,
    );
    expect(() => parseYaml(`a: &a [x]\n${layers.join("\n")}`, rulesFileSchema, "f")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

test("an action is one that a level knows, and a note has none", () => {
  const file = (text: string): RulesFile =>
    parseYaml(`rules: [{id: r, title: t, says: x, attack: [T1059], on: [exec], when: {uid: 0}, ${text}}]`, rulesFileSchema, "a.yaml");
  expect(file("severity: low, action: stop-job").rules?.[0]).toMatchObject({ action: "stop-job" });
  expect(() => file("severity: low, action: record")).toThrow(/a\.yaml:1:\d+: .*action/);
  expect(() => file("severity: note, action: kill")).toThrow(/a note is answered by nobody/);
  expect(said(setOf({ rules: [{ ...RULE, action: "kill" }] }), [{ exec: "/usr/bin/nc" }])).toMatchObject([{ rule: { action: "kill" } }]);
});

describe("strangers' texts", () => {
  test("property: a message is one bounded line that colours nothing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 400 }), (text) => {
        const out = shown(text);
        expect(out.length).toBeLessThanOrEqual(120);
        expect(out).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        expect(out.isWellFormed()).toBe(true);
      }),
    );
  });

  test("property: whatever was sent to port 53 is a question or nothing", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void expect(["object", "undefined"]).toContain(typeof askedName(bytes))));
    const name = (labels: readonly string[]): Buffer =>
      Buffer.concat([
        Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
        Buffer.from([0, 0, 1, 0, 1]),
      ]);
    expect(askedName(name(["WWW", "example", "com"]))).toEqual({ name: "www.example.com", domain: "example.com", longest: 7 });
    expect(askedName(Buffer.concat([Buffer.from([0, 33]), name(["a", "b"])]))?.name).toBe("a.b");
  });
});
