/**
 * A server on a unix socket that answers as a test says, byte by byte: for what a real engine will not do. It answers a ping
 * as an engine would, unless it is told otherwise.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A request, its head whole; what it does not answer stays open. */
export type Answering = (socket: Socket, request: string) => void;

export class FakeEngine implements AsyncDisposable {
  readonly socketPath: string;
  /** Heads of requests, as they came. */
  readonly requests: string[] = [];
  answer: Answering = () => undefined;
  pong: string | undefined = response(200, "OK", { "Api-Version": "1.41" });
  readonly #folder: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "cofferdam-fake-"));
    this.socketPath = join(this.#folder, "s");
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(answer: Answering = () => undefined): Promise<FakeEngine> {
    const fake = new FakeEngine();
    fake.answer = answer;
    fake.#server.listen(fake.socketPath);
    await once(fake.#server, "listening");
    return fake;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
    rmSync(this.#folder, { recursive: true });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => undefined);
    let text = "";
    const read = (chunk: Buffer): void => {
      text += chunk.toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      socket.off("data", read);
      socket.resume();
      this.requests.push(text);
      if (text.startsWith("GET /_ping ") && this.pong !== undefined) socket.end(this.pong);
      else this.answer(socket, text);
    };
    socket.on("data", read);
  }
}

/** An answer as text, its length right unless a header says otherwise. */
export function response(status: number, body: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = { "Content-Length": String(Buffer.byteLength(body)), Connection: "close", ...headers };
  return `HTTP/1.1 ${status} X\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n${body}`;
}
