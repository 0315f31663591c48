/**
 * A strict tar reader (POSIX ustar, pax, GNU long names), fed with chunks of any size. It reads what npm's own extractor
 * reads and refuses whatever two readers could take differently: that is where an archive shows one face to the checker
 * and another to the extractor. It never touches a file system.
 */
import { refuse } from "./archive-fault.ts";
import { archivePath } from "./entry-path.ts";
import { type PaxOverride, readPax } from "./pax.ts";
import { BLOCK, isZeroBlock, readHeader, type TarHeader } from "./tar-header.ts";

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

const MAX_META: number = 64 * 1024;

export class TarReader {
  readonly #handler: TarHandler;
  /** Bytes of a header block that came in two chunks. */
  readonly #partial: Buffer = Buffer.alloc(BLOCK);
  #partialLength = 0;
  #state: "header" | "data" | "meta" | "padding" | "end" = "header";
  #left = 0;
  #padding = 0;
  #meta: { readonly type: MetaType; readonly name: string; readonly pieces: Buffer[] } | undefined;
  /** What the extended header before an entry says of it. */
  #override: PaxOverride | undefined;

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
    if (this.#state === "end") {
      // Zeros past the end mark are padding, of whatever length.
      if (this.#partial.subarray(0, this.#partialLength).some((byte) => byte !== 0)) throw refuse("after-end", "data follows the end mark");
      if (this.#override !== undefined) throw refuse("truncated", "it ends after an extended header");
      return;
    }
    if (this.#state !== "header" || this.#partialLength > 0) throw refuse("truncated", "it ends inside an entry");
    throw refuse("truncated", "it has no end mark");
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
    if (isZeroBlock(block)) {
      this.#state = "end";
      return;
    }
    // One reader stops at the first zero block, another goes on after it: nothing may follow.
    if (this.#state === "end") throw refuse("after-end", "data follows the end mark");
    const header = readHeader(block);
    if (isMeta(header.type)) this.#startMeta(header, header.type);
    else this.#startEntry(header);
  }

  #startMeta(header: TarHeader, type: MetaType): void {
    if (header.size > MAX_META) throw refuse("pax", `an extended header of ${header.size} bytes`, header.name);
    // npm skips a nameless header, and then reads its body as headers.
    if (header.name === "") throw refuse("path", "an extended header without a name");
    if (type === "L" && header.linkName !== "") throw refuse("header", "a link name on something that is no link", header.name);
    // Readers differ in which of two headers counts, and in whether the first one's size applies to the second.
    if (this.#override !== undefined) throw refuse("pax", "two extended headers for one entry", header.name);
    this.#meta = { type, name: header.name, pieces: [] };
    this.#enter("meta", header.size);
  }

  #startEntry(header: TarHeader): void {
    const override = this.#override;
    this.#override = undefined;
    const raw = override?.path ?? header.name;
    const type = entryType(header.type, raw);
    if (header.linkName !== "") throw refuse("header", "a link name on something that is no link", raw);
    const path = archivePath(raw);
    // A directory has no body, whatever its size field says: npm's extractor reads the next block as a header.
    const size = type === "directory" ? 0 : bodySize(header, override, raw);
    this.#handler.entry({ type, path, mode: header.mode, size });
    this.#enter("data", size);
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
    else {
      const body = Buffer.concat(meta.pieces);
      const said = meta.type === "L" ? { path: longName(body, meta.name) } : readPax(body, meta.type === "g", meta.name);
      if (meta.type !== "g") this.#override = said;
    }
    this.#state = this.#padding > 0 ? "padding" : "header";
  }
}

type MetaType = "x" | "g" | "L";

function isMeta(type: string): type is MetaType {
  // GNU's long link name comes before links only, and those are refused: an entry after it would be read in two ways.
  if (type === "K") throw refuse("link", "a long link name");
  return type === "x" || type === "g" || type === "L";
}

function longName(body: Buffer, name: string): string {
  const nul = body.indexOf(0);
  if (nul >= 0 && body.subarray(nul).some((byte) => byte !== 0)) throw refuse("header", "a name that goes on after its end", name);
  return body.toString("utf8", 0, nul < 0 ? body.length : nul);
}

function bodySize(header: TarHeader, override: PaxOverride | undefined, path: string): number {
  // A pax size is for what the field cannot hold. A reader that does not know pax goes by the field.
  if (override?.size !== undefined && override.size !== header.size) throw refuse("size", "two different sizes", path);
  return header.size;
}

function entryType(type: string, path: string): "file" | "directory" {
  switch (type) {
    case "0":
    case "\0":
      // Before ustar, a trailing slash was the mark of a directory.
      return path.endsWith("/") ? "directory" : "file";
    case "7":
      if (path.endsWith("/")) throw refuse("type", "a file whose name ends with a slash", path);
      return "file";
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
