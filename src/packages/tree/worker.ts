/** Worker thread of the tree comparison: reads manifests ahead when told to, gets units, answers one result a unit. */
import { parentPort, workerData } from "node:worker_threads";
import { type InstalledFile, TarballStore } from "../gate/tarball-store.ts";
import { UnitComparer } from "./compare.ts";
import type { TreeRequest, TreeUnit, UnitResult } from "./unit.ts";

interface WorkerInput {
  readonly stateDir: string;
  readonly root: string;
}

/** Files known ahead, so that memory stays bounded; what is not among them is read when its unit is compared. */
const MAX_AHEAD = 200_000;

const port = parentPort;
if (port !== null) {
  const { stateDir, root }: WorkerInput = workerData;
  const store = new TarballStore(stateDir, stateDir);
  const ahead = new Map<string, readonly InstalledFile[]>();
  const comparer = new UnitComparer(root, (sha512) => ahead.get(sha512) ?? store.files(sha512));
  // The thread is started early and waits, so that its start costs no wall time.
  port.on("message", ({ kind, units }: TreeRequest) => {
    if (kind === "ahead") {
      readAhead(units, store, ahead);
      return;
    }
    const results: UnitResult[] = units.map((unit) => comparer.compare(unit));
    port.postMessage(results);
  });
}

/** Reads manifests into `ahead` while the client still runs. A damaged one is reported by the comparison, which reads it again. */
function readAhead(units: readonly TreeUnit[], store: TarballStore, ahead: Map<string, readonly InstalledFile[]>): void {
  let known = 0;
  for (const { sha512 } of units.flatMap((unit) => unit.packages)) {
    if (sha512 === undefined || ahead.has(sha512)) continue;
    if (known > MAX_AHEAD) return;
    try {
      const files = store.files(sha512);
      ahead.set(sha512, files);
      known += files.length;
    } catch {
      // The comparison says it.
    }
  }
}
