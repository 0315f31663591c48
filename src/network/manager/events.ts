/** What NetworkIsolationManager tells. A listener's exception stays with the listener. */
import type { EventEmitter } from "node:events";
import type { NetworkPolicy, NetworkViolation } from "../contract.ts";

export interface NetworkEvents {
  networkCreated: [{ readonly jobId: string; readonly subnet: string; readonly mode: NetworkPolicy["mode"] }];
  networkPoliciesApplied: [{ readonly jobId: string; readonly cut: number }];
  /** The first of a kind; the rest is counted. */
  networkViolation: [NetworkViolation & { readonly jobId: string }];
  /** Nothing of the job gets out any more, and nothing in. */
  networkLost: [{ readonly jobId: string; readonly why: string }];
  networkRemoved: [{ readonly jobId: string }];
}

/** Tells every listener. The raw ones: only they take a listener of once() off again. */
export function tell<K extends keyof NetworkEvents>(events: EventEmitter<NetworkEvents>, name: K, ...args: NetworkEvents[K]): void {
  for (const listener of events.rawListeners(name)) {
    try {
      Promise.resolve(Reflect.apply(listener, events, args)).catch(() => undefined);
    } catch {
      // A listener's failure, here or in its promise, is its own.
    }
  }
}
