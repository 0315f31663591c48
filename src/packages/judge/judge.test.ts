import { describe, expect, test } from "vitest";
import { parseNpmLockfile } from "../../inventory/index.ts";
import { LEVELS, type Level } from "../../policy/index.ts";
import { Registries } from "../gate/registries.ts";
import { type JudgeInput, judge } from "./judge.ts";
import { RULE_IDS, type RuleId, verdictOf } from "./rules.ts";

const SHA512 = `sha512-${Buffer.alloc(64, 1).toString("base64")}`;
const OTHER = `sha512-${Buffer.alloc(64, 2).toString("base64")}`;
const SHA1 = `sha1-${Buffer.alloc(20, 1).toString("base64")}`;
const HERE = "https://registry.example/a/-/a-1.0.0.tgz";
const good = { version: "1.0.0", resolved: HERE, integrity: SHA512 };

function input(packages: object, more: Partial<JudgeInput> = {}): JudgeInput {
  return {
    lockfile: parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages: { "": {}, ...packages } }), "package-lock.json"),
    lockfileName: "package-lock.json",
    lineOf: () => 7,
    npmrc: undefined,
    registries: new Registries("https://registry.example/", new Map([["@acme", "https://acme.example/npm/"]])),
    trusted: ["https://mirror.example/npm/"],
    magicOrigin: "https://default.example",
    level: "medium",
    allows: () => false,
    nodeModulesCommitted: false,
    declared: undefined,
    mayLink: (target) => !target.startsWith(".."),
    ...more,
  };
}

const npmrc = (...entries: [string, string][]): Partial<JudgeInput> => ({
  npmrc: { path: ".npmrc", entries: entries.map(([key, value], i) => ({ key, value, line: i + 1 })) },
});

/** One input for each rule, and nothing else wrong with it. */
const BAD: Readonly<Record<Exclude<RuleId, "bundled-mismatch">, JudgeInput>> = {
  "foreign-host": input({ "node_modules/a": { ...good, resolved: "https://evil.example/a.tgz" } }),
  "http-resolved": input({ "node_modules/a": { ...good, resolved: "http://mirror.example/npm/a.tgz" } }, { trusted: ["http://mirror.example/npm/"] }),
  "missing-hash": input({ "node_modules/a": { ...good, integrity: undefined } }),
  "weak-hash": input({ "node_modules/a": { ...good, integrity: SHA1 } }),
  "git-dependency": input({ "node_modules/a": { version: "1.0.0", resolved: "git+https://git.example/a.git#0" } }),
  "url-dependency": input({
    "": { dependencies: { a: "https://files.example/a.tgz" } },
    "node_modules/a": { ...good, resolved: "https://files.example/a.tgz" },
  }),
  "file-outside": input({ "node_modules/a": { link: true, resolved: "../a" } }),
  "npmrc-key": input({}, npmrc(["git", "./x"])),
  "npmrc-registry": input({}, npmrc(["@s:registry", "https://evil.example/"])),
  "committed-node-modules": input({}, { nodeModulesCommitted: true }),
  "lockfile-missing": { ...input({}), lockfile: undefined },
  "lockfile-mismatch": input({ "": { dependencies: { a: "^1.0.0" } } }, { declared: new Map([["a", "^2.0.0"]]) }),
  "conflicting-hash": input({ "node_modules/a": good, "node_modules/b/node_modules/a": { ...good, integrity: OTHER } }),
  "shadowed-name": input({ "node_modules/a": { ...good, name: "not a name/at/all" } }),
};

describe("each rule at each level", () => {
  // The tarballs themselves are needed for the one that is missing here: bundles.test.ts.
  for (const rule of RULE_IDS) {
    if (rule === "bundled-mismatch") continue;
    test.each(LEVELS)(`${rule} at %s`, (level: Level) => {
      const findings = judge({ ...BAD[rule], level });
      expect(findings.map(({ code, decision }) => [code, decision])).toEqual([[rule, verdictOf(rule, level)]]);
    });
  }
});

test("levels only get stricter", () => {
  const order = { warn: 0, review: 1, deny: 2 } as const;
  for (const rule of RULE_IDS) {
    const verdicts = LEVELS.map((level) => order[verdictOf(rule, level)]);
    expect(verdicts, rule).toEqual([...verdicts].sort());
  }
});

test("medium denies what the level table says it denies", () => {
  expect(RULE_IDS.filter((rule) => verdictOf(rule, "medium") !== "deny")).toEqual(["lockfile-missing"]);
});

test("what is fine: configured, scoped, trusted and magic hosts; no address at all; links inside; bundled", () => {
  const packages = {
    "node_modules/a": good,
    "node_modules/@acme/b": { ...good, resolved: "https://acme.example/npm/@acme/b/-/b-1.0.0.tgz" },
    "node_modules/c": { ...good, resolved: "https://mirror.example/npm/c/-/c-1.0.0.tgz" },
    "node_modules/d": { ...good, resolved: "https://default.example/d/-/d-1.0.0.tgz" },
    "node_modules/e": { version: "1.0.0", integrity: SHA512 },
    "node_modules/f": { link: true, resolved: "packages/f" },
    "node_modules/a/node_modules/g": { version: "1.0.0", inBundle: true },
    "packages/f": { version: "1.0.0" },
  };
  expect(judge(input(packages))).toEqual([]);
});

test("a trusted prefix does not trust its neighbours", () => {
  expect(judge(input({ "node_modules/c": { ...good, resolved: "https://mirror.example/other/c.tgz" } }))).toMatchObject([{ code: "foreign-host" }]);
});

test("an exception covers its own subject only; some findings take none", () => {
  const asked: string[] = [];
  const allows = (what: string): boolean => {
    asked.push(what);
    return what === "missing-hash a@1.0.0";
  };
  expect(judge({ ...BAD["missing-hash"], allows })).toEqual([]);
  expect(judge({ ...BAD["conflicting-hash"], allows: () => true })).toMatchObject([{ code: "conflicting-hash" }]);
  expect(judge({ ...BAD["git-dependency"], allows: () => true })[0]).not.toHaveProperty("allow");
  expect(asked).toEqual(["missing-hash a@1.0.0"]);
});

test("the project's .npmrc: what passes, what is dropped, what is refused", () => {
  const refused = (key: string, value = "x"): boolean => judge(input({}, npmrc([key, value]))).length > 0;
  for (const key of ["save-exact", "legacy-peer-deps", "engine-strict", "omit", "fund", "audit", "ignore-scripts", "loglevel"])
    expect(refused(key), key).toBe(false);
  for (const key of [
    "git",
    "script-shell",
    "node-options",
    "cache",
    "prefix",
    "globalconfig",
    "userconfig",
    "init-module",
    "proxy",
    "https-proxy",
    "cafile",
    "strict-ssl",
    "_auth",
    "unheard-of",
    "constructor",
  ]) {
    expect(refused(key), key).toBe(true);
  }
  expect(refused("registry", "https://registry.example/")).toBe(false);
  expect(refused("@acme:registry", "https://acme.example/npm/")).toBe(false);
  expect(refused("//acme.example/npm/:_authToken")).toBe(false);
  expect(refused("//evil.example/:_authToken")).toBe(true);
  expect(refused("registry", "https://registry.example.evil.example/")).toBe(true);
});

test("findings say where", () => {
  expect(judge(BAD["missing-hash"])[0]).toMatchObject({ where: "package-lock.json:7", subject: "a@1.0.0", allow: "missing-hash a@1.0.0" });
  expect(judge(BAD["npmrc-key"])[0]).toMatchObject({ where: ".npmrc:1" });
});
