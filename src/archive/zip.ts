/**
 * Files of a zip archive. yauzl reads the directory; each file is then compared with what the directory says of it: name,
 * place, size and checksum. Readers that go by the directory and readers that go by the files must see the same.
 */
import { crc32, inflateRawSync } from "node:zlib";
import type { Entry, RandomAccessReader, ZipFile } from "yauzl";
import { CofferdamError, errnoOf, messageOf } from "../foundation/index.ts";
import { refuse } from "./archive-fault.ts";
import { archivePath } from "./entry-path.ts";
import type { PackedSource } from "./gzip.ts";
import { ReadWindow } from "./read-window.ts";

export interface ZipOptions {
  /** Files of other names are skipped unread; their place in the archive is checked all the same. */
  readonly wanted: (name: string) => boolean;
  readonly maxEntries: number;
  /** Most bytes of one file. One that says it is larger comes as a fault. */
  readonly maxEntryBytes: number;
  /** Most bytes of all wanted files together. */
  readonly maxUnpackedBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export type ZipItem = { readonly name: string; readonly bytes: Buffer } | { readonly name: string; readonly fault: string };

/**
 * The wanted files in the directory's order, one in memory at a time. That no two of them overlap and that the directory is
 * whole is known only when the iteration has ended.
 * Throws INTEGRITY_FAILURE with `details.kind`, PAYLOAD_TOO_LARGE past a limit, CANCELLED.
 */
export async function* zipEntries(source: PackedSource, options: ZipOptions): AsyncGenerator<ZipItem> {
  const { maxEntries, maxUnpackedBytes, signal } = options;
  const data = new ReadWindow(source);
  const { zip, directoryRead } = await openZip(data);
  if (zip.entryCount > maxEntries) throw tooLarge(`more than ${maxEntries} entries`);
  const places: Place[] = [];
  let directoryEnd = 0;
  let unpacked = 0;
  for await (const entry of entriesOf(zip)) {
    if (signal?.aborted === true) throw signal.reason instanceof CofferdamError ? signal.reason : new CofferdamError("CANCELLED", "interrupted");
    directoryEnd = directoryRead();
    const name = archivePath(entry.fileName);
    const start = await dataStart(zip, entry);
    places.push({ start: entry.relativeOffsetOfLocalHeader, end: start + entry.compressedSize });
    if (entry.fileName.endsWith("/") || !options.wanted(name)) continue;
    const fault = unreadable(entry, options);
    if (fault !== undefined) {
      yield { name, fault };
      continue;
    }
    unpacked += entry.uncompressedSize;
    if (unpacked > maxUnpackedBytes) throw tooLarge(`more than ${maxUnpackedBytes} bytes when unpacked`);
    yield { name, bytes: content(await data.read(start, entry.compressedSize), entry) };
  }
  await assertWholeDirectory(data, zip, directoryEnd);
  assertApart(places);
}

interface Place {
  readonly start: number;
  readonly end: number;
}

async function openZip(source: PackedSource): Promise<{ zip: ZipFile; directoryRead: () => number }> {
  // Loaded when there is a zip to read: an install never does.
  const { RandomAccessReader: Base, fromRandomAccessReaderPromise } = await import("yauzl");
  let end = 0;
  class Reader extends Base {
    override read(...[buffer, offset, length, position, callback]: Parameters<RandomAccessReader["read"]>): void {
      end = position + length;
      source.read(position, length).then(
        (bytes) => {
          bytes.copy(buffer, offset);
          // yauzl takes the number of bytes as a second argument, which its types leave out.
          const done: (error: Error | null, bytesRead?: number) => void = callback;
          done(null, bytes.length);
        },
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
      );
    }
  }
  try {
    const zip = await fromRandomAccessReaderPromise(new Reader(), source.size, { autoClose: false, strictFileNames: true, validateEntrySizes: true });
    return { zip, directoryRead: () => end };
  } catch (error) {
    throw zipError(error);
  }
}

async function* entriesOf(zip: ZipFile): AsyncGenerator<Entry> {
  const entries = zip.eachEntry();
  for (;;) {
    let next: IteratorResult<Entry>;
    try {
      next = await entries.next();
    } catch (error) {
      throw zipError(error);
    }
    if (next.done === true) return;
    yield next.value;
  }
}

/** Where the file's data starts. Its own header must name it as the directory does. */
async function dataStart(zip: ZipFile, entry: Entry): Promise<number> {
  try {
    const header = await zip.readLocalFileHeaderPromise(entry, {});
    if (!header.fileName.equals(entry.fileNameRaw)) throw refuse("zip", "a file that its directory calls by another name", entry.fileName);
    return header.fileDataStart;
  } catch (error) {
    throw zipError(error, entry.fileName);
  }
}

function unreadable(entry: Entry, { maxEntryBytes }: ZipOptions): string | undefined {
  if (entry.isEncrypted()) return "encrypted";
  if (!entry.canDecodeFileData()) return `packed by a method that is not known (${entry.compressionMethod})`;
  if (entry.uncompressedSize > maxEntryBytes) return `larger than ${maxEntryBytes} bytes`;
  // Deflate never grows data by more than this (RFC 1951 stores blocks of 64 kB with 5 bytes each); what does is padding.
  if (entry.compressedSize > entry.uncompressedSize * 1.001 + 4096) throw refuse("size", "a file that is larger packed than unpacked", entry.fileName);
  return undefined;
}

function content(packed: Buffer, entry: Entry): Buffer {
  const bytes = entry.compressionMethod === 0 ? packed : inflated(packed, entry);
  if (bytes.length !== entry.uncompressedSize) throw refuse("size", "a file whose size is not what its directory says", entry.fileName);
  if (crc32(bytes) !== entry.crc32) throw refuse("checksum", "a file whose checksum is wrong", entry.fileName);
  return bytes;
}

function inflated(packed: Buffer, { uncompressedSize, fileName }: Entry): Buffer {
  try {
    // One byte more than promised shows a lie; room for everything in one piece saves a copy.
    return inflateRawSync(packed, { maxOutputLength: uncompressedSize + 1, chunkSize: Math.max(uncompressedSize + 64, 1024) });
  } catch (error) {
    if (error instanceof RangeError || (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"))
      throw refuse("size", "a file whose size is not what its directory says", fileName);
    throw refuse("zip", `damaged data (${messageOf(error)})`, fileName);
  }
}

const END_OF_DIRECTORY: readonly number[] = [0x06054b50, 0x06064b50, 0x05054b50];

/** After the last entry that the directory counts its end must come: else it holds more than it counts. */
async function assertWholeDirectory(source: PackedSource, zip: ZipFile, directoryEnd: number): Promise<void> {
  const end = zip.entryCount === 0 ? 0 : directoryEnd;
  const mark = await source.read(end, 4);
  if (mark.length < 4 || !END_OF_DIRECTORY.includes(mark.readUInt32LE(0))) throw refuse("zip", "more entries than its directory counts");
}

/** Files that share bytes are how a small archive unpacks to anything. */
function assertApart(places: Place[]): void {
  places.sort((a, b) => a.start - b.start);
  let last = 0;
  for (const { start, end } of places) {
    if (start < last) throw refuse("overlap", "files that overlap");
    last = end;
  }
}

function tooLarge(what: string): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `the archive has ${what}`, { details: { kind: "too-large" } });
}

function zipError(error: unknown, entry?: string): Error {
  if (error instanceof CofferdamError || errnoOf(error) !== undefined) return error instanceof Error ? error : new Error(String(error));
  return refuse("zip", `no sound zip (${messageOf(error).slice(0, 200)})`, entry);
}
