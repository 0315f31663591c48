/**
 * Kept evidence as it lies on the disk: listed, read, and taken away when it is old or when there is too much of it. What goes
 * is on record first, by its hash; what somebody still needs does not go.
 */
import { hash } from "node:crypto";
import { lstatSync } from "node:fs";
import { opendir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CofferdamError, errnoOf, type JsonObject, messageOf, readBounded } from "../../foundation/index.ts";
import { MAX_EVIDENCE_BYTES, UNFINISHED } from "./evidence.ts";

/** By its name alone: the file was not opened. */
export interface EvidenceFile {
  /** Name of the file, without its ending. */
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
  /** When it was written, Unix ms. */
  readonly writtenAt: number;
}

export interface ReadEvidence extends EvidenceFile {
  readonly sha256: string;
  readonly job: string;
  readonly container: string;
  /** ISO 8601. */
  readonly takenAt: string;
  readonly threat: { readonly id?: string | undefined; readonly type: string; readonly severity: string } | undefined;
  /** As it was written, see {@link Evidence}. */
  readonly document: JsonObject;
}

export interface EvidenceLimits {
  /** What was written longer ago goes, ms. */
  readonly keep: number;
  /** All files together; past it the oldest go. */
  readonly bytes: number;
}

export interface RemovedEvidence {
  readonly id: string;
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly why: "age" | "size" | "unfinished";
  /** Undefined of one that was never finished. */
  readonly about: Pick<ReadEvidence, "job" | "container" | "takenAt" | "threat"> | undefined;
}

export interface EvidencePruning {
  readonly removed: readonly RemovedEvidence[];
  /** Old, or too much, and kept all the same: whose it is says why, or that it cannot be read. */
  readonly kept: readonly Pick<KeptFile, "id" | "why">[];
  /** Of all that is left. */
  readonly bytes: number;
}

export interface PruneOptions {
  /** Unix ms. */
  readonly now: number;
  /** How long ago a time was, ms: asked for what is old by the clock, so that a clock set ahead takes nothing away. */
  age(time: number): Promise<number>;
  /** Says what would go, and does nothing. */
  readonly dryRun: boolean;
  /** Why somebody still needs it; undefined: nobody does. */
  needed(evidence: ReadEvidence): Promise<string | undefined>;
  /** Puts it on record. The file goes when this has settled, and stays when it throws. */
  record(removed: RemovedEvidence): Promise<unknown>;
}

interface KeptFile {
  readonly id: string;
  readonly why: string;
  readonly sha256?: undefined;
}

const NAME = /^[A-Za-z0-9_-]{1,80}-[0-9a-z]{26}$/;
const ENDING = ".json";
/** Files that are looked at; more than a host keeps. */
const MAX_FILES = 100_000;
/** What is not finished after so long never will be, ms. */
const UNFINISHED_MS = 86_400_000;

/** Of the document, what is relied on. */
const facts = z.looseObject({
  schema: z.literal("cofferdam/evidence/v1"),
  job: z.string().max(256),
  container: z.string().max(256),
  takenAt: z.iso.datetime(),
  threat: z.looseObject({ id: z.string().max(256).optional(), type: z.string().max(256), severity: z.string().max(32) }).nullable(),
});
const object = z.custom<JsonObject>((value) => typeof value === "object" && value !== null);

/**
 * @example
 * ```ts
 * const folder = new EvidenceFolder("/var/lib/cofferdam/evidence");
 * for (const { id } of await folder.list()) console.log((await folder.read(id)).sha256);
 * ```
 */
