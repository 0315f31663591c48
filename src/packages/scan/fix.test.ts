import fc from "fast-check";
import { satisfies, valid } from "semver";
import { describe, expect, test } from "vitest";
import { type Asking, type FixRequest, smallestFix } from "./fix.ts";

const project: Asking = { by: "app", path: "", range: "^1.0.0", direct: true };
const a: Asking = { by: "a@1.0.0", path: "node_modules/a", range: "^1.1.0", direct: false };
const request = (more: Partial<FixRequest> = {}): FixRequest => ({
  name: "b",
  version: "1.1.0",
  findings: [{ malware: false, fixed: ["1.2.4", "2.0.1"] }],
  isAffected: (version) => satisfies(version, "<1.2.4 || >=2.0.0 <2.0.1"),
  dependents: [a],
  dev: false,
  ...more,
});

describe("the version", () => {
  test("smallest that no advisory affects, whichever record names it", () => {
    const findings = [
      { malware: false, fixed: ["1.2.4"] },
      { malware: false, fixed: ["1.3.0", "1.2.9"] },
    ];
    expect(smallestFix(request({ findings, isAffected: (version) => satisfies(version, "<1.2.9") })).version).toBe("1.2.9");
    expect(smallestFix(request({ findings, isAffected: () => true })).version).toBeUndefined();
  });

  test("a pre-release only where no release is clean, or one is installed", () => {
    const findings = [{ malware: false, fixed: ["1.2.0-rc.1", "2.0.0"] }];
    const isAffected = (): boolean => false;
    expect(smallestFix(request({ findings, isAffected })).version).toBe("2.0.0");
    expect(smallestFix(request({ findings: [{ malware: false, fixed: ["1.2.0-rc.1"] }], isAffected })).version).toBe("1.2.0-rc.1");
    expect(smallestFix(request({ findings, isAffected, version: "1.2.0-rc.0" })).version).toBe("1.2.0-rc.1");
  });

  test("what cannot be compared has none", () => {
    expect(smallestFix(request({ version: "not a version" }))).toEqual({ note: "its version cannot be compared with others; a@1.0.0 brings it" });
    for (const version of ["v1.1.0", "1.1.0beta", "=1.1.0"]) expect(smallestFix(request({ version })).version).toBe("1.2.4");
    expect(smallestFix(request({ findings: [{ malware: false, fixed: ["nonsense", "1.2", ""] }], isAffected: () => false })).version).toBeUndefined();
  });

  const part = fc.nat({ max: 3 });
  const release = fc.tuple(part, part, part).map((numbers) => numbers.join("."));
  const anyVersion = fc.tuple(release, fc.constantFrom("", "", "-rc.1", "-alpha")).map((parts) => parts.join(""));

  test("property: as a naive search finds it", () => {
    fc.assert(
      fc.property(anyVersion, fc.array(fc.array(anyVersion, { maxLength: 6 }), { maxLength: 4 }), fc.uniqueArray(anyVersion), (version, lists, bad) => {
        const isAffected = (one: string): boolean => bad.includes(one);
        const fix = smallestFix(request({ version, findings: lists.map((fixed) => ({ malware: false, fixed })), isAffected })).version;
        const clean = lists.flat().filter((one) => satisfies(one, `>${version}`, { includePrerelease: true }) && !isAffected(one));
        const wanted = version.includes("-") || clean.every((one) => one.includes("-")) ? clean : clean.filter((one) => !one.includes("-"));
        if (fix === undefined) expect(wanted).toEqual([]);
        else {
          expect(wanted).toContain(fix);
          for (const one of wanted) expect(satisfies(one, `>=${fix}`, { includePrerelease: true })).toBe(true);
          const major = (of: string): string => of.split(".")[0] ?? "";
          if (wanted.some((one) => major(one) === major(version))) expect(major(fix)).toBe(major(version));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("the command", () => {
  test("direct: that version; for development where only development needs it", () => {
    expect(smallestFix(request({ dependents: [project] }))).toEqual({ version: "1.2.4", command: "npm install b@1.2.4 --package-lock-only" });
    expect(smallestFix(request({ dependents: [project, a], dev: true })).command).toBe("npm install -D b@1.2.4 --package-lock-only");
  });

  test("direct, of workspaces: each of them is named", () => {
    const inside: Asking = { by: "web", path: "packages/web", range: "~1.1.0", direct: true };
    expect(smallestFix(request({ dependents: [inside] })).command).toBe("npm install b@1.2.4 -w packages/web --package-lock-only");
    expect(smallestFix(request({ dependents: [inside, project] })).command).toBe(
      "npm install b@1.2.4 -w packages/web --include-workspace-root --package-lock-only",
    );
    expect(smallestFix(request({ dependents: [{ ...inside, path: "it's; reboot" }] })).command).toBeUndefined();
  });

  test("a direct one that another keeps a copy of says so", () => {
    const pinned: Asking = { by: "c@3.0.0", path: "node_modules/c", range: "1.1.0", direct: false };
    expect(smallestFix(request({ dependents: [project, pinned] }))).toEqual({
      version: "1.2.4",
      command: "npm install b@1.2.4 --package-lock-only",
      note: 'c@3.0.0 asks for 1.1.0 and keeps its own copy: upgrade c, or in package.json: "overrides": {"b@1.1.0":"1.2.4"}',
    });
  });

  test("transitive: an update where every range admits it, else what stands in the way", () => {
    expect(smallestFix(request())).toEqual({ version: "1.2.4", command: "npm update b --package-lock-only" });
    expect(smallestFix(request({ dependents: [a, { ...a, by: "@s/c@3.0.0", range: "~1.1.0" }] }))).toEqual({
      version: "1.2.4",
      note: '@s/c@3.0.0 asks for ~1.1.0: upgrade @s/c, or in package.json: "overrides": {"b@1.1.0":"1.2.4"}',
    });
    const twice = [a, { ...a, path: "node_modules/c/node_modules/a" }].map((one) => ({ ...one, range: "1.1.0" }));
    expect(smallestFix(request({ dependents: twice })).note).toMatch(/^a@1\.0\.0 asks for 1\.1\.0: upgrade a, or/);
    const many = Array.from({ length: 5 }, (_, i): Asking => ({ ...a, by: `p${i}@1.0.0`, range: "1.1.0" }));
    expect(smallestFix(request({ dependents: many })).note).toMatch(
      /^p0@1\.0\.0 asks for 1\.1\.0, p1@.*, p2@1\.0\.0 asks for 1\.1\.0 and 2 more: upgrade those, or/,
    );
  });

  test("a range that npm would not take a pre-release for is in the way", () => {
    const only = request({ findings: [{ malware: false, fixed: ["1.2.0-rc.1"] }], isAffected: () => false });
    expect(smallestFix(only)).toEqual({ version: "1.2.0-rc.1", note: expect.stringMatching(/^a@1\.0\.0 asks for \^1\.1\.0: /) });
  });

  test("tags and addresses are no ranges; an alias is changed where it stands", () => {
    const tagged: Asking = { ...a, range: "latest" };
    expect(smallestFix(request({ dependents: [tagged] }))).toEqual({ version: "1.2.4", note: expect.stringContaining("asks for latest") });
    expect(smallestFix(request({ dependents: [{ ...a, range: "npm:b@^1.0.0" }] })).command).toBe("npm update b --package-lock-only");
    for (const range of ["npm:b@^1.0.0", "git+ssh://git@host.example/b.git", "user/b", "file:../b"]) {
      expect(smallestFix(request({ dependents: [{ ...project, range }] }))).toEqual({
        version: "1.2.4",
        note: `app asks for ${range}: change it in package.json to one that gives 1.2.4`,
      });
    }
  });

  test("nobody asks for it: only the version", () => expect(smallestFix(request({ dependents: [] }))).toEqual({ version: "1.2.4" }));

  test("malware goes back to a version that is known, exactly; or out", () => {
    const bad = { findings: [{ malware: true, fixed: [] }], isAffected: (version: string): boolean => version === "1.1.0", dependents: [project] };
    expect(smallestFix(request({ ...bad, known: ["1.0.1", "1.0.9", "1.1.0", "2.0.0"] }))).toEqual({
      version: "1.0.9",
      command: "npm install b@1.0.9 --save-exact --package-lock-only",
    });
    expect(smallestFix(request(bad))).toEqual({ command: "npm uninstall b --package-lock-only", note: "malware, and no clean version is on record" });
    expect(smallestFix(request({ ...bad, dependents: [a] }))).toEqual({ note: "malware, and no clean version is on record; a@1.0.0 brings it" });
    // Only malware is a reason to go back.
    expect(smallestFix(request({ ...bad, findings: [{ malware: false, fixed: [] }], known: ["1.0.9"] })).version).toBeUndefined();
  });

  test("property: whatever the files say, a command has no word of a shell's", () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 20 }),
      fc.constantFrom("-g", "$(reboot)", "~root", "a b", "a;b", "a\nb", "@s/../x", "`x`", "b", "@s/b", "!1", "{a,b}", "*", "#b"),
    );
    const asking = fc.record({ by: text, path: text, range: fc.oneof(text, fc.constantFrom("*", undefined)), direct: fc.boolean() });
    fc.assert(
      fc.property(text, fc.array(text), fc.array(asking, { maxLength: 4 }), fc.boolean(), (name, fixed, dependents, malware) => {
        const findings = [{ malware, fixed: [...fixed, ...(malware ? [] : ["2.0.0"])] }];
        const fix = smallestFix(request({ name, findings, dependents, isAffected: () => false }));
        if (fix.command !== undefined)
          expect(fix.command).toMatch(
            /^npm (?:install|update|uninstall) (?:@[A-Za-z0-9][\w.~-]*\/)?\w[\w.~-]*(?:@[\w.-]+)?(?: --save-exact)?(?: -w [\w@][\w@./-]*)*(?: --include-workspace-root)? --package-lock-only$/,
          );
        expect(fix.version === undefined || valid(fix.version) === fix.version).toBe(true);
        expect((fix.note ?? "").length).toBeLessThan(1000);
      }),
      { numRuns: 3000 },
    );
  });
});
