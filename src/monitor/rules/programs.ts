/**
 * What each process of a job runs, and from what it came, as rules see it: as it was when it was made. A process that makes
 * another and then executes a trusted program has not lent its child that program's name. Bounded in every direction, and
 * what was dropped for it is counted: first of those that ended and of files, and of what runs never the name before the rest.
 */
import type { ExecEvent, ForkEvent, OpenEvent, ProcessEvent, ProcessKey } from "../event.ts";
import { bare, type KeptProgram, keptProgram, Weight } from "./kept-program.ts";
import { Pipes } from "./pipes.ts";
import { type JobProcesses, type ProgramFacts, procKey } from "./program.ts";

export interface ProgramLimits {
  /** Processes that are remembered, living ones and the last that ended. */
  readonly processes: number;
  /** Files whose writer is remembered. */
  readonly files: number;
  /** Programs in a chain from the first to the last. */
  readonly depth: number;
  /** All of it together, about. */
  readonly bytes: number;
}

/** How many had to be forgotten for the limits. */
export interface Forgotten {
  /** Of those that run: what is left of one is its name, or nothing. */
  readonly running: number;
  /** Of those that ended, and of files: who wrote them. */
  readonly finished: number;
}

const LIMITS: ProgramLimits = { processes: 20_000, files: 50_000, depth: 64, bytes: 8 << 20 };
/** An event of a process may come after its exit: of another processor, later in the ring. */
const REMEMBERED_ENDED = 1000;
const MAX_ARGS = 128;
const MAX_ARGS_TEXT = 8192;
/** A file's name and its place in the map, bytes. */
const FILE_BYTES = 120;

export class JobPrograms implements JobProcesses {
  readonly #limits: ProgramLimits;
  readonly #running = new Map<ProcessKey, KeptProgram>();
  readonly #ended = new Map<ProcessKey, KeptProgram>();
  readonly #writers = new Map<string, KeptProgram>();
  /** By {@link procKey}. */
  readonly #before = new Map<string, KeptProgram>();
  readonly #pipes = new Pipes();
  readonly #weight = new Weight();
  #forgotten: Forgotten = { running: 0, finished: 0 };

