import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { TestNameServer, type Zone } from "../../../test/world/name-server.ts";
import { type Clock, systemClock } from "../../foundation/index.ts";
import type { NetworkPolicy } from "../contract.ts";
import { type Address, CompiledPolicy, formatAddress, parseAddress } from "../rules/index.ts";
import { TrafficRecord } from "../traffic/index.ts";
import { AnsweredAddresses } from "./answered.ts";
import { DnsServer } from "./dns-server.ts";
import { JobResolver } from "./job-resolver.ts";
import { hostNameServers, NameServers, parseNameServer } from "./name-servers.ts";
import { readQuery, writeAnswer } from "./question.ts";
import { RCODE, TYPE } from "./record-type.ts";
import { readUpstreamAnswer } from "./upstream-message.ts";

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const GATEWAY = { v4: "10.231.0.1", v6: "fd00:cd::1", subnets: ["10.231.0.0/28"] };
const address = (text: string): Address => parseAddress(text) ?? expect.fail(text);

interface World {
  readonly resolver: JobResolver;
  readonly record: TrafficRecord;
  readonly upstream: TestNameServer;
  policy: CompiledPolicy;
  ask(name: string, type?: number): Promise<{ readonly rcode: number; readonly addresses: readonly string[]; readonly ttl: number | undefined }>;
}

async function world(parts: Partial<NetworkPolicy>, zone: Zone, { clock = systemClock, v6 = true, timeout = 300 } = {}): Promise<World> {
  const upstream = await TestNameServer.start(zone);
  closing.push(() => upstream.close());
  const record = new TrafficRecord(() => clock.now());
  const made: { policy: CompiledPolicy } = { policy: compiled(parts) };
  const resolver = new JobResolver({
    policy: () => made.policy,
    servers: new NameServers({ servers: async () => await Promise.resolve([{ address: "127.0.0.1", port: upstream.port }]), timeout, rounds: 1 }),
    addresses: v6 ? GATEWAY : { ...GATEWAY, v6: undefined },
    record,
    clock,
    signal: new AbortController().signal,
  });
  return Object.assign(made, {
    resolver,
    record,
    upstream,
    ask: async (name: string, type: number = TYPE.A) => {
      const query = readQuery(queryBytes(name, type));
      if (query === undefined || "rcode" in query) return { rcode: query?.rcode ?? -1, addresses: [], ttl: undefined };
      const { rcode, addresses = [], ttl } = await resolver.answer(query);
      return { rcode, addresses: addresses.map(formatAddress), ttl };
    },
  });
}

function compiled(parts: Partial<NetworkPolicy>): CompiledPolicy {
  return new CompiledPolicy({ mode: "moderate", allow: [], deny: [], ...parts }, ["203.0.113.250"]);
}

function queryBytes(name: string, type: number, { id = 7, edns = true } = {}): Buffer {
  const labels = name === "" ? [] : name.split(".");
  const head = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0]);
  const body = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  const opt = edns ? Buffer.from([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0);
  return Buffer.concat([head, ...body, Buffer.from([0, type >> 8, type & 255, 0, 1]), opt]);
}

const always =
  (...records: readonly { readonly type: "A" | "AAAA" | "CNAME"; readonly data: string; readonly name?: string; readonly ttl?: number }[]): Zone =>
  ({ type }) => ({ records: records.filter((record) => record.type === "CNAME" || (record.type === "A") === (type === 1)) });

test("an allowed name is answered, and nothing of a refused one reaches a name server", async () => {
  const { ask, upstream, record } = await world({ allow: ["good.example"] }, always({ type: "A", data: "203.0.113.7", ttl: 120 }));
  expect(await ask("good.example")).toEqual({ rcode: RCODE.NOERROR, addresses: ["203.0.113.7"], ttl: 120 });
  expect(await ask("secret-bytes.evil.example")).toEqual({ rcode: RCODE.NOERROR, addresses: ["10.231.0.1"], ttl: 5 });
  expect(await ask("secret-bytes.good.example")).toMatchObject({ addresses: ["10.231.0.1"] });
  expect(await ask("evil.example", TYPE.AAAA)).toMatchObject({ addresses: ["fd00:cd::1"] });
  expect(await ask("evil.example", TYPE.TXT)).toMatchObject({ rcode: RCODE.NXDOMAIN });
  expect(upstream.asked.map(({ name }) => name)).toEqual(["good.example"]);
  expect(record.snapshot().dns).toMatchObject([
    { name: "good.example", type: "A", answers: ["203.0.113.7"], verdict: "allowed", tries: 1 },
    { name: "secret-bytes.evil.example", verdict: "refused" },
    { name: "secret-bytes.good.example", verdict: "refused" },
    { name: "evil.example", type: "AAAA", verdict: "refused" },
    { name: "evil.example", type: "TXT", verdict: "refused" },
  ]);
  expect(record.snapshot().violations.map(({ reason, domain }) => `${reason} ${domain}`)).toContain("not-allowed secret-bytes.evil.example");
});

