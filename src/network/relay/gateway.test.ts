import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttp, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect as connectHttp2, createSecureServer } from "node:http2";
import { createServer as createHttps } from "node:https";
import { createServer, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import fc from "fast-check";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { hello, serverNames } from "../../../test/world/client-hello.ts";
import { GATEWAY, type InternetOptions, JobInternet, makeIdentity, type ServerIdentity } from "../../../test/world/job-internet.ts";
import { has, requires } from "../../../test/world/needs.ts";
import type { NetworkPolicy } from "../contract.ts";

const GOOD = "203.0.113.7";
const EVIL = "203.0.113.66";
const SHARED = "203.0.113.99";
const worlds: JobInternet[] = [];
let identity: ServerIdentity;

beforeAll(() => {
  if (has("openssl")) identity = makeIdentity("good.example", "evil.example", "*.good.example");
});
beforeEach((context) => requires(context, "openssl"));
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

/** good.example and evil.example with HTTP, HTTPS; cdn.good.example and front.evil.example behind one address. */
async function internet(policy: Partial<NetworkPolicy>, options: InternetOptions = {}): Promise<JobInternet> {
  const world = await JobInternet.start(policy, options);
  worlds.push(world);
  const answer =
    (who: string) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      request.resume().on("end", () => response.end(`${who} ${request.method} ${request.url} for ${request.headers.host}`));
    };
  for (const [who, address, ...names] of [
    ["good", GOOD, "good.example", "www.good.example"],
    ["evil", EVIL, "evil.example"],
    ["cdn", SHARED, "cdn.good.example", "front.evil.example"],
  ] as const) {
    await world.serve(createHttp(answer(who)), `${address}:80`, ...names);
    await world.serve(createHttps(identity, answer(who)), `${address}:443`);
  }
  return world;
}

async function said(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("error", () => undefined).on("data", (chunk: Buffer) => chunks.push(chunk));
  if (socket.destroyed) return "";
  await new Promise((resolve) => {
    socket.once("end", resolve);
    socket.once("close", resolve);
  });
  socket.destroy();
  return Buffer.concat(chunks).toString("latin1");
}

async function http(world: JobInternet, address: string, bytes: string, port = 80): Promise<string> {
  const socket = await world.dial(address, port);
  socket.write(bytes, "latin1");
  return await said(socket);
}

