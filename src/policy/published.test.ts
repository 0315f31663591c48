import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { parseBytes, parseDuration } from "../foundation/index.ts";
import { KEYS, policyFileSchema, presetOf, SCRIPT_EXCEPTIONS } from "./index.ts";
import { schemaText } from "./publish-schema.ts";

test("the published JSON Schema is current (node src/policy/publish-schema.ts)", () => {
  expect(readFileSync(new URL("../../schema/cofferdam.schema.json", import.meta.url), "utf8")).toBe(schemaText());
});

test("docs/policy.md lists exactly the keys that exist", () => {
  const page = readFileSync(new URL("../../docs/policy.md", import.meta.url), "utf8");
  const listed = [...page.matchAll(/^\| `([a-z.-]+)` \|/gm)].map((match) => match[1]);
  expect(listed).toEqual(KEYS.map((rule) => rule.key));
});

test("every key that a file may have, but for its version, has a rule", () => {
  const leaves = (node: unknown, path: string): string[] => {
    const { properties } = z.object({ properties: z.record(z.string(), z.unknown()).optional() }).parse(node);
    return properties === undefined ? [path] : Object.entries(properties).flatMap(([name, child]) => leaves(child, path === "" ? name : `${path}.${name}`));
  };
  const keys = leaves(policyFileSchema.toJSONSchema({ unrepresentable: "any", io: "input" }), "").filter((key) => key !== "version");
  expect(keys.sort()).toEqual(KEYS.map((rule) => rule.key).sort());
});

test("docs/policy.md tells the defaults that are", () => {
  const page = readFileSync(new URL("../../docs/policy.md", import.meta.url), "utf8");
  const told = Object.fromEntries([...page.matchAll(/^\| `([a-z]+[a-z.-]+)` \| ([^|]+) \|/gm)].map(([, key = "", text = ""]) => [key, defaultOf(key, text)]));
  expect(told).toEqual(presetOf("medium"));
});

function defaultOf(key: string, text: string): unknown {
  if (key === "scripts.exceptions") return text === "all on" ? Object.fromEntries(SCRIPT_EXCEPTIONS.map((name) => [name, "on"])) : text;
  if (key === "quota.overcommit" || key === "secrets.passphrase-file" || key === "identity.audience") return text;
  if (key === "secrets.grace" || key === "secrets.rotate-every" || key === "jobs.evidence-keep") return parseDuration(text);
  if (key === "jobs.evidence-size") return parseBytes(text);
  if (text === "none")
    return key === "scripts.grants" ||
      key === "jobs.secrets" ||
      /^quota\.(?:defaults|ceiling|tiers|organisations|repositories)$/.test(key) ||
      key === "secrets.providers" ||
      key === "secrets.vault" ||
      key === "identity.jobs" ||
      /^audit\.retention\.(?:categories|standards)$/.test(key)
      ? {}
      : [];
  if (key === "audit.checkpoint.interval" || key === "audit.retention.default") return parseDuration(text);
  if (key === "advisories.ratchet" || key === "jobs.timeout" || key.endsWith("-age")) return parseDuration(text);
  if (text === "true" || text === "false") return text === "true";
  if (key === "packages.keep" || key === "limits.timeout" || key === "scripts.timeout" || key.startsWith("thresholds.")) return parseDuration(text);
  if (key === "limits.tarball" || key === "jobs.log" || key === "limits.unpacked" || key === "scripts.memory" || key === "scripts.disk")
    return parseBytes(text);
  return /^\d+$/.test(text) ? Number(text) : text;
}
