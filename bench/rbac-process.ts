/**
 * One contender at one size, in a process of its own: argv is its name, users, roles and a folder for what it keeps. Prints one
 * line of JSON. The name `fill` writes the store that ours are opened on, so that their memory is not that of making it.
 */

import { median } from "./measure.ts";
import { CONTENDERS, fill } from "./rbac-contenders.ts";
import { type Question, world } from "./rbac-world.ts";

export interface Measured {
  /** CPU of one check, microseconds: the median of up to nine passes. */
  readonly cpu: number;
  /** Longest of 99 in a hundred, microseconds. */
  readonly p99: number;
  /** Resident when it was ready, MB. */
  readonly resident: number;
  /** One character a question: what was answered. */
  readonly answers: string;
  /** Ms from a change to the first decision that knows of it, one each. */
  readonly changes: readonly number[];
}

type Decide = (question: Question) => boolean | Promise<boolean>;

/** CPU that one pass may take, microseconds; the questions of a pass are as many as fit. */
const BUDGET = 2_000_000;
const QUESTIONS = 100_000;

const [name = "", users = "", roles = "", folder = ""] = process.argv.slice(2);
const made = () => world(Number(users), Number(roles), QUESTIONS);
if (name === "fill") await fill(made(), folder);
else process.stdout.write(`${JSON.stringify(await measure())}\n`);

async function measure(): Promise<Measured> {
  const make = CONTENDERS[name];
  if (make === undefined) throw new Error(`no contender ${name}`);
  const { decide, change } = await make(made, folder);
  const ready = resident();
  const { questions } = made();
  // The first pass warms up, says how many fit, and keeps the answers.
  const answers: boolean[] = [];
  const started = process.cpuUsage();
  for (const question of questions) {
    answers.push(await decide(question));
    if (answers.length % 50 === 0 && spent(started) > BUDGET) break;
  }
  const asked = questions.slice(0, answers.length);
  const passes: number[] = [];
  for (let used = 0; passes.length < 9 && (used < BUDGET || passes.length === 0); ) {
    const one = await pass(decide, asked);
    used += one;
    passes.push(one / asked.length);
  }
  const cpu = median(passes);
  const p99 = await slowest(decide, asked.slice(0, 20_000));
  const changes: number[] = [];
  if (change !== undefined) for (let i = 0; i < 20; i++) changes.push(await change());
  return { cpu, p99, resident: ready, answers: answers.map(Number).join(""), changes };
}

async function pass(decide: Decide, questions: readonly Question[]): Promise<number> {
  const started = process.cpuUsage();
  let allowed = 0;
  for (const question of questions) {
    const answer = decide(question);
    // Whoever answers at once is not made to wait.
    if (answer === true || (answer !== false && (await answer))) allowed += 1;
  }
  const used = spent(started);
  if (allowed < 0) throw new Error("never");
  return used;
}

async function slowest(decide: Decide, questions: readonly Question[]): Promise<number> {
  const times: number[] = [];
  for (const question of questions) {
    const started = process.hrtime.bigint();
    const answer = decide(question);
    if (typeof answer !== "boolean") await answer;
    times.push(Number(process.hrtime.bigint() - started) / 1000);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? Number.NaN;
}

function spent(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}

function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1e6;
}
