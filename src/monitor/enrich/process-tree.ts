/**
 * Who made whom, and what each runs: from events alone, so that a process that ended a millisecond later is still known. A
 * process is told apart from a later one with its number by when it began.
 */
import type { Actor, ExecEvent, ExitEvent, FileFacts, ForkEvent, ProcessEvent, ProcessKey } from "../event.ts";

/** What is known of a process. The tree keeps it up to date: read, never change it. */
export interface ProcessInfo {
  readonly key: ProcessKey;
  readonly pid: number;
  readonly insidePid: number;
  readonly job: string;
  readonly container: string | undefined;
  /** Who forked it, whoever its parent became later. undefined: it was there before the watch, or that is forgotten. */
  readonly maker: ProcessInfo | undefined;
  /** What it runs, or its maker ran when it was made. undefined: it was there before the watch. */
  readonly program: FileFacts | undefined;
  readonly asked: string;
  /** Cut at {@link ProcessTreeLimits.args} characters. */
  readonly args: readonly string[];
  readonly argsCut: boolean;
  readonly cwd: string;
  readonly uid: number;
  readonly euid: number;
  /** Unix time, ms, of the first event of it. */
  readonly since: number;
  /** Hexadecimal, of the program; undefined while it is not known. */
  readonly sha256: string | undefined;
  readonly ended: { readonly time: number; readonly code: number; readonly signal: number } | undefined;
}

export interface ProcessTreeLimits {
  /** Characters of texts that are kept in all. */
  readonly size: number;
  /** Characters of arguments that are kept of one process. */
  readonly args: number;
}

type Changing<T> = { -readonly [K in keyof T]: T[K] };
interface Node extends Changing<ProcessInfo> {
  maker: Node | undefined;
  /** Kept processes that it made. */
  children: number;
  size: number;
}

/** About 12 MB of memory. */
const LIMITS: ProcessTreeLimits = { size: 4_000_000, args: 2000 };
/** A node without its texts counts as so many characters. */
const NODE_SIZE = 300;
const MAX_DEPTH = 64;

export class ProcessTree {
  readonly #limits: ProcessTreeLimits;
  readonly #nodes = new Map<ProcessKey, Node>();
  /** Ended ones, oldest first. */
  readonly #ended = new Set<Node>();
  #size = 0;
  #forgotten = 0;

  constructor(limits: Partial<ProcessTreeLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  /** Processes that are kept now. */
  get count(): number {
    return this.#nodes.size;
  }

  /** Living processes that were forgotten since there were too many. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Takes an event over. @returns the process that did it. */
  take(event: ProcessEvent): ProcessInfo {
    const node = this.#nodeOf(event);
    node.uid = event.actor.uid;
    node.euid = event.actor.euid;
    if (event.kind === "exec") this.#ran(node, event);
    else if (event.kind === "fork") this.#forked(node, event);
    else if (event.kind === "exit") this.#exited(node, event);
    this.#makeRoom(node);
    return node;
  }

  get(key: ProcessKey): ProcessInfo | undefined {
    return this.#nodes.get(key);
  }

  /** The process, who made it, and so on up to the first that is known. */
  lineage(process: ProcessInfo): ProcessInfo[] {
    const line: ProcessInfo[] = [];
    for (let at: ProcessInfo | undefined = process; at !== undefined && line.length < MAX_DEPTH; at = at.maker) line.push(at);
    return line;
  }

  /** Those of a job, in the order in which they were heard of. */
  of(job: string): ProcessInfo[] {
    return [...this.#nodes.values()].filter((node) => node.job === job);
  }

  /** What is known of the program that a process runs came later than the event. Nothing when it runs another meanwhile. */
  setHash(key: ProcessKey, program: FileFacts, sha256: string): void {
    const node = this.#nodes.get(key);
    if (node?.program === program) node.sha256 = sha256;
  }

  /** Everything of a job. */
  forget(job: string): void {
    // The youngest first, so that none is dropped before those that it made.
    for (const node of [...this.#nodes.values()].reverse()) if (node.job === job) this.#drop(node);
  }

  #nodeOf(event: ProcessEvent): Node {
    const known = this.#nodes.get(event.actor.key);
    if (known !== undefined) return known;
    return this.#add(event.actor.key, event, this.#nodes.get(event.actor.parent), event.actor);
  }

  #add(key: ProcessKey, event: ProcessEvent, maker: Node | undefined, numbers: Pick<Actor, "pid" | "inside">): Node {
    const node: Node = {
      key,
      pid: numbers.pid,
      insidePid: numbers.inside.pid,
      job: event.job,
      container: event.container,
      maker,
      program: maker?.program,
      asked: maker?.asked ?? "",
      args: maker?.args ?? [],
      argsCut: maker?.argsCut ?? false,
      cwd: maker?.cwd ?? "",
      uid: event.actor.uid,
      euid: event.actor.euid,
      since: event.time,
      sha256: maker?.sha256,
      ended: undefined,
      children: 0,
      size: NODE_SIZE,
    };
    if (maker !== undefined) maker.children++;
    this.#nodes.set(key, node);
    this.#size += node.size;
    return node;
  }

  #forked(node: Node, event: ForkEvent): void {
    if (!this.#nodes.has(event.child.key)) this.#add(event.child.key, event, node, event.child);
  }

  #ran(node: Node, event: ExecEvent): void {
    const args = cutTo(event.args, this.#limits.args);
    node.program = event.program;
    node.asked = event.asked;
    node.args = args.kept;
    node.argsCut = event.argsCut || args.cut;
    node.cwd = event.cwd;
    node.sha256 = undefined;
    this.#size -= node.size;
    node.size = NODE_SIZE + event.program.path.length + event.asked.length + event.cwd.length + args.size;
    this.#size += node.size;
  }

  #exited(node: Node, event: ExitEvent): void {
    node.ended = { time: event.time, code: event.code, signal: event.signal };
    this.#ended.add(node);
  }

  /** The oldest that ended go first, those last that made others which are kept. */
  #makeRoom(current: Node): void {
    for (let looks = this.#ended.size; this.#size > this.#limits.size && looks > 0; looks--) {
      const [node] = this.#ended;
      if (node === undefined) break;
      this.#ended.delete(node);
      if (node.children === 0 && node !== current) this.#drop(node);
      else this.#ended.add(node);
    }
    for (const node of this.#nodes.values()) {
      if (this.#size <= this.#limits.size) return;
      if (node === current) continue;
      if (node.ended === undefined) this.#forgotten++;
      this.#drop(node);
    }
  }

  #drop(node: Node): void {
    if (!this.#nodes.delete(node.key)) return;
    this.#ended.delete(node);
    this.#size -= node.size;
    if (node.maker !== undefined) node.maker.children--;
    // Nobody holds it through those that it made.
    if (node.children > 0) for (const other of this.#nodes.values()) if (other.maker === node) other.maker = undefined;
  }
}

function cutTo(args: readonly string[], most: number): { readonly kept: readonly string[]; readonly size: number; readonly cut: boolean } {
  const kept: string[] = [];
  let size = 0;
  for (const arg of args) {
    if (size + arg.length > most) {
      if (size < most) kept.push(arg.slice(0, most - size));
      return { kept, size: most, cut: true };
    }
    kept.push(arg);
    size += arg.length + 1;
  }
  return { kept, size, cut: false };
}
