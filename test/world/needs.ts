/** What a test needs of the machine. Missing: skipped with the reason, or a failure under REQUIRE_ALL=1. */
import { existsSync } from "node:fs";
import type { TestContext } from "vitest";

/** @param what a program that `./dev` installs. */
export function requires(context: TestContext, what: "bwrap" | "root"): void {
  const there = what === "root" ? process.getuid?.() === 0 : existsSync("/usr/bin/bwrap");
  if (there) return;
  if (process.env["REQUIRE_ALL"] === "1") throw new Error(`requires ${what}, and REQUIRE_ALL=1 is set`);
  context.skip(`requires ${what}`);
}