test("strict: a refused name does not exist, and there is no IPv6", async () => {
  const { ask, upstream } = await world({ mode: "strict", allow: ["good.example"] }, always({ type: "AAAA", data: "2001:db8::1" }));
  expect(await ask("evil.example")).toMatchObject({ rcode: RCODE.NXDOMAIN, addresses: [] });
  expect(await ask("good.example", TYPE.AAAA)).toEqual({ rcode: RCODE.NOERROR, addresses: [], ttl: undefined });
  expect(upstream.asked).toEqual([]);
});

test("of an allowed name only addresses are told: nothing else is asked of anybody", async () => {
  const { ask, upstream } = await world({ allow: ["good.example"] }, always({ type: "A", data: "203.0.113.7" }));
  for (const type of [TYPE.HTTPS, TYPE.SVCB, TYPE.TXT, TYPE.MX, TYPE.NS, TYPE.SRV, TYPE.ANY, TYPE.SOA, 999])
    expect(await ask("good.example", type)).toEqual({ rcode: RCODE.NOERROR, addresses: [], ttl: undefined });
  expect(upstream.asked).toEqual([]);
});

test.each([
  ["127.0.0.1", "loopback"],
  ["169.254.169.254", "metadata"],
  ["10.0.0.5", "private-answer"],
  ["192.168.1.1", "private-answer"],
  ["203.0.113.250", "host"],
  ["0.0.0.0", "reserved"],
])("rebinding: a public name that leads to %s leads to the gateway (%s)", async (data, reason) => {
  const { ask, record } = await world({ allow: ["good.example"] }, always({ type: "A", data }));
  expect(await ask("good.example")).toMatchObject({ addresses: ["10.231.0.1"] });
  expect(record.snapshot().violations).toMatchObject([{ reason, domain: "good.example" }]);
});

test("of several answers only those that may be reached are told", async () => {
  const { ask, resolver } = await world({ allow: ["good.example"] }, always({ type: "A", data: "10.0.0.5" }, { type: "A", data: "203.0.113.7" }));
  expect(await ask("good.example")).toMatchObject({ addresses: ["203.0.113.7"] });
  expect(resolver.answered.namesAt(address("203.0.113.7"))).toEqual(["good.example"]);
  expect(resolver.answered.namesAt(address("10.0.0.5"))).toEqual([]);
});

test("a name of the house leads to a private address when its rule says so", async () => {
  const { ask } = await world({ allow: ["db.corp.example/private"] }, always({ type: "A", data: "10.0.0.5" }));
  expect(await ask("db.corp.example")).toMatchObject({ addresses: ["10.0.0.5"] });
});

test("aliases are followed, inside an answer and by asking; the job sees one name, and a denied alias ends it", async () => {
  const zone: Zone = ({ name }) => {
    if (name === "a.example")
      return {
        records: [
          { type: "CNAME", data: "b.cdn.example", ttl: 30 },
          { name: "b.cdn.example", type: "CNAME", data: "c.cdn.example" },
        ],
      };
    return { records: [{ type: "A", data: "203.0.113.9" }] };
  };
  const { ask, upstream } = await world({ allow: ["a.example"] }, zone);
  expect(await ask("a.example")).toEqual({ rcode: RCODE.NOERROR, addresses: ["203.0.113.9"], ttl: 30 });
  expect(upstream.asked.map(({ name }) => name)).toEqual(["a.example", "c.cdn.example"]);
  const denying = await world({ allow: ["a.example"], deny: ["*.cdn.example"] }, zone);
  expect(await denying.ask("a.example")).toMatchObject({ addresses: ["10.231.0.1"] });
  expect(denying.record.snapshot().violations).toMatchObject([{ reason: "denied" }]);
});

