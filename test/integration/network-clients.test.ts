/** Real clients through a job's gateway: what people run in jobs, with the variables that a job gets. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { trustFiles, trustVariables } from "../../src/jobs/container/trust.ts";
import { GATEWAY, JobInternet, makeIdentity, type ServerIdentity } from "../world/job-internet.ts";
import { has, requires } from "../world/needs.ts";

const API = "203.0.113.40";
let world: JobInternet;
let folder: string;
let doors: Server[];
let identity: ServerIdentity;

beforeAll(() => {
  if (has("openssl")) identity = makeIdentity("api.example", "open.example");
});
beforeEach(async (context) => {
  requires(context, "openssl");
  folder = mkdtempSync(join(tmpdir(), "clients-"));
  doors = [];
  world = await JobInternet.start({ allow: ["api.example GET /open/*", "open.example"] }, { authorities: [identity.cert] });
  const answer = (request: IncomingMessage, response: ServerResponse): void =>
    void response.end(`HTTP/${request.httpVersion} ${request.method} ${request.url}\n`);
  const secure = createSecureServer(
    { ...identity, allowHTTP1: true },
    (request, response) => void response.end(`HTTP/${request.httpVersion} ${request.method} ${request.url}\n`),
  );
  await world.serve(secure, `${API}:443`, "api.example", "open.example");
  await world.serve(createHttp(answer), `${API}:80`);
  for (const [name, text] of trustFiles(world.gateway.authority())) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, "server.pem"), identity.cert);
});
afterEach(async () => {
  for (const door of doors) door.close();
  await world.close();
  rmSync(folder, { recursive: true });
});

/** A port on loopback that stands for an address of the job's internet. */
async function door(address: string, port: number): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    world
      .dial(address, port)
      .then((inside) => {
        socket.on("error", () => inside.destroy());
        socket.pipe(inside).pipe(socket);
      })
      .catch(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  doors.push(server);
  const at = server.address();
  return typeof at === "object" && at !== null ? at.port : 0;
}

/** Variables of a job, with the files where this test has them. */
function variables(): Record<string, string> {
  const trust = Object.entries(trustVariables({})).map(([name, path]) => [name, path.replace(/^\/\.cofferdam/, folder)]);
  return { PATH: process.env["PATH"] ?? "", HOME: folder, ...Object.fromEntries(trust) };
}

async function run(program: string, args: readonly string[], env: Record<string, string> = variables()): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, [...args], { env, timeout: 20_000 });
    return `${stdout}${stderr}`;
  } catch (error) {
    const { code, stdout, stderr } = Object(error);
    return `exit ${code}: ${stdout}${stderr}`;
  }
}

test("curl: checked requests pass by SSL_CERT_FILE, others get the sentence; what is not checked speaks HTTP/2 with its server", async (context) => {
  requires(context, "curl");
  const to = ["-sS", "--max-time", "15", "--connect-to", `::127.0.0.1:${await door(API, 443)}`];
  expect(await run("curl", [...to, "https://api.example/open/a"])).toBe("HTTP/1.1 GET /open/a\n");
  expect(await run("curl", [...to, "-i", "https://api.example/secret"])).toMatch(/^HTTP\/1\.1 403 [\s\S]*no rule allows this request \(GET \/secret\)/);
  expect(await run("curl", [...to, "--http2", "--cacert", join(folder, "server.pem"), "https://open.example/a"])).toBe("HTTP/2.0 GET /a\n");
  expect(await run("curl", [...to, "https://evil.example/a"])).toMatch(/^exit 35: [\s\S]*(?:access denied|alert)/);
  const untrusting = { PATH: process.env["PATH"] ?? "", HOME: folder };
  expect(await run("curl", [...to, "https://api.example/open/a"], untrusting)).toMatch(/^exit 60: /);
});

test("curl by the proxy: a tunnel, and plain requests", async (context) => {
  requires(context, "curl");
  const proxy = ["-sS", "--max-time", "15", "-x", `http://127.0.0.1:${await door(GATEWAY, 3128)}`];
  expect(await run("curl", [...proxy, "https://api.example/open/b"])).toBe("HTTP/1.1 GET /open/b\n");
  expect(await run("curl", [...proxy, "http://open.example/one", "http://open.example/two"])).toBe("HTTP/1.1 GET /one\nHTTP/1.1 GET /two\n");
  expect(await run("curl", [...proxy, "http://evil.example/"])).toContain("cofferdam: evil.example:80: not in the allow-list");
  expect(await run("curl", [...proxy, "https://evil.example/"])).toMatch(/^exit 56: [\s\S]*403/);
});

test("curl, plain: two requests on one connection, and one that asks for h2c", async (context) => {
  requires(context, "curl");
  const to = ["-sS", "--max-time", "15", "--connect-to", `::127.0.0.1:${await door(API, 80)}`];
  expect(await run("curl", [...to, "http://open.example/one", "http://open.example/two"])).toBe("HTTP/1.1 GET /one\nHTTP/1.1 GET /two\n");
  expect(await run("curl", [...to, "--http2", "-i", "http://open.example/"])).toMatch(/^HTTP\/1\.1 400 [\s\S]*HTTP\/2 without TLS/);
  expect(await run("curl", [...to, "-d", "x=1", "http://api.example/open/a"])).toContain("no rule allows this request (POST /open/a)");
});

test("node: fetch trusts by NODE_EXTRA_CA_CERTS", async () => {
  const port = await door(API, 443);
  const script = `const { connect } = require("node:tls"); const socket = connect({ host: "127.0.0.1", port: ${port}, servername: "api.example" }, () => socket.write("GET /open/n HTTP/1.1\\r\\nHost: api.example\\r\\nConnection: close\\r\\n\\r\\n")); socket.on("data", (bytes) => process.stdout.write(bytes)).on("error", (error) => console.log(error.code));`;
  expect(await run("node", ["-e", script])).toContain("HTTP/1.1 GET /open/n");
  expect(await run("node", ["-e", script], { PATH: process.env["PATH"] ?? "" })).toMatch(/SELF_SIGNED|UNABLE/);
});

test("python: ssl's own context trusts by SSL_CERT_FILE", async (context) => {
  requires(context, "python3");
  const port = await door(API, 443);
  const script = `import socket, ssl; s = ssl.create_default_context().wrap_socket(socket.create_connection(("127.0.0.1", ${port})), server_hostname="api.example"); s.sendall(b"GET /open/p HTTP/1.1\\r\\nHost: api.example\\r\\nConnection: close\\r\\n\\r\\n"); print(s.recv(4096).decode(), s.recv(4096).decode())`;
  expect(await run("python3", ["-c", script])).toContain("HTTP/1.1 GET /open/p");
});

test("what a job sets itself stands", () => {
  expect(trustVariables({ SSL_CERT_FILE: "/own.pem" })).not.toHaveProperty("SSL_CERT_FILE");
  expect(trustVariables({})).toMatchObject({ SSL_CERT_FILE: "/.cofferdam/authorities.pem", NODE_EXTRA_CA_CERTS: "/.cofferdam/authority.pem" });
});
