/**
 * A strict tar reader (POSIX ustar, pax, GNU long names), fed with chunks of any size. It reads what npm's own extractor
 * reads and refuses whatever two readers could take differently: that is where an archive shows one face to the checker
 * and another to the extractor. It never touches a file system.
 */
import { CofferdamError } from "../foundation/index.ts";

export interface TarEntry {
  readonly type: "file" | "directory";
  /** As in the archive, `/`-separated, UTF-8, without a trailing slash. */
  readonly path: string;
  readonly mode: number;
  readonly size: number;
}

export interface TarHandler {
  /** A new entry. Its data follows, in as many pieces as there are, then {@link end}. */
  entry(entry: TarEntry): void;
  data(piece: Buffer): void;
  end(): void;
}

/** What an archive was refused for; in `details.kind` of the error. */
export type ArchiveFault =
  | "truncated"
  | "checksum"
  | "size"
  | "path"
  | "absolute"
  | "traversal"
  | "name-encoding"
  | "control-character"
  | "link"
  | "device"
  | "fifo"
  | "type"
  | "pax"
  | "sparse"
  | "after-end"
  | "too-many-entries"
  | "too-large"
  | "duplicate"
  | "setuid"
  | "not-gzip"
  | "gzip"
  | "no-folder"
  | "package-json";

const BLOCK = 512;
const MAX_META: number = 64 * 1024;
const MAX_PATH = 4096;
const MAX_COMPONENT = 255;

export class TarReader {
  readonly #handler: TarHandler;
  /** Bytes of a header block that came in two chunks. */
  readonly #partial: Buffer = Buffer.alloc(BLOCK);
  #partialLength = 0;
  #state: "header" | "data" | "meta" | "padding" | "end" = "header";
  #left = 0;
  #padding = 0;
  #meta: { kind: "pax" | "global" | "path" | "link"; pieces: Buffer[]; name: string } | undefined;
  #override: { path?: string; size?: number } = {};
  #zeroBlocks = 0;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case "header":
        case "end":
          at = this.#block(chunk, at);
          break;
        case "padding": {
          const skipped = Math.min(this.#padding, chunk.length - at);
          this.#padding -= skipped;
          at += skipped;
          if (this.#padding === 0) this.#state = "header";
          break;
        }
        default: {
          const taken = Math.min(this.#left, chunk.length - at);
          this.#body(chunk.subarray(at, at + taken));
          at += taken;
        }
      }
    }
  }