async function closed(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

const get = (host: string, path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

/** The answer over TLS, or the error that ended it. */
async function https(
  world: JobInternet,
  address: string,
  servername: string | undefined,
  port = 443,
  bytes = get(servername ?? "good.example"),
): Promise<string> {
  const raw = await world.dial(address, port);
  return await overTls(raw, servername, bytes);
}

async function overTls(raw: Socket, servername: string | undefined, bytes: string): Promise<string> {
  const socket = connectTls({ socket: raw, rejectUnauthorized: false, ...(servername === undefined ? {} : { servername }) });
  try {
    await once(socket, "secureConnect");
  } catch (error) {
    return String(error instanceof Error && "code" in error ? error.code : error);
  }
  socket.write(bytes);
  return await said(socket);
}

const reasons = (world: JobInternet): readonly string[] =>
  world.gateway.traffic().violations.map(({ reason, domain, dst, port }) => `${reason} ${domain ?? dst}:${port}`);

test("HTTPS: the name that is asked for is what is reached, whatever address the job chose", async () => {
  const world = await internet({ allow: ["good.example"] });
  for (const address of [GOOD, EVIL, "198.51.100.1", GATEWAY]) expect(await https(world, address, "good.example")).toContain("good GET / for good.example");
  expect(new Set(world.reached)).toEqual(new Set([`${GOOD}:443`]));
  expect(world.gateway.traffic().connections).toMatchObject([
    { proto: "tcp", dst: GOOD, port: 443, domain: "good.example", verdict: "allowed", rule: "good.example", tries: 4 },
  ]);
  expect(world.gateway.traffic().connections[0]?.received).toBeGreaterThan(1000);
});

test("HTTPS: a refused name is told by an alert, at the address of an allowed one and at the gateway", async () => {
  const world = await internet({ allow: ["good.example", "cdn.good.example"] });
  await world.lookUp("cdn.good.example");
  for (const [address, name] of [
    [SHARED, "front.evil.example"],
    [EVIL, "evil.example"],
    [GATEWAY, "evil.example"],
    [GOOD, "www.good.example"],
  ] as const)
    expect(await https(world, address, name)).toMatch(/ALERT_ACCESS_DENIED/);
  expect(world.reached).toEqual([]);
  expect(reasons(world)).toEqual(["not-allowed front.evil.example:443", "not-allowed evil.example:443", "not-allowed www.good.example:443"]);
  expect(world.gateway.traffic().connections.map(({ domain, verdict, tries }) => [domain, verdict, tries])).toContainEqual(["evil.example", "refused", 2]);
});

test("HTTPS without a name is refused; an address rule opens it in moderate, not in strict", async () => {
  const world = await internet({ allow: ["good.example"] });
  await world.lookUp("good.example");
  expect(await https(world, GOOD, undefined)).toMatch(/ALERT_ACCESS_DENIED/);
  expect(reasons(world)).toEqual(["no-sni good.example:443"]);
  world.gateway.apply({ mode: "moderate", allow: ["203.0.113.0/24:443"], deny: [] });
  expect(await https(world, GOOD, undefined)).toContain("good GET /");
  world.gateway.apply({ mode: "strict", allow: ["203.0.113.0/24:443"], deny: [] });
  expect(await https(world, GOOD, undefined)).toMatch(/ALERT_ACCESS_DENIED/);
});

test("an encrypted name is refused, also beside an allowed one; a split hello is put together", async () => {
  const world = await internet({ allow: ["good.example"] });
  const alert = "\x15\x03\x01\x00\x02\x02\x31";
  expect(await http(world, GOOD, hello([serverNames("good.example"), [0xfe0d, Buffer.alloc(200)]]).toString("latin1"), 443)).toBe(alert);
  expect(await http(world, GOOD, hello([serverNames("evil.example")], 9).toString("latin1"), 443)).toBe(alert);
  expect(await http(world, GOOD, hello([serverNames("good.example", "evil.example")]).toString("latin1"), 443)).toBe("");
  expect(world.reached).toEqual([]);
  expect(reasons(world)).toEqual(["encrypted-hello good.example:443", "not-allowed evil.example:443", `not-tls ${GOOD}:443`]);
  // The server does not like this hello; it got all of it.
  expect((await http(world, GOOD, hello([serverNames("good.example")], 9).toString("latin1"), 443)).charCodeAt(0)).toBe(21);
  expect(world.reached).toEqual([`${GOOD}:443`]);
});

test("HTTP: allowed passes, refused gets a page that says why and how to allow it", async () => {
  const world = await internet({ allow: ["good.example"] });
  expect(await http(world, EVIL, get("good.example", "/a?b"))).toContain("good GET /a?b for good.example");
  const page = await http(world, GATEWAY, get("evil.example"));
  expect(page).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
  expect(page).toContain("cofferdam: evil.example:80: not in the allow-list\nallow: cofferdam policy allow evil.example:80 --reason TEXT\n");
  expect(world.reached).toEqual([`${GOOD}:80`]);
});

test("HTTP: a body in chunks and one with a length, and a second request on the connection, pass byte for byte", async () => {
  const world = await internet({ allow: ["good.example"] });
  const body = "POST /up HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n";
  const answer = await http(world, GOOD, `${body}POST /two HTTP/1.1\r\nhost:good.example:80\r\ncontent-length: 3\r\n\r\nabc${get("good.example", "/three")}`);
  expect([...answer.matchAll(/good (\w+ \S+)/g)].map(([, what]) => what)).toEqual(["POST /up", "POST /two", "GET /three"]);
});

const SWITCHES: readonly (readonly [string, string])[] = [
  ["another host", get("evil.example")],
  ["another allowed host", get("www.good.example")],
  ["an absolute target elsewhere", "GET http://evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n"],
  ["two hosts", "GET / HTTP/1.1\r\nHost: good.example\r\nHost: evil.example\r\n\r\n"],
];
test.each(SWITCHES)("HTTP: a later request with %s gets no further; the first is answered", async (_, later) => {
  const world = await internet({ allow: ["good.example", "www.good.example"] });
  const first = "GET /first HTTP/1.1\r\nHost: good.example\r\n\r\n";
  const together = await http(world, GOOD, first + later);
  expect(together).toContain("good GET /first for good.example");
  expect(together).toMatch(/HTTP\/1\.1 40[03] [\s\S]*cofferdam: /);
  expect(together).not.toContain("/ for");
  const socket = await world.dial(GOOD, 80);
  socket.write(first);
  await once(socket, "data");
  socket.write(later);
  const answer = await said(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 40[03] /);
  expect(world.reached).toEqual([`${GOOD}:80`, `${GOOD}:80`]);
});

const BAD_REQUESTS: readonly (readonly [string, string, string])[] = [
  ["no Host", "GET / HTTP/1.1\r\n\r\n", "no-host"],
  ["no Host in 1.0", "GET / HTTP/1.0\r\n\r\n", "no-host"],
  ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "no-host"],
  ["a Host with a user", "GET / HTTP/1.1\r\nHost: good.example@evil.example\r\n\r\n", "bad-request"],
  ["a Host that is a list", "GET / HTTP/1.1\r\nHost: good.example, evil.example\r\n\r\n", "bad-request"],
  ["a Host with another port", "GET / HTTP/1.1\r\nHost: good.example:443\r\n\r\n", "bad-request"],
  ["a folded Host", "GET / HTTP/1.1\r\nHost: good.example\r\n evil.example\r\n\r\n", "bad-request"],
  ["space before a colon", "GET / HTTP/1.1\r\nHost : evil.example\r\nHost: good.example\r\n\r\n", "bad-request"],
  ["a bare line feed", "GET / HTTP/1.1\nHost: good.example\r\n\r\n", "not-http"],
  ["a bare line feed in a field", "GET / HTTP/1.1\r\nX: y\nHost: evil.example\r\nHost: good.example\r\n\r\n", "bad-request"],
  ["a bare carriage return", "GET / HTTP/1.1\r\nX: y\rHost: evil.example\r\nHost: good.example\r\n\r\n", "bad-request"],
  ["a NUL", "GET / HTTP/1.1\r\nHost: good.example\r\nX: \0\r\n\r\n", "bad-request"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: good.example\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "bad-request"],
  ["a length beside chunks", "POST / HTTP/1.1\r\nHost: good.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx", "bad-request"],
  ["a strange encoding", "POST / HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "bad-request"],
  ["a negative length", "POST / HTTP/1.1\r\nHost: good.example\r\nContent-Length: -1\r\n\r\n", "bad-request"],
  ["Connection that names Host", "GET / HTTP/1.1\r\nHost: good.example\r\nConnection: close, Host\r\n\r\n", "bad-request"],
  ["CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: good.example\r\n\r\n", "bad-request"],
  ["another target", "GET http://evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n", "bad-request"],
  ["a target of https", "GET https://good.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n", "bad-request"],
  ["h2c by Upgrade", "GET / HTTP/1.1\r\nHost: good.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n", "h2c"],
  ["h2c by its preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h2c"],
  ["TLS by Upgrade", "GET / HTTP/1.1\r\nHost: good.example\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n", "bad-request"],
  ["HTTP/0.9", "GET /\r\n", "not-http"],
  ["another protocol", "SSH-2.0-OpenSSH_9.9\r\n", "not-http"],
];
test.each(BAD_REQUESTS)("HTTP with %s is refused", async (_, bytes, reason) => {
  const world = await internet({ allow: ["good.example"] });
  await world.lookUp("good.example");
  const answer = await http(world, GOOD, bytes);
  if (answer !== "") expect(answer).toMatch(/^HTTP\/1\.1 40[03] [\s\S]*cofferdam: (?:good|evil)\.example:80/);
  expect(reasons(world)).toEqual([`${reason} ${bytes.startsWith("CONNECT") ? "evil" : "good"}.example:80`]);
  expect(world.reached).toEqual([]);
});

test("HTTP: a head that never ends is refused, one byte at a time or all at once", async () => {
  const world = await internet({ allow: ["good.example"] });
  expect(await http(world, GOOD, `GET / HTTP/1.1\r\nHost: good.example\r\nX: ${"a".repeat(40_000)}`)).toMatch(/^HTTP\/1\.1 400 /);
});

/** Speaks WebSocket's first step; then repeats what it hears. Without the word it answers as any server. */
function webSocketServer(): HttpServer {
  const server = createHttp((request, response) => response.end(`plain ${request.url} for ${request.headers.host}`));
  server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
    if (request.url === "/no") {
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
      return;
    }
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    socket.pipe(socket);
  });
  return server;
}

