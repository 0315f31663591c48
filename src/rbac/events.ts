/** What RBACSystem tells. */
import type { EventEmitter } from "node:events";
import type { PolicyChange } from "./changes.ts";
import type { Decision } from "./contract.ts";

export interface RBACEvents {
  accessDenied: [Decision];
  policyChanged: [PolicyChange];
  /** Who owns a repository could not be found out; it counts as not known. */
  resolverFailed: [{ readonly repository: string; readonly message: string }];
}

/** Tells every listener. The raw ones: only they take a listener of once() off again. */
export function tell<K extends keyof RBACEvents>(emitter: EventEmitter<RBACEvents>, name: K, ...args: RBACEvents[K]): void {
  for (const listener of emitter.rawListeners(name)) {
    try {
      Promise.resolve(Reflect.apply(listener, emitter, args)).catch(() => undefined);
    } catch {
      // A listener's failure, here or in its promise, is its own.
    }
  }
}
