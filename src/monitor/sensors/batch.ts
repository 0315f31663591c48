/** A batch of records, by their time: each processor writes its own in order, and rare ones come by another ring. */
import { AT } from "../reader/record.ts";

/** Views of `bytes`, which holds whole records. Stable: equal times keep their order. */
export function inOrder(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  let sorted = true;
  let last = 0n;
  for (let at = 0; at < bytes.length; ) {
    const record = bytes.subarray(at, at + bytes.readUInt32LE(at + AT.size));
    const time = record.readBigUInt64LE(AT.time);
    sorted &&= time >= last;
    last = time;
    records.push(record);
    at += record.length;
  }
  if (sorted) return records;
  return records.sort((a, b) => {
    const [one, other] = [a.readBigUInt64LE(AT.time), b.readBigUInt64LE(AT.time)];
    return one < other ? -1 : one > other ? 1 : 0;
  });
}