test("HTTP: WebSocket passes as a stream; a server that does not switch gets no unchecked request", async () => {
  const world = await internet({ allow: ["ws.example"] });
  await world.serve(webSocketServer(), "203.0.113.20:80", "ws.example");
  const upgrade = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ws.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const socket = await world.dial("203.0.113.20", 80);
  socket.write(`${upgrade("/")}\x81\x05hello`, "latin1");
  const heard: Buffer[] = [];
  for await (const chunk of socket) {
    heard.push(chunk);
    if (Buffer.concat(heard).includes("hello")) break;
  }
  expect(Buffer.concat(heard).toString("latin1").startsWith("HTTP/1.1 101 ")).toBe(true);
  expect(Buffer.concat(heard).subarray(-7).toString("latin1")).toBe("\x81\x05hello");
  const refused = await http(world, "203.0.113.20", upgrade("/no") + get("evil.example"));
  expect(refused).toMatch(/200 OK[\s\S]*no/);
  expect(refused).not.toContain("plain /");
  expect(reasons(world)).toEqual(["host-switch evil.example:80"]);
});

test("HTTP/2 over TLS, many streams, passes untouched", async () => {
  const world = await internet({ allow: ["h2.good.example"] });
  const server = createSecureServer(identity, (request, response) => response.end(`h2 ${request.url}`));
  await world.serve(server, "203.0.113.21:443", "h2.good.example");
  const raw = await world.dial("203.0.113.21", 443);
  const session = connectHttp2("https://h2.good.example", { createConnection: () => tlsOver(raw, "h2.good.example", ["h2"]) });
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const stream = session.request({ ":path": `/${i}` });
      stream.setEncoding("utf8");
      let text = "";
      for await (const chunk of stream) text += String(chunk);
      return text;
    }),
  );
  expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => `h2 /${i}`));
  session.destroy();
});

