import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { generatedFileCheck, gitConfigCheck, sameButFor } from "./host-git.ts";

const HOOKS = ["core.hooksPath", ".husky/_"] as const;
const BEFORE = '[core]\n\tbare = false\n[remote "origin"]\n\turl = https://git.example/x\n\tfetch = +refs/heads/*\n';

describe("a .git/config with this one setting made", () => {
  test.each([
    ["as git writes it", BEFORE, BEFORE.replace("false\n", "false\n\thooksPath = .husky/_\n")],
    ["in an empty file", "", "[core]\n\thooksPath = .husky/_\n"],
    ["in a section of its own", "[user]\n\tname = x\n", "[user]\n\tname = x\n[core]\n\thooksPath = .husky/_\n"],
    ["in place of another value", "[core]\n\thooksPath = .githooks\n", "[core]\n\thooksPath = .husky/_\n"],
    ["that was made before", "[core]\n\thooksPath = .husky/_\n", "[core]\n\thooksPath = .husky/_\n"],
  ])("%s", (_name, before, after) => expect(sameButFor(before, after, ...HOOKS)).toBe(true));

  test.each([
    ["nothing was set", BEFORE, BEFORE],
    ["another value", BEFORE, BEFORE.replace("false\n", "false\n\thooksPath = /tmp/evil\n")],
    ["one setting more", BEFORE, BEFORE.replace("false\n", "false\n\thooksPath = .husky/_\n\tfsmonitor = /tmp/evil\n")],
    ["in another section", BEFORE, `${BEFORE}\thooksPath = .husky/_\n`],
    ["a line was lost", BEFORE, "[core]\n\tbare = false\n\thooksPath = .husky/_\n"],
    ["a value was changed", BEFORE, BEFORE.replace("false\n", "false\n\thooksPath = .husky/_\n").replace("git.example", "evil.example")],
    ["an include", BEFORE, `${BEFORE.replace("false\n", "false\n\thooksPath = .husky/_\n")}[include]\n\tpath = /tmp/evil\n`],
    ["lines that came into another section", "[alias]\n\tx = !true\n", "[alias]\n[core]\n\thooksPath = .husky/_\n\tx = !true\n"],
    ["a section on the line of the setting", BEFORE, BEFORE.replace("false\n", "false\n[core] hooksPath = .husky/_\n")],
    ["a second header that takes lines with it", BEFORE, BEFORE.replace("\turl", "[core]\n\thooksPath = .husky/_\n\turl")],
    ["order", "[core]\n\ta = 1\n\tb = 2\n", "[core]\n\tb = 2\n\ta = 1\n\thooksPath = .husky/_\n"],
    ["an old value beside the new one", "[core]\n\thooksPath = .githooks\n", "[core]\n\thooksPath = .husky/_\n\thooksPath = .githooks\n"],
  ])("not when %s", (_name, before, after) => expect(sameButFor(before, after, ...HOOKS)).toBe(false));

  test("as git itself reads both: nothing else is different", (context) => {
    if (spawnSync("git", ["--version"]).status !== 0) return context.skip("requires git");
    const folder = mkdtempSync(join(tmpdir(), "cofferdam-git-"));
    const line = fc.constantFrom(
      "[core]",
      "[CORE]",
      "[alias]",
      '[alias "x"]',
      "\ta = 1",
      "\tb = !evil",
      "\thooksPath = .husky/_",
      "\thookspath = .other",
      "# note",
      "",
    );
    const edit = fc.record({
      at: fc.nat(8),
      remove: fc.nat(1),
      add: fc.array(fc.oneof(fc.constantFrom("[core]", "\thooksPath = .husky/_"), line), { maxLength: 2 }),
    });
    let accepted = 0;
    try {
      fc.assert(
        fc.property(fc.array(line, { maxLength: 8 }), fc.array(edit, { minLength: 1, maxLength: 2 }), (before, edits) => {
          const after = [...before];
          for (const { at, remove, add } of edits) after.splice(at, remove, ...add);
          if (!sameButFor(before.join("\n"), after.join("\n"), ...HOOKS)) return;
          const [was, is] = [settings(folder, before), settings(folder, after)];
          // A file that git cannot read has no settings; it is not made worse.
          if (was === undefined || is === undefined) return;
          accepted += 1;
          expect(is.filter((one) => !one.startsWith("core.hookspath="))).toEqual(was.filter((one) => !one.startsWith("core.hookspath=")));
          // Its value is ours, or stands in the user's own file where git finds it and this does not look: under [CORE].
          for (const one of is.filter((line) => line.startsWith("core.hookspath="))) expect([...was, "core.hookspath=.husky/_"]).toContain(one);
        }),
        { numRuns: 3000 },
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(accepted).toBeGreaterThan(20);
  });
});

function settings(folder: string, lines: readonly string[]): string[] | undefined {
  const path = join(folder, "config");
  writeFileSync(path, `${lines.join("\n")}\n`);
  const { status, stdout } = spawnSync("git", ["config", "--file", path, "--list"], { encoding: "utf8" });
  return status === 0 ? stdout.split("\n").filter((one) => one !== "") : undefined;
}

describe("files that an exception may leave", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "cofferdam-git-"));
    mkdirSync(join(root, "node_modules/husky"), { recursive: true });
    writeFileSync(join(root, "node_modules/husky/husky"), "#!/usr/bin/env sh\nreal\n");
    writeFileSync(join(root, "config"), BEFORE);
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const output = (path: string, text: string) => ({ path, read: () => Buffer.from(text) });

  test("one of its texts, or a copy of a file of the project; no other name, no other byte", () => {
    const check = generatedFileCheck(root, ".husky/_", [
      { path: ".husky/_/pre-commit", texts: ["one", "two"], copiesOf: [] },
      { path: ".husky/_/h", texts: [], copiesOf: ["node_modules/husky/husky", "node_modules/husky/missing"] },
    ]);
    expect(check(output("pre-commit", "one"))).toBeUndefined();
    expect(check(output("pre-commit", "two"))).toBeUndefined();
    expect(check(output("h", "#!/usr/bin/env sh\nreal\n"))).toBeUndefined();
    expect(check(output("pre-commit", "one\n"))).toBe("not what this exception writes there");
    expect(check(output("h", "curl evil.example"))).toBe("not what this exception writes there");
    expect(check(output("post-merge", "one"))).toBe("not one of the files of this exception");
    expect(check(output("../pre-commit", "one"))).toBe("not one of the files of this exception");
  });

  test("of a repository nothing but its configuration", () => {
    const check = gitConfigCheck(join(root, "config"), { key: HOOKS[0], value: HOOKS[1] });
    expect(check(output("config", BEFORE.replace("false\n", "false\n\thooksPath = .husky/_\n")))).toBeUndefined();
    expect(check(output("config", "[core]\n\thooksPath = .husky/_\n"))).toBe("more than core.hooksPath = .husky/_ was changed");
    expect(check(output("config.worktree", ""))).toBe("only git's config may be changed");
    expect(gitConfigCheck(join(root, "none"), { key: HOOKS[0], value: HOOKS[1] })(output("config", "[core]\n\thooksPath = .husky/_\n"))).toBeUndefined();
  });
});
