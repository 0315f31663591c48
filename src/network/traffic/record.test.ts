import { expect, test } from "vitest";
import type { NetworkViolation } from "../contract.ts";
import { THE_REST, TrafficRecord } from "./record.ts";

const at = (port: number) => ({ proto: "tcp", dst: "203.0.113.7", port, domain: "a.example", verdict: "allowed", rule: "a.example" }) as const;

test("attempts at one destination are one row, with first and last, bytes and tries", () => {
  const time = { now: 100 };
  const record = new TrafficRecord(() => time.now);
  const first = record.connection(at(443));
  time.now = 200;
  record.connection({ ...at(443), dst: "203.0.113.8" }).received(30);
  first.sent(5);
  first.received(1);
  expect(record.snapshot().connections).toEqual([{ ...at(443), dst: "203.0.113.8", sent: 5, received: 31, tries: 2, first: 100, last: 200 }]);
});

test("full lists: what is new is counted in one row, bytes add up, and the number left out is told", () => {
  const record = new TrafficRecord(() => 0, { rows: 3, violations: 2 });
  for (let port = 1; port <= 10; port++) record.connection(at(port)).sent(10);
  for (let i = 0; i < 10; i++) record.lookup({ name: `n${i}.example`, type: "A", answers: ["203.0.113.7"], verdict: "refused" });
  for (let i = 0; i < 10; i++) record.violation({ proto: "dns", dst: `n${i}.example`, reason: "not-allowed", message: "" });
  const { connections, dns, violations, coalesced } = record.snapshot();
  expect(connections.map(({ dst, tries, sent }) => [dst, tries, sent])).toEqual([
    ["203.0.113.7", 1, 10],
    ["203.0.113.7", 1, 10],
    ["203.0.113.7", 1, 10],
    [THE_REST, 7, 70],
  ]);
  expect(dns.map(({ name, tries }) => [name, tries])).toEqual([
    ["n0.example", 1],
    ["n1.example", 1],
    ["n2.example", 1],
    [THE_REST, 7],
  ]);
  expect(violations).toHaveLength(2);
  expect(coalesced).toBe(7 + 7 + 8);
});

test("listeners hear the first of a kind; what they throw stays with them", async () => {
  const record = new TrafficRecord(() => 0);
  const heard: NetworkViolation[] = [];
  record.events.on("networkViolation", () => {
    throw new Error("mine");
  });
  record.events.on("networkViolation", async () => await Promise.reject(new Error("mine too")));
  record.events.on("networkViolation", (violation) => void heard.push(violation));
  for (const port of [443, 443, 80]) record.violation({ proto: "tcp", dst: "203.0.113.7", port, reason: "not-allowed", message: "" });
  expect(heard.map(({ port }) => port)).toEqual([443, 80]);
  await new Promise((resolve) => setImmediate(resolve));
});
