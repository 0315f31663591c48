import fc from "fast-check";
import { expect, test } from "vitest";
import { LIMIT_NAMES, type ResourceLimits } from "./limits.ts";
import { type QuotaLayers, settle } from "./tiers.ts";

const GB = 1e9;
const pool = { cpu: 16, memory: 64 * GB, disk: 500 * GB };
const none: QuotaLayers = { defaults: {}, tiers: {}, organisations: {}, repositories: {} };
const layers = (parts: Partial<QuotaLayers>): QuotaLayers => ({ ...none, ...parts });

test("each layer replaces what stands above it, limit by limit", () => {
  const all = layers({
    defaults: { limits: { cpu: 1, memory: GB, pids: 1000 } },
    organisations: { Acme: { limits: { cpu: 2, memory: 2 * GB } } },
    repositories: { "acme/Web": { limits: { cpu: 3 } } },
  });
  const request = { repository: "acme/web", tier: "normal", requested: {}, pool };
  expect(settle(all, request).limits).toEqual({ cpu: 3, memory: 2 * GB, pids: 1000 });
  expect(settle(all, { ...request, requested: { cpu: 4 } }).limits).toEqual({ cpu: 4, memory: 2 * GB, pids: 1000 });
  expect(settle(all, { ...request, repository: "other/web" }).limits).toEqual({ cpu: 1, memory: GB, pids: 1000 });
});

test("tiers: high is 4 cpus and 8 GB, low half a cpu and 512 MB, normal the defaults", () => {
  const of = (tier: string): ResourceLimits => settle(layers({ defaults: { limits: { memory: GB } } }), { tier, requested: {}, pool }).limits;
  expect(of("high")).toEqual({ cpu: 4, memory: 8 * GB });
  expect(of("normal")).toEqual({ memory: GB });
  expect(of("low")).toEqual({ cpu: 0.5, memory: 0.512 * GB });
  expect(() => of("hihg")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining('did you mean "high"?') }));
  expect(() => of("__proto__")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

test("a tier shrinks to the pool, a request by name does not", () => {
  const small = { cpu: 1.6, memory: 6 * GB, disk: GB };
  expect(settle(none, { tier: "high", requested: {}, pool: small })).toEqual({ limits: { cpu: 1.6, memory: 6 * GB }, capped: [] });
  expect(settle(none, { tier: "high", requested: { cpu: 8 }, pool: small }).limits.cpu).toBe(8);
});

test("a ceiling caps who stands below, and what is not limited at all; the job is told whose it was", () => {
  const all = layers({
    defaults: { ceiling: { memory: 10 * GB, upload: 1e6 } },
    organisations: { acme: { ceiling: { memory: 8 * GB } } },
    repositories: { "acme/web": { limits: { memory: 9 * GB }, ceiling: { memory: 20 * GB } } },
  });
  expect(settle(all, { repository: "acme/web", tier: "normal", requested: { memory: 16 * GB }, pool })).toEqual({
    limits: { memory: 8 * GB, upload: 1e6 },
    capped: [{ limit: "memory", asked: 16 * GB, given: 8 * GB, by: "organisation acme" }],
  });
});

test("no job passes a ceiling above it, whatever the layers say", () => {
  const limits = fc.record(Object.fromEntries(LIMIT_NAMES.map((name) => [name, fc.integer({ min: 1, max: 50 })])), { requiredKeys: [] });
  const layer = fc.record({ limits, ceiling: limits }, { requiredKeys: [] });
  fc.assert(
    fc.property(layer, layer, layer, limits, (defaults, organisation, repository, requested) => {
      const all = layers({ defaults, organisations: { a: organisation }, repositories: { "a/b": repository } });
      const settled = settle(all, { repository: "a/b", tier: "normal", requested, pool: {} });
      for (const name of LIMIT_NAMES) {
        const ceilings = [defaults, organisation, repository].flatMap(({ ceiling }) => ceiling?.[name] ?? []);
        const wanted = requested[name] ?? repository.limits?.[name] ?? organisation.limits?.[name] ?? defaults.limits?.[name];
        const expected = Math.min(...ceilings, wanted ?? Number.POSITIVE_INFINITY);
        expect(settled.limits[name]).toBe(expected === Number.POSITIVE_INFINITY ? undefined : expected);
        expect(settled.capped.some(({ limit }) => limit === name)).toBe(wanted !== undefined && expected < wanted);
      }
    }),
  );
});
