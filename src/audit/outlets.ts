/** Where checkpoints go: the file beside the database, witnesses, and copies outside of this host. */
import { tmpdir } from "node:os";
import { CofferdamError, writeDurably } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { openCheckpoint } from "./checkpoint.ts";
import type { SignedCheckpoint } from "./checkpoint-table.ts";
import { type CheckpointCopy, copyAt } from "./copies/copy.ts";
import type { LogIdentity } from "./log-table.ts";
import { verifyConsistency } from "./merkle.ts";
import { parseVerifierKey } from "./note.ts";
import type { AuditLoggerOptions } from "./options.ts";
import type { LogPaths } from "./paths.ts";
import { ringOf } from "./signer.ts";
import { StoredTree } from "./tree.ts";
import { Witness } from "./witness.ts";

type Places = Pick<NonNullable<AuditLoggerOptions["checkpoint"]>, "copies" | "witnesses">;

/** Where a new checkpoint goes besides the database. */
export interface CheckpointOutlet {
  /** Name of the place when it is outside of this host: what came of it is kept. */
  readonly place: string | undefined;
  /** @returns the note with what was added to it. Throws why it did not take it. */
  take(checkpoint: SignedCheckpoint): Promise<string | undefined>;
}

/** `checkpoints/latest`: what an operator takes away by hand. Replaced as a whole. */
export class LatestFile implements CheckpointOutlet {
  readonly place: undefined;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async take({ note }: SignedCheckpoint): Promise<undefined> {
    writeDurably(this.#path, note, 0o600);
  }
}

/** Everywhere that the options name, in the order in which checkpoints go there. */
export function outletsOf({ copies = [], witnesses = [] }: Places, paths: LogPaths | undefined, store: Store, log: LogIdentity): readonly CheckpointOutlet[] {
  return [
    ...(paths === undefined ? [] : [new LatestFile(paths.latest)]),
    ...witnesses.map(({ url, key }) => new WitnessOutlet(new Witness(url, parseVerifierKey(key)), store)),
    ...copies.map((address) => new CopyOutlet(copyAt(address, paths?.work ?? tmpdir()), store, log)),
  ];
}

/** A witness's cosignature, added to the note. */
export class WitnessOutlet implements CheckpointOutlet {
  readonly place: string;
  readonly #witness: Witness;
  readonly #store: Store;

  constructor(witness: Witness, store: Store) {
    this.place = witness.name;
    this.#witness = witness;
    this.#store = store;
  }

  async take({ note, size }: SignedCheckpoint): Promise<string> {
    return await this.#witness.cosign(note, async (oldSize) => await this.#store.read(async (tx) => await new StoredTree(tx).consistency(oldSize, size)));
  }
}

/**
 * A copy elsewhere. What lies there already is held against the log first: a copy that this log does not continue is
 * evidence, and is left as it is.
 */
export class CopyOutlet implements CheckpointOutlet {
  readonly place: string;
  readonly #copy: CheckpointCopy;
  readonly #store: Store;
  readonly #log: LogIdentity;

  constructor(copy: CheckpointCopy, store: Store, log: LogIdentity) {
    this.place = copy.name;
    this.#copy = copy;
    this.#store = store;
    this.#log = log;
  }

  async take(made: SignedCheckpoint): Promise<undefined> {
    const there = await this.#copy.read(this.#log.logId);
    if (there !== undefined && !(await this.#continues(there, made)))
      throw new CofferdamError(
        "INTEGRITY_FAILURE",
        `the copy ${this.#copy.name} has a checkpoint that this audit trail does not continue: it was cut off or written again`,
        {
          hint: "take that checkpoint, and: cofferdam audit verify --checkpoint FILE",
        },
      );
    if (there !== made.note) await this.#copy.write(this.#log.logId, made.size, made.note);
  }

  async #continues(note: string, made: SignedCheckpoint): Promise<boolean> {
    return await this.#store.read(async (tx) => {
      const old = openCheckpoint(
        note,
        (await ringOf(tx, this.#log)).known.map(({ key }) => key),
      );
      if (old.origin !== made.origin || old.size > made.size) return false;
      return verifyConsistency(old.size, old.root, made.size, made.root, await new StoredTree(tx).consistency(old.size, made.size));
    });
  }
}
