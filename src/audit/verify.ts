/**
 * Verification of a log: leaves, links and tree are computed again from the stored texts, and the result is held against
 * the acknowledged head, the log's own checkpoints, and what the caller brought from outside.
 */
import type { HeadState, Transaction } from "../store/index.ts";
import { hashText } from "./chain.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { CheckpointCheck, type CheckpointResult, firstKey } from "./checkpoint-check.ts";
import { CHECKED_COLUMNS, type CheckedEvent, EventCheck } from "./event-check.ts";
import type { AuditFault } from "./faults.ts";
import { headFault } from "./head-check.ts";
import { KeyRing, pinned } from "./key-ring.ts";
import { hashAt, type LastEvent, type LogIdentity, lastEvent } from "./log-table.ts";
import { GrowingRoot } from "./merkle.ts";
import type { VerifierKey } from "./note.ts";
import { PruneCheck } from "./prune-check.ts";
import { isoOf } from "./query.ts";
import { schemaFaults } from "./schema-check.ts";
import { timeSpan } from "./search.ts";
import { TreeCheck } from "./tree-check.ts";
import { keysOf, keyTexts, type VerifyState } from "./verify-state.ts";

export interface VerifyReport {
  /** Events that hold. */
  readonly verified: number;
  /** Events that do not, and faults that are of no single event. */
  readonly failed: number;
  /** The first 100. */
  readonly errors: readonly AuditFault[];
  /** Events in the log. */
  readonly size: number;
  /** Root of the tree over all events, base64; undefined when only a part was verified, or places are missing. */
  readonly root: string | undefined;
  /** From the start to the last event before anything is wrong; undefined when not even the first one holds. */
  readonly sound: { readonly from: number; readonly to: number } | undefined;
  /** True only when a checkpoint that the caller brought from outside fits this log, or a witness whose key it brought cosigned one that does. */
  readonly anchored: boolean;
  /** The largest checkpoint that fits: from outside if there was one, else of the log itself. */
  readonly checkpoint: { readonly size: number; readonly root: string } | undefined;
  /** Events among those verified whose text retention took away: their places hold, what they said cannot be read. */
  readonly pruned: number;
  /** Last event: sequence number and chain hash. */
  readonly head: { readonly seq: number; readonly hash: string } | undefined;
  /** Events acknowledged according to the head file; undefined when none could be compared (a log in memory keeps none). */
  readonly acknowledged: number | undefined;
  /** True when the log names a key that replaced a lost one: nothing but the log itself vouches for what it signed. */
  readonly keyReplaced: boolean;
  /** Where a later verification may go on; undefined when not even the first event holds, or for a range of times. */
  readonly state: VerifyState | undefined;
}

export interface VerifyRequest {
  readonly startDate?: Date | string | undefined;
  /** Inclusive. */
  readonly endDate?: Date | string | undefined;
  /** What an earlier verification came to; it is believed. */
  readonly resume?: VerifyState | undefined;
  /** Also make every text anew from its values, instead of trusting that what was hashed is canonical. */
  readonly deep?: boolean | undefined;
  /** False leaves out that every index holds what its table does: a third of the time, and what searches could miss. */
  readonly indexes?: boolean | undefined;
  /** Keys from outside that the log's own checkpoints must be signed with, or with one that these vouch for. */
  readonly keys?: readonly VerifierKey[] | undefined;
  /** Keys of witnesses: a checkpoint of the log that one of them cosigned anchors it. */
  readonly witnesses?: readonly VerifierKey[] | undefined;
  /** Checkpoints from outside, their signatures verified. */
  readonly outside?: readonly Checkpoint[] | undefined;
  /** Ends the pass early; the report then covers what was read, and `root` is undefined. */
  readonly signal?: AbortSignal | undefined;
}

/** Most faults listed; all of them are counted. */
const MAX_LISTED = 100;
/** Events between two states that are kept, so that a fault does not cost all the work before it. */
const STATE_EVERY = 65_536;

/** Verifies all events, or those of a time range, and what they are held against. */
export async function verifyLog(tx: Transaction, log: LogIdentity, head: HeadState | undefined, request: VerifyRequest): Promise<VerifyReport> {
  const last = await lastEvent(tx);
  const ranged = request.startDate !== undefined || request.endDate !== undefined;
  const findings = new Findings();
  for (const fault of await schemaFaults(tx, !ranged && request.indexes !== false)) findings.other(fault);
  const pass = ranged ? await rangePass(tx, log, request, last, findings) : await wholePass(tx, log, request, findings);
  const wrongHead = head === undefined ? undefined : await headFault(tx, log, last, head);
  if (wrongHead !== undefined) findings.other(wrongHead);
  const soundTo = Math.min(findings.soundTo ?? 0, pass.forkedAfter ?? Number.POSITIVE_INFINITY);
  return {
    verified: findings.good,
    failed: findings.bad,
    errors: findings.listed,
    size: last?.seq ?? 0,
    root: pass.root?.toString("base64"),
    sound: soundTo < pass.from ? undefined : { from: pass.from, to: soundTo },
    anchored: pass.anchored,
    checkpoint: pass.checkpoint,
    pruned: findings.pruned,
    head: last === undefined ? undefined : { seq: last.seq, hash: hashText(last.hash) },
    acknowledged: head !== undefined && "head" in head ? head.head.seq : undefined,
    keyReplaced: pass.keyReplaced,
    state: pass.state,
  };
}

interface Pass extends CheckpointResult {
  readonly from: number;
  readonly root: Buffer | undefined;
  readonly keyReplaced: boolean;
  readonly state: VerifyState | undefined;
}

