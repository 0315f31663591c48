/** Two sockets joined: each end is passed on, the failure of one ends both, and a long silence too. */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** ms without a byte either way; shorter once one side has said all that it had to say. */
const IDLE = 3_600_000;
const IDLE_HALF_CLOSED = 300_000;

export function tieTogether(client: Socket, upstream: Socket): void {
  let seen = -1;
  const idle = (): void => {
    // A socket's own timer knows only its own bytes: while the other side's arrive, its next one is waited for.
    const now = client.bytesRead + client.bytesWritten + upstream.bytesRead + upstream.bytesWritten;
    if (now !== seen) {
      seen = now;
      return;
    }
    client.destroy();
    upstream.destroy();
  };
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on("error", () => reset(other));
    one.once("close", () => other.destroySoon());
    one.once("end", () => {
      client.setTimeout(IDLE_HALF_CLOSED);
      upstream.setTimeout(IDLE_HALF_CLOSED);
    });
    one.setTimeout(IDLE, idle);
  }
}

/** Ends a connection so that its other side knows that this was no regular end. */
export function reset(socket: Socket): void {
  // Below TLS the connection is not ours to reset; without its closing message the end is no regular one either.
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
