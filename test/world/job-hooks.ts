/** A {@link JobWorld} for the tests of one file: made before the first, and after each of them nothing of its jobs is left. */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { JobWorld } from "./job-world.ts";
import { has, type Need, requires } from "./needs.ts";

/** @param started is handed the world, where the machine has what it needs. @param more is needed besides a container engine. */
export function useJobWorld(started: (world: JobWorld) => void, ...more: readonly Need[]): void {
  const needs: readonly Need[] = ["docker", "container", ...more];
  let world: JobWorld | undefined;
  beforeAll(async () => {
    if (!needs.every((need) => has(need))) return;
    world = await JobWorld.start();
    started(world);
  });
  afterAll(async () => await world?.[Symbol.asyncDispose]());
  beforeEach((context) => {
    for (const need of needs) requires(context, need);
  });
  afterEach(async () => {
    if (world !== undefined) expect(await world.remains()).toEqual([]);
  });
}