async function wholePass(tx: Transaction, log: LogIdentity, request: VerifyRequest, findings: Findings): Promise<Pass> {
  const { resume, signal } = request;
  const done = resume?.size ?? 0;
  const keys = new KeyRing(resume === undefined ? (request.keys ?? [firstKey(log)]).map(pinned) : keysOf(resume), {
    trustReplaced: request.keys === undefined,
  });
  const tree = new GrowingRoot(
    done,
    (resume?.subtrees ?? []).map((subtree) => Buffer.from(subtree, "hex")),
  );
  const events = new EventCheck(log, { seq: done + 1, previous: resume === undefined ? undefined : Buffer.from(resume.hash, "hex") }, request.deep === true);
  const nodes = new TreeCheck(tx, tree);
  const prunings = new PruneCheck(new Map(resume?.pruned.map(({ seq, ...tally }) => [seq, tally])));
  const checkpoints = new CheckpointCheck(tx, log, keys, { outside: request.outside ?? [], witnesses: request.witnesses ?? [] }, done);
  findings.soundTo = done;
  const stateNow = (): VerifyState | undefined =>
    tree.size === 0
      ? undefined
      : {
          schema: "cofferdam/audit-verify-state/v1",
          logId: log.logId,
          size: tree.size,
          hash: events.hash?.toString("hex") ?? "",
          subtrees: tree.subtrees.map((subtree) => subtree.toString("hex")),
          keys: keyTexts(keys.known),
          pruned: [...prunings.open].map(([seq, tally]) => ({ seq, ...tally })),
        };
  let state = resume;
  // Once a place is missing or taken twice, no later leaf is where the tree has it: that is the one fault, not all that follow.
  let placed = true;
  for await (const row of tx.iterate(`SELECT ${CHECKED_COLUMNS} FROM audit_events${done === 0 ? "" : ` WHERE seq > ${done}`} ORDER BY seq`)) {
    if (signal?.aborted === true) break;
    const event = events.add(row);
    if ("kind" in event) {
      findings.other(event);
      continue;
    }
    placed = placed && !event.faults.some(({ kind }) => kind === "gap" || kind === "duplicate");
    findings.event(event);
    if (!placed) continue;
    const more = [...(await nodes.add(event.leaf, event.body?.timestamp)), ...prunings.add(event), ...checkpoints.learn(event.seq, event.body)];
    for (const fault of [...more, ...(await checkpoints.at(tree))]) findings.other(fault);
    if (event.seq % STATE_EVERY === 0 && findings.bad === 0) state = stateNow();
  }
  const complete = signal?.aborted !== true;
  if (findings.bad === 0) state = stateNow();
  if (complete) {
    const ends = placed ? [...(await nodes.end()), ...prunings.end()] : [];
    for (const fault of [...ends, ...(await checkpoints.end(placed ? tree.size : undefined))]) findings.other(fault);
  }
  return { ...checkpoints.result, from: 1, root: complete && placed ? tree.root() : undefined, keyReplaced: keys.replaced, state };
}

async function rangePass(tx: Transaction, log: LogIdentity, request: VerifyRequest, last: LastEvent | undefined, findings: Findings): Promise<Pass> {
  const { from, to } = await edgesOf(tx, last?.seq ?? 0, isoOf(request.startDate), isoOf(request.endDate));
  const before = from <= 1 ? undefined : await hashAt(tx, from - 1);
  const events = new EventCheck(log, { seq: from, previous: before === undefined ? undefined : Buffer.from(before, "hex") }, request.deep === true);
  findings.soundTo = from - 1;
  for await (const row of tx.iterate(`SELECT ${CHECKED_COLUMNS} FROM audit_events WHERE seq >= ? AND seq <= ? ORDER BY seq`, [from, to])) {
    if (request.signal?.aborted === true) break;
    const event = events.add(row);
    if ("kind" in event) findings.other(event);
    else findings.event(event);
  }
  return { from, root: undefined, anchored: false, checkpoint: undefined, forkedAfter: undefined, keyReplaced: false, state: undefined };
}

/** First and last event of a range of times. */
async function edgesOf(tx: Transaction, size: number, start: string | undefined, end: string | undefined): Promise<{ from: number; to: number }> {
  const span = await timeSpan(tx, size, start, end);
  const edge = async (order: "ASC" | "DESC"): Promise<number | undefined> => {
    const row = await tx.get(`SELECT seq FROM audit_events WHERE seq >= ? AND seq <= ? AND timestamp >= ? AND timestamp <= ? ORDER BY seq ${order} LIMIT 1`, [
      span.from,
      span.to,
      start ?? "",
      end ?? "\uffff",
    ]);
    return row === undefined ? undefined : Number(row["seq"]);
  };
  return { from: start === undefined ? 1 : ((await edge("ASC")) ?? 1), to: (await edge("DESC")) ?? 0 };
}

class Findings {
  good = 0;
  bad = 0;
  pruned = 0;
  readonly listed: AuditFault[] = [];
  /** Last event before anything is wrong. */
  soundTo: number | undefined;
  #sound = true;

  event({ seq, faults, pruned }: CheckedEvent): void {
    if (faults.length > 0) {
      this.bad += 1;
      for (const fault of faults) this.#list(fault);
      this.#sound = false;
      return;
    }
    this.good += 1;
    if (pruned !== undefined) this.pruned += 1;
    if (this.#sound) this.soundTo = seq;
  }

  /** A fault that is of no single event. */
  other(fault: AuditFault): void {
    this.bad += 1;
    // Found later than its place: then what was taken for sound ends before it.
    if (fault.kind === "content" && this.soundTo !== undefined) this.soundTo = Math.min(this.soundTo, fault.seq - 1);
    this.#list(fault);
  }

  #list(fault: AuditFault): void {
    if (this.listed.length < MAX_LISTED) this.listed.push(fault);
  }
}
