import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { addApprovedScripts, type EffectivePolicy, loadPolicy, parseScriptKey, removeApprovedScripts, TrustStore } from "./index.ts";
import { parsePolicy } from "./parse.ts";

const SHA = `sha512-${"A".repeat(86)}==`;
const accepts = (scripts: object): boolean => {
  try {
    parsePolicy(JSON.stringify({ version: 1, scripts }), "cofferdam.yaml");
    return true;
  } catch {
    return false;
  }
};

describe("what a grant may say", () => {
  test.each([
    ["storage.example.com:443", true],
    ["registry:4873", true],
    ["xn--bcher-kva.example:65535", true],
    ["a.example", false],
    ["a.example:0", false],
    ["a.example:65536", false],
    ["a.example:0443", false],
    ["*.example:443", false],
    ["A.example:443", false],
    ["127.0.0.1:80", false],
    ["127.1:80", false],
    ["2130706433:80", false],
    ["0x7f000001:80", false],
    ["0x:80", false],
    ["a.0x7f:80", false],
    ["[::1]:80", false],
    ["::1:80", false],
    ["localhost:80", false],
    ["x.localhost:80", false],
    ["a.example.:443", false],
    ["-a.example:443", false],
    ["a..example:443", false],
    [`${"a".repeat(64)}.example:443`, false],
    ["a.example:443/x", false],
    ["u@a.example:443", false],
    ["https://a.example:443", false],
    ["a_b.example:443", false],
    ["", false],
  ])("net %j: %j", (entry, fine) => {
    expect(accepts({ grants: { a: { net: [entry] } } })).toBe(fine);
  });

  test.each([
    ["node_modules/.prisma", true],
    ["node_modules/other/build", true],
    ["packages/a/dist", true],
    ["a..b", true],
    ["/etc", false],
    ["../x", false],
    ["a/../../x", false],
    ["./a", false],
    ["a//b", false],
    ["a/", false],
    ["", false],
    [".", false],
    ["a\\b", false],
    ["a\u0000b", false],
    [".git", false],
    [".git/config", false],
    [".GIT/hooks", false],
    [".github/workflows", false],
    [".gitmodules", false],
    ["vendor/.git/hooks", false],
    ["package.json", false],
    ["packages/a/package.json", false],
    ["package-lock.json", false],
    ["node_modules/.package-lock.json", false],
    ["pnpm-lock.yaml", false],
    ["cofferdam.yaml", false],
    [".npmrc", false],
    ["node_modules", false],
    ["packages/a/node_modules", false],
    ["node_modules/.bin", false],
    ["node_modules/.bin/tsc", false],
    ["packages/a/node_modules/.BIN/tsc", false],
  ])("write %j: %j", (entry, fine) => {
    expect(accepts({ grants: { a: { write: [entry] } } })).toBe(fine);
  });

  test.each([
    ["esbuild", true],
    ["@prisma/client", true],
    ["constructor", true],
    ["esbuild@0.25.2", true],
    [`@s/a@1.0.0-rc.1+b#${SHA}`, true],
    [".", true],
    ["./packages/x", true],
    ["./", false],
    ["./../x", false],
    ["..", false],
    ["./a//b", false],
    ["esbuild@^1.0.0", false],
    ["esbuild@latest", false],
    ["esbuild@*", false],
    [`esbuild#${SHA}`, false],
    ["esbuild@1.0.0#sha1-x", false],
    ["esbuild@1.0.0#sha512-short", false],
    ["../x", false],
    ["a/b", false],
    ["", false],
  ])("key %j: %j", (key, fine) => {
    expect(accepts({ grants: { [key]: {} } })).toBe(fine);
  });

  test("a key named __proto__ is no entry", () => {
    expect(parsePolicy('{"version": 1, "scripts": {"grants": {"__proto__": {"net": ["a.example:1"]}}}}', "x").policy.scripts?.grants).toEqual({});
  });

  test("lists and maps have an end", () => {
    const many = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, {}]));
    expect([accepts({ grants: many(1000) }), accepts({ grants: many(1001) })]).toEqual([true, false]);
    const hosts = (count: number): string[] => Array.from({ length: count }, (_, i) => `h${i}.example:1`);
    expect([accepts({ grants: { a: { net: hosts(100) } } }), accepts({ grants: { a: { net: hosts(101) } } })]).toEqual([true, false]);
  });

  test("an approval is bound to a hash; an exception must be one that ships", () => {
    expect(accepts({ approved: [`a@1.0.0#${SHA}`] })).toBe(true);
    expect([accepts({ approved: ["a@1.0.0"] }), accepts({ approved: ["a"] })]).toEqual([false, false]);
    expect(accepts({ exceptions: { husky: "off" } })).toBe(true);
    expect([accepts({ exceptions: { huskey: "off" } }), accepts({ exceptions: { husky: true } })]).toEqual([false, false]);
  });

  test("a key taken apart", () => {
    expect(parseScriptKey(`@s/a@1.0.0#${SHA}`)).toEqual({ name: "@s/a", version: "1.0.0", integrity: SHA });
    expect(parseScriptKey("a")).toEqual({ name: "a", version: undefined, integrity: undefined });
    expect([parseScriptKey("a@1"), parseScriptKey("x".repeat(215))]).toEqual([undefined, undefined]);
  });
});

