/** The proxy itself, on a loopback socket in place of the jail's door. */
import { BlockList, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { JailProxy, type ProxyEvent, type ProxyOptions, privateAddresses } from "./proxy.ts";

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function listen(onSocket?: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

async function world(
  options: Partial<ProxyOptions> = {},
): Promise<{ ask: (head: string) => Promise<string>; events: ProxyEvent[]; echo: number; proxy: JailProxy }> {
  const events: ProxyEvent[] = [];
  const echo = await listen((socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  const proxy = new JailProxy({
    ...{
      allowed: [`files.example:${echo.port}`],
      onEvent: (event: ProxyEvent) => events.push(event),
      resolve: async () => "127.0.0.1",
      blocked: new BlockList(),
    },
    ...options,
  });
  const door = await listen();
  proxy.serve(door.server);
  open.push(proxy, echo.server);
  const ask = async (head: string): Promise<string> =>
    await new Promise((resolve) => {
      let text = "";
      const socket = connect(door.port, "127.0.0.1", () => socket.write(head));
      const timer = setTimeout(() => socket.destroy(), 700);
      socket.on("data", (piece) => {
        text += String(piece);
        if (text.includes("ping")) socket.end();
      });
      socket.on("error", () => undefined);
      socket.on("close", () => {
        clearTimeout(timer);
        resolve(text);
      });
    });
  return { ask, events, echo: echo.port, proxy };
}

describe("addresses that no grant leads to", () => {
  const list = privateAddresses();
  test.each([
    ...[
      "127.0.0.1",
      "127.255.0.9",
      "10.0.0.1",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.1.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "224.0.0.1",
      "255.255.255.255",
      "198.18.0.1",
    ],
  ])("%s", (address) => expect(list.check(address, "ipv4")).toBe(true));
  test.each(["::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:a00:1", "64:ff9b::7f00:1"])("%s", (address) =>
    expect(list.check(address, "ipv6")).toBe(true),
  );
  test.each(["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "192.0.1.1"])("not %s", (address) => expect(list.check(address, "ipv4")).toBe(false));
  test.each(["2606:4700::1", "::ffff:8.8.8.8"])("not %s", (address) => expect(list.check(address, "ipv6")).toBe(false));
});

test("a granted name is tunnelled, with what was sent along", async () => {
  const { ask, events, echo } = await world();
  expect(await ask(`CONNECT Files.Example:${echo} HTTP/1.1\r\nhost: x\r\n\r\nping`)).toMatch(/^HTTP\/1\.1 200 Connection Established\r\n\r\nping$/);
  expect(events).toEqual([{ target: `Files.Example:${echo}`, connection: 0 }]);
});

test.each([
  ["other.example:443", "not granted"],
  ["files.example:443", "not granted"],
  ["127.0.0.1:443", "address literal"],
  ["[::1]:443", "address literal"],
  ["files.example", "address literal"],
  ["files.example:443@x:1", "address literal"],
  ["2130706433:443", "not granted"],
])("CONNECT %s: 403, %s", async (target, why) => {
  const { ask, events } = await world();
  expect(await ask(`CONNECT ${target} HTTP/1.1\r\nhost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 403 /);
  expect(events).toEqual([{ target, connection: 0, refused: why }]);
});

test("a granted name that leads to the host's own network is refused, by whatever it resolves to", async () => {
  for (const address of ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"]) {
    const { echo } = await world();
    const { ask, events } = await world({ allowed: [`files.example:${echo}`], blocked: privateAddresses(), resolve: async () => address });
    expect(await ask(`CONNECT files.example:${echo} HTTP/1.1\r\nhost: x\r\n\r\nping`)).toMatch(/^HTTP\/1\.1 403 /);
    expect(events).toMatchObject([{ refused: "leads to a private address" }]);
  }
});

test("a name that cannot be resolved or reached is 502, and no refusal of ours", async () => {
  const unknown = await world({ resolve: async () => await Promise.reject(new Error("no such name")) });
  expect(await unknown.ask(`CONNECT files.example:${unknown.echo} HTTP/1.1\r\nhost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 502 /);
  expect(unknown.events.filter(({ refused }) => refused !== undefined)).toEqual([]);
  const closed = await world({ allowed: ["files.example:1"] });
  expect(await closed.ask("CONNECT files.example:1 HTTP/1.1\r\nhost: x\r\n\r\n")).toMatch(/^HTTP\/1\.1 502 /);
});

test("plain requests are refused with their target", async () => {
  const { ask, events } = await world();
  expect(await ask("GET http://files.example:8080/secret HTTP/1.1\r\nhost: files.example\r\n\r\n")).toMatch(
    /^HTTP\/1\.1 403 (?:.*\r?\n)*cofferdam: only CONNECT is offered/,
  );
  expect(events).toEqual([{ target: "files.example:8080", connection: 0, refused: "plain http" }]);
});

test("closing it ends its tunnels", async () => {
  const { ask, events, echo, proxy } = await world();
  const asked = ask(`CONNECT files.example:${echo} HTTP/1.1\r\nhost: x\r\n\r\n`);
  while (events.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  proxy.close();
  const started = Date.now();
  await asked;
  expect(Date.now() - started).toBeLessThan(500);
});