test("aliases in a circle, or without end, are no answer", async () => {
  const { ask } = await world({ allow: ["a.example", "x0.example"] }, ({ name }) => {
    const next = name === "a.example" ? "b.example" : name === "b.example" ? "a.example" : `x${Number(name.slice(1, -8)) + 1}.example`;
    return { records: [{ type: "CNAME", data: next }] };
  });
  expect(await ask("a.example")).toMatchObject({ rcode: RCODE.SERVFAIL });
  expect(await ask("x0.example")).toMatchObject({ rcode: RCODE.SERVFAIL });
});

test("records about other names, and other types, say nothing", async () => {
  const { ask } = await world({ allow: ["good.example", "other.example"] }, ({ name }) =>
    name === "good.example"
      ? {
          records: [
            { name: "other.example", type: "A", data: "203.0.113.66" },
            { type: "A", data: "203.0.113.7" },
          ],
        }
      : { rcode: 3 },
  );
  expect(await ask("good.example")).toMatchObject({ addresses: ["203.0.113.7"] });
  expect(await ask("other.example")).toMatchObject({ rcode: RCODE.NXDOMAIN });
});

test("answers with another id, another question or cut bytes are passed over; the right one counts", async () => {
  const forged = (change: (bytes: Buffer) => void) => (query: Buffer) => {
    const answer = Buffer.concat([
      query.subarray(0, 12),
      query.subarray(12, query.length - 11),
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 66]),
    ]);
    answer.writeUInt16BE(0x8180, 2);
    answer.writeUInt16BE(1, 6);
    answer.writeUInt16BE(0, 10);
    change(answer);
    return answer;
  };
  const before = [
    forged((bytes) => bytes.writeUInt16BE((bytes.readUInt16BE(0) + 1) & 0xffff, 0)),
    forged((bytes) => bytes.writeUInt8(0x7a, 13)),
    (query: Buffer) => query.subarray(0, 5),
    () => Buffer.alloc(600, 0xff),
  ];
  const { ask } = await world({ allow: ["good.example"] }, () => ({ before, records: [{ type: "A", data: "203.0.113.7" }] }));
  expect(await ask("good.example")).toMatchObject({ addresses: ["203.0.113.7"] });
  // The forger who knows id and letters would have been believed: the test's forgery is well-formed.
  const knows = await world({ allow: ["good.example"] }, () => ({ before: [forged(() => undefined)], records: [{ type: "A", data: "203.0.113.7" }] }));
  expect(await knows.ask("good.example")).toMatchObject({ addresses: ["203.0.113.66"] });
});

