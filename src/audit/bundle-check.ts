/** Verifies a bundle (exporters/bundle.ts) with nothing but keys, and perhaps checkpoints, that the verifier has from elsewhere. */
import { z } from "zod";
import { CofferdamError, messageOf } from "../foundation/index.ts";
import { parseBody } from "./body.ts";
import { leafHash } from "./chain.ts";
import { type Checkpoint, type OpenedCheckpoint, openCheckpoint, originOf, parseCheckpoint } from "./checkpoint.ts";
import { BUNDLE_SCHEMA } from "./exporters/bundle.ts";
import type { AuditFault, AuditFaultKind } from "./faults.ts";
import { KeyRing, pinned } from "./key-ring.ts";
import { GrowingRoot, HASH_BYTES, MAX_PROOF, verifyInclusion } from "./merkle.ts";
import { parseNote, SIGNATURE_TYPES, strictBase64, type VerifierKey } from "./note.ts";
import { PruneCheck } from "./prune-check.ts";

export interface BundleReport {
  readonly origin: string;
  /** "all": every event of the checkpoint. "some": those that a query found, each with its proof. */
  readonly mode: "all" | "some";
  readonly verified: number;
  readonly failed: number;
  /** The first 100. */
  readonly errors: readonly AuditFault[];
  /** Events of the checkpoint. */
  readonly size: number;
  /** Root that the checkpoint signs, base64. */
  readonly root: string;
  /** The log's own keys that signed the checkpoint, and the witnesses that did, with their times. Only keys that were given, or that these vouch for. */
  readonly signed: readonly string[];
  readonly cosigned: readonly { readonly name: string; readonly time: number }[];
  /** A checkpoint from outside fits, or a witness whose key was given cosigned this one. */
  readonly anchored: boolean;
  /** Events whose text retention took away. */
  readonly pruned: number;
}

export interface BundleTrust {
  /** Keys of the log, of witnesses, or both. At least one. */
  readonly keys: readonly VerifierKey[];
  /** Checkpoints from outside, their signatures verified. */
  readonly outside?: readonly Checkpoint[] | undefined;
}

const MAX_LISTED = 100;
const headerSchema = z.strictObject({ schema: z.literal(BUNDLE_SCHEMA), origin: z.string().max(1024), mode: z.enum(["all", "some"]), checkpoint: z.string() });
const prunedSchema = z.strictObject({ leaf: z.string().length(44), pruned: z.int().min(1), seq: z.int().min(1) });
const proofSchema = z.strictObject({ proof: z.array(z.string().length(44)).max(MAX_PROOF) });
const endSchema = z.strictObject({ events: z.int().min(0) });

/** @param lines of the bundle, without their ends; see bounded-lines.ts. Throws INVALID_ARGUMENT for what is no bundle. */
export async function verifyBundle(lines: AsyncIterable<string>, trust: BundleTrust): Promise<BundleReport> {
  const iterator = lines[Symbol.asyncIterator]();
  const header = headerSchema.safeParse(parsed((await iterator.next()).value));
  if (!header.success) throw new CofferdamError("INVALID_ARGUMENT", `not a bundle of audit events (${BUNDLE_SCHEMA})`);
  const check = new BundleCheck(header.data.origin, header.data.mode, header.data.checkpoint, trust);
  let ended = false;
  for (let line = await iterator.next(); line.done !== true; line = await iterator.next()) {
    if (ended) throw new CofferdamError("INVALID_ARGUMENT", "not a bundle: lines after its end");
    ended = check.line(line.value);
  }
  return check.report(ended);
}

class BundleCheck {
  readonly #origin: string;
  readonly #mode: "all" | "some";
  readonly #note: string;
  /** As the note says, its signature not looked at before the keys are all known. */
  readonly #claimed: Checkpoint;
  readonly #ring: KeyRing;
  readonly #witnesses: readonly VerifierKey[];
  readonly #outside: Checkpoint[];
  readonly #tree = new GrowingRoot();
  readonly #prunings = new PruneCheck(new Map());
  readonly #faults: AuditFault[] = [];
  #bad = 0;
  #good = 0;
  #pruned = 0;
  #events = 0;
  #told: number | undefined;
  #last = 0;
  #anchored = false;
  /** An event of mode "some" whose proof is in the next line. */
  #waiting: { readonly seq: number; readonly leaf: Buffer; readonly sound: boolean } | undefined;

  constructor(origin: string, mode: "all" | "some", note: string, { keys, outside = [] }: BundleTrust) {
    this.#origin = origin;
    this.#mode = mode;
    this.#note = note;
    this.#claimed = parseCheckpoint(parseNote(note).text);
    this.#ring = new KeyRing(keys.filter(({ type }) => type === SIGNATURE_TYPES.ed25519).map(pinned), { trustReplaced: false });
    this.#witnesses = keys.filter(({ type }) => type === SIGNATURE_TYPES.cosignature);
    this.#outside = [...outside].sort((a, b) => a.size - b.size);
  }

  /** @returns true for the last line. */
  line(text: string): boolean {
    if (text.startsWith('{"events":')) {
      const end = endSchema.safeParse(parsed(text));
      if (end.success) this.#told = end.data.events;
      return true;
    }
    if (text.startsWith('{"proof":')) this.#proof(text);
    else if (text.startsWith('{"leaf":')) this.#gone(text);
    else this.#event(text);
    return false;
  }