function tlsOver(socket: Socket, servername: string, ALPNProtocols: string[]): TLSSocket {
  return connectTls({ socket, servername, ALPNProtocols, rejectUnauthorized: false });
}

test("bytes arrive as they were sent, both ways at once, a slow reader slows its writer, and each end passes on", async () => {
  const world = await internet({ allow: ["echo.example:7000"] });
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  await world.serve(server, "203.0.113.22:7000", "echo.example");
  await world.lookUp("echo.example");
  const socket = await world.dial("203.0.113.22", 7000);
  const bytes = randomBytes(24 * 1024 * 1024);
  let sent = 0;
  const hash = createHash("sha256");
  let received = 0;
  for (; sent < bytes.length && socket.write(bytes.subarray(sent, sent + 262_144)); sent += 262_144);
  // Nobody reads: what is on the way is bounded by buffers, not by what there is to send.
  socket.pause();
  socket.end(bytes.subarray(sent + 262_144));
  for await (const chunk of socket) {
    hash.update(chunk);
    received += chunk.length;
  }
  expect(received).toBe(bytes.length);
  expect(hash.digest("hex")).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect(world.gateway.traffic().connections).toMatchObject([
    { sent: bytes.length, received: bytes.length, domain: "echo.example", rule: "echo.example:7000" },
  ]);
});

test("other ports: by the address that the job was told for an allowed name, also where the server speaks first", async () => {
  const world = await internet({ allow: ["db.example:5432", "mail.example:25"] });
  await world.serve(
    createServer((socket) => socket.end("220 mail\r\n")),
    "203.0.113.23:25",
    "mail.example",
  );
  await world.serve(
    createServer((socket) => socket.once("data", (bytes) => socket.end(`db ${String(bytes)}`))),
    "203.0.113.24:5432",
    "db.example",
  );
  // Not told yet: the address stands for nothing.
  expect(await http(world, "203.0.113.24", "query", 5432)).toBe("");
  await world.lookUp("db.example");
  await world.lookUp("mail.example");
  expect(await http(world, "203.0.113.24", "query", 5432)).toBe("db query");
  expect(await said(await world.dial("203.0.113.23", 25))).toBe("220 mail\r\n");
  expect(await http(world, "203.0.113.24", "query", 5433)).toBe("");
  expect(await http(world, EVIL, "query", 5432)).toBe("");
  expect(world.reached).toEqual(["203.0.113.24:5432", "203.0.113.23:25"]);
  expect(reasons(world)).toEqual([`not-allowed 203.0.113.24:5432`, "port-not-allowed db.example:5433", `not-allowed ${EVIL}:5432`]);
});