test("a cut answer and one in another case are asked for by TCP; every question has its own id and port", async () => {
  const { ask, upstream } = await world({ allow: ["*.good.example"] }, ({ name, overTcp }) => ({
    cut: name.startsWith("cut"),
    lowerCase: (name.startsWith("lower") || name.startsWith("notcp")) && !overTcp,
    silent: name.startsWith("notcp") && overTcp,
    records: [{ type: "A", data: overTcp ? "203.0.113.8" : "203.0.113.7" }],
  }));
  expect(await ask("cut.good.example")).toMatchObject({ addresses: ["203.0.113.8"] });
  expect(await ask("lowerlowerlowerlowerlower.good.example")).toMatchObject({ addresses: ["203.0.113.8"] });
  expect(await ask("notcpnotcpnotcpnotcpnotcp.good.example")).toMatchObject({ addresses: ["203.0.113.7"] });
  for (let i = 0; i < 8; i++) expect(await ask(`n${i}.good.example`)).toMatchObject({ addresses: ["203.0.113.7"] });
  const byUdp = upstream.asked.filter(({ overTcp }) => !overTcp);
  expect(new Set(byUdp.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(5);
  expect(new Set(byUdp.map(({ id }) => id)).size).toBeGreaterThan(5);
});

test("a server that says nothing, garbage or 64 KiB of it: no address, no crash, in time", async () => {
  const silent = await world({ allow: ["good.example"] }, () => ({ silent: true }));
  expect(await silent.ask("good.example")).toMatchObject({ rcode: RCODE.SERVFAIL });
  const garbage = await world({ allow: ["good.example"] }, () => ({ raw: Buffer.alloc(500, 0xc0) }));
  expect(await garbage.ask("good.example")).toMatchObject({ rcode: RCODE.SERVFAIL });
  // By TCP, after a cut answer by UDP: 4,000 addresses, more than are read of any name.
  const many = Array.from({ length: 4000 }, (_, i) => ({ type: "A" as const, data: `203.0.${i >> 8}.${i & 255}` }));
  const big = await world({ allow: ["good.example"] }, () => ({ cut: true, records: many }));
  expect(await big.ask("good.example")).toMatchObject({ rcode: RCODE.SERVFAIL });
  const some = await world({ allow: ["good.example"] }, () => ({ cut: true, records: many.slice(0, 900) }));
  expect((await some.ask("good.example")).addresses.length).toBe(64);
  const refusing = await world({ allow: ["good.example"] }, () => ({ rcode: 5 }));
  expect(await refusing.ask("good.example")).toMatchObject({ rcode: RCODE.SERVFAIL });
});

test("an answer is kept for its time, at least 5 s and at most 300, and asked for once however many ask", async () => {
  const time = { at: 1000 };
  const clock: Clock = { now: () => time.at, monotonic: () => time.at };
  const { ask, upstream } = await world(
    { allow: ["good.example", "long.example"] },
    ({ name }) => ({ records: [{ type: "A", data: "203.0.113.7", ttl: name === "long.example" ? 9999 : 0 }] }),
    { clock },
  );
  await Promise.all(Array.from({ length: 20 }, () => ask("good.example")));
  expect(upstream.asked.length).toBe(1);
  expect((await ask("good.example")).ttl).toBe(5);
  time.at += 5001;
  await ask("good.example");
  expect(upstream.asked.length).toBe(2);
  expect((await ask("long.example")).ttl).toBe(300);
});

test("an address stands for its name until its answer and a minute are over", () => {
  const time = { at: 0 };
  const answered = new AnsweredAddresses({ now: () => 0, monotonic: () => time.at });
  answered.answered("a.example", [address("203.0.113.7")], 30);
  answered.answered("b.example", [address("203.0.113.7")], 10);
  time.at = 69_999;
  expect(answered.namesAt(address("203.0.113.7"))).toEqual(["b.example", "a.example"]);
  time.at = 89_999;
  expect(answered.namesAt(address("203.0.113.7"))).toEqual(["a.example"]);
  time.at = 90_000;
  expect(answered.namesAt(address("203.0.113.7"))).toEqual([]);
  for (let i = 0; i < 6000; i++) answered.answered("c.example", [{ family: 4, value: BigInt(0x0b00_0000 + i) }], 30);
  expect(answered.namesAt({ family: 4, value: 0x0b00_0000n })).toEqual([]);
  expect(answered.namesAt({ family: 4, value: BigInt(0x0b00_0000 + 5999) })).toEqual(["c.example"]);
});

test("a tunnel below an allowed wildcard is slowed to a trickle, and told", async () => {
  const clock: Clock = { now: () => 0, monotonic: () => 0 };
  const { ask, upstream, record } = await world({ allow: ["*.good.example"] }, always({ type: "A", data: "203.0.113.7" }), { clock });
  for (let i = 0; i < 300; i++) await ask(`d${i}.good.example`);
  expect(upstream.asked.length).toBe(200);
  expect(await ask("d999.good.example")).toMatchObject({ rcode: RCODE.REFUSED });
  expect(record.snapshot().violations.some(({ reason }) => reason === "lookup-rate")).toBe(true);
});

test("names of the job itself are answered here: services, their reverse, localhost, single labels, the search domain", async () => {
  const { ask, resolver, upstream } = await world({ mode: "relaxed" }, always({ type: "A", data: "203.0.113.7" }));
  resolver.setServices(new Map([["postgres", ["10.231.0.3"]]]));
  expect(await ask("postgres")).toMatchObject({ addresses: ["10.231.0.3"] });
  expect(await ask("POSTGRES.cofferdam.internal")).toMatchObject({ addresses: ["10.231.0.3"] });
  expect(await ask("postgres", TYPE.AAAA)).toMatchObject({ rcode: RCODE.NOERROR, addresses: [] });
  expect(await ask("localhost", TYPE.AAAA)).toMatchObject({ addresses: ["::1"] });
  for (const name of ["redis", "x.cofferdam.internal", "7.113.0.203.in-addr.arpa"])
    expect(await ask(name, name.endsWith("arpa") ? TYPE.PTR : TYPE.A)).toMatchObject({ rcode: RCODE.NXDOMAIN });
  const reverse = readQuery(queryBytes("3.0.231.10.in-addr.arpa", TYPE.PTR));
  const pointer = reverse === undefined || "rcode" in reverse ? expect.fail("no question") : await resolver.answer(reverse);
  expect(pointer).toMatchObject({ rcode: RCODE.NOERROR, pointer: "postgres" });
  expect(upstream.asked).toEqual([]);
});

test("a policy that changes while a name is looked up counts for the answer", async () => {
  const made = await world({ allow: ["good.example"] }, always({ type: "A", data: "203.0.113.7" }));
  const asking = made.ask("good.example");
  made.policy = compiled({ allow: ["good.example"], deny: ["good.example"] });
  expect(await asking).toMatchObject({ addresses: ["10.231.0.1"] });
});

test("observe: a name that would be refused is looked up and told", async () => {
  const { ask, record } = await world({ observe: true }, always({ type: "A", data: "203.0.113.7" }));
  expect(await ask("other.example")).toMatchObject({ addresses: ["203.0.113.7"] });
  expect(record.snapshot().dns).toMatchObject([{ name: "other.example", verdict: "observed" }]);
  const closed = await world({ observe: true }, always({ type: "A", data: "169.254.169.254" }));
  expect(await closed.ask("other.example")).toMatchObject({ addresses: ["10.231.0.1"] });
});

test("by UDP and TCP: EDNS, a long answer cut and then whole, many questions on one connection, garbage", async () => {
  const many = Array.from({ length: 60 }, (_, i) => ({ type: "A" as const, data: `203.0.113.${i + 1}` }));
  const { resolver } = await world({ allow: ["good.example"] }, () => ({ records: many }));
  const server = new DnsServer({ answer: (query) => resolver.answer(query), clock: systemClock });
  const udp = createSocket("udp4");
  const tcp = createServer((socket) => server.serveTcp(socket));
  onTestFinished(() => {
    server.close();
    udp.close();
    tcp.close();
  });
  udp.bind(0, "127.0.0.1");
  tcp.listen(0, "127.0.0.1");
  await Promise.all([once(udp, "listening"), once(tcp, "listening")]);
  server.serveUdp(udp);
  const client = createSocket("udp4");
  onTestFinished(() => void client.close());
  const exchange = async (bytes: Buffer): Promise<Buffer> => {
    client.send(bytes, udp.address().port, "127.0.0.1");
    const [answer] = await once(client, "message");
    return answer;
  };
  // 64 records of 16 bytes fit into 1232, not into 512.
  const plain = await exchange(queryBytes("good.example", TYPE.A, { edns: false }));
  expect([plain.readUInt16BE(2) & 0x0200, plain.readUInt16BE(6)]).toEqual([0x0200, 0]);
  const edns = await exchange(queryBytes("good.example", TYPE.A));
  expect([edns.readUInt16BE(2) & 0x0200, edns.readUInt16BE(6), edns.readUInt16BE(10)]).toEqual([0, 60, 1]);
  for (const junk of [Buffer.alloc(0), Buffer.alloc(11), Buffer.alloc(2000, 1)]) client.send(junk, udp.address().port, "127.0.0.1");
  expect((await exchange(queryBytes("good.example", TYPE.A, { id: 99 }))).readUInt16BE(0)).toBe(99);

  const at = tcp.address();
  const socket = connect(typeof at === "object" && at !== null ? at.port : 0, "127.0.0.1");
  const framed = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  const all = Buffer.concat(Array.from({ length: 40 }, (_, id) => framed(queryBytes("good.example", TYPE.A, { id, edns: false }))));
  for (let i = 0; i < all.length; i += 7) socket.write(all.subarray(i, i + 7));
  const ids = new Set<number>();
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk]);
    for (
      let size = received.length < 2 ? Infinity : received.readUInt16BE(0);
      received.length >= 2 + size;
      size = received.length < 2 ? Infinity : received.readUInt16BE(0)
    ) {
      ids.add(received.readUInt16BE(2));
      expect(received.readUInt16BE(8)).toBe(60);
      received = received.subarray(2 + size);
    }
    if (ids.size === 40) break;
  }
  expect(ids.size).toBe(40);
});

