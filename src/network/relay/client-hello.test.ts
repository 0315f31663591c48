import { once } from "node:events";
import { createServer } from "node:net";
import { connect as connectTls, createServer as createTls } from "node:tls";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { hello, serverNames as sni } from "../../../test/world/client-hello.ts";
import { makeIdentity, type ServerIdentity } from "../../../test/world/job-internet.ts";
import { has, requires } from "../../../test/world/needs.ts";
import { MAX_HELLO, readClientHello } from "./client-hello.ts";
import { tell } from "./first-words.ts";

let real: Buffer;
let identity: ServerIdentity;
beforeAll(async () => {
  real = await captured("good.example");
  if (has("openssl")) identity = makeIdentity("good.example");
});

/** What a real client sends. */
async function captured(servername: string | undefined, ALPNProtocols: string[] = ["h2", "http/1.1"]): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = server.address();
  const client = connectTls({
    host: "127.0.0.1",
    port: typeof at === "object" && at !== null ? at.port : 0,
    ALPNProtocols,
    ...(servername === undefined ? {} : { servername }),
  });
  client.on("error", () => undefined);
  const bytes = await new Promise<Buffer>((resolve) =>
    server.once("connection", (socket) => socket.once("data", (chunk: Buffer) => resolve(chunk)).on("error", () => undefined)),
  );
  client.destroy();
  server.close();
  return bytes;
}

test("a real client's hello: its name and protocols, whole or one byte at a time", () => {
  const expected = { kind: "hello", hello: { name: "good.example", encrypted: false, protocols: ["h2", "http/1.1"] } };
  expect(readClientHello(real)).toEqual(expected);
  for (let length = 0; length < real.length; length++) expect(readClientHello(real.subarray(0, length))).toEqual({ kind: "more" });
});

test("without a name, and with no extensions at all", async () => {
  expect(readClientHello(await captured(undefined))).toMatchObject({ kind: "hello", hello: { name: undefined } });
  const old = hello([]);
  expect(readClientHello(old)).toMatchObject({ kind: "hello", hello: { name: undefined, encrypted: false } });
});

test("split into many records it is the same hello; into too many it is none", () => {
  const expected = { kind: "hello", hello: { name: "good.example", encrypted: false, protocols: [] } };
  for (const length of [1, 2, 3, 7, 40]) expect(readClientHello(hello([sni("good.example")], length))).toEqual(expected);
  expect(readClientHello(hello([sni("good.example"), [21, Buffer.alloc(200)]], 1))).toMatchObject({
    kind: "malformed",
    problem: expect.stringContaining("128 records"),
  });
});

test("encrypted names, of today and of the drafts", () => {
  for (const type of [0xfe0d, 0xffce, 0xfe0a])
    expect(readClientHello(hello([sni("good.example"), [type, Buffer.alloc(40)]]))).toMatchObject({ hello: { name: "good.example", encrypted: true } });
});

test.each([
  ["two names", hello([sni("good.example", "evil.example")])],
  ["two lists of names", hello([sni("good.example"), sni("evil.example")])],
  ["a name that is an address", hello([sni("192.0.2.7")])],
  ["a name with a NUL", hello([sni("good.example\0.evil.example")])],
  ["an empty name", hello([sni("")])],
  ["a name of another kind", hello([[0, Buffer.from([0, 4, 1, 0, 1, 97])]])],
  ["something behind the name", hello([[0, Buffer.concat([sni("good.example")[1], Buffer.from([0])])]])],
  ["something behind the extensions", hello([sni("good.example")], 16_000, Buffer.from([0]))],
  ["a record of another type inside", Buffer.concat([hello([sni("good.example")], 20).subarray(0, 25), Buffer.from([23, 3, 1, 0, 1, 0])])],
  ["an empty record", Buffer.from([22, 3, 1, 0, 0])],
  ["a record of 16 KiB and one", Buffer.from([22, 3, 1, 0x40, 1])],
  ["another message first", Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ["a hello of 16 MiB", Buffer.from([22, 3, 1, 0x10, 0, 1, 255, 255, 255])],
  [
    "two messages in a record",
    ((): Buffer => {
      const one = hello([sni("good.example")]);
      const bytes = Buffer.concat([one, Buffer.from([0])]);
      bytes.writeUInt16BE(one.length - 5 + 1, 3);
      return bytes;
    })(),
  ],
])("%s is malformed", (_, bytes) => {
  expect(readClientHello(bytes)).toMatchObject({ kind: "malformed" });
});

test("what cannot be TLS is told by its first bytes, since its server may be waiting", () => {
  for (const text of ["SS", "\x16\x02", "\x16\x03\x09", "\x00"]) expect(tell(Buffer.from(text, "latin1"))?.kind).toBe("raw");
  for (const text of ["G", "GET ", "GET /x HTTP/1.1\r", "\x16", "\x16\x03\x01\x00"]) expect(tell(Buffer.from(text, "latin1"))).toBeUndefined();
  for (const text of ["GET key\r\n", "GETS x\r\n", "EHLO a.example\r\n", "GET / HTTP\n"]) expect(tell(Buffer.from(text, "latin1"))?.kind).toBe("raw");
  for (const text of ["GET / HTTP/1.1\r\n", "POST x HTTP/1.0\n", "PRI * HTTP/2.0\r\n"]) expect(tell(Buffer.from(text, "latin1"))?.kind).toBe("http");
});

test("hostile bytes: an end, whatever they are, and never more than is bounded", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(real.length), fc.nat(255), (tail, at, byte) => {
      readClientHello(Buffer.concat([real.subarray(0, at), tail]));
      const changed = Buffer.from(real);
      changed[at % real.length] = byte;
      readClientHello(changed);
    }),
    { numRuns: 2000 },
  );
  const endless = Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xf0]), Buffer.alloc(MAX_HELLO)]);
  expect(readClientHello(endless).kind).toBe("malformed");
});

/** What a server that was written by others takes for the name, or undefined when it does not want the hello. */
async function nameByOpenSsl(bytes: Buffer): Promise<string | false | undefined> {
  let name: string | false | undefined;
  const server = createTls({
    ...identity,
    SNICallback: (servername, done) => {
      name = servername;
      done(null);
    },
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = server.address();
  const { connect } = await import("node:net");
  const client = connect(typeof at === "object" && at !== null ? at.port : 0, "127.0.0.1");
  client.on("error", () => undefined).resume();
  client.end(bytes);
  await new Promise((resolve) => client.once("close", resolve));
  server.close();
  return name;
}

test("OpenSSL takes no other name from a hello than we do", async (context) => {
  requires(context, "openssl");
  expect(await nameByOpenSsl(real)).toBe("good.example");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), async (changes) => {
      const bytes = Buffer.from(real);
      for (const [at, value] of changes) bytes[at] = value;
      const ours = readClientHello(bytes);
      const theirs = await nameByOpenSsl(bytes);
      // What we do not let through needs no comparison.
      if (ours.kind === "hello" && theirs !== undefined && theirs !== false) expect(theirs.toLowerCase()).toBe(ours.hello.name);
    }),
    { numRuns: 150 },
  );
});