  constructor(limits: Partial<ProgramLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  get forgotten(): Forgotten {
    return this.#forgotten;
  }

  /** What is remembered takes so many bytes, about. */
  get bytes(): number {
    return this.#weight.bytes + FILE_BYTES * this.#writers.size;
  }

  /** Those that were there before the first event, then the others in the order in which they began. */
  get running(): Iterable<ProgramFacts> {
    return [...factsOf(this.#before), ...factsOf(this.#running)];
  }

  /** Those that run, and the last that ended: /proc shows some of them for a while. */
  *known(): Generator<ProgramFacts, void, undefined> {
    yield* factsOf(this.#running);
    yield* factsOf(this.#ended);
  }

  /** What ran before the first event, as /proc showed it: its key is /proc's, and whether its file is fresh is not known. */
  ranBefore(program: ProgramFacts): void {
    const kept = keptProgram({ ...program, args: bounded(program.args) }, undefined);
    const fits = this.bytes + kept.texts.bytes <= this.#limits.bytes / 2;
    if (!fits) this.#forget("running", 1);
    this.#put(this.#before, program.key, fits ? kept : bare(kept));
  }

  /** To be told of every event before anybody asks about it. */
  take(event: ProcessEvent): void {
    this.#pipes.take(event);
    if (event.kind === "exec") this.#exec(event);
    else if (event.kind === "fork") this.#fork(event);
    else if (event.kind === "exit") this.#exit(event.actor.key);
    else if (event.kind === "open") this.#open(event);
  }

  get(key: ProcessKey): ProgramFacts | undefined {
    return this.#of(key)?.facts;
  }

  writerOf(id: string): ProgramFacts | undefined {
    return this.#writers.get(id)?.facts;
  }

  feedersOf(key: ProcessKey): readonly ProgramFacts[] {
    return this.#pipes.feeders(key).flatMap((one) => this.get(one) ?? []);
  }

  readersOf(key: ProcessKey): readonly ProgramFacts[] {
    return this.#pipes.readers(key).flatMap((one) => this.get(one) ?? []);
  }

  makerOf(key: ProcessKey): ProgramFacts | undefined {
    const maker = this.#pipes.maker(key);
    return maker === undefined ? undefined : this.get(maker);
  }

  connected(key: ProcessKey): boolean {
    return this.#pipes.connected(key);
  }

  #of(key: ProcessKey): KeptProgram | undefined {
    return this.#running.get(key) ?? this.#ended.get(key) ?? (this.#before.size === 0 ? undefined : this.#before.get(procKey(key)));
  }

  #exec(event: ExecEvent): void {
    const { actor, program, asked, args, cwd, time } = event;
    const from = this.#chain(this.#of(actor.key) ?? this.#of(actor.parent));
    const facts: ProgramFacts = {
      ...{
        key: actor.key,
        pid: actor.pid,
        ppid: actor.ppid,
        insidePid: actor.inside.pid,
        program,
        asked,
        args: bounded(args),
        cwd,
        uid: actor.euid,
        since: time,
      },
      from: from?.facts,
    };
    this.#begin(actor.key, keptProgram(facts, from));
    this.#drop(this.#before, procKey(actor.key));
  }

  #fork({ actor, child, time }: ForkEvent): void {
    // A thread is no process: it runs what its process runs.
    if (child.pid !== child.tid) return;
    const parent = this.#of(actor.key);
    const numbers = { key: child.key, pid: child.pid, ppid: actor.pid, insidePid: child.inside.pid };
    const unknown = { program: undefined, asked: "", args: [], cwd: "", uid: actor.euid, from: undefined };
    this.#begin(child.key, keptProgram({ ...(parent?.facts ?? unknown), ...numbers, since: time }, parent?.from, parent));
  }

  #begin(key: ProcessKey, program: KeptProgram): void {
    this.#put(this.#running, key, program);
    this.#drop(this.#ended, key);
    if (this.#running.size > this.#limits.processes) this.#forget("running", this.#dropOldest(this.#running));
    this.#fit(key);
  }

  #exit(key: ProcessKey): void {
    const program = this.#running.get(key) ?? this.#before.get(procKey(key));
    if (program === undefined) return;
    this.#put(this.#ended, key, program);
    this.#drop(this.#running, key);
    this.#drop(this.#before, procKey(key));
    if (this.#ended.size > REMEMBERED_ENDED) this.#dropOldest(this.#ended);
  }

  #open({ actor, file, access, result }: OpenEvent): void {
    if (result < 0 || "claimed" in file || (access !== "write" && access !== "both")) return;
    const writer = this.#of(actor.key);
    if (writer === undefined) return;
    this.#put(this.#writers, file.id, writer);
    if (this.#writers.size > this.#limits.files) this.#forget("finished", this.#dropOldest(this.#writers));
    this.#fit(actor.key);
  }

  /** @param key whose turn it is: its program stays whole. */
  #fit(key: ProcessKey): void {
    const most = this.#limits.bytes;
    while (this.bytes > most) {
      const dropped = this.#dropOldest(this.#ended) || this.#dropOldest(this.#writers);
      if (dropped === 0) break;
      this.#forget("finished", dropped);
    }
    if (this.bytes <= most) return;
    // All of them at once, and then room for as much again: else the next event would find it full, and the next.
    for (const [other, program] of this.#running) {
      if (other === key) continue;
      this.#replace(this.#running, other, bare(program));
      this.#forget("running", 1);
    }
    while (this.bytes > most / 2 && this.#running.size > 1) this.#forget("running", this.#dropOldest(this.#running));
  }

  #forget(what: keyof Forgotten, count: number): void {
    this.#forgotten = { ...this.#forgotten, [what]: this.#forgotten[what] + count };
  }

  /** At the end of a map: it is the youngest. */
  #put(map: Map<string, KeptProgram>, key: string, program: KeptProgram): void {
    this.#weight.hold(program);
    this.#drop(map, key);
    map.set(key, program);
  }

  /** At its place. */
  #replace(map: Map<string, KeptProgram>, key: string, program: KeptProgram): void {
    const old = map.get(key);
    this.#weight.hold(program);
    if (old !== undefined) this.#weight.release(old);
    map.set(key, program);
  }

  #drop(map: Map<string, KeptProgram>, key: string): void {
    const old = map.get(key);
    if (old === undefined) return;
    map.delete(key);
    this.#weight.release(old);
  }

  /** @returns how many were dropped: one, or none. */
  #dropOldest(map: Map<string, KeptProgram>): number {
    for (const key of map.keys()) {
      this.#drop(map, key);
      return 1;
    }
    return 0;
  }

  /** A process that executes itself for ever must not be remembered for ever: the last ones count. */
  #chain(from: KeptProgram | undefined): KeptProgram | undefined {
    const line: KeptProgram[] = [];
    for (let one = from; one !== undefined; one = one.from) line.push(one);
    if (line.length < 2 * this.#limits.depth) return from;
    return line
      .slice(0, this.#limits.depth)
      .reduceRight<KeptProgram | undefined>((before, one) => keptProgram({ ...one.facts, from: before?.facts }, before, one), undefined);
  }
}

function* factsOf(map: ReadonlyMap<string, KeptProgram>): Generator<ProgramFacts, void, undefined> {
  for (const { facts } of map.values()) yield facts;
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
