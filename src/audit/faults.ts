/** What can be wrong with a log. */

/**
 * - `content`: the text of an event is not what was hashed, is no event, or is gone without an event that says so
 * - `link`: the chain hash does not follow from its predecessor
 * - `gap`, `order`, `duplicate`: sequence numbers are not 1, 2, 3...
 * - `head`: the log ends before, or differs from, the last acknowledged head, or that head cannot be read
 * - `size`: the log is smaller than a checkpoint says it once was
 * - `fork`: the events up to a checkpoint are others than those that were signed
 * - `signature`: a checkpoint's signature does not verify, or is of a key that nobody vouches for
 * - `tree`: a stored node of the Merkle tree is not what its leaves come to
 * - `schema`: the tables are not the ones that this program makes, or an index does not hold what its table does
 */
export type AuditFaultKind = "content" | "link" | "gap" | "order" | "duplicate" | "head" | "size" | "fork" | "signature" | "tree" | "schema";

export interface AuditFault {
  readonly seq: number;
  readonly kind: AuditFaultKind;
  readonly detail: string;
}
