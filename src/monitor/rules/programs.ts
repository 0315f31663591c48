/**
 * What each process of a job runs, and from what it came, as rules see it: as it was when it was made. A process that makes
 * another and then executes a trusted program has not lent its child that program's name. Bounded in every direction, and
 * what was dropped for it is counted.
 */
import type { ExecEvent, ForkEvent, OpenEvent, ProcessEvent, ProcessKey } from "../event.ts";
import { type JobProcesses, type ProgramFacts, procKey } from "./program.ts";

export interface ProgramLimits {
  /** Processes that are remembered, living ones and the last that ended. */
  readonly processes: number;
  /** Files whose writer is remembered. */
  readonly files: number;
  /** Programs in a chain from the first to the last. */
  readonly depth: number;
}

const LIMITS: ProgramLimits = { processes: 20_000, files: 50_000, depth: 64 };
/** An event of a process may come after its exit: of another processor, later in the ring. */
const REMEMBERED_ENDED = 1000;
const MAX_ARGS = 128;
const MAX_ARGS_TEXT = 8192;

export class JobPrograms implements JobProcesses {
  readonly #limits: ProgramLimits;
  readonly #running = new Map<ProcessKey, ProgramFacts>();
  readonly #ended = new Map<ProcessKey, ProgramFacts>();
  readonly #writers = new Map<string, ProgramFacts>();
  /** By {@link procKey}. */
  readonly #before = new Map<string, ProgramFacts>();
  #forgotten = 0;

  constructor(limits: Partial<ProgramLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  /** Processes and writers that had to be forgotten for the limits. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** In the order in which they began. */
  get running(): Iterable<ProgramFacts> {
    return this.#running.values();
  }

  /** Those that run, and the last that ended: /proc shows some of them for a while. */
  *known(): Generator<ProgramFacts, void, undefined> {
    yield* this.#running.values();
    yield* this.#ended.values();
  }

  /** What ran before the first event, as /proc showed it: its key is /proc's, and whether its file is fresh is not known. */
  ranBefore(program: ProgramFacts): void {
    this.#before.set(program.key, program);
  }

  /** To be told of every event before anybody asks about it. */
  take(event: ProcessEvent): void {
    if (event.kind === "exec") this.#exec(event);
    else if (event.kind === "fork") this.#fork(event);
    else if (event.kind === "exit") this.#exit(event.actor.key);
    else if (event.kind === "open") this.#open(event);
  }

  get(key: ProcessKey): ProgramFacts | undefined {
    return this.#running.get(key) ?? this.#ended.get(key) ?? (this.#before.size === 0 ? undefined : this.#before.get(procKey(key)));
  }

  writerOf(id: string): ProgramFacts | undefined {
    return this.#writers.get(id);
  }

  #exec(event: ExecEvent): void {
    const { actor, program, asked, args, cwd, time } = event;
    const before = this.get(actor.key) ?? this.get(actor.parent);
    this.#ended.delete(actor.key);
    this.#put(this.#running, actor.key, {
      ...{ key: actor.key, pid: actor.pid, insidePid: actor.inside.pid, program, asked, args: bounded(args), cwd, uid: actor.euid, since: time },
      from: this.#chain(before),
    });
  }

  #fork({ actor, child, time }: ForkEvent): void {
    // A thread is no process: it runs what its process runs.
    if (child.pid !== child.tid) return;
    const parent = this.get(actor.key);
    const numbers = { key: child.key, pid: child.pid, insidePid: child.inside.pid };
    const unknown = { program: undefined, asked: "", args: [], cwd: "", uid: actor.euid, from: undefined };
    this.#put(this.#running, child.key, { ...(parent ?? unknown), ...numbers, since: time });
  }

  #exit(key: ProcessKey): void {
    const program = this.#running.get(key);
    if (program === undefined) return;
    this.#running.delete(key);
    this.#ended.set(key, program);
    if (this.#ended.size > REMEMBERED_ENDED) dropOldest(this.#ended);
  }

  #open({ actor, file, access, result }: OpenEvent): void {
    if (result < 0 || "claimed" in file || (access !== "write" && access !== "both")) return;
    const writer = this.get(actor.key);
    if (writer === undefined) return;
    this.#writers.delete(file.id);
    this.#writers.set(file.id, writer);
    if (this.#writers.size <= this.#limits.files) return;
    dropOldest(this.#writers);
    this.#forgotten++;
  }

  #put(map: Map<ProcessKey, ProgramFacts>, key: ProcessKey, program: ProgramFacts): void {
    map.delete(key);
    map.set(key, program);
    if (map.size <= this.#limits.processes) return;
    dropOldest(map);
    this.#forgotten++;
  }

  /** A process that executes itself for ever must not be remembered for ever: the last ones count. */
  #chain(from: ProgramFacts | undefined): ProgramFacts | undefined {
    const line: ProgramFacts[] = [];
    for (let one = from; one !== undefined; one = one.from) line.push(one);
    if (line.length < 2 * this.#limits.depth) return from;
    return line.slice(0, this.#limits.depth).reduceRight<ProgramFacts | undefined>((before, one) => ({ ...one, from: before }), undefined);
  }
}

function dropOldest<K, V>(map: Map<K, V>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}

function bounded(args: readonly string[]): readonly string[] {
  let room = MAX_ARGS_TEXT;
  const kept: string[] = [];
  for (const arg of args.slice(0, MAX_ARGS)) {
    if (room <= 0) break;
    kept.push(arg.length > room ? arg.slice(0, room) : arg);
    room -= arg.length;
  }
  return kept;
}
