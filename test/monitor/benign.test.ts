/** Builds that are as they should be: at most one of ten raises an alert. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EngineClient } from "../../src/engine/index.ts";
import { builtInRules, JobPrograms, KernelSensor, type ProcessEvent, RuleSet, type Watch } from "../../src/monitor/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { has, requires } from "../world/needs.ts";
import { BUILDS, type Build } from "./benign/builds.ts";
import { BuildWorld } from "./benign/world.ts";

const FULL = process.env["COFFERDAM_TEST_FULL"] === "1";
const SOURCES = [
  { source: "ebpf", need: "sensor" },
  { source: "audit", need: "audit" },
] as const;

describe.each(FULL ? SOURCES : SOURCES.slice(0, 1))("by $source", ({ source, need }) => {
  let docker: TestDocker | undefined;
  let engine: EngineClient;
  let world: BuildWorld;
  let sensor: KernelSensor;
  let rules: RuleSet;
  const handlers = new Map<string, (event: ProcessEvent) => void>();
  /** Of all builds: what would have been an alert. */
  const alerts: string[] = [];

  beforeAll(async () => {
    if (!has("docker") || !has(need)) return;
    docker = await startDocker();
    engine = new EngineClient(docker.socketPath);
    world = await BuildWorld.start(docker, engine);
    rules = new RuleSet(await builtInRules());
    sensor = new KernelSensor({ env: true, sources: [source] });
    sensor.on("event", (event) => handlers.get(event.job)?.(event));
    await sensor.initialize();
  });
  afterAll(async () => {
    await sensor?.close();
    await world?.[Symbol.asyncDispose]();
    await engine?.close();
    await docker?.[Symbol.asyncDispose]();
  });
  beforeEach((context) => {
    requires(context, "docker");
    requires(context, need);
  });

  async function alertsOf({ name, script, shows }: Build): Promise<readonly string[]> {
    const programs = new JobPrograms();
    const judge = rules.forJob(programs);
    const found = new Set<string>();
    handlers.set(name, (event) => {
      programs.take(event);
      for (const { rule, message } of judge(event)) if (rule.severity !== "note" && rule.severity !== "low") found.add(`${rule.id}: ${message}`);
    });
    let watch: Watch | undefined;
    const output = await world.run(script, async (id) => {
      watch = await sensor.watch({ job: name, container: id, pid: (await engine.containers.inspect(id)).State.Pid });
    });
    await watch?.close();
    handlers.delete(name);
    expect(output).toMatch(shows);
    return [...found];
  }

  describe("works", { timeout: 120_000 }, () => {
    for (const build of BUILDS) test(build.name, async () => void alerts.push(...(await alertsOf(build))));
  });

  // Whoever makes a program set-group-id in a build is told of it, also where that is what the package is to have.
  test("and raises at most one alert in all of them", () => {
    expect(alerts.filter((one) => !one.startsWith("set-id-bit: chmod made /work/p/"))).toEqual([]);
    expect(alerts.length).toBeLessThanOrEqual(1);
  });
});