describe("files over files", () => {
  let base: string;
  beforeEach(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), "cofferdam-policy-scripts-")));
    for (const name of ["repo/.git", "etc", "home/.config/cofferdam"]) mkdirSync(join(base, name), { recursive: true });
  });
  afterEach(() => rmSync(base, { recursive: true }));
  const repository = (): string => join(base, "repo/cofferdam.yaml");
  const user = (): string => join(base, "home/.config/cofferdam/cofferdam.yaml");
  const write = (path: string, text: string): void => writeFileSync(path, `version: 1\n${text}`);
  const load = (): Promise<EffectivePolicy> => loadPolicy({ cwd: join(base, "repo"), env: { HOME: join(base, "home") }, etcFolder: join(base, "etc") });

  test("maps are merged entry by entry, the stronger file's entry as a whole", async () => {
    write(user(), "scripts: {grants: {a: {net: ['a.example:1']}, b: {net: ['b.example:1'], write: [out]}}, exceptions: {husky: off}}\n");
    write(join(base, "named.yaml"), "scripts: {grants: {b: {write: [build]}, constructor: {net: ['c.example:1']}}, exceptions: {prisma: off}}\n");
    const policy = await loadPolicy({
      cwd: join(base, "repo"),
      env: { HOME: join(base, "home") },
      etcFolder: join(base, "etc"),
      configPath: join(base, "named.yaml"),
    });
    expect(policy.values["scripts.grants"]).toEqual({ a: { net: ["a.example:1"] }, b: { write: ["build"] }, constructor: { net: ["c.example:1"] } });
    expect(policy.values["scripts.exceptions"]).toEqual({ esbuild: "on", husky: "off", prisma: "off" });
    expect(policy.origins.get("scripts.grants")?.over).toEqual([`${user()}:2`]);
  });

  test("of an untrusted repository what tightens is applied, and what loosens is named with its line", async () => {
    write(user(), "scripts: {grants: {a: {net: ['a.example:1', 'b.example:1']}, b: {write: [out]}}, exceptions: {husky: off}}\n");
    write(
      repository(),
      `scripts:
  approved: ["a@1.0.0#${SHA}"]
  grants:
    a: {net: ["a.example:1"]}
    b: {write: [out, more]}
    lodash.merge@1.0.0: {net: ["evil.example:443"]}
  exceptions:
    husky: on
    prisma: off
`,
    );
    const before = await load();
    expect(before.values["scripts.approved"]).toEqual([]);
    expect(before.values["scripts.grants"]).toEqual({ a: { net: ["a.example:1"] }, b: { write: ["out"] } });
    expect(before.values["scripts.exceptions"]).toEqual({ esbuild: "on", husky: "off", prisma: "off" });
    expect(before.notices).toEqual([
      "ignored: cofferdam.yaml:3 loosens scripts.approved; read the file, then: cofferdam policy trust",
      "ignored: cofferdam.yaml:6 loosens scripts.grants of b; read the file, then: cofferdam policy trust",
      "ignored: cofferdam.yaml:7 loosens scripts.grants of lodash.merge@1.0.0; read the file, then: cofferdam policy trust",
      "ignored: cofferdam.yaml:9 loosens scripts.exceptions of husky; read the file, then: cofferdam policy trust",
    ]);
    await new TrustStore(join(base, "home/.config/cofferdam")).trust(repository(), parsePolicy(readFileSync(repository(), "utf8"), "x").sha256, "2026-01-01");
    const after = await load();
    expect(after.notices).toEqual([]);
    expect(after.values["scripts.grants"]).toMatchObject({ b: { write: ["out", "more"] }, "lodash.merge@1.0.0": { net: ["evil.example:443"] } });
    expect(after.values["scripts.exceptions"].husky).toBe("on");
    expect(after.values["scripts.approved"]).toEqual([`a@1.0.0#${SHA}`]);
  });

  test.each(["scripts.grants", "scripts.approved", "scripts.exceptions"])("a lock of %s binds lower files, tightening ones too", async (key) => {
    write(join(base, "etc/cofferdam.yaml"), `scripts: {grants: {a: {net: ["a.example:1", "b.example:1"]}}}\nlocks: [${key}]\n`);
    const texts: Readonly<Record<string, string>> = {
      "scripts.grants": "grants: {a: {net: ['a.example:1']}}",
      "scripts.approved": `approved: ["a@1.0.0#${SHA}"]`,
      "scripts.exceptions": "exceptions: {husky: off}",
    };
    write(user(), `scripts: {${texts[key]}}\n`);
    await expect(load()).rejects.toMatchObject({ code: "POLICY_LOCKED", message: expect.stringContaining(`${key} is locked`) });
    // A stranger's wish to loosen runs into no lock: it is not looked at.
    rmSync(user());
    write(repository(), "scripts: {grants: {a: {net: ['c.example:1']}}}\n");
    expect((await load()).notices).toEqual([expect.stringContaining("loosens scripts.grants of a")]);
  });

  test("approvals are added once and taken out, and the file stays as it was written", async () => {
    writeFileSync(repository(), "# ours\nversion: 1\nscripts:\n  grants: {a: {}} # kept\n");
    const edit = await addApprovedScripts(repository(), [`a@1.0.0#${SHA}`, `b@1.0.0#${SHA}`]);
    await addApprovedScripts(repository(), [`a@1.0.0#${SHA}`]);
    const text = readFileSync(repository(), "utf8");
    expect(text).toMatch(/^# ours\n[\s\S]*# kept\n/);
    expect(parse(text).scripts.approved).toEqual([`a@1.0.0#${SHA}`, `b@1.0.0#${SHA}`]);
    expect(edit.sha256After).toBe(parsePolicy(text, "x").sha256);
    await removeApprovedScripts(repository(), (key) => key.startsWith("a@"));
    expect(parse(readFileSync(repository(), "utf8")).scripts).toEqual({ grants: { a: {} }, approved: [`b@1.0.0#${SHA}`] });
    expect(await removeApprovedScripts(repository(), () => false)).toBeUndefined();
    await expect(addApprovedScripts(repository(), ["a@1.0.0"])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
