/** The monitor of an orchestrator's jobs: started for the first that runs, with what the policy says, answered as the level says. */
import type { ContainerEngine } from "../engine/index.ts";
import type { Clock } from "../foundation/index.ts";
import { type MonitorThreat, RuntimeSecurityMonitor } from "../monitor/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { Store } from "../store/index.ts";
import { evidenceFolder } from "./job-evidence.ts";
import type { JobTrail } from "./job-trail.ts";
import { planResponse } from "./threats/response.ts";

export interface MonitorOfJobsParts {
  readonly engine: ContainerEngine;
  readonly audit: Pick<JobTrail, "log">;
  readonly policy: EffectivePolicy;
  readonly store: Store;
  readonly stateDir: string;
  readonly clock: Clock;
  /** Whoever made the orchestrator wants none. */
  readonly off: boolean;
  tell(threat: MonitorThreat): void;
}

export class MonitorOfJobs {
  readonly #parts: MonitorOfJobsParts;
  #starting: Promise<RuntimeSecurityMonitor | undefined> | undefined;
  #current: RuntimeSecurityMonitor | undefined;

  constructor(parts: MonitorOfJobsParts) {
    this.#parts = parts;
  }

  /** undefined until it was started, and where there is none. */
  get current(): RuntimeSecurityMonitor | undefined {
    return this.#current;
  }

  /** Once; undefined where it is off. Throws INVALID_ARGUMENT for rules of the policy that make no sense. */
  async start(): Promise<RuntimeSecurityMonitor | undefined> {
    const { policy, off } = this.#parts;
    if (off || policy.values["jobs.monitor"] === "off") return undefined;
    this.#starting ??= this.#start();
    return await this.#starting;
  }

  async close(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    await this.#current?.close();
    this.#current = undefined;
  }

  async #start(): Promise<RuntimeSecurityMonitor> {
    const { engine, audit, policy, store, stateDir, clock, tell } = this.#parts;
    const { level, mode } = policy.values;
    const monitor = new RuntimeSecurityMonitor(engine, audit, {
      ...{ store, clock, evidence: evidenceFolder(stateDir) },
      ...{ suspiciousProcesses: policy.values["jobs.suspicious"], detectionRules: policy.values["jobs.monitor-rules"] },
      // Whoever asks that every job is watched does not want one to go on meanwhile.
      unwatched: policy.values["jobs.monitor"] === "require" && mode === "enforce" ? "stand-still" : "go-on",
      freezes: (threat) => planResponse(level, threat, mode).includes("freeze"),
    });
    monitor.events.on("threatDetected", tell);
    await monitor.initialize();
    this.#current = monitor;
    return monitor;
  }
}
