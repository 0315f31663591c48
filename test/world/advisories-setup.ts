/** Makes the advisory database once for the whole run; every test project starts with a copy. And takes away what workers left that were ended. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { fillAdvisories } from "./advisories.ts";

export default async function setup(vitest: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-advisories-"));
  await fillAdvisories(join(folder, "advisories"));
  vitest.provide("advisories", join(folder, "advisories"));
  const scratch = mkdtempSync(join(tmpdir(), "cofferdam-run-"));
  chmodSync(scratch, 0o755);
  vitest.provide("scratch", scratch);
  return () => {
    for (const made of [folder, scratch]) rmSync(made, { recursive: true, force: true });
  };
}

declare module "vitest" {
  export interface ProvidedContext {
    /** Folder to copy to `STATE/advisories`. */
    advisories: string;
    /** Folder that others may look into; it goes with the run. */
    scratch: string;
  }
}
