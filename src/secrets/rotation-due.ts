/** Which secrets are due for their next value, and what is done about them. */
import type { EventEmitter } from "node:events";
import { CofferdamError } from "../foundation/index.ts";
import type { SecretBackend, SecretInfo } from "./contract.ts";
import { type SecretEvents, tell } from "./events.ts";
import { everyName } from "./every-name.ts";
import type { SecretSettings } from "./settings.ts";

export interface DueReport {
  readonly rotated: readonly { readonly secretId: string; readonly version: number }[];
  /** Due, and no provider is named. */
  readonly waiting: readonly string[];
  readonly failed: readonly { readonly secretId: string; readonly error: CofferdamError }[];
}

export interface DueParts {
  readonly backend: SecretBackend;
  readonly settings: SecretSettings;
  readonly events: EventEmitter<SecretEvents>;
}

/** Names of one look. */
const PAGE = 500;

/** One secret's failure is told and does not stop the others; what somebody else is rotating is theirs. */
export async function rotateAllDue({ backend, settings, events }: DueParts, rotateOne: (secretId: string) => Promise<number>): Promise<DueReport> {
  const rotated: { secretId: string; version: number }[] = [];
  const waiting: string[] = [];
  const failed: { secretId: string; error: CofferdamError }[] = [];
  for await (const info of allSecrets(backend)) {
    const because = dueFor(info, settings, await backend.latestTime());
    const { secretId, currentVersion: version, autoRotate } = info;
    if (because === undefined) continue;
    if (autoRotate?.provider === undefined) {
      waiting.push(secretId);
      tell(events, "rotationDue", { secretId, version, because });
      continue;
    }
    try {
      rotated.push({ secretId, version: await rotateOne(secretId) });
    } catch (error) {
      if (!(error instanceof CofferdamError)) throw error;
      if (error.code === "CONFLICT") continue;
      failed.push({ secretId, error });
      tell(events, "rotationFailed", { secretId, code: error.code, message: error.message });
    }
  }
  return { rotated, waiting, failed };
}

/** @returns why a secret is due for its next value, if it is. */
function dueFor(info: SecretInfo, { rotation, lease = 0 }: SecretSettings, now: number): "time" | "use" | undefined {
  const { autoRotate, lastReadAt, versions, currentVersion } = info;
  const since = versions.find(({ version }) => version === currentVersion)?.createdAt ?? info.updatedAt;
  if (autoRotate !== undefined && since + autoRotate.every <= now) return "time";
  // Read since the value was made, and the last job that has it has to have let go of it.
  if (rotation.afterUse && lastReadAt !== undefined && lastReadAt >= since && lastReadAt + lease <= now) return "use";
  return undefined;
}

async function* allSecrets(backend: SecretBackend): AsyncGenerator<SecretInfo> {
  for await (const id of everyName(async (after) => await backend.list(after, PAGE))) {
    const found = await backend.find(id);
    if (found !== undefined && !found.info.deleted) yield found.info;
  }
}
