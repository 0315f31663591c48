import { createServer } from "node:http";
import { duplexPair } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type RequestHead, RequestHeads, readAuthority } from "./request-head.ts";
import { RequestStream } from "./request-stream.ts";

interface Read {
  readonly passed: string;
  readonly heads: readonly RequestHead[];
  readonly fault: string | undefined;
}

/** All of it, cut at these places. */
function readAll(text: string, cuts: readonly number[]): Read {
  const heads: RequestHead[] = [];
  const stream = new RequestStream<never>((head) => {
    heads.push(head);
    return undefined;
  });
  const bytes = Buffer.from(text, "latin1");
  const passed: Buffer[] = [];
  const edges = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < edges.length; i++) {
    const checked = stream.push(bytes.subarray(edges[i - 1], edges[i]));
    passed.push(checked.passed);
    if (checked.fault !== undefined) return { passed: Buffer.concat(passed).toString("latin1"), heads, fault: `${checked.fault.reason} ${checked.fault.rule}` };
  }
  return { passed: Buffer.concat(passed).toString("latin1"), heads, fault: undefined };
}

/** Pieces that requests are made of, and what goes wrong with them. */
const piece = fc.constantFrom(
  "GET / HTTP/1.1\r\n",
  "POST /x HTTP/1.1\r\n",
  "PUT http://a.example/y HTTP/1.0\r\n",
  "Host: a.example\r\n",
  "host:b.example\r\n",
  "Host: a.example:80\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Content-Length: +5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding:\tchunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "X: y\r\n",
  " folded\r\n",
  "\r\n",
  "\n",
  "\r",
  "hello",
  "5\r\nhello\r\n0\r\n\r\n",
  "5;e=v\r\nhello\r\n",
  "0\r\n\r\n",
  "0\r\nT: v\r\n\r\n",
  "00000005\r\n",
  "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
  "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
);
const junk = fc
  .array(fc.oneof({ weight: 9, arbitrary: piece }, { weight: 1, arbitrary: fc.string({ maxLength: 4 }) }), { maxLength: 8 })
  .map((pieces) => pieces.join(""));
/** Nearly a request: one line may be too many, and the body may not be what the head says. */
const nearly = fc
  .tuple(
    fc.constantFrom("GET / HTTP/1.1", "POST /x HTTP/1.1", "PUT http://a.example/y HTTP/1.1", "PUT http://b.example/y HTTP/1.1", "GET /z HTTP/1.0"),
    fc.subarray(
      [
        "Host: a.example",
        "host:b.example",
        "Content-Length: 5",
        "Content-length: 0",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: x, chunked",
        "X: y\nHost: c.example",
        "X: y\r\n Host: c.example",
        "X: y\rHost: c.example",
        "Host : c.example",
        "Connection: Host",
        "X: y",
      ],
      { maxLength: 4 },
    ),
    fc.constantFrom("", "hello", "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", "5\r\nhelloGET /s HTTP/1.1\r\nHost: s.example\r\n\r\n"),
  )
  .map(([line, fields, body]) => `${[line, ...fields].join("\r\n")}\r\n\r\n${body}`);
const message = fc.oneof(
  junk,
  fc.array(nearly, { maxLength: 4 }).map((all) => all.join("")),
  fc.tuple(nearly, junk).map((all) => all.join("")),
);

