/** A hijacked connection as stdin and output. */
import type { Duplex } from "node:stream";
import { unreachable } from "./failure.ts";
import { type Framing, outputStream } from "./output.ts";
import type { Attachment } from "./types.ts";

/**
 * The end of `output` says that the connection ended, not that the container did: the protocol has no mark for it, and an
 * engine that is killed looks the same. Ask for the exit with a wait.
 */
export function attachment(socket: Duplex, where: string, framing: Omit<Framing, "timestamps">): Attachment {
  const close = (): void => void socket.destroy();
  return {
    stdin: socket,
    output: outputStream(read(socket, where, framing.what), close, { ...framing, timestamps: false }),
    close,
    async [Symbol.asyncDispose]() {
      close();
    },
  };
}

async function* read(socket: Duplex, where: string, what: string): AsyncGenerator<Buffer> {
  try {
    // Its readable side alone: stdin may end later than output.
    for await (const chunk of socket.iterator({ destroyOnReturn: true }) as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    // Closed by us is an end, not a failure.
    if (isPrematureClose(error)) return;
    throw unreachable(what, where, error);
  }
}

function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";
}
