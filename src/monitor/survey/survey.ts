/**
 * A look at a container as it is now, beside what the events told: who is there that no event spoke of, and who has computed
 * for long with a connection to outside. A look sees what lasts, and nothing that came and went between two of them.
 */
import type { ProcessEvent } from "../event.ts";
import { shown } from "../rules/message.ts";
import { nameOf, type ProgramFacts, procKey } from "../rules/program.ts";
import type { JobPrograms } from "../rules/programs.ts";
import { type ProcProcess, readProcess } from "./proc-process.ts";

export interface SurveyFinding {
  readonly type: "unseen-process" | "miner-by-behaviour";
  readonly severity: "medium" | "high";
  readonly title: string;
  readonly attack: readonly string[];
  readonly message: string;
  readonly process: ProcProcess;
  readonly program: ProgramFacts | undefined;
}

interface Busy {
  readonly cpuMs: number;
  readonly at: number;
  /** Looks in a row in which it computed nearly all the time. */
  readonly looks: number;
}

/** Of one processor, from one look to the next. */
const BUSY_SHARE = 0.8;
const BUSY_LOOKS = 3;
/** Looks closer together say nothing. */
const LEAST_MS = 200;
const MAX_CONNECTED = 5000;
const INSIDE = /^(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|::1$|f[cd]|fe80)/i;

export class Survey {
  readonly #programs: JobPrograms;
  readonly #before: Set<string>;
  readonly #busy = new Map<string, Busy>();
  /** Processes that connected to outside. */
  readonly #connected = new Set<string>();

  /** @param there processes that were there before the events began: of those no event has to speak. */
  constructor(programs: JobPrograms, there: readonly ProcProcess[]) {
    this.#programs = programs;
    this.#before = new Set(there.map(({ key }) => key));
  }

  take(event: ProcessEvent): void {
    if (event.kind !== "connect" || event.socket.remote === undefined || INSIDE.test(event.socket.remote.address)) return;
    if (event.socket.family !== "inet" && event.socket.family !== "inet6") return;
    if (this.#connected.size < MAX_CONNECTED) this.#connected.add(event.actor.key);
  }

  /** @param complete whether the events are all of them. @param now ms, monotonic. */
  look(pids: readonly number[], complete: boolean, now: number): readonly SurveyFinding[] {
    const programs = new Map([...this.#programs.known()].map((program) => [procKey(program.key), program]));
    const there = new Set<string>();
    const findings: SurveyFinding[] = [];
    for (const pid of pids) {
      const process = readProcess(pid);
      if (process === undefined || process.state.startsWith("Z")) continue;
      there.add(process.key);
      const program = programs.get(process.key);
      if (complete && program === undefined && !this.#before.has(process.key)) findings.push(unseen(process));
      if (this.#computes(process, now) && program !== undefined && this.#looksLikeMiner(program)) findings.push(miner(process, program));
    }
    for (const key of this.#busy.keys()) if (!there.has(key)) this.#busy.delete(key);
    return findings;
  }

  #computes({ key, cpuMs }: ProcProcess, now: number): boolean {
    const last = this.#busy.get(key);
    if (last !== undefined && now - last.at < LEAST_MS) return false;
    const busy = last !== undefined && (cpuMs - last.cpuMs) / (now - last.at) >= BUSY_SHARE;
    const looks = busy ? last.looks + 1 : 0;
    this.#busy.set(key, { cpuMs, at: now, looks });
    return looks >= BUSY_LOOKS;
  }

  /** Brought along, and in touch with somebody outside: compilers are neither. */
  #looksLikeMiner({ key, program }: ProgramFacts): boolean {
    return program?.fresh === true && this.#connected.has(key);
  }
}

function unseen(process: ProcProcess): SurveyFinding {
  return {
    ...{ type: "unseen-process", severity: "medium", title: "a process that no event spoke of", attack: ["T1564"], process, program: undefined },
    message: `${shown(process.args.join(" ") || process.name)} runs, and nobody saw it start`,
  };
}

function miner(process: ProcProcess, program: ProgramFacts): SurveyFinding {
  return {
    ...{ type: "miner-by-behaviour", severity: "high", title: "it computes without end for somebody outside", attack: ["T1496"], process, program },
    message: `${shown(nameOf(program))} is not of the image, computes all the time, and is connected to outside`,
  };
}
