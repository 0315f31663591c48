/** Every act of the list is done for real, and seen by the kernel's sensor and the rule that is about it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EngineClient } from "../../src/engine/index.ts";
import { builtInRules, JobPrograms, KernelSensor, type Match, type ProcessEvent, RuleSet, type Watch } from "../../src/monitor/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { has, requires } from "../world/needs.ts";
import { OWN_RULE } from "./actions/expected.ts";
import { ACTIONS, type Action } from "./actions/index.ts";
import { ActionWorld } from "./actions/world.ts";

interface Watched {
  readonly docker: TestDocker;
  readonly engine: EngineClient;
  readonly world: ActionWorld;
  readonly sensor: KernelSensor;
  readonly rules: RuleSet;
}

let watched: Watched | undefined;
const handlers = new Map<string, (event: ProcessEvent) => void>();

beforeAll(async () => {
  if (!has("docker") || !has("sensor")) return;
  const docker = await startDocker();
  const engine = new EngineClient(docker.socketPath);
  const sensor = new KernelSensor({ env: true });
  sensor.on("event", (event) => handlers.get(event.job)?.(event));
  await sensor.initialize();
  watched = { docker, engine, sensor, world: await ActionWorld.start(engine), rules: new RuleSet(await builtInRules()) };
});
afterAll(async () => {
  await watched?.sensor.close();
  await watched?.engine.close();
  await watched?.docker[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "sensor");
});

/** Does it under watch. @returns the rules that said something. */
async function seen(action: Action, script: string): Promise<readonly Match["rule"][]> {
  if (watched === undefined) throw new Error("nobody watches");
  const { engine, sensor, world, rules } = watched;
  const tree = new JobPrograms();
  const judge = rules.forJob(tree);
  const found: Match["rule"][] = [];
  const job = `${action.name} ${script.length}`;
  handlers.set(job, (event) => {
    tree.take(event);
    found.push(...judge(event).map(({ rule }) => rule));
  });
  let watch: Watch | undefined;
  const { output, changes } = await world.run(action, script, async (id) => {
    const { State } = await engine.containers.inspect(id);
    watch = await sensor.watch({ job, container: id, pid: State.Pid });
  });
  await watch?.close();
  handlers.delete(job);
  if (action.shows !== undefined) expect(output).toMatch(action.shows);
  for (const path of action.changes ?? []) expect(changes).toContain(path);
  return found;
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
    test(action.name, async () => expect((await seen(action, action.script)).map(({ id }) => id)).toContain(own));
    const { renamed } = action;
    if (renamed !== undefined) test(`${action.name}, renamed`, async () => expect((await seen(action, renamed)).map(({ id }) => id)).toContain(own));
  }
});

test("of all of them at least 54 in 64 are alerts", () => {
  const alerts = new Set(watched?.rules.rules.filter(({ severity }) => severity !== "note" && severity !== "low").map(({ id }) => id));
  const alerted = ACTIONS.filter(({ name }) => alerts.has(OWN_RULE[name] ?? ""));
  expect(alerted.length / ACTIONS.length).toBeGreaterThanOrEqual(54 / 64);
});
