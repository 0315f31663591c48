/** Events with what is known around them: the process and its line, the program's hash, and where a file came from. */
import type { ExecEvent, FileFacts, ProcessEvent } from "../event.ts";
import { HashCache } from "./hash-cache.ts";
import { type ProcessInfo, ProcessTree } from "./process-tree.ts";
import { type Origin, Provenance } from "./provenance.ts";

export interface EnrichedEvent<E extends ProcessEvent = ProcessEvent> {
  readonly event: E;
  /** Who did it. Kept up to date with later events; see {@link ProcessInfo}. */
  readonly process: ProcessInfo;
  /** Of an exec's program and of an opened file: who wrote it in this job. undefined: it is the image's, or nobody knows. */
  readonly origin: Origin | undefined;
  /** Of an exec: settles when the program was hashed, or could not be. Of anything else undefined. */
  readonly sha256: Promise<string | undefined> | undefined;
}

export interface EnrichmentOptions {
  /** Hashes the program of an exec: {@link KernelSensor.hash}. */
  hash(event: ExecEvent): Promise<string | undefined>;
}

/**
 * Takes each event once, in order. Its memory is bounded whatever jobs do: what is oldest is forgotten first.
 *
 * @example
 * ```ts
 * const enrichment = new Enrichment(sensor);
 * sensor.on("event", (event) => {
 *   const { process } = enrichment.take(event);
 *   report(event.kind, enrichment.tree.lineage(process).map((one) => one.program?.path));
 * });
 * ```
 */
export class Enrichment {
  readonly tree: ProcessTree = new ProcessTree();
  readonly provenance: Provenance = new Provenance();
  readonly #hashes: HashCache;

  constructor(options: EnrichmentOptions) {
    this.#hashes = new HashCache((event) => options.hash(event));
  }

  take<E extends ProcessEvent>(event: E): EnrichedEvent<E> {
    const process = this.tree.take(event);
    const file = fileOf(event);
    // Looked up first: an open to write makes itself the origin.
    const origin = file === undefined ? undefined : this.provenance.of(event.job, file);
    this.provenance.take(event, process);
    return { event, process, origin, sha256: event.kind === "exec" ? this.#hashOf(event) : undefined };
  }

  /** Everything of a job that ended. */
  forget(job: string): void {
    this.tree.forget(job);
    this.provenance.forget(job);
  }

  async #hashOf(event: ExecEvent): Promise<string | undefined> {
    const known = this.#hashes.known(event.program);
    // At once where it can be, so that what follows this event has it.
    if (known !== undefined) this.tree.setHash(event.actor.key, event.program, known);
    const sha256 = known ?? (await this.#hashes.of(event));
    if (sha256 !== undefined) this.tree.setHash(event.actor.key, event.program, sha256);
    return sha256;
  }
}

function fileOf(event: ProcessEvent): FileFacts | undefined {
  if (event.kind === "exec") return event.program;
  return event.kind === "open" && !("claimed" in event.file) ? event.file : undefined;
}
