/**
 * The jail's only way out: CONNECT to names that were granted, each with its port. It resolves names itself, on the host;
 * address literals, other names and private addresses behind a granted name are refused, and all of it is on record.
 */
import { lookup } from "node:dns/promises";
import type { IncomingMessage, Server } from "node:http";
import { BlockList, connect, isIP, type Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { nodeHttp } from "../foundation/index.ts";

export interface ProxyEvent {
  /** `host:port` as it was asked for. */
  readonly target: string;
  /** Which of the jail's connections asked, from 0 in the order that they came. */
  readonly connection: number;
  /** Undefined when it was let through. */
  readonly refused?: string;
}

const CONNECT_TIMEOUT = 30_000;
const MAX_TUNNELS = 256;

/** Addresses that no public name leads to: a grant for a name is not a grant for the host's own networks (RFC 6890). */
export function privateAddresses(): BlockList {
  const list = new BlockList();
  for (const [net, bits] of [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["224.0.0.0", 3],
  ] as const)
    list.addSubnet(net, bits, "ipv4");
  for (const [net, bits] of [
    // Addresses of IPv4 in the notation of IPv6 are checked against the list above; a row for them here would hold for all of IPv4.
    ["::", 127],
    ["64:ff9b::", 96],
    ["fc00::", 7],
    ["fe80::", 10],
    ["ff00::", 8],
  ] as const)
    list.addSubnet(net, bits, "ipv6");
  return list;
}

export interface ProxyOptions {
  /** `host:port`, lower case. */
  readonly allowed: readonly string[];
  readonly onEvent: (event: ProxyEvent) => void;
  /** How a name is resolved. Default: the host's own resolver. */
  readonly resolve?: (host: string) => Promise<string>;
  /** Addresses refused behind a granted name. Default {@link privateAddresses}. */
  readonly blocked?: BlockList;
}

export class JailProxy {
  readonly #options: ProxyOptions;
  readonly #allowed: ReadonlySet<string>;
  readonly #blocked: BlockList;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #order = new WeakMap<Duplex, number>();
  #connections = 0;
  #door: NetServer | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#allowed = new Set(options.allowed.map((target) => target.toLowerCase()));
    this.#blocked = options.blocked ?? privateAddresses();
    this.#server = nodeHttp().createServer({ maxHeaderSize: 16_384 }, (request, response) => {
      // Plain requests by absolute address: only tunnels are offered, so that what was checked is what is reached.
      this.#options.onEvent({ target: targetOf(request), connection: this.#order.get(request.socket) ?? -1, refused: "plain http" });
      response.writeHead(403, { "content-type": "text/plain", connection: "close" }).end("cofferdam: only CONNECT is offered\n");
    });
    this.#server.on("connect", (request, socket, head) => {
      socket.on("error", () => socket.destroy());
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      this.#tunnel(request.url ?? "", socket, head).catch(() => socket.destroy());
    });
  }

  /** Serves the listening socket that was made inside the jail. */
  serve(door: NetServer): void {
    this.#door = door;
    door.on("connection", (socket: Socket) => {
      this.#order.set(socket, this.#connections++);
      this.#server.emit("connection", socket);
    });
  }

  close(): void {
    this.#door?.close();
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #tunnel(target: string, client: Duplex, head: Buffer): Promise<void> {
    const connection = this.#order.get(client) ?? -1;
    const refuse = (why: string): void => {
      this.#options.onEvent({ target, connection, refused: why });
      client.end(`HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\ncofferdam: ${target} was not granted (${why})\r\n`);
    };
    const [, host = "", port = ""] = /^([a-z0-9._-]{1,253}):(\d{1,5})$/i.exec(target) ?? [];
    if (host === "" || isIP(host) !== 0) {
      refuse("address literal");
      return;
    }
    if (!this.#allowed.has(`${host.toLowerCase()}:${port}`)) {
      refuse("not granted");
      return;
    }
    if (this.#sockets.size > MAX_TUNNELS) {
      refuse("too many connections");
      return;
    }
    let address: string;
    try {
      address = await (this.#options.resolve ?? resolveName)(host);
    } catch {
      client.end("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n");
      return;
    }
    if (this.#blocked.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")) {
      refuse("leads to a private address");
      return;
    }
    this.#options.onEvent({ target, connection });
    const upstream = connect({ host: address, port: Number(port), timeout: CONNECT_TIMEOUT });
    this.#sockets.add(upstream);
    upstream.once("close", () => {
      this.#sockets.delete(upstream);
      client.destroy();
    });
    upstream.once("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n"));
    client.once("close", () => upstream.destroy());
    upstream.once("timeout", () => upstream.destroy());
    upstream.once("connect", () => {
      upstream.setTimeout(0);
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      if (head.length > 0) upstream.write(head);
      upstream.pipe(client);
      client.pipe(upstream);
    });
  }
}

async function resolveName(host: string): Promise<string> {
  return (await lookup(host)).address;
}

function targetOf({ url, headers }: IncomingMessage): string {
  const parsed = URL.parse(url ?? "");
  if (parsed === null) return (headers.host ?? "an unnamed host").slice(0, 260);
  return `${parsed.hostname}:${parsed.port === "" ? "80" : parsed.port}`.slice(0, 260);
}
