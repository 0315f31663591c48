/** Evidence of a stopped job through the command line: it stays while somebody needs it, and goes on record by its hash. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { useJobWorld } from "../world/job-hooks.ts";
import type { JobWorld } from "../world/job-world.ts";

let world: JobWorld;

useJobWorld((started) => {
  world = started;
}, "sensor");

const POLICY = "version: 1\njobs: {unscanned: accept, evidence-keep: 1ms}\n";

test("an open threat and a legal hold keep it; what was changed is told; then it goes, and the trail says what it was", async () => {
  const { report } = await world.job({ command: ["sh", "-c", "echo x > /tmp/release_agent; sleep 1000"] });
  const [kept] = report.monitoring?.evidence ?? [];
  const [threat] = report.threats;
  const path = kept?.path ?? "";
  const [{ id, needed, sha256 }] = JSON.parse((await world.cli(["evidence", "list", "--json"])).stdout).evidence;
  expect([needed, sha256]).toEqual([`threat ${threat?.id} is open`, kept?.sha256]);
  expect((await world.cli(["evidence", "list"])).stdout).toContain(`critical escape-file (${threat?.id})`);
  const page = await world.cli(["evidence", "show", id]);
  expect(page).toMatchObject({ exit: 0, stdout: expect.stringMatching(new RegExp(`^sha256    ${sha256}, record \\d+$`, "m")) });
  expect(page.stdout).toContain("sleep");

  world.policy(POLICY);
  const prune = async (...words: readonly string[]): Promise<{ removed: { sha256: string }[]; kept: { why: string }[] }> =>
    JSON.parse((await world.cli(["evidence", "prune", "--config", world.policyFile, "--json", ...words])).stdout);
  expect(await prune()).toMatchObject({ removed: [], kept: [{ why: needed }] });
  expect((await world.cli(["threats", "resolve", threat?.id ?? "", "--note", "our own test"])).exit).toBe(0);
  const hold = JSON.parse((await world.cli(["audit", "hold", "place", "--session", report.jobId, "--reason", "case 7", "--json"])).stdout).id;
  // Also not at the end of the next job, which takes away what is old.
  expect((await world.job({ command: ["true"] })).report.leftBehind).toEqual([]);
  expect(await prune()).toMatchObject({ removed: [], kept: [{ why: `legal hold ${hold}` }] });
  expect((await world.cli(["audit", "hold", "release", hold, "--reason", "closed"])).exit).toBe(0);
  expect(await prune("--dry-run")).toMatchObject({ removed: [{ sha256 }], kept: [] });

  const whole = readFileSync(path);
  writeFileSync(path, whole.toString().replace("release_agent", "something_else"));
  expect(await world.cli(["evidence", "show", id])).toMatchObject({ exit: 6, stdout: expect.stringContaining("NOT on record") });
  writeFileSync(path, whole);
  expect((await world.job({ command: ["true"] })).report.verdict).toBe("passed");
  expect(existsSync(path)).toBe(false);
  const { events } = JSON.parse((await world.cli(["audit", "search", "--action", "EvidenceRemoved", "--json"])).stdout);
  expect(events).toMatchObject([{ category: "monitor", sessionId: report.jobId, details: { sha256, why: "age", threat: threat?.id, path } }]);
  expect(await world.cli(["evidence", "show", id])).toMatchObject({ exit: 2 });
});
