import { expect, test } from "vitest";
import type { SocketEvent } from "../event.ts";
import { Scenario } from "../rules/scenario.ts";
import { Talkers } from "./talkers.ts";

const [made] = new Scenario("talkers").take({ connect: "203.0.113.9:443" });
const from = (port: number, socket: Partial<SocketEvent["socket"]> = {}): SocketEvent => {
  if (made?.kind !== "connect") throw new Error("no connect");
  return { ...made, socket: { ...made.socket, local: { address: "198.18.0.2", port }, ...socket } };
};

test("the newest 4,000 are remembered", () => {
  const talkers = new Talkers();
  for (let port = 1; port <= 4100; port++) talkers.take(from(port), undefined);
  const ports = talkers.all().map(({ port }) => port);
  expect(ports).toHaveLength(4000);
  expect(Math.min(...ports)).toBe(101);
  expect(Math.max(...ports)).toBe(4100);
});

test("what has no port of the network is nobody's talk", () => {
  const talkers = new Talkers();
  for (const event of [from(0), from(7, { family: "unix" }), from(7, { type: "raw" }), from(7, { local: undefined })]) talkers.take(event, undefined);
  expect(talkers.all()).toEqual([]);
  talkers.take(from(7, { type: "datagram" }), undefined);
  expect(talkers.all()).toMatchObject([{ protocol: "udp", port: 7, pid: 1, program: undefined }]);
});
