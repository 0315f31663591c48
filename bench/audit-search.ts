/**
 * A page of a search, whatever it asks for, and a proof, in a log of a million events (800 MB). COFFERDAM_BENCH_EVENTS sets
 * another number; COFFERDAM_BENCH_LOG names a folder in which the log is kept for the next run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditLogger, type AuditQuery, AuditLogger as Logger } from "../dist/audit/index.js";
import { makeLog } from "./audit-log.ts";
import { print } from "./measure.ts";

const EVENTS = Number(process.env["COFFERDAM_BENCH_EVENTS"] ?? 1_000_000);
const ROUNDS = 60;
/** A seed of its own, so that every run asks for the same pages. */
let seed = 12_345;
const random = (below: number): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return seed % below;
};
const at = (seq: number): Date => new Date(Date.UTC(2026, 0, 1) + seq * 4000);

const QUERIES: readonly (readonly [name: string, make: () => AuditQuery])[] = [
  ["newest", () => ({ newestFirst: true })],
  ["from anywhere", () => ({ after: random(EVENTS) })],
  ["a day", () => day(random(EVENTS))],
  ["a user", () => ({ userId: `user-${random(500)}`, newestFirst: random(2) === 0 })],
  ["a user in a day", () => ({ ...day(random(EVENTS)), userId: `user-${random(500)}` })],
  ["a session", () => ({ sessionId: `run_${random(EVENTS / 40)}` })],
  ["a resource and an action", () => ({ resourceId: `/srv/projects/p${random(5000)}`, action: `action_${random(30)}` })],
  ["a category", () => ({ category: "rbac", after: random(EVENTS), newestFirst: random(2) === 0 })],
  ["failures of a category", () => ({ category: "secrets", result: "failure", newestFirst: true })],
  ["a user who is rare", () => ({ userId: "rare" })],
  ["a rare user's failures in another category", () => ({ userId: "rare", result: "failure", category: "jobs" })],
  ["text that is common", () => ({ text: "lorem ipsum", after: random(EVENTS) })],
  ["text that is rare: one page of looking", () => ({ text: "resolved 777 of", after: random(EVENTS) })],
  ["text that is nowhere: one page of looking", () => ({ text: "no such words", newestFirst: true })],
  ["nothing: a session that never was", () => ({ sessionId: "run_none" })],
];

function day(seq: number): AuditQuery {
  return { startDate: at(seq), endDate: at(seq + 21_600) };
}

const kept = process.env["COFFERDAM_BENCH_LOG"];
const directory = kept ?? mkdtempSync(join(tmpdir(), "cofferdam-bench-log-"));
const seconds = await makeLog(directory, EVENTS);
if (seconds > 0) process.stdout.write(`bench made a log of ${EVENTS} events in ${seconds.toFixed(0)} s\n`);
const audit = new Logger({ storage: { directory } });
await audit.initialize();
const all: number[] = [];
for (const [name, make] of QUERIES) {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await timeOf(audit, make()));
  all.push(...times);
  process.stdout.write(`bench   ${name}: p50 ${percentile(times, 0.5).toFixed(1)} ms, p95 ${percentile(times, 0.95).toFixed(1)} ms\n`);
}
print({
  name: `audit-search p95 of a page at ${EVENTS} events vs 50 ms`,
  ours: percentile(all, 0.95),
  peer: 50,
  unit: "ms",
  goal: { kind: "at-most", ratio: 1 },
});

await audit.checkpoint();
const proofs: number[] = [];
for (let i = 0; i < 500; i++) {
  const seq = 1 + random(EVENTS);
  const started = performance.now();
  await audit.prove(seq);
  proofs.push(performance.now() - started);
}
print({ name: `audit-proof p50 at ${EVENTS} events vs 1 ms`, ours: percentile(proofs, 0.5), peer: 1, unit: "ms", goal: { kind: "at-most", ratio: 1 } });
await audit.close();
if (kept === undefined) rmSync(directory, { recursive: true });

async function timeOf(log: AuditLogger, query: AuditQuery): Promise<number> {
  const started = performance.now();
  await log.searchPage({ limit: 100, ...query });
  return performance.now() - started;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
