import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ResourceQuotaManager } from "../../quota/index.ts";
import { SqliteStore } from "../../store/index.ts";
import type { Output } from "./output.ts";
import { quotaCommands } from "./quota.ts";

let state: string;
let store: SqliteStore;
let quota: ResourceQuotaManager;
beforeEach(async () => {
  state = mkdtempSync(join(tmpdir(), "cofferdam-quota-show-"));
  store = new SqliteStore({ path: join(state, "cofferdam.db") });
  quota = new ResourceQuotaManager(undefined, { store, slots: 4 });
  await quota.initialize();
});
afterEach(async () => {
  await quota.close();
  await store.close();
  rmSync(state, { recursive: true });
});

async function show(json: boolean, args: readonly string[] = []): Promise<string> {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  const out: Output = { data: write, json: (document) => write(JSON.stringify(document)), note: write, fault: write, progress: write };
  const globals = { json, quiet: false, state, config: undefined, level: undefined };
  const context = { args, values: {}, globals, out, env: { HOME: state }, cwd: state, signal: new AbortController().signal };
  expect(await quotaCommands.commands[0]?.run(context)).toBe(0);
  return text;
}

test("who has what, who waits, in lines and as one document", async () => {
  await quota.allocateResources("job1", {
    priority: "high",
    tier: "normal",
    repository: "acme/web",
    requestedResources: { cpu: 0.5, memory: "1GB", disk: "1GB" },
  });
  const wait = quota.allocateResources("job2", { requestedResources: { cpu: 1.5, memory: "15GB" }, wait: 60_000 }).catch(() => undefined);
  while ((await quota.getQuotaStatus()).waiting.length === 0 && (await quota.getQuotaStatus()).held.length < 2) await quota.releaseResources("nothing");
  const text = await show(false);
  expect(text).toMatch(/^pool {6}\d.* cpu, .* memory, .* disk, of a host with /);
  expect(text).toMatch(/^reserved {2}cpu \d+ %, memory \d+ %, disk \d+ %$/m);
  expect(text).toMatch(/^job {7}job1 {2}high {2}acme\/web {2}0\.5 cpu, 1 GB memory, 1 GB disk {2}for \d+ ms$/m);
  const document = JSON.parse(await show(true));
  expect(document).toMatchObject({
    schema: "cofferdam/quota-show/v1",
    jobs: expect.arrayContaining([expect.objectContaining({ jobId: "job1", limits: { cpu: 0.5, memory: 1e9, swap: 0, pids: 1000, disk: 1e9 }, usage: null })]),
    violations: [],
  });
  expect(document.pool.cpu - document.reserved.cpu).toBeCloseTo(document.free.cpu, 3);
  await quota.releaseResources("job2");
  await wait;
});

test("nothing reserved is two lines; words are refused", async () => {
  expect((await show(false)).trim().split("\n")).toHaveLength(2);
  await expect(show(false, ["job1"])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
