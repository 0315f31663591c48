/** The connection to a server, and what it says passed on to the job's client. */
import type { Socket } from "node:net";
import type { WideReader } from "./wide-reader.ts";

export class Upstream {
  readonly socket: Socket;
  readonly #wide: WideReader | undefined;
  #passesEnd = true;

  constructor(socket: Socket, wide?: WideReader) {
    this.socket = socket;
    this.#wide = wide;
  }

  /** All that comes from here on, unread, and its end. */
  pourInto(client: Socket): void {
    this.socket.once("end", () => {
      if (this.#passesEnd) client.end();
    });
    if (this.#wide === undefined) this.socket.pipe(client, { end: false });
    else this.#wide.pourInto(client);
  }

  /** The client is told something of ours behind the last byte. */
  keepClientOpen(): void {
    this.#passesEnd = false;
  }
}
