/** The stored tree against the tree that the leaves come to, in one pass over both. */
import type { Row, Transaction } from "../store/index.ts";
import type { AuditFault } from "./faults.ts";
import type { GrowingRoot } from "./merkle.ts";
import { bytesOf } from "./row.ts";
import { FANOUT, leavesOf } from "./tree.ts";

/** log2 of {@link FANOUT}. */
const HEIGHT = Math.log2(FANOUT);
/** 16^13 leaves are 2^52. */
const LEVELS = 13;

interface Times {
  low: string | undefined;
  high: string | undefined;
  /** False when some leaf below has no time that we know: its text was pruned, or it was checked in an earlier run. */
  complete: boolean;
}

interface Level {
  readonly rows: AsyncIterator<Row>;
  /** Read, and not yet compared. */
  next: IteratorResult<Row> | undefined;
  times: Times;
}

export class TreeCheck {
  readonly #levels: Level[];
  readonly #tree: GrowingRoot;

  /** @param tree where to go on from; an empty one for the whole log. */
  constructor(tx: Transaction, tree: GrowingRoot) {
    this.#tree = tree;
    this.#levels = Array.from({ length: LEVELS }, (_, i) => {
      const first = Math.floor(tree.size / leavesOf(i + 1));
      const rows = tx.iterate("SELECT idx, hash, low, high FROM audit_nodes WHERE level = ? AND idx >= ? ORDER BY idx", [i + 1, first]);
      return { rows: rows[Symbol.asyncIterator](), next: undefined, times: { ...nothing(), complete: tree.size % leavesOf(i + 1) === 0 } };
    });
  }

  /** @param time of the event, undefined when its text is gone. @returns faults of the stored nodes that this leaf completes. */
  async add(leaf: Buffer, time: string | undefined): Promise<AuditFault[]> {
    const whole: Buffer[] = [];
    this.#tree.add(leaf, (height, root) => {
      if (height % HEIGHT === 0) whole.push(root);
    });
    const [bottom] = this.#levels;
    if (bottom !== undefined) widen(bottom.times, { low: time, high: time, complete: time !== undefined });
    const faults: AuditFault[] = [];
    for (const [i, root] of whole.entries()) {
      const level = this.#levels[i];
      if (level === undefined) continue;
      const fault = await this.#compare(level, i + 1, root);
      if (fault !== undefined) faults.push(fault);
      const above = this.#levels[i + 1];
      if (above !== undefined) widen(above.times, level.times);
      level.times = nothing();
    }
    return faults;
  }

  /** Nodes for which there are no leaves. */
  async end(): Promise<AuditFault[]> {
    const faults: AuditFault[] = [];
    for (const [i, { rows, next: read }] of this.#levels.entries()) {
      const next = read ?? (await rows.next());
      if (next.done !== true) faults.push({ seq: this.#tree.size, kind: "tree", detail: `level ${i + 1} of the tree has more nodes than the log has events` });
      await rows.return?.();
    }
    return faults;
  }

  async #compare(at: Level, level: number, root: Buffer): Promise<AuditFault | undefined> {
    const { times } = at;
    const index = this.#tree.size / leavesOf(level) - 1;
    const fault = (detail: string): AuditFault => ({ seq: index * leavesOf(level) + 1, kind: "tree", detail: `node ${index} of level ${level} ${detail}` });
    const next = at.next ?? (await at.rows.next());
    at.next = next;
    if (next.done === true || Number(next.value["idx"]) > index) return fault("is missing");
    at.next = undefined;
    const { idx, hash, low, high } = next.value;
    if (Number(idx) !== index) return fault("stands behind one that is no node");
    if (!root.equals(bytesOf(hash))) return fault("is not the hash of what is below it");
    if (typeof low !== "string" || typeof high !== "string") return fault("has no times");
    const right = times.complete
      ? low === times.low && high === times.high
      : (times.low === undefined || low <= times.low) && (times.high === undefined || high >= times.high);
    if (!right) return fault("has other times than the events below it: a search by time could miss them");
    times.low = low;
    times.high = high;
    return undefined;
  }
}

function nothing(): Times {
  return { low: undefined, high: undefined, complete: true };
}

function widen(times: Times, { low, high, complete }: Times): void {
  if (low !== undefined && (times.low === undefined || low < times.low)) times.low = low;
  if (high !== undefined && (times.high === undefined || high > times.high)) times.high = high;
  times.complete = times.complete && complete;
}