test("other ports: a client that waits, or begins with an empty line, is read all the same", async () => {
  const world = await internet({ allow: ["good.example:8443", "good.example:8080", "mail.example:25"] });
  await world.serve(
    createHttps(identity, (request, response) => response.end(`tls for ${request.headers.host}`)),
    `${GOOD}:8443`,
  );
  await world.serve(
    createHttp((request, response) => response.end(`plain for ${request.headers.host}`)),
    `${GOOD}:8080`,
  );
  await world.serve(
    createServer((socket) => {
      socket.write("220 mail\r\n");
      socket.once("data", (bytes) => socket.end(`250 ${String(bytes)}`));
    }),
    `${GOOD}:25`,
    "mail.example",
  );
  await world.lookUp("good.example");
  const waiting = async (port: number): Promise<Socket> => {
    const reached = world.reached.length;
    const socket = await world.dial(GOOD, port);
    await expect.poll(() => world.reached.length).toBe(reached + 1);
    return socket;
  };
  const late = async (port: number, bytes: string): Promise<string> => {
    const socket = await waiting(port);
    socket.write(bytes);
    return await said(socket);
  };
  expect(await late(8080, get("good.example:8080"))).toContain("plain for good.example:8080");
  expect(await late(8080, get("evil.example:8080"))).toMatch(/^HTTP\/1\.1 403 /);
  expect(await http(world, GOOD, `\r\n${get("evil.example:8080")}`, 8080)).toMatch(/^HTTP\/1\.1 400 /);
  expect(await overTls(await waiting(8443), "good.example", get("good.example:8443"))).toContain("tls for good.example:8443");
  expect(await overTls(await waiting(8443), "evil.example", get("evil.example:8443"))).toMatch(/ALERT_ACCESS_DENIED/);
  await world.lookUp("mail.example");
  const mail = await world.dial(GOOD, 25);
  await once(mail, "data");
  mail.write("EHLO a\r\n");
  expect(await said(mail)).toBe("250 EHLO a\r\n");
  const hidden = await world.dial(GOOD, 25);
  await once(hidden, "data");
  hidden.write(get("evil.example:25"));
  expect(await said(hidden)).toBe("");
});

test("other ports: what was meant for a refused name is on record by that name", async () => {
  const world = await internet({});
  expect(await world.lookUp("db.evil.example")).toEqual([GATEWAY]);
  expect(await http(world, GATEWAY, "query", 5432)).toBe("");
  expect(reasons(world)).toEqual(["not-allowed db.evil.example:undefined", "not-allowed db.evil.example:5432"]);
});

test("other ports: TLS and HTTP prove their name there too", async () => {
  const world = await internet({ allow: ["good.example:8443", "good.example:8080"] });
  await world.serve(
    createHttps(identity, (_, response) => response.end("tls")),
    `${GOOD}:8443`,
  );
  await world.serve(
    createHttp((_, response) => response.end("plain")),
    `${GOOD}:8080`,
  );
  await world.lookUp("good.example");
  expect(await https(world, GOOD, "good.example", 8443)).toContain("tls");
  expect(await https(world, GOOD, "evil.example", 8443)).toMatch(/ALERT_ACCESS_DENIED/);
  expect(await http(world, GOOD, get("good.example:8080"), 8080)).toContain("plain");
  expect(await http(world, GOOD, get("evil.example:8080"), 8080)).toMatch(/^HTTP\/1\.1 403 /);
});

const CLOSED: readonly (readonly [string, number])[] = [
  ["169.254.169.254", 80],
  ["fd00:ec2::254", 80],
  ["127.0.0.1", 80],
  ["::1", 443],
  ["10.231.0.2", 80],
  ["192.0.2.77", 22],
  ["0.0.0.0", 80],
];
test.each([
  ["relaxed", { mode: "relaxed" as const }],
  ["observe", { observe: true }],
  ["moderate with rules for them", { allow: ["169.254.0.0/16", "192.0.2.0/24:22", "10.0.0.0/8", "127.0.0.0/8"] }],
])("closed at every level: %s", async (_, policy) => {
  const world = await internet(policy, { closed: ["192.0.2.77"] });
  for (const [address, port] of CLOSED) {
    const answer = await http(world, address, get(address.includes(":") ? `[${address}]` : address).replace(/Host: (\S+)/, `Host: $1:${port}`), port);
    expect(answer === "" || answer.startsWith("HTTP/1.1 403")).toBe(true);
  }
  expect(world.reached).toEqual([]);
  expect(world.gateway.traffic().violations).toHaveLength(CLOSED.length);
});

