/** What `cofferdam monitor` looks with: an engine, a monitor of its own, and a container by its name, its id or that of its job. */
import { EngineClient } from "../../engine/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { KernelSensor, type MonitorOptions, RuntimeSecurityMonitor } from "../../monitor/index.ts";
import type { CommandContext } from "./command.ts";
import { addressOf } from "./engine-option.ts";
import { openPolicy } from "./session.ts";

export interface MonitorSession {
  readonly monitor: RuntimeSecurityMonitor;
  readonly engine: EngineClient;
  /** The container's own id. */
  readonly containerId: string;
  readonly name: string;
  readonly jobId: string | undefined;
}

/** Throws NOT_FOUND, UPSTREAM_UNAVAILABLE without an engine, ENVIRONMENT_UNFIT for others than root. Nothing of the container is changed. */
export async function withMonitor<T>(context: CommandContext, options: MonitorOptions, work: (session: MonitorSession) => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) throw new CofferdamError("ENVIRONMENT_UNFIT", "events of the kernel are for root", { hint: "sudo cofferdam monitor ..." });
  const { values } = await openPolicy(context);
  await using engine = new EngineClient(addressOf(context.values["engine"], context.env));
  const { Id, Name, State } = await inspected(engine, onlyArgument(context));
  if (!State.Running) throw new CofferdamError("FAILED_PRECONDITION", `${Name.slice(1)} does not run`);
  // This process does nothing else: it reads by itself, and is the smaller for it.
  await using sensor = new KernelSensor({ env: true, thread: false });
  await using monitor = new RuntimeSecurityMonitor(engine, NO_TRAIL, {
    ...{ sensor, suspiciousProcesses: values["jobs.suspicious"], detectionRules: values["jobs.monitor-rules"], ...options },
  });
  await monitor.initialize();
  const name = Name.slice(1);
  const jobId = name.startsWith(JOB_PREFIX) ? name.slice(JOB_PREFIX.length) : undefined;
  return await work({ monitor, engine, containerId: Id, name, jobId });
}

const JOB_PREFIX = "cofferdam-";
/** A look keeps no evidence, and so records none. */
const NO_TRAIL = { log: async (): Promise<never> => Promise.reject(new CofferdamError("INTERNAL", "a look records nothing")) };

async function inspected(engine: EngineClient, word: string): Promise<Awaited<ReturnType<EngineClient["containers"]["inspect"]>>> {
  try {
    return await engine.containers.inspect(`${JOB_PREFIX}${word}`);
  } catch (error) {
    if (!(error instanceof CofferdamError) || error.code !== "NOT_FOUND") throw error;
    return await engine.containers.inspect(word);
  }
}

function onlyArgument({ args }: CommandContext): string {
  const [word, ...more] = args;
  if (word === undefined || more.length > 0)
    throw new CofferdamError("INVALID_ARGUMENT", "the id of a job, or a container's name or id, please", { hint: "cofferdam job list" });
  return word;
}
