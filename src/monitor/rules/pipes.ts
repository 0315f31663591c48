/**
 * Who stands at the two ends of a pipe, and who has a connection: what makes of a shell behind `nc host |` somebody else's shell.
 * Known is what a program had as its input and output when it began; a pipe that is held by another descriptor shows in nobody's,
 * and is then taken to be held by whoever made the process. The pipes, processes and connections seen last are remembered.
 */
import type { ExecEvent, ProcessEvent, ProcessKey, SocketFacts, StreamFacts } from "../event.ts";

const MAX_PIPES = 1000;
/** Of one pipe, on one side; those that ended go first. */
const MAX_ENDS = 32;
const MAX_PROCESSES = 5000;
/** The call goes on in the background. */
const IN_PROGRESS = -115;

interface Ends {
  readonly writers: Set<ProcessKey>;
  readonly readers: Set<ProcessKey>;
}

interface Streams {
  readonly input: string | undefined;
  readonly output: string | undefined;
  readonly parent: ProcessKey;
}

export class Pipes {
  readonly #ends = new Map<string, Ends>();
  readonly #streams = new Map<ProcessKey, Streams>();
  /** By who made them. */
  readonly #made = new Map<ProcessKey, Set<ProcessKey>>();
  readonly #connected = new Set<ProcessKey>();

  take(event: ProcessEvent): void {
    if (event.kind === "exec") this.#exec(event);
    else if (event.kind === "exit") this.#streams.delete(event.actor.key);
    else if ((event.kind === "connect" || event.kind === "accept") && (event.result >= 0 || event.result === IN_PROGRESS) && isOutside(event.socket)) {
      this.#connected.add(event.actor.key);
      dropOldest(this.#connected, MAX_PROCESSES);
    }
  }

  /** It made or took a connection over TCP, not of its own host. */
  connected(key: ProcessKey): boolean {
    return this.#connected.has(key);
  }

  /** Whose output is its input. */
  feeders(key: ProcessKey): readonly ProcessKey[] {
    return others(this.#ends.get(this.#streams.get(key)?.input ?? "")?.writers, key);
  }

  /** Whose input is its output, or is held by it as their {@link maker}. */
  readers(key: ProcessKey): readonly ProcessKey[] {
    const made = [...(this.#made.get(key) ?? [])].filter((child) => this.maker(child) === key);
    return [...others(this.#ends.get(this.#streams.get(key)?.output ?? "")?.readers, key), ...made];
  }

  /** Who made it, where it has an input that is nobody's output, and not one that was handed down to it. */
  maker(key: ProcessKey): ProcessKey | undefined {
    const own = this.#streams.get(key);
    if (own?.input === undefined || this.feeders(key).length > 0) return undefined;
    return this.#streams.get(own.parent)?.input === own.input ? undefined : own.parent;
  }

  #exec({ actor, stdio: [stdin, stdout] }: ExecEvent): void {
    const streams = { input: idOf(stdin), output: idOf(stdout), parent: actor.parent };
    this.#streams.delete(actor.key);
    this.#streams.set(actor.key, streams);
    dropOldest(this.#streams, MAX_PROCESSES);
    if (streams.input !== undefined) {
      this.#add(streams.input, "readers", actor.key);
      const made = this.#made.get(actor.parent) ?? new Set<ProcessKey>();
      this.#made.set(actor.parent, made);
      this.#join(made, actor.key);
      dropOldest(this.#made, MAX_PIPES);
    }
    if (streams.output !== undefined) this.#add(streams.output, "writers", actor.key);
  }

  #add(id: string, side: keyof Ends, key: ProcessKey): void {
    const ends = this.#ends.get(id) ?? { writers: new Set<ProcessKey>(), readers: new Set<ProcessKey>() };
    this.#ends.delete(id);
    this.#ends.set(id, ends);
    dropOldest(this.#ends, MAX_PIPES);
    this.#join(ends[side], key);
  }

  #join(keys: Set<ProcessKey>, key: ProcessKey): void {
    keys.delete(key);
    keys.add(key);
    if (keys.size <= MAX_ENDS) return;
    const [first] = keys;
    const gone = [...keys].find((one) => !this.#streams.has(one)) ?? first;
    if (gone !== undefined) keys.delete(gone);
  }
}

/** A pipe; or one of two sockets that are a pipe to whoever made them. */
function idOf(stream: StreamFacts): string | undefined {
  if (stream.to === "pipe") return stream.id;
  return stream.to === "socket" && stream.socket.family === "unix" ? stream.id : undefined;
}

function isOutside({ family, type, remote }: SocketFacts): boolean {
  return (family === "inet" || family === "inet6") && type === "stream" && remote !== undefined && !/^(?:127\.|::1$|::ffff:127\.)/i.test(remote.address);
}

function others(keys: ReadonlySet<ProcessKey> | undefined, own: ProcessKey): readonly ProcessKey[] {
  return [...(keys ?? [])].filter((key) => key !== own);
}

function dropOldest(set: { readonly size: number; keys(): Iterable<string>; delete(key: string): boolean }, most: number): void {
  if (set.size <= most) return;
  for (const oldest of set.keys()) {
    set.delete(oldest);
    return;
  }
}
