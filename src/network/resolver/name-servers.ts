/**
 * Asks name servers, from the host's own namespace: by UDP from a socket of its own for every question (so that the port is
 * random, as the id and the case of the letters are), by TCP when the answer was cut or came with our letters changed.
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIP } from "node:net";
import { CofferdamError, messageOf, readBounded } from "../../foundation/index.ts";
import type { Endpoint } from "../contract.ts";
import { parseAddress } from "../rules/index.ts";
import { RCODE } from "./record-type.ts";
import { readUpstreamAnswer, type UpstreamAnswer, writeUpstreamQuery } from "./upstream-message.ts";

export interface NameServersOptions {
  /** Asked in this order. Called for every question: those of the host may change. */
  readonly servers: () => Promise<readonly Endpoint[]>;
  /** For one answer of one server, ms. Default 2000. */
  readonly timeout?: number | undefined;
  /** Times that each server is asked. Default 2. */
  readonly rounds?: number | undefined;
}

const DNS_PORT = 53;
const MAX_SERVERS = 8;
const RESOLV_CONF = "/etc/resolv.conf";
/** Answers that are not for us, from a server that floods: after so many the question is given up. */
const MAX_STRAY = 32;

export class NameServers {
  readonly #servers: NameServersOptions["servers"];
  readonly #timeout: number;
  readonly #rounds: number;

  constructor({ servers, timeout = 2000, rounds = 2 }: NameServersOptions) {
    this.#servers = servers;
    this.#timeout = timeout;
    this.#rounds = rounds;
  }

  /** @param type A or AAAA. Throws UPSTREAM_UNAVAILABLE when no server gives an answer that counts, CANCELLED by the signal. */
  async ask(name: string, type: number, signal: AbortSignal): Promise<UpstreamAnswer> {
    let last = "there is no name server";
    const servers = (await this.#servers()).slice(0, MAX_SERVERS);
    for (let round = 0; round < this.#rounds; round++)
      for (const server of servers) {
        if (signal.aborted) throw new CofferdamError("CANCELLED", `${name}: no longer asked`);
        try {
          const answer = await this.#askOne(server, name, type, signal);
          if (answer.rcode === RCODE.NOERROR || answer.rcode === RCODE.NXDOMAIN) return answer;
          last = `the server answered with code ${answer.rcode}`;
        } catch (error) {
          last = messageOf(error);
        }
      }
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${name} could not be looked up: ${last}`, { details: { name, servers: servers.length } });
  }

  async #askOne(server: Endpoint, name: string, type: number, signal: AbortSignal): Promise<UpstreamAnswer> {
    const asked = { id: randomInt(65_536), name: withRandomCase(name), type };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)]);
    const answer = await byUdp(server, asked, limit);
    if (!answer.cut && answer.sameCase) return answer;
    try {
      // Some servers change the case of letters; then the connection is what an outsider cannot guess.
      return await byTcp(server, { ...asked, id: randomInt(65_536) }, AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)]));
    } catch (error) {
      // And some of those speak no TCP: port and id were random all the same, as with any resolver.
      if (answer.cut) throw error;
      return answer;
    }
  }
}

interface Asked {
  readonly id: number;
  readonly name: string;
  readonly type: number;
}

async function byUdp({ address, port }: Endpoint, asked: Asked, signal: AbortSignal): Promise<UpstreamAnswer> {
  const socket = createSocket(isIP(address) === 6 ? "udp6" : "udp4");
  try {
    return await new Promise<UpstreamAnswer>((resolve, reject) => {
      let stray = 0;
      signal.addEventListener("abort", () => reject(new Error("no answer in time")), { once: true });
      socket.on("error", reject);
      socket.on("message", (bytes) => {
        const answer = readUpstreamAnswer(bytes, asked);
        if (answer !== undefined) resolve(answer);
        else if (++stray > MAX_STRAY) reject(new Error("only answers that are none"));
      });
      // Connected: the kernel drops what comes from anybody else.
      socket.on("connect", () => socket.send(writeUpstreamQuery(asked.id, asked.name, asked.type)));
      socket.connect(port, address);
    });
  } finally {
    socket.close();
  }
}

async function byTcp({ address, port }: Endpoint, asked: Asked, signal: AbortSignal): Promise<UpstreamAnswer> {
  const socket = connect({ host: address, port });
  try {
    return await new Promise<UpstreamAnswer>((resolve, reject) => {
      let received = Buffer.alloc(0);
      signal.addEventListener("abort", () => reject(new Error("no answer in time")), { once: true });
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("closed before its answer")));
      socket.on("connect", () => {
        const query = writeUpstreamQuery(asked.id, asked.name, asked.type);
        socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]));
      });
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
        const answer = readUpstreamAnswer(received.subarray(2, 2 + received.readUInt16BE(0)), asked);
        if (answer === undefined || answer.cut) reject(new Error("not an answer"));
        else resolve(answer);
      });
    });
  } finally {
    socket.destroy();
  }
}

/** Each letter is a bit that an outsider has to guess (draft-vixie-dnsext-dns0x20). */
function withRandomCase(name: string): string {
  const bits = randomInt(2 ** 47);
  return [...name].map((letter, i) => (Math.floor(bits / 2 ** (i % 47)) % 2 === 1 ? letter.toUpperCase() : letter)).join("");
}

/** `address`, `address:port`, `[v6]:port`; undefined for anything else: a name server is an address, since its name would have to be looked up. */
export function readNameServer(text: string): Endpoint | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  const port = digits === undefined ? DNS_PORT : Number(digits);
  return parseAddress(address) === undefined || port < 1 || port > 65_535 ? undefined : { address, port };
}

/** Like {@link readNameServer}; throws INVALID_ARGUMENT. */
export function parseNameServer(text: string): Endpoint {
  const server = readNameServer(text);
  if (server !== undefined) return server;
  throw new CofferdamError("INVALID_ARGUMENT", `${JSON.stringify(text.slice(0, 80))} is not the address of a name server`, {
    hint: "write it like 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53",
  });
}

/** Name servers that this host is set to (resolv.conf(5)); what cannot be read in it is passed over, as resolvers do. */
export async function hostNameServers(file: string = RESOLV_CONF): Promise<readonly Endpoint[]> {
  const bytes = await readBounded(file, { maxBytes: 65_536, what: "resolv.conf", followLink: true });
  const servers: Endpoint[] = [];
  for (const line of (bytes?.toString("latin1") ?? "").split("\n").slice(0, 1000)) {
    const [, address = ""] = /^nameserver[ \t]+([0-9a-fA-F:.]+)/.exec(line) ?? [];
    if (parseAddress(address) !== undefined) servers.push({ address, port: DNS_PORT });
  }
  return servers.slice(0, MAX_SERVERS);
}
