/**
 * An internet of our own around one job's gateway: names, addresses that lead to servers on loopback, and connections that the
 * gateway takes for ones that were sent to any address. What the kernel does for a real job is done here by hand; the rest is real.
 */
import { execFileSync } from "node:child_process";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Endpoint, JobGateway, NetworkPolicy, UdpFlow } from "../../src/network/contract.ts";
import { type GatewayOptions, openJobGateway } from "../../src/network/relay/index.ts";
import { TestNameServer, type ZoneRecord } from "./name-server.ts";

export const GATEWAY = "10.231.0.1";

export interface InternetOptions extends Partial<Pick<GatewayOptions, "clock" | "maxConnections">> {
  readonly closed?: readonly string[];
  /** Whom the gateway trusts to speak for servers, besides those that everybody does. */
  readonly authorities?: readonly string[];
}

export class JobInternet {
  readonly names: TestNameServer;
  readonly gateway: JobGateway;
  /** By name; an address, or records. */
  readonly zone: Map<string, string | readonly ZoneRecord[]> = new Map<string, string | readonly ZoneRecord[]>();
  /** `address:port` of every connection and flow that left the gateway. */
  readonly reached: string[] = [];
  /** Called when a connection to a server begins. */
  onReach: () => void = () => undefined;
  readonly #places: Map<string, number>;
  readonly #server: Server;
  readonly #dns: UdpSocket;
  readonly #destinations: WeakMap<Socket, Endpoint>;
  readonly #onUdpFlow: (flow: UdpFlow) => void;
  readonly #servers: Server[] = [];

