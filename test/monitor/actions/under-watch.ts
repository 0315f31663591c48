/** Acts under watch: done in a container, told by a sensor, judged by the product's rules. */
import { EngineClient } from "../../../src/engine/index.ts";
import { builtInRules, JobPrograms, KernelSensor, type Match, type ProcessEvent, RuleSet, type SensorSource, type Watch } from "../../../src/monitor/index.ts";
import { startDocker, type TestDocker } from "../../world/docker.ts";
import type { Action } from "./action.ts";
import { ActionWorld, type Done } from "./world.ts";

export interface Seen extends Done {
  /** The rules that said something. */
  readonly rules: readonly Match["rule"][];
}

export class ActsUnderWatch implements AsyncDisposable {
  readonly sensor: KernelSensor;
  readonly rules: RuleSet;
  readonly #docker: TestDocker;
  readonly #engine: EngineClient;
  readonly #world: ActionWorld;
  readonly #handlers = new Map<string, (event: ProcessEvent) => void>();

  private constructor(sensor: KernelSensor, rules: RuleSet, docker: TestDocker, engine: EngineClient, world: ActionWorld) {
    this.sensor = sensor;
    this.rules = rules;
    this.#docker = docker;
    this.#engine = engine;
    this.#world = world;
    sensor.on("event", (event) => this.#handlers.get(event.job)?.(event));
  }

  static async start(sources?: readonly SensorSource[]): Promise<ActsUnderWatch> {
    const sensor = new KernelSensor({ env: true, ...(sources && { sources }) });
    // First of all: what began before may be unknown to it.
    await sensor.initialize();
    const docker = await startDocker();
    const engine = new EngineClient(docker.socketPath);
    return new ActsUnderWatch(sensor, new RuleSet(await builtInRules()), docker, engine, await ActionWorld.start(engine));
  }

  async see(action: Action, script: string): Promise<Seen> {
    const tree = new JobPrograms();
    const judge = this.rules.forJob(tree);
    const rules: Match["rule"][] = [];
    const job = `${action.name} ${script.length}`;
    this.#handlers.set(job, (event) => {
      tree.take(event);
      rules.push(...judge(event).map(({ rule }) => rule));
    });
    let watch: Watch | undefined;
    const done = await this.#world.run(action, script, async (id) => {
      const { State } = await this.#engine.containers.inspect(id);
      watch = await this.sensor.watch({ job, container: id, pid: State.Pid });
    });
    await watch?.close();
    this.#handlers.delete(job);
    return { ...done, rules };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sensor.close();
    await this.#engine.close();
    await this.#docker[Symbol.asyncDispose]();
  }
}
