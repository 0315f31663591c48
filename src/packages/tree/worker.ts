/** Worker thread of the tree comparison: gets units, answers one summed result, ends. */
import { parentPort, workerData } from "node:worker_threads";
import { TarballStore } from "../gate/tarball-store.ts";
import { UnitComparer } from "./compare.ts";
import type { TreeUnit, UnitResult } from "./unit.ts";

interface WorkerInput {
  readonly stateDir: string;
  readonly root: string;
}

const port = parentPort;
if (port !== null) {
  const { stateDir, root }: WorkerInput = workerData;
  const store = new TarballStore(stateDir, stateDir);
  // One message: all the units of this worker. The thread is started early and waits, so that its start costs no wall time.
  port.once("message", (units: readonly TreeUnit[]) => {
    const comparer = new UnitComparer(root, (sha512) => store.files(sha512));
    const results: UnitResult[] = units.map((unit) => comparer.compare(unit));
    port.postMessage(results);
  });
}
