/** Makes the advisory database once for the whole run; every test project starts with a copy. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { fillAdvisories } from "./advisories.ts";

export default async function setup(vitest: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-advisories-"));
  await fillAdvisories(join(folder, "advisories"));
  vitest.provide("advisories", join(folder, "advisories"));
  return () => rmSync(folder, { recursive: true, force: true });
}

declare module "vitest" {
  export interface ProvidedContext {
    /** Folder to copy to `STATE/advisories`. */
    advisories: string;
  }
}
