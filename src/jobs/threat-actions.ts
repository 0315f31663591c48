/** What the actions of a response do to a container, for real. */
import type { ContainerEngine } from "../engine/index.ts";
import { CofferdamError, type JsonObject } from "../foundation/index.ts";
import type { KeptEvidence, RuntimeSecurityMonitor } from "../monitor/index.ts";
import type { NetworkIsolationManager } from "../network/index.ts";
import type { ThreatActions } from "./threats/response.ts";
import type { Threat } from "./threats/threat.ts";

export interface ThreatActionParts {
  readonly engine: ContainerEngine;
  readonly networks: NetworkIsolationManager | undefined;
  /** Of a job of ours, by the book; undefined when the threat is about none that runs. */
  readonly container: string | undefined;
  /** Whoever watches that container; undefined where nobody of this process does. */
  readonly monitor: RuntimeSecurityMonitor | undefined;
  /** What was kept of it. */
  kept(evidence: KeptEvidence): void;
  record(details: JsonObject): Promise<void>;
  alert(threat: Threat): void;
  /** Ends the job for this reason. @param keep and leaves its container frozen as it is. */
  stop(error: CofferdamError, keep: boolean): Promise<void>;
}

const MAX_PROCESSES = 200;

export function threatActions({ engine, networks, container, monitor, kept, record, alert, stop }: ThreatActionParts): ThreatActions {
  const target = (): string => {
    if (container === undefined) throw new CofferdamError("FAILED_PRECONDITION", "no container of a job of ours: nothing is done to those of others");
    return container;
  };
  return {
    record: async (threat) => {
      await record({ threat: threat.id, type: threat.type, severity: threat.severity, source: threat.source, details: threat.details });
      return undefined;
    },
    alert: async (threat) => {
      alert(threat);
      return undefined;
    },
    freeze: async (_, signal) => {
      if (monitor === undefined) {
        await engine.containers.pause(target(), { signal });
        return undefined;
      }
      const { afterMs } = await monitor.freeze(target());
      return afterMs === undefined ? undefined : `ordered ${afterMs.toFixed(1)} ms after the act`;
    },
    evidence: async (threat, signal) => {
      if (monitor !== undefined) {
        const evidence = await monitor.takeEvidence(target(), threat, signal);
        kept(evidence);
        return `${evidence.processes} processes, ${evidence.changedFiles} changed files, ${evidence.events} events: ${evidence.path}`;
      }
      const { Titles, Processes } = await engine.containers.top(target(), { signal, psArgs: "-eo pid,ppid,uid,args" });
      const processes = Processes.slice(0, MAX_PROCESSES).map((line) => line.join(" ").slice(0, 300));
      await record({ threat: threat.id, evidence: "processes", titles: [...Titles], processes, total: Processes.length });
      return `${Processes.length} processes on record`;
    },
    disconnect: async () => {
      const cut = (await networks?.disconnectContainer(target())) ?? 0;
      return cut === 0 ? "it had no network" : undefined;
    },
    kill: async (threat, signal) => {
      const id = target();
      await stop(violation(threat), false);
      if (monitor === undefined) await engine.containers.kill(id, { signal });
      else monitor.kill(id);
      return undefined;
    },
    "stop-job": async (threat) => {
      target();
      await stop(violation(threat), true);
      return "its container stays, frozen";
    },
  };
}

function violation({ type, severity, id }: Threat): CofferdamError {
  return new CofferdamError("SECURITY_VIOLATION", `stopped for a ${severity} threat: ${type} (${id})`, { details: { threat: id } });
}
