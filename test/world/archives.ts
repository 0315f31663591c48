/** Tar archives of every honest and hostile kind, byte by byte. */
import { gzipSync } from "node:zlib";

export interface ArchiveEntry {
  readonly path: string;
  readonly body?: string | Buffer;
  /** Type flag; "0" is a file. */
  readonly type?: string;
  readonly mode?: number;
  readonly linkname?: string;
  /** Size field, when it is not the body's length; text is written as it is. */
  readonly size?: number | string | Buffer;
  readonly prefix?: string;
  /** A wrong checksum. */
  readonly badChecksum?: boolean;
  /** Old format without the ustar mark. */
  readonly old?: boolean;
}

export const PACKAGE_JSON: ArchiveEntry = { path: "package/package.json", body: '{"name":"p","version":"1.0.0"}' };

/** @param endBlocks zero blocks at the end; 2 is the norm. */
export function tar(entries: readonly ArchiveEntry[], endBlocks = 2): Buffer {
  const pieces: Buffer[] = [];
  for (const entry of entries) {
    const body = Buffer.from(entry.body ?? "");
    pieces.push(header(entry, body.length), body, Buffer.alloc((512 - (body.length % 512)) % 512));
  }
  return Buffer.concat([...pieces, Buffer.alloc(512 * endBlocks)]);
}

export function tgz(entries: readonly ArchiveEntry[], endBlocks = 2): Buffer {
  return gzipSync(tar(entries, endBlocks));
}

/** A pax extended header; `type` is "x" or "g". */
export function pax(records: Readonly<Record<string, string>>, type = "x"): ArchiveEntry {
  return { path: "PaxHeader/x", type, body: Object.entries(records).map(paxRecord).join("") };
}

function paxRecord([key, value]: readonly [string, string]): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (String(length).length + Buffer.byteLength(rest) !== length) length = String(length).length + Buffer.byteLength(rest);
  return `${length}${rest}`;
}

function header(entry: ArchiveEntry, length: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(entry.path, 0, 100);
  block.write(`${(entry.mode ?? 0o644).toString(8).padStart(7, "0")}\0`, 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  const size = entry.size ?? length;
  if (typeof size === "number") block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  else if (typeof size === "string") block.write(size, 124, 12);
  else size.copy(block, 124);
  block.write("00000000000\0", 136);
  block.write(entry.type ?? "0", 156);
  block.write(entry.linkname ?? "", 157, 100);
  if (entry.old !== true) block.write("ustar\u000000", 257);
  block.write(entry.prefix ?? "", 345, 155);
  block.write("        ", 148);
  const sum = block.reduce((total, byte) => total + byte, 0) + (entry.badChecksum === true ? 1 : 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
