import { describe, expect, test } from "vitest";
import { parseNpmLockfile } from "../../inventory/index.ts";
import { LEVELS, type Level } from "../../policy/index.ts";
import type { Approvals, Verdict } from "./approvals.ts";
import { approvalKey, decide, grantFor, type ScriptRules } from "./decide.ts";
import { projectSubject, type ScriptSubject, subjectOf } from "./subject.ts";

const SHA = `sha512-${"A".repeat(86)}==`;
const url = (name: string): string => `https://registry.example/${name}/-/${name}-1.0.0.tgz`;

function subject(path: string, entry: object): ScriptSubject {
  const [locked] = parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages: { [path]: entry } }), "package-lock.json").packages;
  const found = locked === undefined ? undefined : subjectOf(locked);
  if (found === undefined) throw new Error("no subject");
  return found;
}
const a = subject("node_modules/a", { version: "1.0.0", resolved: url("a"), integrity: SHA });
const bundled = subject("node_modules/o/node_modules/b", { version: "1.0.0", inBundle: true });
const workspace = subject("packages/w", { version: "1.0.0" });

const approvals = (verdict: Verdict): Approvals => ({
  source: verdict === "unlisted" ? undefined : "package.json",
  field: "allowScripts",
  ignored: [],
  verdict: () => ({ verdict, by: verdict === "unlisted" ? undefined : "a@1.0.0" }),
});
const rules = (level: Level, verdict: Verdict, more: Partial<ScriptRules> = {}): ScriptRules => ({
  level,
  approvals: approvals(verdict),
  clientSkipsUnlisted: true,
  ignoreScripts: false,
  approved: [],
  grants: {},
  ...more,
});
const row = (one: ScriptSubject, verdict: Verdict, more: Partial<ScriptRules> = {}): string[] =>
  LEVELS.map((level) => {
    const { run, review } = decide(rules(level, verdict, more), one);
    return review === undefined ? run : `${run}, review`;
  });

describe("every cell of the table", () => {
  test.each([
    ["own code", projectSubject("x", undefined), "unlisted", {}, ["jailed", "jailed", "jailed", "skipped"]],
    ["a workspace", workspace, "unlisted", {}, ["jailed", "jailed", "jailed", "skipped"]],
    ["denied", a, "denied", {}, ["skipped", "skipped", "skipped", "skipped"]],
    ["denied, and approved with its hash", a, "denied", { approved: [`a@1.0.0#${SHA}`] }, ["skipped", "skipped", "skipped", "skipped"]],
    ["approved by the client", a, "approved", {}, ["jailed", "jailed", "skipped, review", "skipped"]],
    ["approved with its hash", a, "unlisted", { approved: [`a@1.0.0#${SHA}`] }, ["jailed", "jailed", "jailed", "skipped"]],
    [
      "approved with another hash",
      a,
      "unlisted",
      { approved: [`a@1.0.0#sha512-${"B".repeat(86)}==`] },
      ["jailed", "skipped, review", "skipped, review", "skipped"],
    ],
    ["unlisted, npm 12", a, "unlisted", {}, ["jailed", "skipped, review", "skipped, review", "skipped"]],
    ["unlisted, npm 11", a, "unlisted", { clientSkipsUnlisted: false }, ["jailed", "jailed", "skipped, review", "skipped"]],
    ["bundled, npm 12", bundled, "unlisted", {}, ["jailed", "skipped, review", "skipped, review", "skipped"]],
    ["ignore-scripts", projectSubject("x", undefined), "approved", { ignoreScripts: true }, ["skipped", "skipped", "skipped", "skipped"]],
  ] as const)("%s", (_name, one, verdict, more, expected) => {
    expect(row(one, verdict, more)).toEqual(expected);
  });
});

