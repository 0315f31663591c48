import fc from "fast-check";
import { expect, test } from "vitest";
import { matches, whyNot } from "./access.ts";
import type { KnownJob, SecretAllowList } from "./contract.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const job: KnownJob = {
  jobId: "j",
  active: true,
  repository: "Acme/Web",
  environment: "Production",
  ref: "refs/heads/main",
  job: "publish",
  imageDigest: DIGEST,
};

/** The same as a regular expression, which reads well and takes exponential time when it wants to. */
function naive(pattern: string, text: string): boolean {
  const source = pattern.split("*").map((piece) => piece.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${source.join("[^/]*")}$`).test(text);
}

test("property: a star is any text without a slash, as a regular expression has it", () => {
  const pieces = fc.array(fc.constantFrom("a", "b", "/", "*", ".", "ab"), { maxLength: 8 }).map((list) => list.join(""));
  const texts = fc.array(fc.constantFrom("a", "b", "/", ".", "ab"), { maxLength: 8 }).map((list) => list.join(""));
  fc.assert(
    fc.property(pieces, texts, (pattern, text) => {
      expect(matches(pattern, text)).toBe(naive(pattern, text));
    }),
    { numRuns: 5000 },
  );
});

test("a pattern made of stars takes no time to speak of", () => {
  // As a regular expression this one does not come to an end.
  expect(matches(`${"*a".repeat(250)}b`, "a".repeat(500))).toBe(false);
});

test.each<[SecretAllowList, string | undefined]>([
  [{}, undefined],
  [{ repositories: ["acme/web"] }, undefined],
  [{ repositories: ["ACME/*"] }, undefined],
  [{ repositories: ["acme/w*b", "x/y"] }, undefined],
  [{ repositories: ["acme"] }, "repository Acme/Web"],
  [{ repositories: ["evil/web", "acme/web2", "*"] }, "repository Acme/Web"],
  [{ environments: ["production"] }, undefined],
  [{ environments: ["staging"] }, "environment Production"],
  [{ refs: ["refs/heads/main"] }, undefined],
  [{ refs: ["refs/heads/*"] }, undefined],
  [{ refs: ["refs/heads/Main", "refs/*"] }, "ref refs/heads/main"],
  [{ jobs: ["pub*"] }, undefined],
  [{ jobs: ["Publish"] }, "job name publish"],
  [{ imageDigests: [DIGEST] }, undefined],
  [{ imageDigests: [`sha256:${"b".repeat(64)}`] }, `image ${DIGEST}`],
  [{ repositories: ["acme/web"], refs: ["refs/tags/*"] }, "ref refs/heads/main"],
])("%j", (allow, expected) => {
  expect(whyNot(allow, job)).toBe(expected);
});

test("what a list asks for and nobody knows is a refusal", () => {
  const unknown: KnownJob = { jobId: "j", active: true, repository: "acme/web" };
  expect(whyNot({ environments: ["*"] }, unknown)).toBe("environment unknown");
  expect(whyNot({ refs: ["refs/heads/*"] }, unknown)).toBe("ref unknown");
  expect(whyNot({ jobs: ["*"] }, unknown)).toBe("job name unknown");
  expect(whyNot({ imageDigests: [DIGEST] }, unknown)).toBe("image unknown");
});
