/**
 * Who wrote a file in this job: what the linker just linked and npm just unpacked is everyday, what came from nowhere is not.
 * By the file's own identity, so that a new name does not change where it came from.
 */
import type { FileFacts, ProcessEvent, ProcessKey } from "../event.ts";
import type { ProcessInfo } from "./process-tree.ts";

/** Programs that write programs for a living. */
export type Tool = "linker" | "assembler" | "compiler" | "copier" | "archiver" | "dpkg" | "rpm" | "apk" | "npm" | "pip" | "git" | "downloader";

export interface Writer {
  readonly key: ProcessKey;
  readonly program: FileFacts | undefined;
  readonly args: readonly string[];
  /**
   * What it counts as, by its name, when its program is the image's own. undefined for everything else, and for a
   * program that the job itself brought along: that can have any name. npm and pip are an interpreter with a script of that
   * name, which a job can make itself: a hint, no proof.
   */
  readonly tool: Tool | undefined;
}

export interface Origin {
  readonly writer: Writer;
  /** Unix time, ms, when it opened the file to write. */
  readonly time: number;
  /** The file was made then. */
  readonly created: boolean;
}

/** Files a job, and in all; the oldest are forgotten first. */
const MAX_OF_JOB = 20_000;
const MAX_FILES = 100_000;
const MAX_ARGS = 8;
const MAX_LINE = 8;

export class Provenance {
  readonly #jobs = new Map<string, Map<string, Origin>>();
  /** The last writer of each job: a program that writes many files is one object. */
  readonly #last = new Map<string, { readonly process: ProcessInfo; readonly program: FileFacts | undefined; readonly writer: Writer }>();
  #files = 0;

  /** Takes an event over. @param process who did it, as of now. */
  take(event: ProcessEvent, process: ProcessInfo): void {
    if (event.kind !== "open" || event.access === "read" || event.access === "path" || "claimed" in event.file) return;
    if (event.file.type !== "file") return;
    const files = this.#filesOf(event.job);
    if (files.delete(event.file.id)) this.#files--;
    files.set(event.file.id, { writer: this.#writer(event.job, process), time: event.time, created: event.create });
    this.#files++;
    if (files.size > MAX_OF_JOB || this.#files > MAX_FILES) this.#forgetOldest(files.size > MAX_OF_JOB ? files : undefined);
  }

  /** undefined: it is the image's, or older than what is kept. */
  of(job: string, file: FileFacts): Origin | undefined {
    return this.#jobs.get(job)?.get(file.id);
  }

  forget(job: string): void {
    this.#files -= this.#jobs.get(job)?.size ?? 0;
    this.#jobs.delete(job);
    this.#last.delete(job);
  }

  #filesOf(job: string): Map<string, Origin> {
    const known = this.#jobs.get(job);
    if (known !== undefined) return known;
    const files = new Map<string, Origin>();
    this.#jobs.set(job, files);
    return files;
  }

  #writer(job: string, process: ProcessInfo): Writer {
    const last = this.#last.get(job);
    if (last?.process === process && last.program === process.program) return last.writer;
    const writer: Writer = { key: process.key, program: process.program, args: process.args.slice(0, MAX_ARGS), tool: toolOf(process) };
    this.#last.set(job, { process, program: process.program, writer });
    return writer;
  }

  /** @param files of one job, or of whichever has most. */
  #forgetOldest(files: Map<string, Origin> | undefined): void {
    const from = files ?? [...this.#jobs.values()].reduce((a, b) => (b.size > a.size ? b : a));
    const [id] = from.keys();
    if (id !== undefined && from.delete(id)) this.#files--;
  }
}

const NAMES: ReadonlyMap<string, Tool> = new Map(
  (
    [
      ["linker", "ld ld.bfd ld.gold gold lld ld.lld mold rust-lld"],
      ["assembler", "as"],
      ["compiler", "cc1 cc1plus clang clang++ rustc go compile link tsc"],
      ["copier", "cp mv install ln strip objcopy busybox coreutils"],
      ["archiver", "tar bsdtar unzip cpio gzip xz zstd ar"],
      ["dpkg", "dpkg dpkg-deb"],
      ["rpm", "rpm"],
      ["apk", "apk"],
      ["git", "git"],
      ["downloader", "curl wget"],
    ] satisfies readonly (readonly [Tool, string])[]
  ).flatMap(([tool, names]) => names.split(" ").map((name): readonly [string, Tool] => [name, tool])),
);
/** Interpreters, and what their script's path ends with. */
const SCRIPTS: readonly (readonly [interpreter: RegExp, script: RegExp, tool: Tool])[] = [
  [/^node(js)?$/, /\/(npm|npx)(-cli\.js)?$|\/(pnpm|yarn)(\.c?js)?$|\/corepack\.js$/, "npm"],
  [/^python3?(\.\d+)?$/, /\/pip3?$|\/pip\/__main__\.py$/, "pip"],
];

function toolOf(process: ProcessInfo): Tool | undefined {
  let at: ProcessInfo | undefined = process;
  // A package manager works through children of its own program (npm's tar threads are none, pip's builds are).
  for (let line = 0; at !== undefined && line < MAX_LINE; line++, at = at.maker) {
    const tool = toolItself(at);
    if (tool !== undefined) return tool;
    if (at.maker?.program?.id !== at.program?.id) return undefined;
  }
  return undefined;
}

function toolItself({ program, args }: ProcessInfo): Tool | undefined {
  if (program === undefined || program.fresh === true || program.anonymous || program.unlinked) return undefined;
  const base = program.path.slice(program.path.lastIndexOf("/") + 1);
  // Debian's are called by their target: x86_64-linux-gnu-ld.bfd.
  const known = NAMES.get(base.replace(/^[a-z0-9_]+-linux-(gnu|musl)[a-z0-9]*-/, ""));
  if (known !== undefined) return known;
  const script = args.slice(1).find((arg) => !arg.startsWith("-"));
  if (args[1] === "-m" && args[2] === "pip" && /^python/.test(base)) return "pip";
  if (script === undefined) return undefined;
  return SCRIPTS.find(([interpreter, pattern]) => interpreter.test(base) && pattern.test(script))?.[2];
}