describe("words", () => {
  test("a review says how to read and how to allow", () => {
    expect(decide(rules("medium", "unlisted"), a)).toMatchObject({
      package: "a@1.0.0",
      why: "not in allowScripts of package.json",
      review: {
        message: "install script, not in allowScripts of package.json",
        read: "cofferdam scripts show a@1.0.0",
        allow: "cofferdam scripts approve a@1.0.0",
      },
    });
    expect(decide(rules("high", "approved"), a).review?.message).toContain("level high asks for an approval with its hash");
  });

  test("what nothing can approve has no line that says so", () => {
    expect(decide(rules("medium", "unlisted"), bundled).review).toMatchObject({ allow: undefined });
    const weak = subject("node_modules/a", { version: "1.0.0", resolved: url("a"), integrity: "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=" });
    expect(decide(rules("high", "unlisted"), weak).review).toMatchObject({ allow: undefined });
    expect(approvalKey(weak)).toBeUndefined();
  });
});

describe("grants", () => {
  const grants = { a: { net: ["a.example:1"] }, "a@1.0.0": { net: ["b.example:1"], write: ["out"] }, [`a@1.0.0#${SHA}`]: { write: ["bound"] } };
  const { a: byName, "a@1.0.0": byVersion } = grants;

  test("the most exact key counts alone", () => {
    expect(grantFor({ level: "medium", grants }, a)).toEqual({ key: `a@1.0.0#${SHA}`, grant: { write: ["bound"] } });
    expect(grantFor({ level: "medium", grants: { a: byName, "a@1.0.0": byVersion } }, a)?.key).toBe("a@1.0.0");
    expect(grantFor({ level: "low", grants: { a: byName } }, a)?.key).toBe("a");
    expect(grantFor({ level: "low", grants: { "a@1.0.0": {}, a: byName } }, a)).toEqual({ key: "a@1.0.0", grant: {} });
  });

  test("at high only a key with the hash", () => {
    expect(grantFor({ level: "high", grants }, a)?.key).toBe(`a@1.0.0#${SHA}`);
    expect(grantFor({ level: "high", grants: { a: byName, "a@1.0.0": byVersion } }, a)).toBeUndefined();
  });

  test("a name that is only claimed gets nothing", () => {
    const forged = subject("node_modules/a", { version: "1.0.0", resolved: url("evil"), integrity: `sha512-${"B".repeat(86)}==` });
    const remote = subject("node_modules/a", { version: "1.0.0", resolved: "file:a.tgz", integrity: `sha512-${"B".repeat(86)}==` });
    const claimed = subject("node_modules/o/node_modules/a", { version: "1.0.0", inBundle: true });
    for (const one of [forged, remote, claimed]) expect(grantFor({ level: "medium", grants }, one)).toBeUndefined();
    for (const name of ["constructor", "toString"])
      expect(
        grantFor({ level: "low", grants: {} }, subject(`node_modules/${name}`, { version: "1.0.0", resolved: url(name), integrity: SHA })),
      ).toBeUndefined();
  });

  test("own code by its place, since a repository names its packages as it likes", () => {
    const named = projectSubject("a", "1.0.0");
    const folder = subject("packages/a", { name: "a", version: "1.0.0" });
    for (const one of [named, folder]) expect(grantFor({ level: "low", grants }, one)).toBeUndefined();
    const places = { ".": { write: ["dist"] }, "./packages/a": { net: ["a.example:1"] } };
    expect(grantFor({ level: "medium", grants: places }, named)?.key).toBe(".");
    expect(grantFor({ level: "medium", grants: places }, folder)?.key).toBe("./packages/a");
    for (const one of [named, folder]) expect(grantFor({ level: "high", grants: places }, one)).toBeUndefined();
  });

  test("what is skipped has none", () => {
    expect(decide(rules("medium", "approved", { grants }), a).grant).toEqual({ net: [], write: ["bound"], key: `a@1.0.0#${SHA}` });
    expect(decide(rules("medium", "denied", { grants }), a).grant).toEqual({ net: [], write: [], key: undefined });
  });
});
