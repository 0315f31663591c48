/**
 * Output of a container out of the engine's stream. Without a terminal it comes in frames: one byte says which stream, three
 * are zero, four are the length (big-endian), then so many bytes. Chunk borders fall anywhere.
 * https://docs.docker.com/reference/api/engine/ ("Stream format")
 */
import { CofferdamError } from "../foundation/index.ts";
import { nonsense, tidy } from "./failure.ts";
import type { OutputChunk, OutputStream } from "./types.ts";

const HEADER = 8;
/** The engine writes frames of 32 KiB at most; far more is not a frame. */
const MAX_FRAME: number = 16 * 2 ** 20;
/** A record of a log, with its time, is kept whole; the engine cuts lines at 16 KiB. */
const MAX_RECORD: number = 2 ** 20;

type Source = OutputChunk["source"] | "engine";
const SOURCES: readonly Source[] = ["stdout", "stdout", "stderr", "engine"];

export interface Framing {
  readonly tty: boolean;
  /** Each frame begins with a time, which is taken off. */
  readonly timestamps: boolean;
  /** What is read, as "cannot ..." needs it. */
  readonly what: string;
}

/** @param bytes from the engine. @param close ends it early. */
export function outputStream(bytes: AsyncIterable<Buffer>, close: () => void, framing: Framing): OutputStream {
  const chunks = framing.tty ? unframed(bytes) : framing.timestamps ? records(bytes, framing.what) : demultiplex(bytes, framing.what);
  return {
    [Symbol.asyncIterator]: () => chunks,
    close,
    async [Symbol.asyncDispose]() {
      close();
    },
  };
}

async function* unframed(bytes: AsyncIterable<Buffer>): AsyncGenerator<OutputChunk> {
  for await (const piece of bytes) yield { source: "stdout", bytes: piece };
}

interface Piece {
  readonly source: Source;
  readonly bytes: Buffer;
  /** Of this frame, what is still to come. */
  readonly missing: number;
}

/** Payload as it comes: a frame may be several chunks, and none waits for its end. */
export async function* demultiplex(bytes: AsyncIterable<Buffer>, what: string): AsyncGenerator<OutputChunk> {
  for await (const { source, bytes: payload } of pieces(bytes, what)) {
    if (source === "engine") throw fromEngine(payload, what);
    if (payload.length > 0) yield { source, bytes: payload };
  }
}

/** Whole frames, their time taken off. */
async function* records(bytes: AsyncIterable<Buffer>, what: string): AsyncGenerator<OutputChunk> {
  let held: Buffer[] = [];
  let length = 0;
  for await (const { source, bytes: payload, missing } of pieces(bytes, what)) {
    if (source === "engine") throw fromEngine(payload, what);
    held.push(payload);
    length += payload.length;
    if (length > MAX_RECORD) throw nonsense(what, `a record of more than ${MAX_RECORD} bytes`);
    if (missing > 0) continue;
    const record = Buffer.concat(held, length);
    held = [];
    length = 0;
    const space = record.indexOf(0x20);
    if (space < 0) throw nonsense(what, "a record without a time");
    yield { source, bytes: record.subarray(space + 1), time: record.toString("latin1", 0, space) };
  }
}

async function* pieces(bytes: AsyncIterable<Buffer>, what: string): AsyncGenerator<Piece> {
  const header = Buffer.alloc(HEADER);
  let filled = 0;
  let missing = 0;
  let source: Source = "stdout";
  for await (const chunk of bytes) {
    let at = 0;
    while (at < chunk.length) {
      if (missing === 0) {
        const taken = chunk.copy(header, filled, at);
        filled += taken;
        at += taken;
        if (filled < HEADER) break;
        filled = 0;
        source = sourceOf(header, what);
        missing = header.readUInt32BE(4);
        if (missing > MAX_FRAME) throw nonsense(what, `a frame of ${missing} bytes`);
        if (missing === 0) yield { source, bytes: Buffer.alloc(0), missing };
        continue;
      }
      const payload = chunk.subarray(at, at + missing);
      at += payload.length;
      missing -= payload.length;
      yield { source, bytes: payload, missing };
    }
  }
  if (filled > 0 || missing > 0) throw new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${what}: the engine's stream ends inside a frame`);
}

function sourceOf(header: Buffer, what: string): Source {
  const source = SOURCES[header.readUInt8(0)];
  if (source === undefined || header.readUIntBE(1, 3) !== 0) throw nonsense(what, "no frames: was the container made with a terminal?");
  return source;
}

/** Stream 3: the engine itself says why it stops. */
function fromEngine(payload: Buffer, what: string): CofferdamError {
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `cannot ${what}: the engine breaks off: ${tidy(payload.toString("utf8"), [])}`);
}
