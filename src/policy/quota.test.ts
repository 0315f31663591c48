import { expect, test } from "vitest";
import { ResourceQuotaManager } from "../quota/index.ts";
import { presetOf, quotaOptionsOf } from "./index.ts";
import { parsePolicy } from "./parse.ts";
import { valuesOf } from "./values.ts";

const quota = (text: string): ReturnType<typeof quotaOptionsOf> => {
  const { policy } = parsePolicy(`version: 1\nquota: ${text}\n`, "f");
  return quotaOptionsOf({ ...presetOf("medium"), ...valuesOf(policy) });
};

test("the keys become options that the quota manager takes", () => {
  const options = quota(
    "{overcommit: cpu, overcommit-ratio: 150, slots: 3, defaults: {cpu: 2, memory: 4GiB, swap: 0, read-rate: 10MB/s}, ceiling: {upload: 100Mbit/s}, organisations: {acme: {ceiling: {memory: 8GiB}}}, repositories: {acme/web: {limits: {write-ops: 500}}}, tiers: {big: {cpu: 8}}}",
  );
  expect(options).toEqual({
    quotaEnforcement: "hard",
    hostShare: 80,
    slots: 3,
    enableOvercommit: true,
    overcommitMemory: false,
    overcommitRatio: 1.5,
    defaults: { cpu: 2, memory: "4GiB", swap: 0, readRate: "10MB/s" },
    ceiling: { upload: "100Mbit/s" },
    tiers: { big: { cpu: 8 } },
    organisations: { acme: { ceiling: { memory: "8GiB" } } },
    repositories: { "acme/web": { limits: { writeOps: 500 } } },
  });
  expect(() => new ResourceQuotaManager(undefined, options)).not.toThrow();
  for (const level of ["low", "medium", "high", "paranoid"] as const)
    expect(() => new ResourceQuotaManager(undefined, quotaOptionsOf(presetOf(level)))).not.toThrow();
});

test.each([
  ["{defaults: {memory: 4gb}}", /quota\.defaults\.memory.*did you mean 4GB or 4GiB/],
  ["{defaults: {memroy: 4GB}}", /quota\.defaults\.memroy.*no such limit/],
  ["{tiers: {big: {cpu: many}}}", /quota\.tiers\.big\.cpu.*not a number of cpus/],
  ["{repositories: {web: {limits: {cpu: 1}}}}", /quota\.repositories\.web/],
  ["{organisations: {acme: {cpu: 1}}}", /unknown key/],
  ["{host-share: 101}", /quota\.host-share/],
])("%s is refused with the place and what was meant", (text, words) => {
  expect(() => quota(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(words) }));
});
