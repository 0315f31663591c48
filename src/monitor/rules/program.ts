/** What rules, baseline and evidence ask about the processes of a job: what each runs, from where it came, who wrote what it runs. */
import type { FileFacts, ProcessKey } from "../event.ts";

/** One program as one process runs it. A process that executes another becomes the next of these; `from` leads back. */
export interface ProgramFacts {
  readonly key: ProcessKey;
  /** Number on the host, and the one that the job itself sees. */
  readonly pid: number;
  readonly insidePid: number;
  /** Its parent's number on the host, as it began: to be shown. Whom it came from is {@link from}. */
  readonly ppid: number;
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
  /** Whose output is the input of a process, through a pipe. */
  feedersOf(key: ProcessKey): readonly ProgramFacts[];
  /** Whose input is the output of a process, or is held by it because it made them. */
  readersOf(key: ProcessKey): readonly ProgramFacts[];
  /** Who made a process, where its input is a pipe that is nobody's output. */
  makerOf(key: ProcessKey): ProgramFacts | undefined;
  /** Whether a process made or took a connection over TCP, not of its own host. */
  connected(key: ProcessKey): boolean;
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

/** Options of shells that take the next word with them: `-eo pipefail`, `--rcfile FILE`. */
const WITH_WORD = /^(?:[-+][A-Za-z]*[oO]|--rcfile|--init-file)$/;

/**
 * Of a shell: it runs what comes in, being given neither a command nor a script (POSIX, sh: `-c` a command, `-s` or no operand
 * standard input). Of other programs it means nothing.
 */
export function takesCommands({ program, args }: Pick<ProgramFacts, "program" | "args">): boolean {
  const called = baseOf(args[0] ?? "");
  const isMany = program !== undefined && MULTIPLE.has(baseOf(program.path)) && MULTIPLE.has(called);
  for (let at = isMany ? 2 : 1; at < args.length; at++) {
    const word = args[at] ?? "";
    if (word === "-" || word === "--") return at === args.length - 1;
    if (!/^[-+]./.test(word)) return false;
    const letters = /^-[A-Za-z]/.test(word) ? word : "";
    if (letters.includes("c")) return false;
    if (letters.includes("s")) return true;
    if (WITH_WORD.test(word)) at++;
  }
  return true;
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