test("relaxed: what is not closed goes on to where the job sent it, and its name is on record", async () => {
  const world = await internet({ mode: "relaxed", deny: ["evil.example"] });
  expect(await https(world, GOOD, "good.example")).toContain("good GET /");
  expect(await http(world, GOOD, get("good.example"))).toContain("good GET /");
  expect(await https(world, EVIL, "evil.example")).toMatch(/ALERT_ACCESS_DENIED/);
  expect(world.gateway.traffic().connections).toMatchObject([
    { dst: GOOD, port: 443, domain: "good.example", verdict: "allowed", rule: "mode relaxed" },
    { dst: GOOD, port: 80, domain: "good.example", verdict: "allowed" },
    { port: 443, domain: "evil.example", verdict: "refused" },
  ]);
});

test("observe: it goes on, and what would have been refused is on record", async () => {
  const world = await internet({ observe: true, allow: ["good.example"] });
  expect(await https(world, EVIL, "evil.example")).toContain("evil GET /");
  expect(await http(world, GOOD, `GET /1 HTTP/1.1\r\nHost: good.example\r\n\r\n${get("evil.example", "/2")}`)).toContain("good GET /2 for evil.example");
  expect(reasons(world)).toEqual(["not-allowed evil.example:443", "host-switch evil.example:80"]);
  expect(world.gateway.traffic().connections[0]).toMatchObject({ domain: "evil.example", verdict: "observed" });
});

test("rebinding: a name that leads inside when the connection is made is not followed", async () => {
  const world = await internet({ allow: ["good.example", "rebind.example"] }, { closed: ["198.51.100.9"] });
  for (const data of ["127.0.0.1", "169.254.169.254", "10.0.0.1", "198.51.100.9"]) {
    world.zone.set(`rebind.example`, data);
    expect(await https(world, GOOD, "rebind.example")).toMatch(/ALERT_ACCESS_DENIED/);
    world.zone.set(`r${data}.example`, data);
  }
  expect(world.reached).toEqual([]);
  expect(reasons(world)[0]).toBe("loopback rebind.example:443");
});

test("tightening cuts what is open and not allowed any more, and nothing else", async () => {
  const world = await internet({ allow: ["good.example", "echo.example:7000"] });
  await world.serve(
    createServer((socket) => socket.pipe(socket)),
    "203.0.113.22:7000",
    "echo.example",
  );
  await world.lookUp("echo.example");
  const echo = await world.dial("203.0.113.22", 7000);
  echo.write("x");
  await once(echo, "data");
  const kept = await world.dial(GOOD, 80);
  kept.write("GET / HTTP/1.1\r\nHost: good.example\r\n\r\n");
  await once(kept, "data");
  const ended = closed(echo);
  expect(() => world.gateway.apply({ mode: "moderate", allow: ["no rule at all"], deny: [] })).toThrow(/no rule at all/);
  echo.write("y");
  expect(String(await once(echo, "data"))).toBe("y");
  expect(world.gateway.apply({ mode: "moderate", allow: ["good.example", "good.example"], deny: ["good.example:8080"] })).toEqual({ cut: 1, notes: [] });
  await ended;
  kept.write(get("good.example", "/again"));
  expect(await said(kept)).toContain("good GET /again");
});

test("a policy that tightens while the server is reached counts", async () => {
  const world = await internet({ allow: ["good.example"] });
  world.onReach = () => void world.gateway.apply({ mode: "moderate", allow: [], deny: [] });
  expect(await http(world, GOOD, get("good.example"))).toMatch(/^HTTP\/1\.1 403 /);
  expect(world.reached).toEqual([`${GOOD}:80`]);
});

