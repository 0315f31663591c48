/** A name server on loopback, UDP and TCP, that says what a test wants: also lies, garbage and 64 KiB. Its writer is not ours. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

export interface ZoneRecord {
  readonly name?: string;
  readonly type: "A" | "AAAA" | "CNAME";
  readonly data: string;
  readonly ttl?: number;
}

export interface Said {
  readonly records?: readonly ZoneRecord[];
  readonly rcode?: number;
  /** Marked as cut when it goes by UDP. */
  readonly cut?: boolean;
  /** Instead of a message. */
  readonly raw?: Buffer;
  /** Sent before the answer. */
  readonly before?: readonly ((query: Buffer) => Buffer)[];
  /** The question comes back in lower case. */
  readonly lowerCase?: boolean;
  readonly silent?: boolean;
}

export interface AskedOf {
  readonly name: string;
  readonly type: number;
  readonly overTcp: boolean;
  readonly fromPort: number;
  readonly id: number;
}

export type Zone = (asked: AskedOf) => Said;

export class TestNameServer {
  readonly asked: AskedOf[] = [];
  zone: Zone;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  port = 0;

  private constructor(zone: Zone) {
    this.zone = zone;
    this.#udp = createSocket("udp4");
    this.#tcp = createServer();
  }

  static async start(zone: Zone): Promise<TestNameServer> {
    const server = new TestNameServer(zone);
    await server.#listen();
    return server;
  }

  async #listen(): Promise<void> {
    this.#tcp.on("connection", (socket) => {
      socket.on("error", () => socket.destroy());
      socket.on("data", (chunk: Buffer) => {
        const answer = this.#answer(chunk.subarray(2), true, socket.remotePort ?? 0);
        if (answer === undefined) return;
        socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]));
      });
    });
    this.#tcp.listen(0, "127.0.0.1");
    await once(this.#tcp, "listening");
    const at = this.#tcp.address();
    this.port = typeof at === "object" && at !== null ? at.port : 0;
    this.#udp.on("message", (query: Buffer, from: RemoteInfo) => {
      const answer = this.#answer(query, false, from.port, (early) => this.#udp.send(early, from.port, from.address));
      if (answer !== undefined) this.#udp.send(answer, from.port, from.address);
    });
    this.#udp.bind(this.port, "127.0.0.1");
    await once(this.#udp, "listening");
  }

  #answer(query: Buffer, overTcp: boolean, fromPort: number, early?: (bytes: Buffer) => void): Buffer | undefined {
    let at = 12;
    const labels: string[] = [];
    for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
      labels.push(query.toString("latin1", at + 1, at + 1 + size));
      at += 1 + size;
    }
    const end = at + 5;
    const asked = { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), overTcp, fromPort, id: query.readUInt16BE(0) };
    this.asked.push(asked);
    const said = this.zone(asked);
    for (const make of said.before ?? []) early?.(make(query));
    if (said.silent === true) return undefined;
    if (said.raw !== undefined) return said.raw;
    const cut = said.cut === true && !overTcp;
    const records = cut ? [] : (said.records ?? []).map(recordBytes);
    const header = Buffer.alloc(12);
    header.writeUInt16BE(asked.id, 0);
    header.writeUInt16BE(0x8180 | (cut ? 0x200 : 0) | (said.rcode ?? 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    const question = Buffer.from(query.subarray(12, end));
    if (said.lowerCase === true)
      for (let i = 0; i < question.length - 4; i++) if ((question[i] ?? 0) >= 65 && (question[i] ?? 0) <= 90) question[i] = (question[i] ?? 0) + 32;
    return Buffer.concat([header, question, ...records]);
  }

  async close(): Promise<void> {
    this.#udp.close();
    this.#tcp.close();
    await once(this.#tcp, "close");
  }
}

function nameOnTheWire(name: string): Buffer {
  return Buffer.concat([...name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])), Buffer.from([0])]);
}

function recordBytes({ name, type, data, ttl = 60 }: ZoneRecord): Buffer {
  const owner = name === undefined ? Buffer.from([0xc0, 0x0c]) : nameOnTheWire(name);
  const bytes = type === "CNAME" ? nameOnTheWire(data) : type === "A" ? Buffer.from(data.split(".").map(Number)) : v6Bytes(data);
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type === "A" ? 1 : type === "AAAA" ? 28 : 5, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(bytes.length, 8);
  return Buffer.concat([owner, head, bytes]);
}

/** `::` forms only as far as tests need them: groups, with one gap. */
function v6Bytes(text: string): Buffer {
  const [left = "", right] = text.split("::");
  const before = left === "" ? [] : left.split(":");
  const after = right === undefined || right === "" ? [] : right.split(":");
  const groups = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}