test("what is cut in other places is read the same", () => {
  fc.assert(
    fc.property(message, fc.array(fc.nat(), { maxLength: 20 }), (text, cuts) => {
      const whole = readAll(text, []);
      const cut = readAll(text, cuts);
      expect({ ...cut, passed: "" }).toEqual({ ...whole, passed: "" });
      expect(cut.passed).toBe(whole.passed);
      expect(text.startsWith(whole.passed)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

/** What a server that was written by others makes of bytes: method, target and Host of each request. */
async function readByNode(text: string): Promise<readonly string[]> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`);
    request.resume();
    response.end();
  });
  const [client, peer] = duplexPair();
  server.on("clientError", () => client.destroy());
  server.emit("connection", peer);
  client.resume();
  client.end(text, "latin1");
  await new Promise((resolve) => client.once("close", resolve));
  server.close();
  return seen;
}

test("a server sees no request in what was passed that was not checked, and each with the host that was checked", async () => {
  await fc.assert(
    fc.asyncProperty(message, async (text) => {
      const { passed, heads } = readAll(text, []);
      const checked = heads.map(({ method, target, host, port }) => `${method} ${target} ${host}${port === undefined ? "" : `:${port}`}`);
      const seen = await readByNode(passed);
      // A server may give up earlier (a connection that was to be closed); never see another.
      expect(checked.slice(0, seen.length)).toEqual(seen);
    }),
    { numRuns: 600 },
  );
});

test("hostile bytes end in a fault or wait for more, and nothing of a head that was not read goes on", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const { passed, heads } = readAll(Buffer.from(bytes).toString("latin1"), [7, 90]);
      if (heads.length === 0) expect(passed).toBe("");
    }),
    { numRuns: 1000 },
  );
});

test("limits: a head, the line of a chunk, a trailer", () => {
  const head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect(readAll(`GET / HTTP/1.1\r\nHost: a.example\r\nX: ${"x".repeat(32_000)}\r\n\r\n`, []).fault).toBeUndefined();
  expect(readAll(`GET / HTTP/1.1\r\nHost: a.example\r\nX: ${"x".repeat(33_000)}`, [5000]).fault).toBe("bad-request a head of more than 32768 bytes");
  expect(readAll(`${head}5;${"x".repeat(1000)}\r\nhello\r\n0\r\n\r\n`, []).fault).toBeUndefined();
  for (const bad of [`5;${"x".repeat(2000)}\r\n`, "-1\r\n", "0x5\r\n", "5 5\r\n", "\r\n", "ffffffffffffff\r\n", "5\nhello"])
    expect(readAll(`${head}${bad}${"y".repeat(2000)}`, []).fault).toBe("bad-request the size of a chunk");
  expect(readAll(`${head}0\r\nX: ${"x".repeat(9000)}`, []).fault).toBe("bad-request the trailer");
  expect(readAll(`${head}5\r\nhelloXX`, []).fault).toBe("bad-request the end of a chunk");
});

test.each([
  ["a.example", { host: "a.example", hostIsAddress: false, port: undefined }],
  ["A.Example.:8080", { host: "a.example", hostIsAddress: false, port: 8080 }],
  ["192.0.2.7:80", { host: "192.0.2.7", hostIsAddress: true, port: 80 }],
  ["[2001:DB8::0:1]", { host: "2001:db8::1", hostIsAddress: true, port: undefined }],
  ["[::ffff:192.0.2.7]:80", undefined],
  ["2001:db8::1", undefined],
  ["[192.0.2.7]", undefined],
  ["127.1", undefined],
  ["0x7f000001", undefined],
  ["a.example:0", undefined],
  ["a.example:65536", undefined],
  ["a.example:", undefined],
  ["a@b.example", undefined],
  ["a.example/b", undefined],
  ["a..example", undefined],
  ["ａ.example", undefined],
  ["", undefined],
])("an authority: %s", (text, expected) => {
  expect(readAuthority(text)).toEqual(expected);
});

test("WebSocket is asked for without a body, and nothing else is asked for by Upgrade", () => {
  const lines = ["Host: a.example", "Connection: upgrade", "Upgrade: WebSocket"];
  expect(new RequestHeads().read(["GET / HTTP/1.1", ...lines].join("\r\n"))).toMatchObject({ upgrade: true, body: 0 });
  for (const head of [
    ["POST / HTTP/1.1", ...lines],
    ["GET / HTTP/1.1", ...lines, "Content-Length: 1"],
    ["GET / HTTP/1.1", ...lines.slice(0, 2), "Upgrade: websocket, h2c"],
    ["GET / HTTP/1.1", ...lines.slice(0, 2), "Upgrade: foo/1"],
  ])
    expect(new RequestHeads().read(head.join("\r\n"))).toHaveProperty("reason");
});

test("what is remembered of a connection's fields changes nothing of how a head is read", () => {
  const line = fc.constantFrom(
    "GET / HTTP/1.1",
    "GET /x HTTP/1.0",
    "POST / HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "CONNECT a.example:443 HTTP/1.1",
    "GET http://a.example/ HTTP/1.1",
    "PRI * HTTP/2.0",
    "nonsense",
  );
  const fields = fc.constantFrom(
    ...[
      "",
      "\r\n",
      "\r\nHost: a.example",
      "\r\nHost: a.example:80",
      "\r\nHost: b.example",
      "\r\nHost: a@b",
      "\r\nHost:",
      "\r\nHost: a.example\r\nHost: a.example",
    ],
    ...["\r\nHost: a.example\r\nContent-Length: 5", "\r\nHost: a.example\r\nTransfer-Encoding: chunked", "\r\nHost: a.example\r\nUpgrade: websocket"],
    ...["\r\nHost: a.example\r\nUpgrade: h2c", "\r\nHost: a.example\r\nX-Original-URL: /y", "\r\n folded", `\r\nHost: a.example\r\nX: ${"y".repeat(5000)}`],
  );
  const heads = fc.array(fc.tuple(line, fields), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(heads, (all) => {
      const connection = new RequestHeads();
      for (const parts of all) expect(connection.read(parts.join(""))).toEqual(new RequestHeads().read(parts.join("")));
    }),
    { numRuns: 500 },
  );
});
