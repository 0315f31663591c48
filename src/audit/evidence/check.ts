/**
 * Checks a folder of evidence with keys from elsewhere and nothing else: every file against its digest, the bundle against
 * the keys, population.csv and the samples against what the bundle's events come to. The folder is untrusted input.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { CofferdamError, messageOf, readBounded, wrapError } from "../../foundation/index.ts";
import { parseBody } from "../body.ts";
import { boundedLines } from "../bounded-lines.ts";
import { type BundleReport, verifyBundle } from "../bundle-check.ts";
import { type Checkpoint, parseCheckpoint } from "../checkpoint.ts";
import { KeyRing, pinned } from "../key-ring.ts";
import { parseNote, SIGNATURE_TYPES, strictBase64, type VerifierKey } from "../note.ts";
import { MAX_PROOF_BYTES, verifyProof } from "../proof.ts";
import { type EvidenceManifest, manifestSchema } from "./manifest.ts";
import { SUMS } from "./new-folder.ts";
import { POPULATION_HEADER, Population } from "./population.ts";

export interface EvidenceFault {
  /** Name within the folder. */
  readonly file: string;
  readonly detail: string;
}

export interface EvidenceCheck {
  /** Files whose digest is right. */
  readonly files: number;
  readonly events: number;
  readonly samples: number;
  readonly failed: number;
  /** The first 100. */
  readonly faults: readonly EvidenceFault[];
  readonly bundle: BundleReport;
}

const MAX_FILES = 30_000;
const MAX_SUMS = 4 * 2 ** 20;
const MAX_MANIFEST = 16 * 2 ** 20;
const MAX_LISTED = 100;

/**
 * @param folder of evidence. @param keys of the log, of witnesses, or both. @param outside checkpoints from elsewhere, their signatures verified.
 * Throws INVALID_ARGUMENT and PAYLOAD_TOO_LARGE for what is no folder of evidence; what does not hold is in the result.
 */
export async function checkEvidence(folder: string, keys: readonly VerifierKey[], outside: readonly Checkpoint[] = []): Promise<EvidenceCheck> {
  const directory = resolve(folder);
  const faults = new Faults();
  const manifest = parseManifest(await fileText(directory, "evidence.json", MAX_MANIFEST));
  const files = await checkFiles(directory, faults);
  const events = new BundleEvents(manifest, keys);
  const bundle = await verifyBundle(events.watch(boundedLines(createReadStream(join(directory, "events.bundle")))), { keys, outside }).catch(
    (error: unknown) => {
      throw wrapError(error, "INVALID_ARGUMENT", "cannot read events.bundle");
    },
  );
  for (const { seq, kind, detail } of bundle.errors) faults.add("events.bundle", `${kind}, event ${seq}: ${detail}`);
  if (bundle.failed > bundle.errors.length) faults.add("events.bundle", `${bundle.failed - bundle.errors.length} faults more`);
  if (bundle.origin !== `cofferdam/${manifest.log}`) faults.add("evidence.json", "names another log than the bundle");
  if (events.digest !== (await digestOf(join(directory, "population.csv")))) faults.add("population.csv", "is not what the events of the bundle come to");
  const drawn = events.population.samples;
  if (JSON.stringify(drawn) !== JSON.stringify(manifest.samples.kinds))
    faults.add("evidence.json", "names other samples than its seed draws from these events");
  const seqs = drawn.flatMap((one) => one.seqs);
  for (const seq of seqs) await checkSample(directory, seq, { keys: events.keysNow(bundle.size), root: bundle.root }, faults);
  const note = await fileText(directory, "checkpoint", 64 * 1024);
  const checkpoint = parseCheckpoint(parseNote(note).text);
  if (checkpoint.root.toString("base64") !== bundle.root || checkpoint.size !== bundle.size) faults.add("checkpoint", "is another than the bundle's");
  return { files, events: events.population.extent.events, samples: seqs.length, failed: faults.count, faults: faults.listed, bundle };
}

/** Follows the lines of a bundle on their way to its verification. */
class BundleEvents {
  readonly population: Population;
  readonly #period: EvidenceManifest["period"];
  readonly #ring: KeyRing;
  readonly #witnesses: readonly VerifierKey[];
  readonly #rows = createHash("sha256").update(POPULATION_HEADER);
  #digest: string | undefined;

  constructor({ period, samples }: Pick<EvidenceManifest, "period" | "samples">, keys: readonly VerifierKey[]) {
    this.#period = period;
    this.population = new Population(samples.seed, samples.perKind);
    this.#ring = new KeyRing(keys.filter(({ type }) => type === SIGNATURE_TYPES.ed25519).map(pinned), { trustReplaced: false });
    this.#witnesses = keys.filter(({ type }) => type === SIGNATURE_TYPES.cosignature);
  }

