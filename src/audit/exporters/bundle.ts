/**
 * A bundle: lines that prove themselves to whoever has the log's key, without the log.
 *
 *     {"schema":"cofferdam/audit-bundle/v1","origin":...,"mode":"all"|"some","checkpoint":"the signed note"}
 *     the exact text of an event                       mode "some": after it {"proof":[hashes, base64]}
 *     {"leaf":base64,"pruned":seq,"seq":seq}           an event whose text retention took away (mode "all")
 *     {"events":how many}
 *
 * "all" holds every event of the checkpoint: its root is computed again from the lines. "some" holds what a query found,
 * and the events by which keys were handed over.
 */
import { CofferdamError } from "../../foundation/index.ts";
import type { Row } from "../../store/index.ts";
import type { SignedCheckpoint } from "../checkpoint-table.ts";
import { KEY_REPLACED, KEY_ROTATED } from "../key-ring.ts";
import { bytesOf } from "../row.ts";
import { matchingRows } from "../search.ts";
import { StoredTree, SubtreeCache } from "../tree.ts";
import type { Exporter, ExportSource } from "./format.ts";

export const BUNDLE_SCHEMA = "cofferdam/audit-bundle/v1";

const PROOFS_A_TREE = 1024;

export const bundle: Exporter = {
  checkpoint: "required",
  async *write(source) {
    const { checkpoint, query } = source;
    if (checkpoint === undefined) throw new CofferdamError("FAILED_PRECONDITION", "the audit trail has no events yet: there is nothing to prove");
    const asked = Object.values(query).some((value) => value !== undefined);
    yield `${JSON.stringify({ schema: BUNDLE_SCHEMA, origin: checkpoint.origin, mode: asked ? "some" : "all", checkpoint: checkpoint.note })}\n`;
    let events = 0;
    for await (const line of asked ? proven(source, checkpoint) : everything(source, checkpoint)) {
      events += 1;
      yield line;
    }
    yield `${JSON.stringify({ events })}\n`;
  },
};

async function* everything({ tx, signal }: ExportSource, { size }: SignedCheckpoint): AsyncGenerator<string> {
  for await (const row of tx.iterate("SELECT seq, body, leaf, pruned FROM audit_events WHERE seq <= ? ORDER BY seq", [size])) {
    signal?.throwIfAborted();
    if (typeof row["body"] === "string") yield `${row["body"]}\n`;
    else yield `${JSON.stringify({ leaf: bytesOf(row["leaf"]).toString("base64"), pruned: Number(row["pruned"]), seq: Number(row["seq"]) })}\n`;
  }
}

async function* proven({ tx, query, signal }: ExportSource, { size }: SignedCheckpoint): AsyncGenerator<string> {
  const keys = await tx.all("SELECT seq, body FROM audit_events WHERE action IN (?, ?) AND category || '' = 'audit' AND seq <= ? ORDER BY seq", [
    KEY_ROTATED,
    KEY_REPLACED,
    size,
  ]);
  // Neighbours share most of their proofs. What a tree remembers would grow with the export: now and then, another one.
  const cache = new SubtreeCache();
  let tree = new StoredTree(tx, cache);
  let proofs = 0;
  const line = async (row: Row): Promise<string> => {
    if (++proofs % PROOFS_A_TREE === 0) tree = new StoredTree(tx, cache);
    const proof = await tree.inclusion(Number(row["seq"]) - 1, size);
    return `${String(row["body"])}\n${JSON.stringify({ proof: proof.map((hash) => hash.toString("base64")) })}\n`;
  };
  const waiting = [...keys];
  for await (const row of matchingRows(tx, { ...query, newestFirst: false }, signal)) {
    if (Number(row["seq"]) > size) break;
    while (waiting.length > 0 && Number(waiting[0]?.["seq"]) <= Number(row["seq"])) {
      const key = waiting.shift();
      if (key !== undefined && key["seq"] !== row["seq"]) yield await line(key);
    }
    yield await line(row);
  }
  for (const key of waiting) yield await line(key);
}
