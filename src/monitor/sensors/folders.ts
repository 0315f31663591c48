/**
 * Names that start from a folder which the process had open: audit tells the descriptor and an inode. While the descriptor still leads there,
 * /proc has the folder's path, and the inode says whether it is the same one.
 */
import { readlinkSync, statSync } from "node:fs";
import { AT, HEAD_SIZE, PART, type Part, SensorRecord } from "../reader/record.ts";
import { kernelDevice } from "./proc-process.ts";

/** struct folder_part of native/sensor/record.h. */
const SIZE = 24;

/** The record with the folders that are sure; the others stay unknown. Throws BrokenRecord. */
export function withFolders(bytes: Buffer): Buffer {
  const { parts } = new SensorRecord(bytes);
  if (!parts.some(({ type }) => type === PART.folder)) return bytes;
  const pid = bytes.readUInt32LE(AT.pid);
  const whole: Buffer<ArrayBufferLike>[] = [Buffer.from(bytes.subarray(0, HEAD_SIZE))];
  for (const [at, part] of parts.entries()) {
    if (part.type === PART.folder) continue;
    const before = parts[at - 1];
    const name = parts[at + 1];
    const found = part.type === PART.base && before?.type === PART.folder && name !== undefined ? folderOf(pid, before.content, name.content) : undefined;
    whole.push(partOf(found === undefined ? part : { type: PART.base, content: found }));
  }
  const record = Buffer.concat(whole);
  record.writeUInt32LE(record.length, AT.size);
  return record;
}

/** Its path as a part has it: names from the last to the first. @returns undefined when it is not sure. */
function folderOf(pid: number, folder: Buffer, name: Buffer): Buffer | undefined {
  if (folder.length < SIZE) return undefined;
  const link = `/proc/${pid}/fd/${folder.readInt32LE(16)}`;
  // The inode is the file's, or that of the folder that the file is in.
  const shown = folder.readUInt32LE(20) === 0 ? name : name.subarray(0, Math.max(0, name.lastIndexOf("/")));
  try {
    const stat = statSync(Buffer.concat([Buffer.from(`${link}/`), shown]), { bigint: true });
    if (stat.ino !== folder.readBigUInt64LE(8) || kernelDevice(stat.dev) !== folder.readBigUInt64LE(0)) return undefined;
    const path = readlinkSync(link, "buffer");
    if (path[0] !== 0x2f || path.toString("latin1").endsWith(" (deleted)")) return undefined;
    const names = path.toString("latin1").split("/").filter(Boolean).reverse();
    const head = Buffer.alloc(8);
    head.writeUInt32LE(names.length, 4);
    return Buffer.concat([head, Buffer.from(names.map((one) => `${one}\0`).join(""), "latin1")]);
  } catch {
    return undefined;
  }
}

function partOf({ type, content }: Part): Buffer {
  const bytes = Buffer.alloc(8 + ((content.length + 7) & ~7));
  bytes.writeUInt16LE(type, 0);
  bytes.writeUInt16LE(content.length, 2);
  content.copy(bytes, 8);
  return bytes;
}