test("what cannot be reached is told: a page for HTTP, a reset for the rest", async () => {
  const world = await internet({ allow: ["gone.example", "nowhere.example:9000"] });
  world.zone.set("gone.example", "203.0.113.250");
  expect(await http(world, GOOD, get("gone.example"))).toMatch(/^HTTP\/1\.1 502 [\s\S]*cofferdam: gone\.example:80: the server refused/);
  expect(await http(world, GOOD, get("evil.example"))).toMatch(/^HTTP\/1\.1 403 /);
  world.zone.set("nowhere.example", "203.0.113.251");
  await world.lookUp("nowhere.example");
  const socket = await world.dial("203.0.113.251", 9000);
  const [error]: unknown[] = await once(socket, "error").catch((reason: unknown) => [reason]);
  expect(error).toMatchObject({ code: "ECONNRESET" });
});

test("a port is knocked at and left: of an allowed name no violation, and no server hears of it", async () => {
  const world = await internet({ allow: ["good.example:9000", "good.example", "api.example GET /x"] });
  await world.lookUp("good.example");
  for (const port of [9000, 80, 443]) {
    const socket = await world.dial(GOOD, port);
    socket.end();
    await said(socket);
  }
  expect(reasons(world)).toEqual([]);
  expect(world.reached).toEqual([]);
  const socket = await world.dial(EVIL, 443);
  socket.end();
  await said(socket);
  expect(reasons(world)).toEqual([`not-allowed ${EVIL}:443`]);
});

test("too many connections: the next is refused and on record, and there is room again when one ends", async () => {
  const world = await internet({ allow: ["good.example"] }, { maxConnections: 2 });
  const first = [await world.dial(GOOD, 80), await world.dial(GOOD, 80)];
  expect(await http(world, GOOD, get("good.example"))).toBe("");
  expect(reasons(world)).toEqual([`too-many-connections ${GOOD}:80`]);
  for (const socket of first) socket.destroy();
  await expect.poll(async () => await http(world, GOOD, get("good.example"))).toContain("good GET /");
});

