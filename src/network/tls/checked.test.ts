import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer as createHttps } from "node:https";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { hello, serverNames } from "../../../test/world/client-hello.ts";
import { JobInternet, makeIdentity, type ServerIdentity } from "../../../test/world/job-internet.ts";
import { has, requires } from "../../../test/world/needs.ts";
import { systemClock } from "../../foundation/index.ts";
import type { NetworkPolicy } from "../contract.ts";
import { time } from "./der.ts";
import { JobAuthority } from "./job-authority.ts";

const API = "203.0.113.40";
let identity: ServerIdentity;
beforeAll(() => {
  if (has("openssl")) identity = makeIdentity("api.example", "other.example");
});
beforeEach((context) => requires(context, "openssl"));

const worlds: JobInternet[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function internet(policy: Partial<NetworkPolicy>, server: ServerIdentity = identity): Promise<JobInternet> {
  const world = await JobInternet.start(policy, { authorities: [identity.cert] });
  worlds.push(world);
  const answering = createHttps(server, (request, response) => {
    request.resume().on("end", () => response.end(`api ${request.method} ${request.url} for ${request.headers.host}`));
  });
  answering.on("upgrade", (_: unknown, socket: Socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.pipe(socket);
  });
  await world.serve(answering, `${API}:443`, "api.example", "other.example");
  return world;
}

/** A client of the job: it trusts the job's authority and the server's, as its trust store would have both. */
async function secured(world: JobInternet, name: string = "api.example", ALPNProtocols: string[] = ["h2", "http/1.1"]): Promise<TLSSocket> {
  const raw = await world.dial(API, 443);
  const socket = connectTls({ socket: raw, servername: name, ca: [world.gateway.authority(), identity.cert], ALPNProtocols });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return socket;
}

async function ask(world: JobInternet, bytes: string): Promise<string> {
  const socket = await secured(world);
  socket.write(bytes);
  return await said(socket);
}

async function said(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

const request = (line: string, host = "api.example", more = ""): string => `${line} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`;
const reasons = (world: JobInternet): readonly string[] => world.gateway.traffic().violations.map(({ reason, domain }) => `${reason} ${domain}`);

test("HTTPS with rules for requests: what they allow goes on, what they do not is told, and the record has both", async () => {
  const world = await internet({ allow: ["api.example POST /x", "api.example GET /open/*"] });
  expect(await ask(world, request("POST /x?q=1", "api.example", "Content-Length: 0\r\n"))).toContain("api POST /x?q=1 for api.example");
  expect(await ask(world, request("GET /open/a"))).toContain("api GET /open/a");
  const refused = await ask(world, request("GET /x"));
  expect(refused).toMatch(/^HTTP\/1\.1 403 Forbidden/);
  expect(refused).toContain(
    'cofferdam: api.example:443: no rule allows this request (GET /x)\nallow: cofferdam policy allow "api.example:443 GET /x" --reason TEXT\n',
  );
  expect(reasons(world)).toEqual(["path-not-allowed api.example"]);
  expect(world.gateway.traffic().connections[0]).toMatchObject({ domain: "api.example", verdict: "allowed", requests: ["POST /x", "GET /open/a"] });
  expect(world.reached).toEqual([`${API}:443`, `${API}:443`]);
});

test.each([
  ["another path behind an allowed one", request("GET /secret")],
  ["a path with dots", request("GET /open/../secret")],
  ["another host inside", request("GET /open/b", "other.example")],
  ["a method in a field", request("GET /open/b", "api.example", "X-HTTP-Method-Override: DELETE\r\n")],
  ["a path in a field", request("GET /open/b", "api.example", "X-Original-URL: /secret\r\n")],
])("inside TLS %s gets no further, first or later", async (_, bad) => {
  const world = await internet({ allow: ["api.example GET /open/*"] });
  expect(await ask(world, bad)).toMatch(/^HTTP\/1\.1 40[03] /);
  expect(world.reached).toEqual([]);
  const later = await ask(world, `GET /open/first HTTP/1.1\r\nHost: api.example\r\n\r\n${bad}`);
  expect(later).toMatch(/api GET \/open\/first[\s\S]*HTTP\/1\.1 40[03] /);
  expect(later).not.toContain("secret for");
  expect(later).not.toContain("/open/b for");
});

test("rules for requests hold for plain HTTP too, and open nothing else on the host", async () => {
  const world = await internet({ allow: ["api.example GET /open/*", "api.example:5432 GET /x"] });
  const plain = await world.dial(API, 80);
  plain.write(request("GET /secret"));
  expect(await said(plain)).toMatch(/^HTTP\/1\.1 403 /);
  await world.lookUp("api.example");
  const raw = await world.dial(API, 5432);
  raw.write("not http\n");
  await new Promise((resolve) => raw.once("close", resolve));
  expect(world.reached).toEqual([]);
  expect(reasons(world)).toEqual(["path-not-allowed api.example", "not-http api.example"]);
});

test("a name without rules for requests is not looked into: its own certificate is what the job sees", async () => {
  const world = await internet({ allow: ["api.example GET /open/*", "other.example"] });
  const own = await secured(world, "other.example", ["http/1.1"]);
  expect(own.getPeerX509Certificate()?.issuer).toBe("CN=test");
  const checked = await secured(world);
  expect(checked.getPeerX509Certificate()?.issuer).toBe("CN=Cofferdam job job");
  expect(checked.getPeerX509Certificate()?.subjectAltName).toBe("DNS:api.example");
  expect(checked.alpnProtocol).toBe("http/1.1");
  for (const socket of [own, checked]) socket.destroy();
});

test("a server whose certificate is for another name, or of nobody we trust, gets no request", async () => {
  for (const server of [makeIdentity("wrong.example"), makeIdentity("api.example")]) {
    const world = await internet({ allow: ["api.example GET /*"] }, server);
    expect(await ask(world, request("GET /a"))).toMatch(/^HTTP\/1\.1 502 [\s\S]*cofferdam: api\.example:443: api\.example: no secure connection to the server/);
  }
});

test("a client with which no TLS comes about is on record; one that does not trust the authority sends nothing", async () => {
  const world = await internet({ allow: ["api.example GET /*"] });
  const raw = await world.dial(API, 443);
  raw.write(hello([serverNames("api.example")]));
  await new Promise((resolve) => raw.resume().once("end", resolve));
  await expect.poll(() => reasons(world)).toEqual(["tls-failed api.example"]);
  const socket = connectTls({ socket: await world.dial(API, 443), servername: "api.example", ca: [identity.cert] });
  const [error]: unknown[] = await once(socket, "error");
  expect(error).toMatchObject({ code: expect.stringMatching(/SELF_SIGNED|UNABLE/) });
  expect(world.reached).toEqual([]);
});

test("WebSocket inside, and a policy that begins to check requests cuts what ran unchecked", async () => {
  const world = await internet({ allow: ["api.example"] });
  const unchecked = await secured(world, "api.example", ["http/1.1"]);
  unchecked.write("GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n");
  await once(unchecked, "data");
  const ended = new Promise((resolve) => unchecked.once("close", resolve));
  expect(world.gateway.apply({ mode: "moderate", allow: ["api.example GET /ws"], deny: [] }).cut).toBe(1);
  await ended;
  const socket = await secured(world);
  socket.write("GET /ws HTTP/1.1\r\nHost: api.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
  let heard = "";
  for await (const chunk of socket) {
    heard += String(chunk);
    if (heard.endsWith("hello")) break;
  }
  expect(heard).toMatch(/^HTTP\/1\.1 101 /);
  const again = await secured(world);
  again.write("GET /ws HTTP/1.1\r\nHost: api.example\r\n\r\n");
  await once(again, "data");
  const cut = new Promise((resolve) => again.once("close", resolve));
  expect(world.gateway.apply({ mode: "moderate", allow: [], deny: [] }).cut).toBe(1);
  await cut;
});

test("observing ends no TLS: the job's trust store may lack the authority", async () => {
  const world = await internet({ observe: true, allow: ["api.example GET /open/*"] });
  const socket = await secured(world, "api.example", ["http/1.1"]);
  expect(socket.getPeerX509Certificate()?.issuer).toBe("CN=test");
  socket.destroy();
});

test("certificates are what RFC 5280 says, by the reading of OpenSSL", async () => {
  const authority = new JobAuthority("a-job-with-a-name-that-is-far-longer-than-a-common-name-may-be-in-a-certificate", systemClock);
  const folder = await mkdtemp(join(tmpdir(), "authority-"));
  const world = await internet({ allow: ["api.example GET /*"] });
  const socket = await secured(world);
  const leaf = socket.getPeerX509Certificate() ?? expect.fail("no certificate");
  const issuer = new X509Certificate(world.gateway.authority());
  expect([issuer.ca, leaf.ca, leaf.checkIssued(issuer), leaf.verify(issuer.publicKey), issuer.verify(issuer.publicKey)]).toEqual([
    true,
    false,
    true,
    true,
    true,
  ]);
  expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  socket.destroy();
  await writeFile(join(folder, "ca.pem"), world.gateway.authority());
  await writeFile(join(folder, "leaf.pem"), leaf.toString());
  await writeFile(join(folder, "other.pem"), authority.certificate);
  const verify = async (ca: string): Promise<string> =>
    (
      await promisify(execFile)("openssl", ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "api.example", "-CAfile", ca, "leaf.pem"], {
        cwd: folder,
      })
    ).stdout;
  expect(await verify("ca.pem")).toBe("leaf.pem: OK\n");
  await expect(verify("other.pem")).rejects.toThrow();
  const { stdout } = await promisify(execFile)("openssl", ["x509", "-in", "other.pem", "-noout", "-text"], { cwd: folder });
  expect(stdout).toContain("CA:TRUE, pathlen:0");
  expect(stdout).toMatch(/Key Usage: critical\s+Certificate Sign\n/);
  expect(time(Date.UTC(2050, 0, 1)).toString("latin1", 2)).toBe("20500101000000Z");
  expect(time(Date.UTC(2049, 11, 31)).toString("latin1", 2)).toBe("491231000000Z");
});