export class EvidenceFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Oldest first; at most 100,000. None where there is no folder. Throws PERMISSION_DENIED, the system's error. */
  async list(): Promise<readonly EvidenceFile[]> {
    return (await this.#files()).filter(({ id }) => NAME.test(id));
  }

  /** Throws NOT_FOUND, INVALID_ARGUMENT for what is no name, INTEGRITY_FAILURE for what is no evidence. */
  async read(id: string): Promise<ReadEvidence> {
    if (!NAME.test(id)) throw new CofferdamError("INVALID_ARGUMENT", `not an id of evidence: ${id.slice(0, 120)}`, { hint: "cofferdam evidence list" });
    const path = join(this.#folder, `${id}${ENDING}`);
    const bytes = await readBounded(path, { maxBytes: MAX_EVIDENCE_BYTES, what: "evidence" });
    if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no evidence ${id}`, { hint: "cofferdam evidence list" });
    const parsed = object.safeParse(jsonOf(bytes.toString()));
    const known = facts.safeParse(parsed.data);
    if (!parsed.success || !known.success) throw new CofferdamError("INTEGRITY_FAILURE", `${path} is no evidence that this version knows`);
    const { job, container, takenAt, threat } = known.data;
    const writtenAt = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return {
      ...{ id, path, bytes: bytes.length, writtenAt, sha256: hash("sha256", bytes), job, container, takenAt },
      threat: threat === null ? undefined : { id: threat.id, type: threat.type, severity: threat.severity },
      document: parsed.data,
    };
  }

  /**
   * Takes away what is past a limit, the oldest first. Killed at any moment it leaves files that are whole, and none gone that
   * is not on record; one that is on record and still there goes at the next time, on record again. Throws what `record` throws.
   */
  async prune(limits: EvidenceLimits, options: PruneOptions): Promise<EvidencePruning> {
    const files = await this.#files();
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const removed: RemovedEvidence[] = [];
    const kept: KeptFile[] = [];
    for (const file of files) {
      const why = await whyGone(file, limits, bytes, options);
      if (why === undefined) continue;
      const one = why === "unfinished" ? await unfinished(file) : await this.#due(file, why, options);
      if (one.sha256 !== undefined) {
        if (!options.dryRun) {
          await options.record(one);
          await rm(file.path, { force: true });
        }
        bytes -= file.bytes;
        removed.push(one);
      } else kept.push(one);
    }
    return { removed, kept, bytes };
  }

  async #due(file: EvidenceFile, why: RemovedEvidence["why"], { needed }: PruneOptions): Promise<RemovedEvidence | KeptFile> {
    const { id } = file;
    try {
      const evidence = await this.read(id);
      const by = await needed(evidence);
      if (by !== undefined) return { id, why: by };
      const { path, sha256, bytes, job, container, takenAt, threat } = evidence;
      return { id, path, sha256, bytes, why, about: { job, container, takenAt, threat } };
    } catch (error) {
      return { id, why: messageOf(error) };
    }
  }

  /** Regular files that are named as we name them, finished or not. */
  async #files(): Promise<readonly EvidenceFile[]> {
    const found: EvidenceFile[] = [];
    try {
      for await (const entry of await opendir(this.#folder)) {
        const id = idOf(entry.name);
        if (id === undefined || found.length >= MAX_FILES) continue;
        const path = join(this.#folder, entry.name);
        const stat = lstatSync(path, { throwIfNoEntry: false });
        if (stat?.isFile() === true) found.push({ id, path, bytes: stat.size, writtenAt: stat.mtimeMs });
      }
    } catch (error) {
      if (errnoOf(error) === "EACCES") throw new CofferdamError("PERMISSION_DENIED", `${this.#folder} can be read by root alone`, { cause: error });
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    return found.toSorted((a, b) => a.writtenAt - b.writtenAt || (a.id < b.id ? -1 : 1));
  }
}

/** `ID.json`, and what was being written as its process died. */
function idOf(name: string): string | undefined {
  const id = name.replace(UNFINISHED, "").replace(/\.json$/, "");
  if (!NAME.test(id)) return undefined;
  if (name === `${id}${ENDING}`) return id;
  return name === `${id}${ENDING}${UNFINISHED}` ? `${id}${UNFINISHED}` : undefined;
}

async function whyGone(
  { id, writtenAt }: EvidenceFile,
  { keep, bytes: most }: EvidenceLimits,
  bytes: number,
  { now, age }: PruneOptions,
): Promise<RemovedEvidence["why"] | undefined> {
  if (!NAME.test(id)) return now - writtenAt > UNFINISHED_MS ? "unfinished" : undefined;
  if (now - writtenAt > keep && (await age(writtenAt)) > keep) return "age";
  return bytes > most ? "size" : undefined;
}

async function unfinished({ id, path }: EvidenceFile): Promise<RemovedEvidence | KeptFile> {
  try {
    const bytes = (await readBounded(path, { maxBytes: MAX_EVIDENCE_BYTES, what: "evidence" })) ?? Buffer.alloc(0);
    return { id, path, sha256: hash("sha256", bytes), bytes: bytes.length, why: "unfinished", about: undefined };
  } catch (error) {
    return { id, why: messageOf(error) };
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
