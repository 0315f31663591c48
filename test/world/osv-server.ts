/**
 * A server on loopback that holds an ecosystem's export as osv.dev documents it, and behaves as object storage does: ETag and
 * If-None-Match, Range and If-Range, 416. Faults are queued by path; each is used once.
 */
import { hash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { zip } from "./zips.ts";

export interface OsvFault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Content-Length that is claimed. */
  readonly claim?: number;
  /** Ends the connection after this many bytes of the body. */
  readonly cut?: number;
  /** Sends this many bytes of the body, then nothing; `stalled` is emitted. */
  readonly stall?: number;
}

export interface OsvRecordSpec {
  readonly id: string;
  readonly modified: string;
  readonly [key: string]: unknown;
}

export class OsvServer extends EventEmitter<{ stalled: [path: string] }> implements AsyncDisposable {
  readonly records: Map<string, OsvRecordSpec> = new Map();
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders; status: number }[] = [];
  /** Files that are not what the records say: by path below the ecosystem. */
  readonly files: Map<string, Buffer> = new Map();
  readonly #faults = new Map<string, OsvFault[]>();
  readonly #server: Server;
  /** Records are answered when this many are asked for; a moment later, so that one too many would show. */
  gather = 0;
  /** Most records that were asked for at the same time. */
  mostAtOnce = 0;
  #waiting: (() => void)[] = [];

  private constructor() {
    super();
    this.#server = createServer((request, response) => this.#handle(request, response));
  }

  static async start(): Promise<OsvServer> {
    const server = new OsvServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get base(): URL {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no address");
    return new URL(`http://127.0.0.1:${address.port}/`);
  }

  put(...records: readonly OsvRecordSpec[]): void {
    for (const record of records) this.records.set(record.id, record);
  }

  /** The next requests for a path below the ecosystem meet these, one each. */
  fault(path: string, ...faults: readonly OsvFault[]): void {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  /** Requests since the last call: path, and the status that was answered. */
  take(): string[] {
    return this.requests.splice(0).map(({ path, status }) => `${path} ${status}`);
  }

  /** The current file of a path, as a server that is asked for it would send it. */
  file(path: string): Buffer | undefined {
    const own = this.files.get(path);
    if (own !== undefined) return own;
    const records = [...this.records.values()];
    if (path === "all.zip") return zip(records.map((record) => ({ name: `${record.id}.json`, body: JSON.stringify(record) })));
    if (path === "modified_id.csv") {
      // As osv.dev sorts: by text, downwards.
      const lines = records.map(({ modified, id }) => `${modified},${id}`).sort();
      return Buffer.from(
        lines
          .reverse()
          .map((line) => `${line}\n`)
          .join(""),
      );
    }
    const record = this.records.get(path.replace(/\.json$/, ""));
    return record === undefined ? undefined : Buffer.from(JSON.stringify(record));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent((request.url ?? "").replace(/^\/npm\//, ""));
    const entry = { path, headers: request.headers, status: 0 };
    this.requests.push(entry);
    const fault = this.#faults.get(path)?.shift();
    const answer = answerTo(request, fault?.body === undefined ? this.file(path) : Buffer.from(fault.body));
    entry.status = fault?.status ?? answer.status;
    const body = fault?.status === undefined || fault.body !== undefined ? answer.body : Buffer.alloc(0);
    response.writeHead(entry.status, { ...answer.headers, "content-length": fault?.claim ?? body.length, ...fault?.headers });
    if (this.gather === 0 || !path.endsWith(".json")) this.#send(response, body, fault, path);
    else this.#gather(() => this.#send(response, body, fault, path));
  }

  #gather(send: () => void): void {
    this.#waiting.push(send);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#waiting.length);
    if (this.#waiting.length !== this.gather) return;
    setTimeout(() => {
      for (const waiting of this.#waiting.splice(0)) waiting();
    }, 20);
  }

  #send(response: ServerResponse, body: Buffer, fault: OsvFault | undefined, path: string): void {
    if (fault?.cut !== undefined) response.write(body.subarray(0, fault.cut), () => response.destroy());
    else if (fault?.stall !== undefined) response.write(body.subarray(0, fault.stall), () => this.emit("stalled", path));
    else response.end(body);
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

function answerTo({ headers }: IncomingMessage, file: Buffer | undefined): Answer {
  if (file === undefined) return { status: 404, headers: {}, body: Buffer.from("no such object") };
  const etag = `"${hash("sha256", file).slice(0, 32)}"`;
  if (headers["if-none-match"] === etag) return { status: 304, headers: { etag }, body: Buffer.alloc(0) };
  const range = /^bytes=(\d+)-$/.exec(headers.range ?? "");
  if (range === null || (headers["if-range"] !== undefined && headers["if-range"] !== etag)) return { status: 200, headers: { etag }, body: file };
  const from = Number(range[1]);
  if (from >= file.length) return { status: 416, headers: { etag, "content-range": `bytes */${file.length}` }, body: Buffer.alloc(0) };
  return { status: 206, headers: { etag, "content-range": `bytes ${from}-${file.length - 1}/${file.length}` }, body: file.subarray(from) };
}
