/** Where jobs run, on record, so that any process can look at what they use (`cofferdam quota show`). */

import { z } from "zod";
import type { Owner } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { parseJson } from "./json.ts";
import type { WatchTarget } from "./usage/target.ts";

export interface KnownTarget extends WatchTarget {
  readonly containerId?: string | undefined;
}

const bodySchema: z.ZodType<Pick<WatchTarget, "trees" | "sealed">> = z.strictObject({ trees: z.array(z.string()), sealed: z.boolean() });

export async function saveTarget(store: Store, self: Owner, jobId: string, { pid, started, trees, sealed, containerId }: KnownTarget): Promise<void> {
  await store.write(async (tx) => {
    await tx.run("DELETE FROM quota_targets WHERE job_id = ?", [jobId]);
    await tx.run("INSERT INTO quota_targets (job_id, boot, pid, started, container, body) VALUES (?, ?, ?, ?, ?, ?)", [
      jobId,
      self.boot,
      pid,
      started,
      containerId ?? null,
      JSON.stringify({ trees, sealed }),
    ]);
  });
}

/** Undefined when nobody said where the job runs, or that was before the machine started again. */
export async function loadTarget(store: Store, self: Owner, jobId: string): Promise<KnownTarget | undefined> {
  const row = await store.read((tx) => tx.get("SELECT * FROM quota_targets WHERE job_id = ? AND boot = ?", [jobId, self.boot]));
  if (row === undefined) return undefined;
  const { pid, started, container, body } = row;
  const parsed = bodySchema.safeParse(parseJson(body));
  if (!parsed.success) return undefined;
  return { pid: Number(pid), started: String(started), ...parsed.data, ...(typeof container === "string" && { containerId: container }) };
}

/** Also of a process that was killed: whoever releases what it had forgets where it ran. */
export async function forgetTarget(store: Store, jobId: string): Promise<void> {
  if ((await store.read((tx) => tx.get("SELECT 1 AS found FROM quota_targets WHERE job_id = ?", [jobId]))) === undefined) return;
  await store.write((tx) => tx.run("DELETE FROM quota_targets WHERE job_id = ?", [jobId]));
}
