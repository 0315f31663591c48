/** `--metrics FILE`: Prometheus text for node_exporter's textfile collector, replaced in one step. */
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { newId } from "../../foundation/index.ts";
import type { Telemetry } from "../../telemetry/index.ts";

/** Throws what the file system throws. The collector never reads half a file, and a link at FILE is replaced, not followed. */
export async function writeMetrics(file: string, cwd: string, telemetry: Telemetry, version: string): Promise<void> {
  const path = resolve(cwd, file);
  const next = `${path}.${newId("new")}`;
  const handle = await open(next, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o644);
  try {
    await handle.writeFile(telemetry.prometheus(version));
  } finally {
    await handle.close();
  }
  await rename(next, path).catch(async (error: unknown) => {
    await rm(next, { force: true });
    throw error;
  });
}
