import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type NpmNode, npmMatcher, npmWriter } from "../../../test/world/npm-scripts.ts";
import { type LockedPackage, parseNpmLockfile } from "../../inventory/index.ts";
import { MAX_ENTRIES, NpmApprovals, npmSkipsUnlisted } from "./npm-approvals.ts";
import { parseNpmKey } from "./npm-key.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cofferdam-approvals-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (manifest: object): void => writeFileSync(join(root, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
const allowScripts = (): unknown => JSON.parse(readFileSync(join(root, "package.json"), "utf8")).allowScripts;
const url = (name: string, version: string): string => `https://registry.example/npm/${name}/-/${name.slice(name.indexOf("/") + 1)}-${version}.tgz`;

function locked(path: string, entry: object, dependencies: object = {}): LockedPackage {
  const [found] = parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages: { "": { dependencies }, [path]: entry } }), "package-lock.json").packages;
  if (found === undefined) throw new Error("no entry");
  return found;
}
const registry = (name: string, version: string, resolved: string | undefined = url(name, version)): LockedPackage =>
  locked(`node_modules/${name}`, { version, resolved, integrity: "sha512-x" });

describe("whose word counts", () => {
  const verdict = async (allow: object, one: LockedPackage): Promise<string> => {
    write({ allowScripts: allow });
    return (await new NpmApprovals(root).read()).verdict(one).verdict;
  };

  test.each([
    [{ a: true }, "approved"],
    [{ "a@*": true }, "approved"],
    [{ "a@1.0.0": true }, "approved"],
    [{ "a@0.9.0 || 1.0.0": true }, "approved"],
    [{ "a@1.0.1": true }, "unlisted"],
    [{ "a@v1.0.0": true }, "unlisted"],
    [{ "a@^1.0.0": true }, "unlisted"],
    [{ "a@latest": true }, "unlisted"],
    [{ "nick@npm:a@1.0.0": true }, "unlisted"],
    [{ a: "true" }, "unlisted"],
    [{ a: 1 }, "unlisted"],
    [{ "a@1.0.0": true, a: false }, "denied"],
    [{ a: true, "a@1.0.0": false }, "denied"],
    [{ a: true, "a@2.0.0": false }, "approved"],
  ])("%j: %s", async (allow, expected) => {
    expect(await verdict(allow, registry("a", "1.0.0"))).toBe(expected);
  });

  test("a package is who its address says, not who its entry or its folder claims to be", async () => {
    const forged = locked("node_modules/trusted", { version: "1.0.0", resolved: url("evil", "1.0.0"), integrity: "sha512-x" });
    expect(await verdict({ trusted: true }, forged)).toBe("unlisted");
    expect(await verdict({ evil: true }, forged)).toBe("approved");
    const alias = locked("node_modules/nick", { name: "real", version: "1.0.0", resolved: url("real", "1.0.0"), integrity: "sha512-x" });
    expect([await verdict({ nick: true }, alias), await verdict({ real: true }, alias)]).toEqual(["unlisted", "approved"]);
    const lifted = registry("trusted", "1.0.0", "https://evil.example/-/trusted-1.0.0.tgz");
    expect(await verdict({ "trusted@1.0.0": true }, lifted)).toBe("unlisted");
  });

  test("without an address a version is nobody's word: it is not approved, but it is denied", async () => {
    const bare = locked("node_modules/a", { version: "1.0.0", integrity: "sha512-x" });
    expect(await verdict({ "a@1.0.0": true }, bare)).toBe("unlisted");
    expect(await verdict({ "a@1.0.0": false }, bare)).toBe("denied");
    expect(await verdict({ a: true }, bare)).toBe("approved");
  });

  test("tarballs by path and by URL; bundled packages by nothing", async () => {
    const file = locked("node_modules/f", { version: "1.0.0", resolved: "file:vendor/f.tgz", integrity: "sha512-x" });
    for (const key of ["file:vendor/f.tgz", "./vendor/f.tgz", "file:./vendor/f.tgz"]) expect(await verdict({ [key]: true }, file)).toBe("approved");
    expect(await verdict({ f: true }, file)).toBe("unlisted");
    const remote = locked("node_modules/r", { version: "1.0.0", resolved: "https://x.example/r.tgz", integrity: "sha512-x" }, { r: "https://x.example/r.tgz" });
    expect([await verdict({ "https://x.example/r.tgz": true }, remote), await verdict({ r: true }, remote)]).toEqual(["approved", "unlisted"]);
    const bundled = locked("node_modules/o/node_modules/b", { version: "1.0.0", inBundle: true });
    expect(await verdict({ b: true, "b@1.0.0": true }, bundled)).toBe("unlisted");
  });

  test("package.json before .npmrc, and only the first that has an entry that counts", async () => {
    write({ allowScripts: { "a@^1": true } });
    const lists = ["b, c@1.0.0", "d"];
    const { source, verdict: of, ignored } = await new NpmApprovals(root, lists).read();
    expect([source, of(registry("b", "9.0.0")).verdict, of(registry("d", "1.0.0")).by]).toEqual([".npmrc", "approved", "d"]);
    expect(ignored).toEqual([{ entry: "a@^1", why: expect.stringContaining("range") }]);
    write({ allowScripts: { a: true } });
    const own = await new NpmApprovals(root, lists).read();
    expect([own.source, own.verdict(registry("b", "9.0.0")).verdict]).toEqual(["package.json", "unlisted"]);
    write({ allowScripts: ["a"] });
    expect((await new NpmApprovals(root).read()).source).toBeUndefined();
  });

  test("npm 12 skips what is not listed, npm 11 runs it", () => {
    expect(["12.0.0", "13.1.0", "11.19.1", "6.0.0"].map(npmSkipsUnlisted)).toEqual([true, true, false, false]);
  });
});

