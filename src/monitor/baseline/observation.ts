/** What one run of a job did, in the terms in which the next is compared with it. Versions and random names collapse. */
import type { ProcessEvent } from "../event.ts";
import { nameOf } from "../rules/program.ts";
import type { JobPrograms } from "../rules/programs.ts";

/** `program` is `parent > exe`; `folder` one that was written in; `secret` the name of one that was given. */
export const ASPECTS = ["program", "destination", "folder", "secret"] as const;
export type Aspect = (typeof ASPECTS)[number];
export const AMOUNTS = ["processes", "connections", "filesWritten"] as const;
export type Amount = (typeof AMOUNTS)[number];

export interface ObservedRun {
  readonly seen: Readonly<Record<Aspect, readonly string[]>>;
  readonly amounts: Readonly<Record<Amount, number>>;
  /** Different ones that were too many to be kept. */
  readonly cut: number;
}

/** Different items of an aspect of one run. */
const MAX_ITEMS = 500;
const MAX_TEXT = 200;

export class Observation {
  readonly #seen: Readonly<Record<Aspect, Set<string>>> = { program: new Set(), destination: new Set(), folder: new Set(), secret: new Set() };
  readonly #amounts: Record<Amount, number> = { processes: 0, connections: 0, filesWritten: 0 };
  readonly #first: (aspect: Aspect, item: string, event: ProcessEvent | undefined) => void;
  #cut = 0;

  /** @param first is told of each item the first time that this run does it. */
  constructor(first: (aspect: Aspect, item: string, event: ProcessEvent | undefined) => void) {
    this.#first = first;
  }

  /** `programs` knows of the event already. */
  take(event: ProcessEvent, programs: JobPrograms): void {
    if (event.kind === "exec") {
      this.#amounts.processes++;
      const program = programs.get(event.actor.key);
      const parent = program?.from === undefined ? "?" : nameOf(program.from);
      this.#add("program", `${parent} > ${collapsed(event.program.path)}`, event);
    } else if (event.kind === "connect") {
      const { family, remote } = event.socket;
      if ((family !== "inet" && family !== "inet6") || remote === undefined || remote.address === "127.0.0.1" || remote.address === "::1") return;
      this.#amounts.connections++;
      this.#add("destination", `${remote.address}:${remote.port}`, event);
    } else if (event.kind === "open" && event.result >= 0 && (event.access === "write" || event.access === "both")) {
      this.#amounts.filesWritten++;
      this.#add("folder", folderOf(event.file.path), event);
    }
  }

  /** Names of secrets that the job was given. */
  given(secrets: readonly string[]): void {
    for (const one of secrets) this.#add("secret", one);
  }

  run(): ObservedRun {
    const { program, destination, folder, secret } = this.#seen;
    return { seen: { program: [...program], destination: [...destination], folder: [...folder], secret: [...secret] }, amounts: this.#amounts, cut: this.#cut };
  }

  #add(aspect: Aspect, item: string, event?: ProcessEvent): void {
    const set = this.#seen[aspect];
    const text = item.slice(0, MAX_TEXT);
    if (set.has(text)) return;
    if (set.size >= MAX_ITEMS) {
      this.#cut++;
      return;
    }
    set.add(text);
    this.#first(aspect, text, event);
  }
}

/** `/opt/node-24.12.0/bin/node` and `/tmp/npm-x8Kd2f/a` as what they have in common with those of other runs. */
export function collapsed(path: string): string {
  return path
    .split("/")
    .map((part) =>
      part
        .replace(/\d+(?:\.\d+)+(?:[-+~][0-9A-Za-z.]+)?/g, "*")
        .replace(/[0-9a-f]{12,}/gi, "*")
        .replace(/\d{3,}/g, "*")
        .replace(RANDOM, "$1*"),
    )
    .join("/");
}

/** What mkdtemp and its like put behind a name: six characters or more, with a digit or both cases among them. */
const RANDOM = /^(.*[-._])(?=[A-Za-z0-9]*[0-9])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{6,}$/;
/** Deeper folders than so many are the same one. */
const DEPTH = 4;

function folderOf(path: string): string {
  const folders = path.slice(0, path.lastIndexOf("/")).split("/");
  return collapsed(folders.slice(0, DEPTH + 1).join("/")) || "/";
}
