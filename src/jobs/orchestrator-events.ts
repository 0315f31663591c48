/** The events of an orchestrator, by the seed's names. */
import type { EventEmitter } from "node:events";
import type { JobSecurityContext } from "./job-context.ts";
import type { ActionOutcome } from "./threats/response.ts";
import type { Threat } from "./threats/threat.ts";

export interface OrchestratorEvents {
  initialized: [{ readonly reconciled: readonly string[] }];
  securityContextCreated: [JobSecurityContext];
  containerSecured: [{ readonly jobId: string; readonly containerId: string; readonly controls: readonly string[] }];
  threatHandled: [{ readonly threat: Threat; readonly outcomes: readonly ActionOutcome[] }];
  jobBlocked: [{ readonly jobId: string; readonly reason: string }];
  securityAlert: [Threat];
}

/** A listener's failure is its own. */
export function tellAll<K extends keyof OrchestratorEvents>(emitter: EventEmitter<OrchestratorEvents>, name: K, ...args: OrchestratorEvents[K]): void {
  for (const listener of emitter.rawListeners(name)) {
    try {
      Promise.resolve(Reflect.apply(listener, emitter, args)).catch(() => undefined);
    } catch {
      // Said above.
    }
  }
}