const names = fc.constantFrom("a", "b", "@s/a", "constructor");
const versions = fc.constantFrom("1.0.0", "1.0.1", "2.0.0-rc.1");
const specs = fc.constantFrom(
  "",
  "@",
  "@*",
  "@1.0.0",
  "@v1.0.0",
  "@=1.0.0",
  "@1.0.0 || 1.0.1",
  "@ 1.0.1",
  "@^1.0.0",
  "@latest",
  "@>=1",
  "@2.0.0-rc.1",
  "@npm:a@1.0.0",
  "@x y",
);
const policies = fc.dictionary(
  fc.tuple(names, specs).map(([name, spec]) => name + spec),
  fc.oneof({ arbitrary: fc.boolean(), weight: 9 }, { arbitrary: fc.constantFrom("yes", 1, null), weight: 1 }),
  { maxKeys: 5 },
);
const subjects = fc.record({
  name: names,
  version: versions,
  from: names,
  address: fc.constantFrom("registry", "encoded", "mirror", "query", "none"),
  bundled: fc.boolean(),
});

function asNode(one: LockedPackage): NpmNode {
  return {
    name: one.name,
    version: one.version,
    resolved: one.resolved,
    inBundle: one.kind === "bundled",
    isRegistryDependency: one.kind === "registry",
    edgesIn: [{ name: one.name, spec: "*" }],
  };
}

function subject({ name, version, from, address, bundled }: { name: string; version: string; from: string; address: string; bundled: boolean }): LockedPackage {
  const addresses: Readonly<Record<string, string>> = {
    registry: url(from, version),
    encoded: url(from, version).replace("@s/a/-/", "@s%2fa/-/"),
    mirror: `https://mirror.example/download/${from}/${version}`,
    query: `${url(from, version)}?x=1`,
  };
  return locked(`node_modules/${name}`, { version, resolved: addresses[address], integrity: "sha512-x", ...(bundled ? { inBundle: true } : {}) });
}

test("property: the same verdict as npm's own matcher", async () => {
  const { isScriptAllowed } = npmMatcher();
  const words = new Map([
    [true, "approved"],
    [false, "denied"],
    [null, "unlisted"],
  ]);
  await fc.assert(
    fc.asyncProperty(policies, subjects, async (policy, parts) => {
      write({ allowScripts: policy });
      const one = subject(parts);
      expect((await new NpmApprovals(root).read()).verdict(one).verdict).toBe(words.get(isScriptAllowed(asNode(one), policy)));
    }),
    { numRuns: 2000 },
  );
});

