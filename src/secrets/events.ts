/** What SecretManagementSystem tells: names and contents of its events. No value is ever among them. */
import type { EventEmitter } from "node:events";
import type { ErrorCode } from "../foundation/index.ts";

export interface SecretChange {
  readonly secretId: string;
  readonly version: number;
  readonly userId: string;
}

export interface SecretEvents {
  secretStored: [SecretChange];
  secretRotated: [SecretChange];
  secretDeleted: [{ readonly secretId: string; readonly userId: string }];
  secretRetrieved: [SecretChange & { readonly jobId: string }];
  /** Somebody asked for something and did not get it. */
  secretRefused: [{ readonly secretId: string | undefined; readonly userId: string; readonly jobId: string | undefined; readonly code: ErrorCode }];
  /** A secret that nothing should use was asked for, by a job that may have it. */
  canaryRead: [SecretChange & { readonly jobId: string }];
  /** Its time has come, and no provider is named. */
  rotationDue: [{ readonly secretId: string; readonly version: number; readonly because: "time" | "use" }];
  rotationFailed: [{ readonly secretId: string; readonly code: ErrorCode; readonly message: string }];
}

/** A listener's failure, here or in its promise, is its own. */
export function tell<K extends keyof SecretEvents>(emitter: EventEmitter<SecretEvents>, name: K, ...args: SecretEvents[K]): void {
  for (const listener of emitter.rawListeners(name)) {
    try {
      Promise.resolve(Reflect.apply(listener, emitter, args)).catch(() => undefined);
    } catch {
      // Said above.
    }
  }
}