test("limits: questions in a short time, bytes of one, connections", async () => {
  const clock: Clock = { now: () => 0, monotonic: () => 0 };
  const server = new DnsServer({ answer: async () => await Promise.resolve({ rcode: RCODE.NXDOMAIN }), clock });
  const tcp = createServer((socket) => server.serveTcp(socket));
  onTestFinished(() => {
    server.close();
    tcp.close();
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const at = tcp.address();
  const open = (): Socket => connect(typeof at === "object" && at !== null ? at.port : 0, "127.0.0.1").on("error", () => undefined);
  const ended = async (socket: Socket): Promise<number> => {
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await new Promise((resolve) => socket.once("close", resolve));
    return bytes;
  };
  const query = queryBytes("good.example", TYPE.A, { edns: false });
  const framed = Buffer.concat([Buffer.from([0, query.length]), query]);
  const large = open();
  large.write(Buffer.from([4, 1]));
  expect(await ended(large)).toBe(0);
  const many = open();
  many.write(Buffer.concat(Array.from({ length: 2001 }, () => framed)));
  // An answer is its question with other flags: 2,000 of them, and then the end.
  expect(await ended(many)).toBeLessThanOrEqual(2000 * framed.length);
  expect(server.dropped).toBe(1);
  const connections = Array.from({ length: 65 }, open);
  await Promise.race(connections.map(async (socket) => await ended(socket)));
  expect(server.dropped).toBe(2);
  for (const socket of connections) socket.destroy();
});

test("hostile bytes: readers of questions and answers end with an answer or nothing", () => {
  const asked = { id: 7, name: "good.example", type: TYPE.A };
  const near = queryBytes("good.example", TYPE.A, { edns: false });
  near.writeUInt16BE(0x8180, 2);
  near.writeUInt16BE(3, 6);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1500 }), fc.boolean(), (bytes, asAnswer) => {
      const message = asAnswer ? Buffer.concat([near, bytes]) : Buffer.from(bytes);
      const answer = readUpstreamAnswer(message, asked);
      for (const { data } of answer?.records ?? []) if (data.kind === "alias") expect(data.target).toMatch(/^[a-z0-9_.-]{1,253}$/);
      const query = readQuery(message);
      if (query !== undefined && !("rcode" in query)) expect(writeAnswer(query, { rcode: RCODE.NXDOMAIN }, false).length).toBeLessThan(1232);
    }),
    { numRuns: 2000 },
  );
});

