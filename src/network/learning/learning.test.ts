import fc from "fast-check";
import { expect, test } from "vitest";
import type { NetworkPolicy, TrafficConnection } from "../contract.ts";
import { dryRun } from "./dry-run.ts";
import { learn } from "./learn.ts";
import { type RecordedJob, ruleFor } from "./recorded.ts";

const policy = (allow: readonly string[], parts: Partial<NetworkPolicy> = {}): NetworkPolicy => ({ mode: "moderate", allow, deny: [], ...parts });
const to = (domain: string | undefined, port: number, parts: Partial<TrafficConnection> = {}): TrafficConnection => ({
  ...{ proto: "tcp", dst: "203.0.113.7", port, domain, verdict: "allowed", rule: "mode relaxed", sent: 10, received: 100, tries: 1, first: 0, last: 0 },
  ...parts,
});
const job = (jobId: string, ...connections: readonly TrafficConnection[]): RecordedJob => ({ jobId, connections, coalesced: 0 });

test("what jobs reached and the list lacks, with how many needed it; what was refused stands apart; what nobody used is told", () => {
  const learned = learn(
    [
      job("one", to("a.example", 443), to("listed.example", 443), to("blocked.example", 443, { verdict: "refused" })),
      job("two", to("a.example", 443, { requests: ["GET /x"] }), to("a.example", 443, { verdict: "refused" }), to("time.example", 123, { proto: "udp" })),
      job("three", to(undefined, 5432), to("observed.example", 443, { verdict: "observed" }), to(undefined, 443, { dst: "2001:db8::1" })),
    ],
    policy(["listed.example", "unused.example:443", "*.wide.example"]),
  );
  expect(learned.add.map(({ rule, jobs }) => [rule, jobs])).toEqual([
    ["a.example:443", 2],
    ["203.0.113.7:5432", 1],
    ["[2001:db8::1]:443", 1],
    ["observed.example:443", 1],
    ["time.example:123/udp", 1],
  ]);
  expect(learned.add[0]).toMatchObject({ sent: 20, received: 200, requests: ["GET /x"] });
  expect(learned.refused.map(({ rule }) => rule)).toEqual(["blocked.example:443"]);
  expect(learned.unused).toEqual(["unused.example:443", "*.wide.example"]);
});

test("many names below one parent, and records with gaps, get a word", () => {
  const names = ["a", "b", "c", "d"].map((name) => to(`${name}.store.example`, 443));
  expect(learn([{ ...job("one", ...names), coalesced: 3 }], policy([])).notes).toEqual([
    "1 of 1 jobs went to more places than are on record",
    "4 names lie below store.example: *.store.example would cover them, and all others there",
  ]);
});

test("the rules that are learned allow what was recorded", () => {
  const connections = fc.array(
    fc.record({
      domain: fc.option(fc.constantFrom("a.example", "b.example", "x.b.example"), { nil: undefined }),
      port: fc.constantFrom(80, 443, 5432),
      proto: fc.constantFrom("tcp" as const, "udp" as const),
    }),
  );
  fc.assert(
    fc.property(fc.array(connections, { maxLength: 5 }), fc.subarray(["a.example", "*.b.example:443", "b.example:80"]), (all, allow) => {
      const jobs = all.map((list, i) =>
        job(`job-${i}`, ...list.map(({ domain, port, proto }) => to(domain, port, { proto, dst: domain === undefined ? "203.0.113.8" : "203.0.113.7" }))),
      );
      const learned = learn(jobs, policy(allow));
      expect(dryRun(jobs, policy([...allow, ...learned.add.map(({ rule }) => rule)])).blocked).toEqual([]);
      // None of them is superfluous.
      for (const { rule } of learned.add)
        expect(dryRun(jobs, policy([...allow, ...learned.add.map((one) => one.rule).filter((one) => one !== rule)])).blocked).not.toEqual([]);
    }),
  );
});

test("a dry run: which jobs would have been blocked and where, and of which it cannot be told", () => {
  const jobs = [
    job("fine", to("a.example", 443)),
    job("blocked", to("a.example", 443), to("b.example", 443), to("b.example", 443), to("gone.example", 443, { verdict: "refused" })),
    job("requests", to("api.example", 443, { requests: ["GET /open/x", "POST /secret"] })),
    job("unseen", to("api.example", 443)),
    { ...job("partial", to("a.example", 443)), coalesced: 2 },
    job("inside", to("a.example", 443, { dst: "10.0.0.5" })),
  ];
  const run = dryRun(jobs, policy(["a.example", "api.example GET /open/*"]));
  expect(run.jobs).toBe(6);
  expect(run.blocked).toEqual([
    { jobId: "blocked", blocked: ["b.example:443: not in the allow-list"] },
    { jobId: "requests", blocked: ["api.example:443: no rule allows this request (POST /secret)"] },
    { jobId: "inside", blocked: ["a.example:443: a public name led to a private address"] },
  ]);
  expect(run.untold).toEqual([
    { jobId: "unseen", why: "api.example:443: its requests were not seen" },
    { jobId: "partial", why: "it went to more places than are on record" },
  ]);
});

test("rows that no rule can name are passed over", () => {
  const odd = [
    to("(others)", 443),
    to(undefined, 443, { dst: "(others)" }),
    to("a.example", 443, { port: undefined }),
    to("a.example", 443, { proto: "icmp" }),
  ];
  expect(learn([job("one", ...odd)], policy([])).add).toEqual([]);
  expect(odd.map(ruleFor)).toEqual(["(others):443", "(others):443", undefined, undefined]);
});
