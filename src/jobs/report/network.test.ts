import { expect, test } from "vitest";
import type { Talker } from "../../monitor/index.ts";
import type { TrafficConnection } from "../../network/index.ts";
import { networkFacts } from "./network.ts";

const NONE = { packets: 0, bytes: 0 };
const NETWORK = { jobId: "j", mode: "moderate", subnet: "198.18.0.0/28", gateway: "198.18.0.1", notes: [] } as const;
const tried = { proto: "tcp", dst: "203.0.113.9", port: 443, verdict: "refused", rule: "not-allowed", sent: 0, received: 0, tries: 1 } as const;

/** Who is said to have made a connection of port 40000 at 1,000,000 ms. */
function byOf(talkers: readonly Talker[], connection: Partial<TrafficConnection> = {}): unknown {
  const connections = [{ ...tried, source: 40_000, first: 1_000_000, last: 1_000_000, ...connection }];
  const facts = networkFacts(NETWORK, { jobId: "j", sent: NONE, received: NONE, dropped: [], connections, dns: [], violations: [], coalesced: 0 }, [], talkers);
  expect(facts.connections?.[0]).not.toHaveProperty("source");
  return facts.connections?.[0]?.by;
}

const talker = (pid: number, time: number, more: Partial<Talker> = {}): Talker => ({
  protocol: "tcp",
  port: 40_000,
  time,
  pid,
  program: `/bin/p${pid}`,
  ...more,
});

test("a connection is told with whoever had its port last by then", () => {
  expect(byOf([talker(3, 999_999)])).toEqual({ pid: 3, program: "/bin/p3" });
  expect(byOf([talker(5, 900_000), talker(4, 999_000), talker(3, 1)])).toEqual({ pid: 4, program: "/bin/p4" });
  // The kernel's word may come a little after the gateway's look; what is later had the port afterwards.
  expect(byOf([talker(3, 1_000_100)])).toEqual({ pid: 3, program: "/bin/p3" });
  expect(byOf([talker(3, 1_000_300)])).toBeUndefined();
  expect(byOf([talker(3, 999_999, { program: undefined })])).toEqual({ pid: 3 });
});

test("another port, another protocol, or no port: nobody is named", () => {
  expect(byOf([talker(3, 999_999, { port: 40_001 }), talker(4, 999_999, { protocol: "udp" })])).toBeUndefined();
  expect(byOf([talker(4, 999_999, { protocol: "udp" })], { proto: "udp" })).toEqual({ pid: 4, program: "/bin/p4" });
  expect(byOf([talker(3, 999_999)], { source: undefined })).toBeUndefined();
  expect(byOf([talker(3, 999_999)], { proto: "icmp" })).toBeUndefined();
});