  private constructor(parts: {
    names: TestNameServer;
    dns: UdpSocket;
    policy: NetworkPolicy;
    options: InternetOptions;
  }) {
    const { names, dns, policy, options } = parts;
    this.names = names;
    this.#dns = dns;
    this.#places = new Map();
    this.#server = createServer({ allowHalfOpen: true });
    this.#destinations = new WeakMap();
    const listeners: ((flow: UdpFlow) => void)[] = [];
    this.gateway = openJobGateway({
      jobId: "job",
      sockets: { tcp: [this.#server], dns: [dns], onUdpFlow: (listener) => void listeners.push(listener) },
      addresses: { v4: GATEWAY, v6: "fd00:cd::1", subnets: ["10.231.0.0/28", "fd00:cd::/64"] },
      policy,
      upstream: {
        nameServers: [`127.0.0.1:${names.port}`],
        closed: () => options.closed ?? [],
        ...(options.authorities === undefined ? {} : { authorities: options.authorities }),
      },
      originalDestination: (socket) => this.#destinations.get(socket) ?? { address: "", port: 0 },
      reach: ({ address, port }, protocol) => {
        this.reached.push(`${address}:${port}${protocol === "udp" ? "/udp" : ""}`);
        this.onReach();
        return { address: "127.0.0.1", port: this.#places.get(`${address}:${port}`) ?? 1 };
      },
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    });
    this.#onUdpFlow = (flow) => {
      for (const listener of listeners) listener(flow);
    };
    names.zone = ({ name, type }) => {
      const entry = this.zone.get(name);
      if (entry === undefined) return { rcode: 3 };
      const records: readonly ZoneRecord[] = typeof entry === "string" ? [{ type: entry.includes(":") ? "AAAA" : "A", data: entry }] : entry;
      return { records: records.filter((record) => record.type === "CNAME" || (record.type === "A") === (type === 1)) };
    };
  }

  static async start(policy: Partial<NetworkPolicy>, options: InternetOptions = {}): Promise<JobInternet> {
    const names = await TestNameServer.start(() => ({ rcode: 3 }));
    const dns = createSocket("udp4");
    dns.bind(0, "127.0.0.1");
    await once(dns, "listening");
    return new JobInternet({ names, dns, policy: { mode: "moderate", allow: [], deny: [], ...policy }, options });
  }

  /** A server of this internet, at an address; also under names. */
  async serve(server: Server, place: string, ...names: readonly string[]): Promise<void> {
    if (!server.listening) {
      server.on("connection", (socket: Socket) => socket.on("error", () => socket.destroy()));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      this.#servers.push(server);
    }
    const at = server.address();
    if (typeof at === "object" && at !== null) this.#places.set(place, at.port);
    for (const name of names) this.zone.set(name, place.slice(0, place.lastIndexOf(":")));
  }

  /** A UDP server's own port, at an address. */
  placeUdp(place: string, port: number): void {
    this.#places.set(place, port);
  }

  /** A connection of the job to any address. */
  async dial(address: string, port: number): Promise<Socket> {
    const door = createServer({ allowHalfOpen: true });
    door.listen(0, "127.0.0.1");
    await once(door, "listening");
    const at = door.address();
    const client = connect({ port: typeof at === "object" && at !== null ? at.port : 0, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    client.on("error", () => undefined);
    door.once("connection", (socket: Socket) => {
      this.#destinations.set(socket, { address, port });
      this.#server.emit("connection", socket);
      door.close();
    });
    await new Promise<void>((resolve) => {
      // Refused at once counts too: who reads it will see.
      client.once("connect", () => resolve());
      client.once("close", () => resolve());
    });
    return client;
  }

  /** What the job's resolver says, as addresses. */
  async lookUp(name: string, type: 1 | 28 = 1): Promise<readonly string[]> {
    const client = createSocket("udp4");
    const labels = name.split(".").flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
    client.send(
      Buffer.concat([Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...labels, Buffer.from([0, 0, type, 0, 1])]),
      this.#dns.address().port,
      "127.0.0.1",
    );
    const [answer]: [Buffer] = await new Promise((resolve) => client.once("message", (bytes) => resolve([bytes])));
    client.close();
    const size = type === 1 ? 16 : 28;
    const records = answer.subarray(answer.length - size * answer.readUInt16BE(6));
    return Array.from({ length: answer.readUInt16BE(6) }, (_, i) => {
      const data = records.subarray(i * size + 12, (i + 1) * size);
      return type === 1 ? data.join(".") : data.toString("hex");
    });
  }

  /** A datagram of the job; what comes back on its flow. Undefined when the flow was not taken. */
  async sendUdp(address: string, port: number, bytes: Buffer): Promise<{ readonly answers: UdpSocket; readonly job: UdpSocket } | undefined> {
    const [job, door] = [createSocket("udp4"), createSocket("udp4")];
    for (const socket of [job, door]) socket.bind(0, "127.0.0.1");
    await Promise.all([once(job, "listening"), once(door, "listening")]);
    door.connect(job.address().port, "127.0.0.1");
    job.connect(door.address().port, "127.0.0.1");
    await Promise.all([once(door, "connect"), once(job, "connect")]);
    let taken = false;
    const accept = async (): Promise<UdpSocket> => {
      taken = true;
      return await Promise.resolve(door);
    };
    this.#onUdpFlow({ source: { address: "10.231.0.2", port: job.address().port }, destination: { address, port }, first: bytes, accept });
    if (taken) return { answers: door, job };
    job.close();
    door.close();
    return undefined;
  }

  async close(): Promise<void> {
    await this.gateway.close();
    for (const server of this.#servers) {
      server.close();
      if ("closeAllConnections" in server && typeof server.closeAllConnections === "function") server.closeAllConnections();
    }
    await this.names.close();
  }
}

export interface ServerIdentity {
  readonly key: string;
  readonly cert: string;
}

/** One certificate for all the names of a test, signed by itself. */
export function makeIdentity(...names: readonly string[]): ServerIdentity {
  const folder = mkdtempSync(join(tmpdir(), "identity-"));
  const config = join(folder, "req.cnf");
  writeFileSync(
    config,
    `[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\nCN=test\n[v3]\nsubjectAltName=${names.map((name) => `DNS:${name}`).join(",")}\n`,
  );
  const args = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
    "-config",
    config,
    "-keyout",
    "key.pem",
    "-out",
    "cert.pem",
  ];
  execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const identity = { key: readFileSync(join(folder, "key.pem"), "utf8"), cert: readFileSync(join(folder, "cert.pem"), "utf8") };
  rmSync(folder, { recursive: true });
  return identity;
}
