import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Upstream } from "./upstream.ts";
import { WideReader } from "./wide-reader.ts";

async function listening(serve: (socket: Socket) => void): Promise<{ readonly port: number; close(): void }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = server.address();
  return { port: typeof at === "object" && at !== null ? at.port : 0, close: () => void server.close() };
}

/** Two ends of one connection. */
async function pair(): Promise<readonly [Socket, Socket]> {
  const accepted: Socket[] = [];
  const server = await listening((socket) => accepted.push(socket));
  const client = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  await once(client, "connect");
  await expect.poll(() => accepted.length).toBe(1);
  server.close();
  return [client, accepted[0] ?? expect.fail("nobody came")];
}

test("pieces of any size, a sink that pauses, bytes that were read before: all arrive, in order, and the end", async () => {
  const pieces = fc.array(fc.oneof(fc.nat(2000), fc.nat(300_000), fc.constant(262_144)), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.boolean(), fc.boolean(), async (sizes, early, slow) => {
      const sent = Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, i + 65)));
      const server = await listening((socket) => {
        let at = 0;
        for (const size of sizes) {
          socket.write(sent.subarray(at, at + size));
          at += size;
        }
        socket.end();
      });
      const reader = new WideReader({ address: "127.0.0.1", port: server.port });
      await once(reader.socket, "connect");
      const [job, client] = await pair();
      if (early && sent.length > 0) await once(reader.socket, "readable");
      new Upstream(reader.socket, reader).pourInto(client);
      if (slow) {
        job.pause();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const received: Buffer[] = [];
      for await (const chunk of job) received.push(chunk);
      expect(Buffer.concat(received).equals(sent)).toBe(true);
      for (const socket of [job, client, reader.socket]) socket.destroy();
      server.close();
    }),
    { numRuns: 60 },
  );
});

test("before it is poured it is a stream that others read", async () => {
  const server = await listening((socket) => socket.write("220 ready\r\n"));
  const reader = new WideReader({ address: "127.0.0.1", port: server.port });
  expect(String((await once(reader.socket, "data"))[0])).toBe("220 ready\r\n");
  reader.socket.destroy();
  server.close();
});

test("a sink that nobody reads stops the reading: what is on the way is bounded", async () => {
  let written = 0;
  const server = await listening((socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536))) written += 65_536;
    };
    socket.on("drain", more);
    more();
  });
  const reader = new WideReader({ address: "127.0.0.1", port: server.port });
  await once(reader.socket, "connect");
  const [job, client] = await pair();
  job.pause();
  new Upstream(reader.socket, reader).pourInto(client);
  let before = -1;
  await expect
    .poll(
      () => {
        const same = written === before;
        before = written;
        return same;
      },
      { interval: 200, timeout: 20_000 },
    )
    .toBe(true);
  expect(client.writableLength).toBeLessThanOrEqual(262_144);
  for (const socket of [job, client, reader.socket]) socket.destroy();
  server.close();
});

test("a client that is told something more keeps its connection", async () => {
  const server = await listening((socket) => socket.end("answer"));
  const reader = new WideReader({ address: "127.0.0.1", port: server.port });
  await once(reader.socket, "connect");
  const [job, client] = await pair();
  const upstream = new Upstream(reader.socket, reader);
  upstream.pourInto(client);
  upstream.keepClientOpen();
  await once(reader.socket, "end");
  client.end(" and more");
  const received: Buffer[] = [];
  for await (const chunk of job) received.push(chunk);
  expect(String(Buffer.concat(received))).toBe("answer and more");
  server.close();
});
