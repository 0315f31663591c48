/** Servers of the host on loopback and on Unix sockets. Whoever reaches one is told the secret. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type ListenOptions, type Server } from "node:net";

export interface HostServices {
  readonly tcp: number;
  /** The same on ::1, or 0 where there is no IPv6. */
  readonly tcp6: number;
  /** Answers every datagram as a resolver would: one TXT record with the secret. */
  readonly udp: number;
  /** Name in the abstract namespace, without its leading NUL. */
  readonly abstract: string;
  readonly paths: readonly string[];
  close(): Promise<void>;
}

export async function startHostServices(request: {
  readonly token: string;
  readonly unixPaths: readonly string[];
  readonly secret: string;
}): Promise<HostServices> {
  const servers: Server[] = [];
  const listen = async (options: ListenOptions): Promise<number> => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end(request.secret);
    });
    server.listen(options);
    await once(server, "listening");
    servers.push(server);
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  };
  const tcp = await listen({ host: "127.0.0.1", port: 0 });
  const tcp6 = existsSync("/proc/net/if_inet6") ? await listen({ host: "::1", port: 0 }).catch(() => 0) : 0;
  const abstract = `cofferdam-${request.token}`;
  for (const path of [...request.unixPaths, `\0${abstract}`]) await listen({ path });

  const udp = createSocket("udp4");
  udp.on("message", (query, from) => udp.send(txtAnswer(query, request.secret), from.port, from.address, () => undefined));
  udp.bind(0, "127.0.0.1");
  await once(udp, "listening");
  return {
    tcp,
    tcp6,
    udp: udp.address().port,
    abstract,
    paths: request.unixPaths,
    close: async () => {
      udp.close();
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    },
  };
}

/** Header of the query with the answer bits set, its question, and a TXT record for the same name. */
function txtAnswer(query: Buffer, secret: string): Buffer {
  if (query.length < 12) return Buffer.from(secret);
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2);
  for (const [offset, count] of [
    [4, 1],
    [6, 1],
    [8, 0],
    [10, 0],
  ] as const)
    header.writeUInt16BE(count, offset);
  let end = 12;
  while (end < query.length && query[end] !== 0) end += (query[end] ?? 0) + 1;
  const value = Buffer.from(secret);
  const record = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, 0, value.length + 1, value.length]);
  return Buffer.concat([header, query.subarray(12, end + 5), record, value]);
}
