/** What a guarded install came to, as the history keeps it. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { type Clock, messageOf } from "../../foundation/index.ts";
import type { NpmLockfile } from "../../inventory/index.ts";
import type { Store } from "../../store/index.ts";
import type { InstallFinding, InstallResult } from "../install/result.ts";
import { KnownFindings } from "../scan/exposed.ts";
import type { ScriptOutcome } from "../scripts/index.ts";
import { InstallHistory } from "./history.ts";
import type { InstalledVersion, RememberedScript } from "./install.ts";

export interface RememberRequest {
  readonly store: Store;
  readonly clock: Clock;
  readonly runId: string;
  /** After its outcome is in the audit trail. */
  readonly result: InstallResult;
  /** The last that was judged; undefined when there was none. */
  readonly lockfile: NpmLockfile | undefined;
}

/**
 * Records an install. The trail has it already, so that a failure here ends nothing: it becomes a finding, because
 * `cofferdam where` will not know of this install.
 */
export async function rememberInstall({ store, clock, runId, result, lockfile }: RememberRequest): Promise<InstallFinding | undefined> {
  try {
    const history = new InstallHistory(store, clock);
    await history.initialize();
    const onDisk = result.client !== undefined && result.movedTo === undefined;
    await history.record({
      ...{ runId, project: result.root, at: clock.now(), command: result.command, level: result.level, decision: result.decision },
      ...{ code: result.stoppedBy?.code, onDisk, policyDigest: result.policyDigest, auditRange: result.auditRange },
      packages: packagesOf(lockfile, onDisk ? result.root : undefined),
      scripts: result.scripts.map(rememberedScript),
    });
    // Whoever installed it was told of these; what becomes known later is raised by `db update`.
    const told = result.advisories?.findings ?? [];
    if (onDisk)
      await new KnownFindings(store).remember(
        told.map((finding) => ({ project: result.root, finding })),
        clock.now(),
      );
    return undefined;
  } catch (error) {
    return {
      code: "history",
      decision: "warn",
      subject: runId,
      message: `cofferdam where will not know of this install: ${messageOf(error)}`,
      fix: "cofferdam doctor",
    };
  }
}

/** @param root where only what is on the disk counts: optional packages of other platforms are in every lockfile. */
function packagesOf(lockfile: NpmLockfile | undefined, root: string | undefined): InstalledVersion[] {
  return (lockfile?.packages ?? [])
    .filter(({ kind, path, extraneous }) => kind !== "link" && kind !== "folder" && !extraneous && (root === undefined || isThere(join(root, path))))
    .map(({ name, version = "", integrity }) => ({ name, version, integrity }));
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function rememberedScript({ decision, event, run }: ScriptOutcome): RememberedScript {
  const { name, version = "" } = decision.subject;
  return {
    ...{ name, version, event, ran: run !== undefined, why: decision.why, exit: run?.exit, killedBy: run?.killedBy },
    refused: (run?.refused ?? []).map(({ kind, what }) => `${kind} ${what}`),
    refusedCount: run?.refused.length ?? 0,
    reached: (run?.reached ?? []).map(({ target }) => target),
  };
}
