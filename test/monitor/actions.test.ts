/** Every act of the list is done for real: a sensor is not measured with what did not happen. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EngineClient } from "../../src/engine/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { has, requires } from "../world/needs.ts";
import { ACTIONS, type Action } from "./actions/index.ts";
import { ActionWorld } from "./actions/world.ts";

let docker: TestDocker | undefined;
let engine: EngineClient | undefined;
let world: ActionWorld | undefined;

beforeAll(async () => {
  if (!has("docker")) return;
  docker = await startDocker();
  engine = new EngineClient(docker.socketPath);
  world = await ActionWorld.start(engine);
});
afterAll(async () => {
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
});
beforeEach((context) => requires(context, "docker"));

async function does(action: Action, script: string): Promise<void> {
  if (world === undefined) throw new Error("no world");
  const { output, changes } = await world.run(action, script);
  if (action.shows !== undefined) expect(output).toMatch(action.shows);
  for (const path of action.changes ?? []) expect(changes).toContain(path);
}

test("names are told once, and every act is seen by its effect", () => {
  expect(new Set(ACTIONS.map(({ name }) => name)).size).toBe(ACTIONS.length);
  expect(ACTIONS.length).toBeGreaterThanOrEqual(64);
  expect(ACTIONS.filter(({ shows, changes }) => shows === undefined && changes === undefined)).toEqual([]);
});

describe("does what its name says", { concurrent: true, timeout: 60_000 }, () => {
  for (const action of ACTIONS) {
    test(action.name, async () => await does(action, action.script));
    if (action.renamed !== undefined) test(`${action.name}, renamed`, async () => await does(action, action.renamed ?? ""));
  }
});
