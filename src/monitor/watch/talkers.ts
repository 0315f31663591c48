/** Which program had a port of a job when: what a gateway saw of a connection can be told with who made it. */
import type { ProcessEvent } from "../event.ts";
import { baseOf, nameOf, type ProgramFacts } from "../rules/program.ts";

export interface Talker {
  readonly protocol: "tcp" | "udp";
  /** The job's own. */
  readonly port: number;
  /** Unix time, ms: connect, or something sent to a name server. */
  readonly time: number;
  /** As the job numbers it. */
  readonly pid: number;
  /** Its file; of a program that is many, with the name that it was called by. Undefined: it ran before anybody looked. */
  readonly program: string | undefined;
}

/** The newest ones; a job that connects more often is told of those. */
const MOST = 4000;

export class Talkers {
  readonly #newest: Talker[] = [];
  #count = 0;

  take(event: ProcessEvent, program: ProgramFacts | undefined): void {
    // Process 0: a fallback that sees connections knows of nobody who made them.
    if ((event.kind !== "connect" && event.kind !== "dns") || event.actor.pid === 0) return;
    const { family, type, local } = event.socket;
    if (local === undefined || local.port === 0 || (family !== "inet" && family !== "inet6") || (type !== "stream" && type !== "datagram")) return;
    const { time, actor } = event;
    const protocol = type === "stream" ? "tcp" : "udp";
    this.#newest[this.#count++ % MOST] = { protocol, port: local.port, time, pid: actor.inside.pid, program: programText(program) };
  }

  /** In no order. */
  all(): readonly Talker[] {
    return this.#newest;
  }
}

function programText(facts: ProgramFacts | undefined): string | undefined {
  if (facts?.program === undefined) return undefined;
  const { path } = facts.program;
  const name = nameOf(facts);
  return name === baseOf(path) ? path : `${path} ${name}`;
}
