import { describe, expect, test } from "vitest";
import { parseNpmLockfile } from "../../inventory/index.ts";
import { parsePolicy } from "../../policy/parse.ts";
import type { Refusal } from "../../sandbox/index.ts";
import type { ScriptOutcome, ScriptRun } from "./runner.ts";
import { projectSubject, type ScriptSubject, subjectOf } from "./subject.ts";
import { suggestedGrant } from "./suggest.ts";

const SHA = `sha512-${"A".repeat(86)}==`;
const ROOT = "/srv/app";

function subject(path: string, entry: object): ScriptSubject {
  const [locked] = parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages: { [path]: entry } }), "package-lock.json").packages;
  const found = locked === undefined ? undefined : subjectOf(locked);
  if (found === undefined) throw new Error("no subject");
  return found;
}
const registry = (name: string): object => ({
  version: "1.0.0",
  resolved: `https://registry.example/${name}/-/${name.split("/").at(-1)}-1.0.0.tgz`,
  integrity: SHA,
});
const plain = subject("node_modules/a", registry("a"));

function suggest(one: ScriptSubject, refused: readonly (readonly [Refusal["kind"], string])[], bound = false): ReturnType<typeof suggestedGrant> {
  const run: ScriptRun = {
    ...{ exit: 0, signal: undefined, killedBy: undefined, wallMs: 1, cpuMs: 1, maxRssBytes: 1, reached: [], written: [], removed: [], leftOut: [], notes: [] },
    ...{ exceptions: [], output: "", refused: refused.map(([kind, what]) => ({ kind, what, why: "no", by: undefined })) },
    layers: { userns: true, mount: true, net: true, pid: true, seccomp: true, cgroup: [], landlock: 1, limits: true, dropped: true, memory: "kernel" },
  };
  const decision: ScriptOutcome["decision"] = {
    ...{ subject: one, package: "a@1.0.0", run: "jailed", basis: "unlisted", why: "", grant: { net: [], write: [], key: undefined } },
  };
  return suggestedGrant({ package: "a@1.0.0", path: one.path, event: "install", decision, run, optional: false }, ROOT, bound);
}

describe("what is suggested", () => {
  test("names with their ports, folders and not files", () => {
    const grant = suggest(plain, [
      ["network", "CDN.example"],
      ["network", "cdn.example:443"],
      ["network", "other.example:8443"],
      ["write", "/srv/app/gen/deep/file.js"],
      ["write", "/srv/app/node_modules/.prisma/client/index.js"],
      ["write", "/srv/app/gen/deep/other.js"],
    ]);
    expect(grant).toMatchObject({ key: "a", net: ["cdn.example:443", "other.example:8443"], write: ["gen/deep", "node_modules/.prisma"] });
    expect(grant?.yaml).toBe("scripts: {grants: {a: {net: [cdn.example:443, other.example:8443], write: [gen/deep, node_modules/.prisma]}}}");
  });

  test("nothing that no grant can give", () => {
    for (const [kind, what] of [
      ["network", "192.0.2.1:443"],
      ["network", "[::1]:443"],
      ["network", "127.1:80"],
      ["network", "localhost:80"],
      ["network", "under_score.example"],
      ["network", "a.example]}, b: {net: [c.example:443"],
      ["network", "x:99999"],
      ["write", "/srv/app/file.js"],
      ["write", "/srv/app/.git/hooks/pre-commit"],
      ["write", "/srv/app/sub/.git/hooks/pre-commit"],
      ["write", "/srv/app/.github/workflows/x.yml"],
      ["write", "/srv/app/node_modules/.bin/x"],
      ["write", "/srv/app/node_modules/x"],
      ["write", "/srv/application/x/y"],
      ["write", "/etc/passwd"],
      ["read", "/home/me/.npmrc"],
      ["call", "bpf"],
      ["limit", "memory"],
    ] as const)
      expect(suggest(plain, [[kind, what]]), `${kind} ${what}`).toBeUndefined();
  });

  test("whatever is suggested is a policy, and means what it says", () => {
    const odd = [
      "gen out/x",
      "a'b/x",
      'a"b/x',
      "a, b/x",
      "a: b/x",
      "a]b/x",
      "#a/x",
      "ünïcode/x",
      "-/x",
      "true/x",
      "1e3/x",
      "a{b/x",
      "!t/x",
      "*a/x",
      "a\\b/x",
      "%a/x",
      "@a/x",
    ];
    for (const one of [
      plain,
      subject("node_modules/@s/b", registry("@s/b")),
      projectSubject("x", undefined),
      subject("packages/w", { name: "w", version: "1.0.0" }),
    ])
      for (const path of odd) {
        const grant = suggest(one, [
          ["write", `${ROOT}/${path}`],
          ["network", "cdn.example"],
        ]);
        const text = `version: 1\n${grant?.yaml ?? ""}\n`;
        const grants = parsePolicy(text, "cofferdam.yaml").policy.scripts?.grants;
        expect(grants, text).toEqual({ [grant?.key ?? ""]: { net: grant?.net, ...(grant?.write.length === 0 ? {} : { write: grant?.write }) } });
      }
  });

  test("at most eight of each", () => {
    const many = Array.from({ length: 20 }, (_, i) => [["network", `h${i}.example`] as const, ["write", `${ROOT}/d${i}/x`] as const]).flat();
    const grant = suggest(plain, many);
    expect([grant?.net.length, grant?.write.length]).toEqual([8, 8]);
  });
});

describe("for whom", () => {
  const asked = [["network", "a.example"]] as const;
  test("by the name that the registry vouches for, bound to its tarball where the level asks for that", () => {
    expect(suggest(plain, asked)?.key).toBe("a");
    expect(suggest(plain, asked, true)?.key).toBe(`a@1.0.0#${SHA}`);
    expect(suggest(subject("node_modules/@s/b", registry("@s/b")), asked)?.yaml).toContain('{"@s/b": ');
  });

  test("own code by its place", () => {
    expect(suggest(projectSubject("esbuild", "1.0.0"), asked)?.key).toBe(".");
    expect(suggest(subject("packages/w", { version: "1.0.0" }), asked)?.key).toBe("./packages/w");
  });

  test("nobody whose name is only claimed", () => {
    expect(suggest(subject("node_modules/a", registry("evil")), asked)).toBeUndefined();
    expect(suggest(subject("node_modules/a", { version: "1.0.0", inBundle: true }), asked)).toBeUndefined();
    expect(suggest(subject("node_modules/a", { version: "1.0.0", resolved: "file:a.tgz", integrity: SHA }), asked)).toBeUndefined();
    expect(suggest(subject("node_modules/a", { ...registry("a"), integrity: "sha1-x" }), asked, true)).toBeUndefined();
  });
});