test("the proxy: a tunnel to an allowed name, with the same checks inside; plain requests, one a connection", async () => {
  const world = await internet({ allow: ["good.example", "www.good.example"] });
  const tunnel = async (target: string): Promise<{ readonly socket: Socket; readonly answer: string }> => {
    const socket = await world.dial(GATEWAY, 3128);
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    const [answer]: unknown[] = await once(socket, "data");
    return { socket, answer: String(answer) };
  };
  const open = await tunnel("good.example:443");
  expect(open.answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(await overTls(open.socket, "good.example", get("good.example"))).toContain("good GET /");
  for (const name of ["evil.example", "www.good.example", undefined]) {
    const { socket } = await tunnel("good.example:443");
    expect(await overTls(socket, name, get("good.example"))).toMatch(/ALERT_ACCESS_DENIED/);
  }
  for (const target of ["evil.example:443", "good.example:22", "203.0.113.7:443", "169.254.169.254:80", "[fd00:ec2::254]:80", "127.0.0.1:80", `${GATEWAY}:80`])
    expect((await tunnel(target)).answer).toMatch(/^HTTP\/1\.1 403 [\s\S]*cofferdam: /);
  const plain = (host: string): string => `GET http://${host}/p?q HTTP/1.1\r\nHost: ${host}\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive\r\n\r\n`;
  expect(await http(world, GATEWAY, plain("good.example"), 3128)).toMatch(/onnection: close[\s\S]*good GET \/p\?q for good\.example/);
  expect(await http(world, GATEWAY, plain("evil.example"), 3128)).toMatch(/^HTTP\/1\.1 403 /);
  expect(await http(world, GATEWAY, get("good.example"), 3128)).toMatch(/^HTTP\/1\.1 400 /);
  expect(world.reached).toEqual([`${GOOD}:443`, `${GOOD}:80`]);
});

test("UDP: refused and on record; a rule opens one port of a name, both ways, until it is taken back", async () => {
  const world = await internet({ allow: ["time.example:123/udp"] });
  const server = createSocket("udp4");
  server.on("message", (bytes, from) => server.send(`time for ${String(bytes)}`, from.port, from.address));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  world.placeUdp("203.0.113.30:123", server.address().port);
  world.zone.set("time.example", "203.0.113.30");
  expect(await world.sendUdp("203.0.113.30", 123, Buffer.from("?"))).toBeUndefined();
  await world.lookUp("time.example");
  const flow = (await world.sendUdp("203.0.113.30", 123, Buffer.from("one"))) ?? expect.fail("the flow was not taken");
  expect(String((await once(flow.job, "message"))[0])).toBe("time for one");
  flow.job.send("two");
  expect(String((await once(flow.job, "message"))[0])).toBe("time for two");
  for (const [address, port] of [
    [GOOD, 443],
    ["8.8.8.8", 53],
    ["203.0.113.30", 124],
    ["169.254.169.254", 123],
    [GATEWAY, 5353],
  ] as const)
    expect(await world.sendUdp(address, port, Buffer.from("x"))).toBeUndefined();
  expect(world.reached).toEqual(["203.0.113.30:123/udp"]);
  expect(world.gateway.traffic().connections).toContainEqual(
    expect.objectContaining({ proto: "udp", domain: "time.example", verdict: "allowed", sent: 6, received: 24 }),
  );
  const ended = once(flow.answers, "close");
  expect(world.gateway.apply({ mode: "moderate", allow: [], deny: [] }).cut).toBe(1);
  await ended;
  flow.job.close();
  server.close();
});

test("UDP: at most 256 flows at once, and the next is on record", async () => {
  const world = await internet({ allow: ["time.example:123/udp"] });
  world.zone.set("time.example", "203.0.113.30");
  await world.lookUp("time.example");
  const flows = [];
  for (let i = 0; i < 256; i++) flows.push(await world.sendUdp("203.0.113.30", 123, Buffer.from("x")));
  expect(flows.filter((flow) => flow === undefined)).toEqual([]);
  expect(await world.sendUdp("203.0.113.30", 123, Buffer.from("x"))).toBeUndefined();
  expect(reasons(world)).toEqual(["too-many-connections time.example:123"]);
  for (const flow of flows) flow?.job.close();
});

test("DNS by TCP at the gateway; elsewhere it is a connection like any other", async () => {
  const world = await internet({ allow: ["good.example"] });
  const query = Buffer.concat([
    Buffer.from([0, 30, 0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4]),
    Buffer.from("good"),
    Buffer.from([7]),
    Buffer.from("example"),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
  query.writeUInt16BE(query.length - 2, 0);
  const socket = await world.dial(GATEWAY, 53);
  socket.write(query);
  const [answer]: [Buffer] = await new Promise((resolve) => socket.once("data", (bytes: Buffer) => resolve([bytes])));
  expect([...answer.subarray(-4)].join(".")).toBe(GOOD);
  socket.destroy();
  for (const [address, port] of [
    ["8.8.8.8", 53],
    ["8.8.8.8", 853],
    [GATEWAY, 853],
  ] as const)
    expect(await http(world, address, query.toString("latin1"), port)).toBe("");
  expect(world.reached).toEqual([]);
});

test("hostile bytes at any port: nothing fails, and only what is allowed is reached", async () => {
  const world = await internet({ allow: ["good.example", "api.example GET /x"] });
  await world.lookUp("good.example");
  const starts = [
    hello([serverNames("good.example")]),
    hello([serverNames("evil.example")], 5),
    hello([serverNames("api.example")]),
    Buffer.from(get("good.example")),
    Buffer.from(get("evil.example")),
    Buffer.from(get("api.example", "/x")),
    Buffer.from("CONNECT good.example:443 HTTP/1.1\r\nHost: good.example:443\r\n\r\n"),
    Buffer.alloc(0),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...starts),
      fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 3 }),
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom([GOOD, 443], [GOOD, 80], [GATEWAY, 3128], [GATEWAY, 53], [GOOD, 9999], [EVIL, 443]),
      async (start, changes, tail, [address, port]) => {
        const bytes = Buffer.concat([start, tail]);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const socket = await world.dial(String(address), Number(port));
        socket.resume().end(bytes);
        await new Promise((resolve) => socket.once("end", resolve).once("close", resolve));
        socket.destroy();
      },
    ),
    { numRuns: 300 },
  );
  for (const place of world.reached) expect(place).toMatch(/^203\.0\.113\.7:(?:80|443)$/);
  expect(await https(world, GOOD, "good.example")).toContain("good GET /");
});

test("closing ends everything that is open; twice is once", async () => {
  const world = await internet({ allow: ["good.example"] });
  const socket = await world.dial(GOOD, 80);
  socket.write("GET / HTTP/1.1\r\nHost: good.example\r\n\r\n");
  await once(socket, "data");
  const ended = closed(socket);
  await world.gateway.close();
  await world.gateway.close();
  await ended;
});