test("names: a pointer that does not lead back, a dot inside a label and 256 bytes are refused", () => {
  const asked = { id: 7, name: "good.example", type: TYPE.A };
  const question = queryBytes("good.example", TYPE.A, { edns: false });
  question.writeUInt16BE(0x8180, 2);
  question.writeUInt16BE(1, 6);
  const start = question.length;
  const answer = (owner: Buffer): Buffer => Buffer.concat([question, owner, Buffer.from([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7])]);
  expect(readUpstreamAnswer(answer(Buffer.from([0xc0, 12])), asked)?.records).toHaveLength(1);
  for (const pointer of [start, start + 2, 0x3fff])
    expect(readUpstreamAnswer(answer(Buffer.from([0xc0 | (pointer >> 8), pointer & 255])), asked)).toBeUndefined();
  const dotted = Buffer.concat([Buffer.from([12]), Buffer.from("good.example"), Buffer.from([0])]);
  expect(readUpstreamAnswer(answer(dotted), asked)?.records).toEqual([]);
  const long = Buffer.concat([...Array.from({ length: 5 }, () => Buffer.concat([Buffer.from([63]), Buffer.alloc(63, 97)])), Buffer.from([0])]);
  expect(readUpstreamAnswer(answer(long), asked)).toBeUndefined();
  expect(readQuery(Buffer.concat([queryBytes("", TYPE.A, { edns: false }).subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]))).toEqual({
    id: 7,
    rcode: RCODE.FORMERR,
  });
});

test("name servers are addresses; those of the host come from its resolv.conf", async () => {
  expect(parseNameServer("192.0.2.53")).toEqual({ address: "192.0.2.53", port: 53 });
  expect(parseNameServer("[2001:db8::53]:5353")).toEqual({ address: "2001:db8::53", port: 5353 });
  expect(parseNameServer("2001:db8::53")).toEqual({ address: "2001:db8::53", port: 53 });
  for (const bad of ["dns.example", "192.0.2.53:0", "192.0.2.53:70000", "", "192.0.2", "[::1", "1.1.1.1:53:53"])
    expect(() => parseNameServer(bad)).toThrow(/not the address of a name server/);
  const file = join(await mkdtemp(join(tmpdir(), "resolv-")), "resolv.conf");
  await writeFile(file, "# made\nsearch corp.example\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\nnameserver nonsense\noptions edns0\n");
  expect(await hostNameServers(file)).toEqual([
    { address: "192.0.2.1", port: 53 },
    { address: "2001:db8::1", port: 53 },
  ]);
});
