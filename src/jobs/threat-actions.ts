/** What the actions of a response do to a container, for real. */
import type { ContainerEngine } from "../engine/index.ts";
import { CofferdamError, type JsonObject } from "../foundation/index.ts";
import type { ThreatActions } from "./threats/response.ts";
import type { Threat } from "./threats/threat.ts";

export interface ThreatActionParts {
  readonly engine: ContainerEngine;
  /** Undefined when the threat is about none that runs. */
  readonly containerId: string | undefined;
  record(details: JsonObject): Promise<void>;
  alert(threat: Threat): void;
  /** Ends the job for this reason. */
  stop(error: CofferdamError): void;
}

const MAX_PROCESSES = 200;

export function threatActions({ engine, containerId, record, alert, stop }: ThreatActionParts): ThreatActions {
  const container = (): string => {
    if (containerId === undefined) throw new CofferdamError("FAILED_PRECONDITION", "no container of it runs");
    return containerId;
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
      await engine.containers.pause(container(), { signal });
      return undefined;
    },
    evidence: async (threat, signal) => {
      const { Titles, Processes } = await engine.containers.top(container(), { signal, psArgs: "-eo pid,ppid,uid,args" });
      const processes = Processes.slice(0, MAX_PROCESSES).map((line) => line.join(" ").slice(0, 300));
      await record({ threat: threat.id, evidence: "processes", titles: [...Titles], processes });
      return `${Processes.length} processes on record`;
    },
    disconnect: async () => "it has no network",
    kill: async (threat, signal) => {
      stop(violation(threat));
      await engine.containers.kill(container(), { signal });
      return undefined;
    },
    "stop-job": async (threat) => {
      stop(violation(threat));
      return undefined;
    },
  };
}

function violation({ type, severity, id }: Threat): CofferdamError {
  return new CofferdamError("SECURITY_VIOLATION", `stopped for a ${severity} threat: ${type}`, { details: { threat: id } });
}
