/** Every act of the list is done for real, and seen by the kernel's sensor and the rule that is about it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { has, requires } from "../world/needs.ts";
import type { Action } from "./actions/action.ts";
import { OWN_RULE } from "./actions/expected.ts";
import { ACTIONS } from "./actions/index.ts";
import { ActsUnderWatch } from "./actions/under-watch.ts";

let acts: ActsUnderWatch | undefined;

beforeAll(async () => {
  if (has("docker") && has("sensor")) acts = await ActsUnderWatch.start();
});
afterAll(async () => {
  await acts?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "sensor");
});

/** Does it under watch. @returns the rules that said something. */
async function seen(action: Action, script: string): Promise<readonly string[]> {
  if (acts === undefined) throw new Error("nobody watches");
  const { rules, output, changes } = await acts.see(action, script);
  if (action.shows !== undefined) expect(output).toMatch(action.shows);
  for (const path of action.changes ?? []) expect(changes).toContain(path);
  return rules.map(({ id }) => id);
}

test("names are told once, every act is seen by its effect, and has a rule of its own", () => {
  expect(new Set(ACTIONS.map(({ name }) => name)).size).toBe(ACTIONS.length);
  expect(ACTIONS.length).toBeGreaterThanOrEqual(64);
  expect(ACTIONS.filter(({ shows, changes }) => shows === undefined && changes === undefined)).toEqual([]);
  expect(ACTIONS.filter(({ name }) => OWN_RULE[name] === undefined)).toEqual([]);
  expect(new Set(Object.values(OWN_RULE)).size).toBe(ACTIONS.length);
});

describe("is done, and recognised by its own rule", { concurrent: true, timeout: 60_000 }, () => {
  for (const action of ACTIONS) {
    const own = OWN_RULE[action.name];
    test(action.name, async () => expect(await seen(action, action.script)).toContain(own));
    const { renamed } = action;
    if (renamed !== undefined) test(`${action.name}, renamed`, async () => expect(await seen(action, renamed)).toContain(own));
  }
});

test("of all of them at least 54 in 64 are alerts", () => {
  const alerts = new Set(acts?.rules.rules.filter(({ severity }) => severity !== "note" && severity !== "low").map(({ id }) => id));
  const alerted = ACTIONS.filter(({ name }) => alerts.has(OWN_RULE[name] ?? ""));
  expect(alerted.length / ACTIONS.length).toBeGreaterThanOrEqual(54 / 64);
});