  async *watch(lines: AsyncIterable<string>): AsyncGenerator<string> {
    for await (const line of lines) {
      // Proofs, prunings, header and end are no events; the verification says what any line is that should be one.
      const event = /^\{"(?:proof|leaf|events|schema)":/.test(line) ? undefined : parseBody(line);
      if (event !== undefined) {
        this.#ring.learn(event);
        const { from, to } = this.#period;
        const within = (from === null || event.timestamp >= from) && (to === null || event.timestamp <= to);
        // Events by which keys were handed over are in the bundle whenever they were.
        if (within) this.#rows.update(this.population.add(line, event));
      }
      yield line;
    }
  }

  /** Of population.csv as these events make it. */
  get digest(): string {
    this.#digest ??= this.#rows.digest("hex");
    return this.#digest;
  }

  /** The given keys, and those that they vouch for. */
  keysNow(size: number): readonly VerifierKey[] {
    return [...this.#ring.keysFor(size), ...this.#witnesses];
  }
}

class Faults {
  readonly listed: EvidenceFault[] = [];
  count = 0;

  add(file: string, detail: string): void {
    this.count += 1;
    if (this.listed.length < MAX_LISTED) this.listed.push({ file, detail });
  }
}

/** Every file against SHA256SUMS, and no other file. @returns how many are right. */
async function checkFiles(directory: string, faults: Faults): Promise<number> {
  const wanted = new Map<string, string>();
  for (const line of (await fileText(directory, SUMS, MAX_SUMS)).split("\n")) {
    if (line === "") continue;
    const [, sum = "", name = ""] = /^([0-9a-f]{64}) {2}((?:[\w-]+\/)?[\w-]+(?:\.[\w-]+)*)$/.exec(line) ?? [];
    if (name === "" || wanted.has(name)) throw new CofferdamError("INVALID_ARGUMENT", `${SUMS} has a line that is none of its own`);
    wanted.set(name, sum);
  }
  let right = 0;
  const found = new Set(await names(directory));
  for (const name of found) {
    if (name === SUMS) continue;
    const sum = wanted.get(name);
    if (sum === undefined) faults.add(name, `is not in ${SUMS}`);
    else if (sum !== (await digestOf(join(directory, name)))) faults.add(name, "is not what it was");
    else right += 1;
  }
  for (const name of wanted.keys()) if (!found.has(name)) faults.add(name, "is missing");
  return right;
}

async function names(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch((error: unknown) => {
    throw wrapError(error, "NOT_FOUND", `cannot read ${directory}`);
  });
  if (entries.length > MAX_FILES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `more than ${MAX_FILES} files: no folder of evidence`);
  return entries.flatMap((entry) => {
    const name = join(entry.parentPath, entry.name).slice(directory.length + 1);
    if (entry.isDirectory()) return [];
    if (!entry.isFile()) throw new CofferdamError("INVALID_ARGUMENT", `not a regular file: ${name}`);
    return [name];
  });
}

async function checkSample(
  directory: string,
  seq: number,
  trust: { readonly keys: readonly VerifierKey[]; readonly root: string },
  faults: Faults,
): Promise<void> {
  const file = `proofs/${seq}.tlog-proof`;
  try {
    const proof = await fileText(directory, file, MAX_PROOF_BYTES);
    const { event, checkpoint } = verifyProof(proof, trust.keys);
    if (event.seq !== seq || checkpoint.root.toString("base64") !== trust.root) faults.add(file, "proves another event, or another tree than the bundle's");
    const text = strictBase64(/^extra (\S+)$/m.exec(proof)?.[1] ?? "")?.toString("utf8");
    if (`${text}\n` !== (await fileText(directory, `samples/${seq}.json`, MAX_PROOF_BYTES)))
      faults.add(`samples/${seq}.json`, "is not the event that its proof proves");
  } catch (error) {
    faults.add(file, messageOf(error));
  }
}

function parseManifest(text: string): ReturnType<typeof manifestSchema.parse> {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new CofferdamError("INVALID_ARGUMENT", "evidence.json is not one that this program reads", { cause: error });
  }
}

async function fileText(directory: string, name: string, maxBytes: number): Promise<string> {
  const bytes = await readBounded(join(directory, name), { maxBytes, what: name });
  if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no ${name} in ${directory}`);
  return bytes.toString("utf8");
}

async function digestOf(path: string): Promise<string> {
  const digest = createHash("sha256");
  try {
    await pipeline(createReadStream(path), digest);
  } catch (error) {
    throw wrapError(error, "NOT_FOUND", `cannot read ${path}`);
  }
  return digest.digest("hex");
}
