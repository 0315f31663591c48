/** Zip archives made byte by byte (APPNOTE 6.3), so that a test can make one lie. */
import { crc32, deflateRawSync } from "node:zlib";

export interface ZipFileSpec {
  readonly name: string;
  readonly body: string | Buffer;
  /** Stored, not deflated. */
  readonly stored?: boolean;
  readonly flags?: number;
  readonly method?: number;
  /** Said by the directory instead of the truth. */
  readonly size?: number;
  readonly packedSize?: number;
  readonly crc?: number;
  /** Name in the file's own header instead of the directory's. */
  readonly ownName?: string;
  /** Offset of another file's header that the directory points at instead. */
  readonly offset?: number;
}

export interface ZipLies {
  /** Entries that the end of the directory counts. */
  readonly count?: number;
  readonly zip64?: boolean;
}

export function zip(files: readonly ZipFileSpec[], lies: ZipLies = {}): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const file of files) {
    const body = Buffer.from(file.body);
    const packed = file.stored === true ? body : deflateRawSync(body);
    const method = file.method ?? (file.stored === true ? 0 : 8);
    const facts = {
      method,
      flags: file.flags ?? 0x800,
      crc: file.crc ?? crc32(body),
      packed: file.packedSize ?? packed.length,
      size: file.size ?? body.length,
    };
    const local = Buffer.concat([header(0x04034b50, [], facts, Buffer.from(file.ownName ?? file.name)), Buffer.from(file.ownName ?? file.name), packed]);
    directory.push(directoryEntry(facts, Buffer.from(file.name), file.offset ?? offset));
    locals.push(local);
    offset += local.length;
  }
  const listed = Buffer.concat(directory);
  const count = lies.count ?? files.length;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(lies.zip64 === true ? 0xffff : count, 8);
  end.writeUInt16LE(lies.zip64 === true ? 0xffff : count, 10);
  end.writeUInt32LE(lies.zip64 === true ? 0xffffffff : listed.length, 12);
  end.writeUInt32LE(lies.zip64 === true ? 0xffffffff : offset, 16);
  return Buffer.concat([...locals, listed, ...(lies.zip64 === true ? zip64End(count, listed.length, offset) : []), end]);
}

interface Facts {
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
}

/** The part that both headers share; the directory's has another version field before it. */
function header(magic: number, before: readonly number[], { flags, method, crc, packed, size }: Facts, name: Buffer): Buffer {
  const bytes = Buffer.alloc(30 + before.length * 2);
  let at = bytes.writeUInt32LE(magic, 0);
  for (const value of before) at = bytes.writeUInt16LE(value, at);
  for (const value of [20, flags, method, 0, 0x21]) at = bytes.writeUInt16LE(value, at);
  for (const value of [crc, packed, size]) at = bytes.writeUInt32LE(value, at);
  bytes.writeUInt16LE(name.length, at);
  return bytes;
}

function directoryEntry(facts: Facts, name: Buffer, offset: number): Buffer {
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(offset, 10);
  return Buffer.concat([header(0x02014b50, [20], facts, name), rest, name]);
}

function zip64End(count: number, listed: number, offset: number): Buffer[] {
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(listed), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + listed), 8);
  locator.writeUInt32LE(1, 16);
  return [record, locator];
}