  report(ended: boolean): BundleReport {
    if (this.#waiting !== undefined) this.#fault(this.#waiting.seq, "content", "an event without its proof");
    if (!ended || this.#told !== this.#events) this.#fault(this.#last, "size", "the bundle does not end as it should: lines are missing");
    if (this.#mode === "all") {
      for (const { seq, kind, detail } of this.#prunings.end()) this.#fault(seq, kind, detail);
      if (this.#tree.size !== this.#claimed.size)
        this.#fault(this.#tree.size, "size", `the checkpoint is of ${this.#claimed.size} events, the bundle has ${this.#tree.size}`);
      else if (!this.#tree.root().equals(this.#claimed.root)) this.#fault(this.#claimed.size, "fork", "the events are not those that the checkpoint signs");
    }
    const opened = this.#open();
    for (const { size, origin, root } of this.#outside) {
      // In mode "all" every smaller size was compared on the way.
      const same = size === this.#claimed.size && origin === this.#origin;
      if (same && root.equals(this.#claimed.root)) this.#anchored = true;
      else if (same || origin !== this.#origin) this.#fault(size, "fork", "the checkpoint from outside is of other events");
      else if (size > this.#claimed.size)
        this.#fault(size, "size", `the checkpoint from outside is of ${size} events, the bundle's of ${this.#claimed.size}: it is older, or was cut off`);
    }
    return {
      origin: this.#origin,
      mode: this.#mode,
      verified: this.#good,
      failed: this.#bad,
      errors: this.#faults,
      size: this.#claimed.size,
      root: this.#claimed.root.toString("base64"),
      signed: opened?.signed.map(({ key }) => `${key.name}+${key.id}`) ?? [],
      cosigned: opened?.cosigned.map(({ key, time = 0 }) => ({ name: key.name, time })) ?? [],
      anchored: this.#bad === 0 && (this.#anchored || (opened?.cosigned.length ?? 0) > 0),
      pruned: this.#pruned,
    };
  }

  #open(): OpenedCheckpoint | undefined {
    try {
      const opened = openCheckpoint(this.#note, [...this.#ring.keysFor(this.#claimed.size), ...this.#witnesses]);
      if (opened.origin === this.#origin) return opened;
      this.#fault(opened.size, "signature", "the checkpoint is of another log than the bundle says");
    } catch (error) {
      this.#fault(this.#claimed.size, "signature", `the checkpoint: ${messageOf(error)}`);
    }
    return undefined;
  }

  #event(text: string): void {
    this.#events += 1;
    const body = parseBody(text);
    const seq = body?.seq ?? this.#last + 1;
    const leaf = leafHash(text);
    const before = this.#bad;
    if (body === undefined) this.#fault(seq, "content", "a line that is no event");
    else if (originOf(body.logId) !== this.#origin) this.#fault(seq, "content", "the event belongs to another log");
    else this.#learn(seq, leaf, body);
    this.#place(seq);
    if (this.#mode === "some") this.#waiting = { seq, leaf, sound: this.#bad === before };
    else this.#grow(leaf, this.#bad === before);
  }

  #gone(text: string): void {
    this.#events += 1;
    const line = prunedSchema.safeParse(parsed(text));
    const leaf = line.success ? strictBase64(line.data.leaf) : undefined;
    if (!line.success || leaf?.length !== HASH_BYTES || this.#mode === "some") {
      this.#fault(this.#last + 1, "content", "a line that is no event");
      return;
    }
    const { seq, pruned } = line.data;
    const before = this.#bad;
    this.#place(seq);
    for (const { kind, detail } of this.#prunings.add({ seq, leaf, body: undefined, pruned, faults: [] })) this.#fault(seq, kind, detail);
    this.#pruned += 1;
    this.#grow(leaf, this.#bad === before);
  }

  #proof(text: string): void {
    const event = this.#waiting;
    this.#waiting = undefined;
    const line = proofSchema.safeParse(parsed(text));
    if (event === undefined || !line.success) {
      this.#fault(this.#last, "content", "a proof that belongs to no event, or is none");
      return;
    }
    const proof = line.data.proof.map((hash) => strictBase64(hash) ?? Buffer.alloc(0));
    if (!verifyInclusion(event.leaf, event.seq - 1, this.#claimed.size, proof, this.#claimed.root))
      this.#fault(event.seq, "content", "the event is not in the tree that the checkpoint signs");
    else if (event.sound) this.#good += 1;
  }

  #learn(seq: number, leaf: Buffer, body: NonNullable<ReturnType<typeof parseBody>>): void {
    const wrong = this.#ring.learn(body);
    if (wrong !== undefined) this.#fault(seq, "signature", wrong);
    if (this.#mode === "all")
      for (const fault of this.#prunings.add({ seq, leaf, body, pruned: undefined, faults: [] })) this.#fault(fault.seq, fault.kind, fault.detail);
  }

  #place(seq: number): void {
    if (seq <= this.#last) this.#fault(seq, "order", `event ${seq} comes after event ${this.#last}`);
    else if (this.#mode === "all" && seq !== this.#last + 1) this.#fault(seq, "gap", `events ${this.#last + 1} to ${seq - 1} are missing`);
    this.#last = Math.max(seq, this.#last);
  }

  #grow(leaf: Buffer, sound: boolean): void {
    this.#tree.add(leaf);
    if (sound) this.#good += 1;
    for (let first = this.#outside[0]; first !== undefined && first.size === this.#tree.size && first.size < this.#claimed.size; first = this.#outside[0]) {
      this.#outside.shift();
      if (first.origin === this.#origin && first.root.equals(this.#tree.root())) this.#anchored = true;
      else this.#fault(first.size, "fork", "the events up to here are not those of the checkpoint from outside");
    }
  }

  #fault(seq: number, kind: AuditFaultKind, detail: string): void {
    this.#bad += 1;
    if (this.#faults.length < MAX_LISTED) this.#faults.push({ seq, kind, detail });
  }
}

function parsed(line: unknown): unknown {
  try {
    return JSON.parse(String(line));
  } catch {
    return undefined;
  }
}
