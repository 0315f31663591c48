/** What rules, baseline and evidence ask about the processes of a job: what each runs, from where it came, who wrote what it runs. */
import type { FileFacts, ProcessKey } from "../event.ts";

/** One program as one process runs it. A process that executes another becomes the next of these; `from` leads back. */
export interface ProgramFacts {
  readonly key: ProcessKey;
  /** Number on the host, and the one that the job itself sees. */
  readonly pid: number;
  readonly insidePid: number;
  /** undefined: it ran before anybody looked. */
  readonly program: FileFacts | undefined;
  /** The name that was asked for; a script's own, while `program` is its interpreter. */
  readonly asked: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  /** Unix time, ms. */
  readonly since: number;
  /** What this process ran before, or what its parent ran as it was made; undefined at the first one, and where the chain was cut. */
  readonly from: ProgramFacts | undefined;
}

export interface JobProcesses {
  /** What a process runs now; undefined for one that was never seen. */
  get(key: ProcessKey): ProgramFacts | undefined;
  /** What wrote a file last, of those whose writing was seen. @param id of {@link FileFacts}. */
  writerOf(id: string): ProgramFacts | undefined;
}

/** Programs that are many, by the name that they are called with. */
const MULTIPLE: ReadonlySet<string> = new Set(["busybox", "toybox", "coreutils"]);

/** The file's own name; of a program that is many, the one that it was called as. "" where the program was not seen. */
export function nameOf({ program, args }: Pick<ProgramFacts, "program" | "args">): string {
  const file = program === undefined ? "" : baseOf(program.path);
  if (!MULTIPLE.has(file)) return file;
  const [called = file, first = file] = args;
  const name = baseOf(called.replace(/^-/, ""));
  return name === file ? baseOf(first) : name;
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** From the program itself to the first that is known. */
export function* lineOf(program: ProgramFacts): Generator<ProgramFacts, void, undefined> {
  for (let one: ProgramFacts | undefined = program; one !== undefined; one = one.from) yield one;
}

/** What start times in /proc are rounded to, ns. */
const TICK = 10_000_000n;

/** The key of an event as /proc writes it: in hundredths of a second, not ns. */
export function procKey(key: ProcessKey): string {
  const [pid = "", start = ""] = key.split(":");
  return /^\d+$/.test(start) ? `${pid}:${BigInt(start) / TICK}` : key;
}