test("property: approving and denying leave what npm's own commands leave", async () => {
  const { applyApprovalForPackage, applyDenyForPackage } = npmWriter();
  await fc.assert(
    fc.asyncProperty(policies, fc.uniqueArray(subjects, { minLength: 1, maxLength: 3 }), fc.boolean(), async (policy, parts, approve) => {
      // One name, as npm groups them; and only keys that npm's own commands could have written or kept.
      const group = parts.map((one) => subject({ ...one, name: "a", from: "a", bundled: false }));
      write({ name: "x", allowScripts: policy });
      const nodes = group.map(asNode);
      const theirs = approve ? applyApprovalForPackage(policy, nodes) : applyDenyForPackage(policy, nodes);
      const approvals = new NpmApprovals(root);
      if (theirs.warning?.includes("den") === true) {
        await expect(approvals.approve(group)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
        return;
      }
      await (approve ? approvals.approve(group) : approvals.deny(group));
      const { verdict } = await approvals.read();
      const after = { allowScripts: allowScripts() ?? {} };
      for (const one of group) expect(verdict(one).verdict).toBe(approve ? "approved" : "denied");
      expect(JSON.parse(JSON.stringify(theirs.allowScripts))).toEqual(after.allowScripts);
    }),
    { numRuns: 1000 },
  );
});

describe("editing", () => {
  test("pins what is installed, drops stale pins and the bare name, leaves the rest", async () => {
    write({ name: "x", allowScripts: { "a@0.9.0": true, a: true, "a@0.1.0 || 0.2.0": true, b: false }, license: "MIT" });
    const changes = await new NpmApprovals(root).approve([registry("a", "1.0.0"), registry("a", "2.0.0")]);
    expect(allowScripts()).toEqual({ "a@0.1.0 || 0.2.0": true, b: false, "a@1.0.0": true, "a@2.0.0": true });
    expect(changes).toEqual([
      { entry: '"a@0.9.0": true', change: "removed" },
      { entry: '"a": true', change: "removed" },
      { entry: '"a@1.0.0": true', change: "added" },
      { entry: '"a@2.0.0": true', change: "added" },
    ]);
    expect(await new NpmApprovals(root).approve([registry("a", "1.0.0"), registry("a", "2.0.0")])).toEqual([]);
  });

  test("a denial is not taken back in passing", async () => {
    write({ allowScripts: { a: false } });
    await expect(new NpmApprovals(root).approve([registry("a", "1.0.0")])).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      hint: expect.stringContaining('"a": false'),
    });
    expect(allowScripts()).toEqual({ a: false });
  });

  test("bundled and own packages have no approvals", async () => {
    write({});
    for (const one of [locked("node_modules/o/node_modules/b", { version: "1.0.0", inBundle: true }), locked("packages/w", { version: "1.0.0" })])
      await expect(new NpmApprovals(root).approve([one])).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  test("the mode stays, nothing is left beside the file, and a link is not followed", async () => {
    write({ name: "x" });
    chmodSync(join(root, "package.json"), 0o640);
    await new NpmApprovals(root).deny([registry("a", "1.0.0")]);
    expect([allowScripts(), statSync(join(root, "package.json")).mode & 0o777, readdirSync(root)]).toEqual([{ a: false }, 0o640, ["package.json"]]);
    rmSync(join(root, "package.json"));
    writeFileSync(join(root, "other.json"), "{}");
    symlinkSync("other.json", join(root, "package.json"));
    await expect(new NpmApprovals(root).deny([registry("a", "1.0.0")])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(readFileSync(join(root, "other.json"), "utf8")).toBe("{}");
  });

  test("limits: 4 MiB of package.json, and so many entries", async () => {
    const entries = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, true]));
    write({ allowScripts: entries(MAX_ENTRIES) });
    await new NpmApprovals(root).read();
    write({ allowScripts: entries(MAX_ENTRIES + 1) });
    await expect(new NpmApprovals(root).read()).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    writeFileSync(join(root, "package.json"), `{}${" ".repeat(4 * 2 ** 20 - 2)}`);
    expect((await new NpmApprovals(root).read()).source).toBeUndefined();
    writeFileSync(join(root, "package.json"), `{}${" ".repeat(4 * 2 ** 20 - 1)}`);
    await expect(new NpmApprovals(root).read()).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    rmSync(join(root, "package.json"));
    await expect(new NpmApprovals(root).read()).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

test("entries that npm reads otherwise than one might think", () => {
  expect(parseNpmKey("user/repo")).toMatchObject({ type: "never" });
  expect(parseNpmKey("git+ssh://git@x.example/r.git")).toMatchObject({ type: "never" });
  expect(parseNpmKey("git@x.example:u/r.git")).toMatchObject({ type: "never" });
  expect(parseNpmKey("a@latest")).toMatchObject({ type: "ignored" });
  expect(parseNpmKey("a.tgz")).toEqual({ type: "file", path: "a.tgz" });
  expect(parseNpmKey("@s/a")).toEqual({ type: "name", name: "@s/a" });
});
