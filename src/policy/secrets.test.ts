import { expect, test } from "vitest";
import { LEVELS, policyFileSchema, presetOf, secretRulesOf } from "./index.ts";

test("what each level means for secrets", () => {
  const [hour, day] = [3_600_000, 86_400_000];
  const usual = { grace: day, every: 90 * day, afterUse: false };
  expect(Object.fromEntries(LEVELS.map((level) => [level, secretRulesOf(presetOf(level))]))).toEqual({
    low: { rotation: usual },
    medium: { rotation: usual },
    high: { rotation: usual, lease: hour, readsPerJob: 1 },
    paranoid: { rotation: { ...usual, afterUse: true }, lease: hour / 6, readsPerJob: 1 },
  });
});

test.each([
  [{ backend: "memory" }, "backend"],
  [{ "passphrase-file": "relative" }, "passphrase-file"],
  [{ "reads-per-job": 0 }, "reads-per-job"],
  [{ lease: "soon" }, "lease"],
  [{ providers: { npm: {} } }, "providers"],
  [{ providers: { npm: { command: ["a"], vault: "b", field: "c" } } }, "providers"],
  [{ providers: { npm: { vault: "b" } } }, "providers"],
  [{ vault: { adress: "https://vault.example" } }, "vault"],
])("%j is no policy", (secrets, where) => {
  const result = policyFileSchema.safeParse({ version: 1, secrets });
  expect(result.error?.issues.map(({ path }) => path.join("."))).toEqual([expect.stringContaining(`secrets.${where}`)]);
});