  /** The archive is over. Throws when it ends inside an entry or without an end mark. */
  finish(): void {
    if (this.#partialLength > 0 || (this.#state !== "header" && this.#state !== "end") || this.#meta !== undefined)
      throw refuse("truncated", "it ends inside an entry");
    if (this.#zeroBlocks === 0) throw refuse("truncated", "it has no end mark");
    if (Object.keys(this.#override).length > 0) throw refuse("truncated", "it ends after an extended header");
  }

  #block(chunk: Buffer, at: number): number {
    if (this.#partialLength === 0 && chunk.length - at >= BLOCK) {
      this.#header(chunk.subarray(at, at + BLOCK));
      return at + BLOCK;
    }
    const taken = Math.min(BLOCK - this.#partialLength, chunk.length - at);
    chunk.copy(this.#partial, this.#partialLength, at, at + taken);
    this.#partialLength += taken;
    if (this.#partialLength === BLOCK) {
      this.#partialLength = 0;
      this.#header(this.#partial);
    }
    return at + taken;
  }

  #header(block: Buffer): void {
    if (isZero(block)) {
      this.#zeroBlocks += 1;
      this.#state = "end";
      return;
    }
    // One reader stops at the first zero block, another goes on after it: nothing may follow.
    if (this.#state === "end") throw refuse("after-end", "data follows the end mark");
    assertChecksum(block);
    const type = String.fromCharCode(block[156] ?? 0);
    const name = headerName(block);
    const size = this.#override.size ?? headerNumber(block, 124, 12);
    if (type === "x" || type === "g" || type === "L" || type === "K") {
      this.#startMeta(type, headerNumber(block, 124, 12), name);
      return;
    }
    const path = this.#override.path ?? name;
    this.#override = {};
    this.#startEntry(type, path, size, headerNumber(block, 100, 8));
  }

  #startMeta(type: "x" | "g" | "L" | "K", size: number, name: string): void {
    if (size > MAX_META) throw refuse("pax", `an extended header of ${size} bytes`, name);
    const kind = ({ x: "pax", g: "global", L: "path", K: "link" } as const)[type];
    this.#meta = { kind, pieces: [], name };
    this.#enter("meta", size);
  }

  #startEntry(type: string, rawPath: string, size: number, mode: number): void {
    const kind = entryType(type, rawPath);
    const path = checkedPath(rawPath);
    // A directory has no body, whatever its size field says: npm's extractor reads the next block as a header.
    this.#handler.entry({ type: kind, path, mode, size: kind === "directory" ? 0 : size });
    this.#enter("data", kind === "directory" ? 0 : size);
  }

  #enter(state: "data" | "meta", size: number): void {
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    this.#state = state;
    if (size === 0) this.#leave();
  }

  #body(piece: Buffer): void {
    this.#left -= piece.length;
    if (this.#meta === undefined) this.#handler.data(piece);
    else this.#meta.pieces.push(Buffer.from(piece));
    if (this.#left === 0) this.#leave();
  }

  #leave(): void {
    const meta = this.#meta;
    this.#meta = undefined;
    if (meta === undefined) this.#handler.end();
    else if (meta.kind === "path") this.#override.path = untilNul(Buffer.concat(meta.pieces));
    else if (meta.kind === "pax" || meta.kind === "global") this.#applyPax(Buffer.concat(meta.pieces), meta.kind === "global", meta.name);
    this.#state = this.#padding > 0 ? "padding" : "header";
  }

  #applyPax(body: Buffer, global: boolean, name: string): void {
    for (const [key, value] of paxRecords(body, name)) {
      if (key.startsWith("GNU.sparse")) throw refuse("sparse", "a sparse file", name);
      if (key !== "path" && key !== "size") continue;
      if (global) throw refuse("pax", `a global header that sets ${key}`, name);
      if (key === "path") this.#override.path = value;
      else if (/^\d{1,15}$/.test(value)) this.#override.size = Number(value);
      else throw refuse("size", "a size that is not a number", name);
    }
  }
}

function entryType(type: string, path: string): "file" | "directory" {
  switch (type) {
    case "0":
    case "\0":
    case "7":
      // Before ustar, a trailing slash was the mark of a directory.
      return path.endsWith("/") ? "directory" : "file";
    case "5":
      return "directory";
    case "1":
    case "2":
      throw refuse("link", `a ${type === "1" ? "hard" : "symbolic"} link`, path);
    case "3":
    case "4":
      throw refuse("device", "a device", path);
    case "6":
      throw refuse("fifo", "a FIFO", path);
    default:
      throw refuse("type", `an entry of unknown type ${JSON.stringify(type)}`, path);
  }
}

function checkedPath(raw: string): string {
  const path = raw.replace(/\/+$/, "");
  if (raw.startsWith("/")) throw refuse("absolute", "an absolute path", raw);
  if (path === "") throw refuse("path", "an empty path", raw);
  if (path.length > MAX_PATH) throw refuse("path", `a path longer than ${MAX_PATH}`, raw);
  if (hasControl(path)) throw refuse("control-character", "a control character in a path", raw);
  if (path.includes("\ufffd")) throw refuse("name-encoding", "a path that is not UTF-8", raw);
  for (const component of path.split("/")) {
    if (component === "..") throw refuse("traversal", "a path with ..", raw);
    if (Buffer.byteLength(component) > MAX_COMPONENT) throw refuse("path", `a name longer than ${MAX_COMPONENT} bytes`, raw);
  }
  return path;
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

function headerName(block: Buffer): string {
  const name = untilNul(block.subarray(0, 100));
  // The prefix field exists in POSIX ustar only; GNU uses the same bytes for times.
  if (block.toString("latin1", 257, 265) !== "ustar\u000000") return name;
  const prefix = untilNul(block.subarray(345, block[475] === 0 ? 475 : 500));
  return prefix === "" ? name : `${prefix}/${name}`;
}

function headerNumber(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) {
    // Base 256: only what a double holds exactly, and never negative (0xff).
    if (first !== 0x80) throw refuse("size", "a number out of range");
    let value = 0;
    for (let i = offset + 1; i < offset + length; i++) value = value * 256 + (block[i] ?? 0);
    if (!Number.isSafeInteger(value)) throw refuse("size", "a number out of range");
    return value;
  }
  const text = untilNul(block.subarray(offset, offset + length)).trim();
  if (text === "") return 0;
  if (!/^[0-7]{1,17}$/.test(text)) throw refuse("size", "a number that is not octal");
  return Number.parseInt(text, 8);
}

function assertChecksum(block: Buffer): void {
  const stored = Number.parseInt(untilNul(block.subarray(148, 156)).trim(), 8);
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i++) sum += block[i] ?? 0;
  for (let i = 156; i < BLOCK; i++) sum += block[i] ?? 0;
  if (sum !== stored) throw refuse("checksum", "a header whose checksum is wrong");
}

/** Records `LENGTH KEY=VALUE\n`. A value with a newline is read in two ways by two readers, so there may be none. */
function* paxRecords(body: Buffer, name: string): Generator<[string, string]> {
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? "" : body.toString("latin1", at, space);
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length < digits.length + 4 || end > body.length || body[end - 1] !== 0x0a) throw refuse("pax", "a damaged extended header", name);
    const record = body.toString("utf8", space + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1 || record.includes("\n")) throw refuse("pax", "a damaged extended header", name);
    if (record.includes("\0")) throw refuse("control-character", "NUL in an extended header", name);
    yield [record.slice(0, equals), record.slice(equals + 1)];
    at = end;
  }
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

const ZERO = Buffer.alloc(BLOCK);

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZERO);
}

/** The error for an archive that must not be unpacked. */
export function refuse(kind: ArchiveFault, why: string, entry?: string): CofferdamError {
  const shown = entry === undefined ? "" : ` (${JSON.stringify(entry.slice(0, 200))})`;
  return new CofferdamError("INTEGRITY_FAILURE", `the archive holds ${why.startsWith("it ") ? "no sound end: " : ""}${why}${shown}`, {
    details: { kind, ...(entry === undefined ? {} : { entry: entry.slice(0, 500) }) },
  });
}
