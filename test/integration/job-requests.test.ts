/** What a real job reaches by rules for requests: its plain and its secure ones, and what it is told and given. */

import { once } from "node:events";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import { connect, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { JobReport } from "../../src/jobs/index.ts";
import { makeIdentity } from "../world/job-internet.ts";
import { JobWorld } from "../world/job-world.ts";
import { TestNameServer } from "../world/name-server.ts";
import { has, requires } from "../world/needs.ts";

const NEEDS = ["docker", "container", "network", "openssl"] as const;
const API = "203.0.113.40";
let world: JobWorld;
let names: TestNameServer;
const servers = new Map<number, Server>();

beforeAll(async () => {
  if (!NEEDS.every(has)) return;
  world = await JobWorld.start();
  names = await TestNameServer.start(({ type }) => ({ records: type === 1 ? [{ type: "A", data: API }] : [] }));
  const answer = (request: IncomingMessage, response: ServerResponse): void => void response.end(`api ${request.method} ${request.url}\n`);
  servers.set(80, createHttp(answer));
  servers.set(443, createHttps(makeIdentity("api.example"), answer));
  for (const server of servers.values()) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
});
afterAll(async () => {
  for (const server of servers.values()) server.close();
  await names?.close();
  await world?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  for (const need of NEEDS) requires(context, need);
});
afterEach(async () => {
  if (world !== undefined) expect(await world.remains()).toEqual([]);
});

async function run(egress: readonly string[], script: string): Promise<{ readonly text: string; readonly report: JobReport }> {
  await using library = await world.library({
    network: {
      customDNS: [`127.0.0.1:${names.port}`],
      connect: ({ port }) => {
        const at = servers.get(port)?.address();
        return connect({ host: "127.0.0.1", port: typeof at === "object" && at !== null ? at.port : 1, allowHalfOpen: true });
      },
    },
  });
  await library.orchestrator.initialize();
  let text = "";
  const report = await library.orchestrator.runJob(
    world.newId(),
    { repository: "acme/web", image: world.image, resources: { memory: "128MiB" }, egress },
    { command: ["sh", "-c", script] },
    new AbortController().signal,
    {
      onOutput: ({ bytes }) => {
        text += bytes.toString();
      },
    },
  );
  return { text, report };
}

test("plain requests: the rule decides, the report has them", async () => {
  const { text, report } = await run(
    ["api.example GET /open/*"],
    "wget -q -O - http://api.example/open/a; wget -S -O - http://api.example/secret 2>&1; wget -S -O - http://evil.example/ 2>&1; true",
  );
  expect(text).toContain("api GET /open/a\n");
  expect(text).toMatch(/HTTP\/1\.1 403 Forbidden[\s\S]*evil\.example[\s\S]*HTTP\/1\.1 403 Forbidden/);
  expect(text).not.toContain("api GET /secret");
  expect(report.network.connections).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ domain: "api.example", port: 80, verdict: "allowed", requests: ["GET /open/a"] }),
      expect.objectContaining({ domain: "api.example", port: 80, verdict: "refused", rule: "path-not-allowed" }),
      expect.objectContaining({ domain: "evil.example", port: 80, verdict: "refused", rule: "not-allowed" }),
    ]),
  );
  // What the job reached came of its own request, not of the policy's list: that is what is proposed.
  const learned = await world.cli(["policy", "learn", report.jobId]);
  expect(learned.stdout).toContain("+    - api.example:80 # 1 of 1 job, ");
  expect(learned.stderr).toContain("blocked  evil.example:80, 1 of 1 job");
  expect(learned.stderr).toContain("requests api.example:80: GET /open/a");
});

test("secure ones: the job has the authority's files and variables, and its TLS ends at the gateway", async () => {
  const { text, report } = await run(
    ["api.example GET /open/*"],
    // busybox's client has no cipher in common with us; that it comes as far as a handshake with the gateway is what can be seen here.
    "head -n 1 $NODE_EXTRA_CA_CERTS; grep -c BEGIN $SSL_CERT_FILE; wget -q -O - https://api.example/open/a; true",
  );
  expect(text).toMatch(/^-----BEGIN CERTIFICATE-----\n[1-9]\d+\n/);
  expect(report.network.connections).toEqual([expect.objectContaining({ domain: "api.example", port: 443, verdict: "refused", rule: "tls-failed" })]);
});

test("without such a rule the job has no authority, and its TLS is its own", async () => {
  const { text, report } = await run(["api.example"], "ls /.cofferdam; echo [$SSL_CERT_FILE]; wget -q -O - https://api.example/; true");
  expect(text).not.toContain("authorit");
  expect(text).toContain("[]");
  expect(report.network.connections).toEqual([expect.objectContaining({ domain: "api.example", port: 443, verdict: "allowed", rule: "api.example" })]);
});
