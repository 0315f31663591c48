/**
 * Runs jobs through the command line, and kills that process: at a time, or as soon as the book shows a state. What the
 * kernel's SIGKILL leaves is what the next start has to find.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SqliteStore } from "../../src/store/index.ts";
import type { JobSpecification, JobWorld } from "./job-world.ts";

export interface KillPoint {
  readonly name: string;
  /** True when it is time; `row` is the job's, undefined before it has one. */
  reached(row: { readonly state: string; readonly holds: string } | undefined, sinceMs: number): boolean;
}

/** @returns the job's id, and whether it was caught before its own end. */
export async function killedAt(world: JobWorld, specification: JobSpecification, point: KillPoint): Promise<{ readonly id: string; readonly caught: boolean }> {
  const id = world.newId();
  const child = world.start(world.words(id, specification));
  child.stdout?.resume();
  child.stderr?.resume();
  const closed = new Promise<boolean>((resolve) => child.once("close", (_, signal) => resolve(signal === "SIGKILL")));
  const started = performance.now();
  while (child.exitCode === null && !point.reached(await rowOf(world, id), performance.now() - started)) await delay(1);
  child.kill("SIGKILL");
  return { id, caught: await closed };
}

async function rowOf({ state }: JobWorld, id: string): Promise<{ readonly state: string; readonly holds: string } | undefined> {
  if (!existsSync(join(state, "cofferdam.db"))) return undefined;
  await using store = new SqliteStore({ path: join(state, "cofferdam.db") });
  const row = await store.read((tx) => tx.get("SELECT state, holds FROM jobs WHERE job_id = ?", [id])).catch(() => undefined);
  return row === undefined ? undefined : { state: String(row["state"]), holds: String(row["holds"]) };
}
