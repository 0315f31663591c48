import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KEYS } from "./index.ts";
import { schemaText } from "./publish-schema.ts";

test("the published JSON Schema is current (node src/policy/publish-schema.ts)", () => {
  expect(readFileSync(new URL("../../schema/cofferdam.schema.json", import.meta.url), "utf8")).toBe(schemaText());
});

test("docs/policy.md lists exactly the keys that exist", () => {
  const page = readFileSync(new URL("../../docs/policy.md", import.meta.url), "utf8");
  const listed = [...page.matchAll(/^\| `([a-z.]+)` \|/gm)].map((match) => match[1]);
  expect(listed).toEqual(KEYS.map((rule) => rule.key));
});
