/** A witness on loopback (c2sp.org/tlog-witness): verifies, remembers the largest tree of each log, cosigns. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { parseCheckpoint } from "../../src/audit/checkpoint.ts";
import { verifyConsistency } from "../../src/audit/merkle.ts";
import { formatVerifierKey, openNote, rawPublicKey, signatureLine, type VerifierKey, verifierKey } from "../../src/audit/note.ts";

export class TestWitness {
  readonly key: string;
  /** Status and body of the next answer instead of the right one. */
  answer: { readonly status: number; readonly text: string } | undefined;
  readonly seen: Map<string, { readonly size: number; readonly root: Buffer }> = new Map();
  readonly #name: string;
  readonly #private: KeyObject;
  readonly #logs: readonly VerifierKey[];
  readonly #server: Server;

  constructor(name: string, logs: readonly VerifierKey[]) {
    this.#name = name;
    this.#logs = logs;
    this.#private = generateKeyPairSync("ed25519").privateKey;
    this.key = formatVerifierKey(verifierKey(name, 4, rawPublicKey(this.#private)));
    this.#server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        const { status, text } = this.answer ?? this.#judge(body);
        response.writeHead(status, { "content-type": "text/plain" }).end(text);
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #judge(body: string): { status: number; text: string } {
    const end = body.indexOf("\n\n");
    const [old = "", ...proof] = body.slice(0, end).split("\n");
    const note = body.slice(end + 2);
    let text: string;
    try {
      text = openNote(note, this.#logs).text;
    } catch {
      return { status: 403, text: "" };
    }
    const { origin, size, root } = parseCheckpoint(text);
    const known = this.seen.get(origin);
    if (old !== `old ${known?.size ?? 0}`) return { status: 409, text: `${known?.size ?? 0}\n` };
    const hashes = proof.map((line) => Buffer.from(line, "base64"));
    if (known !== undefined && !verifyConsistency(known.size, known.root, size, root, hashes)) return { status: 422, text: "" };
    this.seen.set(origin, { size, root });
    return { status: 200, text: signatureLine(text, this.#name, this.#private, Math.floor(Date.now() / 1000)) };
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
