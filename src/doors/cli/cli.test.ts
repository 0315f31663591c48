/** The command line as a user meets it: the built executable in a child process. */
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { TestProject } from "../../../test/world/project.ts";
import { plain } from "./output.ts";

const project = new TestProject("http://127.0.0.1:9/", {});
afterAll(() => project[Symbol.dispose]());
const cli = (...args: string[]): ReturnType<TestProject["cli"]> => project.cli(args);

describe("finding the way", () => {
  test("--version, --help, help of each command with examples", async () => {
    const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
    expect((await cli("--version")).stdout).toBe(`${manifest.version}\n`);
    const overview = (await cli("--help")).stdout;
    for (const name of ["install", "npm", "shell-init", "verify", "doctor", "completion"]) {
      expect(overview).toContain(`  ${name} `);
      const { exit, stdout } = await cli(name, "--help");
      expect([exit, stdout.includes("examples:")], name).toEqual([0, true]);
    }
    for (const words of [
      ["audit", "search"],
      ["audit", "export"],
      ["audit", "verify"],
      ["policy", "show"],
      ["policy", "explain"],
      ["policy", "check"],
      ["policy", "trust"],
      ["policy", "allow"],
      ["scripts", "list"],
      ["scripts", "show"],
      ["scripts", "approve"],
      ["scripts", "deny"],
    ]) {
      expect((await cli(...words, "--help")).stdout).toContain(`usage: cofferdam ${words.join(" ")}`);
    }
  });

  test.each([
    [["instal"], /no command "instal" \(did you mean install\?\)/],
    [["audit", "serch"], /did you mean search\?/],
    [["verify", "x", "--integirty", "y"], /did you mean --integrity\?/],
    [["install", "--", "npm", "isnt"], /npm isnt is not an install/],
    [["install", "--", "pnpm", "install"], /pnpm is not guarded by this version/],
    [["install"], /which command\?/],
    [["npm", "install", "-g", "x"], /global installs are not guarded/],
    [["npm", "ci", "--cache=/x"], /--cache cannot be used/],
    [["npm", "ci", "--script-shell=x"], /--script-shell cannot be used/],
    [["policy", "explain", "levle"], /did you mean level\?/],
    [["install", "--level", "hgih", "--", "npm", "ci"], /no level "hgih"/],
    [["audit", "search", "--since", "yesterday"], /not a time/],
  ])("%j: exit 2 and the way out", async (args, words) => {
    const { exit, stdout, stderr } = await cli(...args);
    expect(stderr).toMatch(words);
    expect([exit, stdout]).toEqual([2, ""]);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test("--json: an error is a document as well", async () => {
    const { exit, stdout } = await cli("verify", "none", "--integrity", "0".repeat(128), "--json");
    expect(exit).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ schema: "cofferdam/error/v1", code: "NOT_FOUND" });
  });
});

describe("verify", () => {
  const file = join(project.root, "file");
  writeFileSync(file, "abc");
  const sha512 = hash("sha512", "abc", "hex");

  test("a match is one line, a mismatch has both digests and exit 6", async () => {
    expect(await cli("verify", "file", "--integrity", sha512)).toEqual({ exit: 0, stdout: "", stderr: "file: sha512 matches (3 B)\n" });
    const other = await cli("verify", "file", "--integrity", "0".repeat(128));
    expect(other.exit).toBe(6);
    expect(other.stderr).toContain(sha512);
    expect(other.stderr).toContain("0".repeat(128));
  });

  test("--json has the contract's fields", async () => {
    const { stdout } = await cli("verify", file, "--integrity", "0".repeat(128), "--json");
    expect(JSON.parse(stdout)).toEqual({
      schema: "cofferdam/verify/v1",
      ok: false,
      algorithm: "sha512",
      expected: "0".repeat(128),
      actual: sha512,
      bytes: 3,
      weak: false,
      code: "INTEGRITY_FAILURE",
    });
  });

  test("--structure refuses what is no package", async () => {
    const { exit, stderr } = await cli("verify", "file", "--integrity", sha512, "--structure");
    expect([exit, stderr]).toEqual([6, expect.stringContaining("something other than gzip")]);
  });
});

describe("audit export", () => {
  test("a new file with mode 0600; an existing one is left alone", async () => {
    const { exit } = await cli("audit", "export", "--format", "csv", "--output", "trail.csv");
    expect(exit).toBe(0);
    expect(statSync(join(project.root, "trail.csv")).mode & 0o777).toBe(0o600);
    const again = await cli("audit", "export", "--output", "trail.csv");
    expect([again.exit, again.stderr]).toEqual([2, expect.stringContaining("exists")]);
  });
});

describe("policy", () => {
  test("check names file, line and column; explain names the origin; allow needs a reason", async () => {
    mkdirSync(join(project.root, ".git"), { recursive: true });
    project.write("cofferdam.yaml", "version: 1\nlevel: high\n");
    expect((await cli("policy", "explain", "level")).stdout).toBe('level = "high"\nset by cofferdam.yaml:2\n');
    expect(JSON.parse((await cli("policy", "show", "--json")).stdout)).toMatchObject({ schema: "cofferdam/policy-show/v1", values: { level: "high" } });
    expect((await cli("policy", "check")).exit).toBe(0);
    expect((await cli("policy", "allow", "missing-hash a@1.0.0")).stderr).toContain("--reason");
    project.write("cofferdam.yaml", "version: 1\nlevel: hihg\n");
    const broken = await cli("policy", "check");
    expect([broken.exit, broken.stderr]).toEqual([2, expect.stringMatching(/cofferdam\.yaml:2:1: level/)]);
  });
});

test("doctor tries things, and its JSON is the contract's", async () => {
  project.write("cofferdam.yaml", "version: 1\n");
  const { stdout } = await cli("doctor", "--json");
  const { schema, checks } = JSON.parse(stdout);
  expect(schema).toBe("cofferdam/doctor/v1");
  expect(checks.map((check: { name: string }) => check.name)).toEqual([
    "node",
    "npm",
    "box",
    "jail",
    "script shell",
    "engine",
    "network",
    "sensor",
    "state directory",
    "audit trail",
    "checkpoints outside",
    "secrets",
    "identity",
    "advisories",
    "policy",
  ]);
  for (const check of checks) expect(["ok", "warn", "fail"]).toContain(check.status);
});

test("completion works in a real bash", async () => {
  const { stdout } = await cli("completion", "bash");
  const complete = (...words: string[]): string =>
    execFileSync(
      "bash",
      ["-c", `${stdout}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _cofferdam; echo "\${COMPREPLY[*]}"`],
      { encoding: "utf8" },
    ).trim();
  expect(complete("cofferdam", "inst")).toBe("install");
  expect(complete("cofferdam", "audit", "ver")).toBe("verify");
  expect(complete("cofferdam", "verify", "--int")).toBe("--integrity");
  expect((await cli("completion", "fish")).stdout).toContain("complete -c cofferdam");
  expect((await cli("completion", "tcsh")).exit).toBe(2);
});

test("a reader that goes away ends us quietly", () => {
  const out = execFileSync("bash", ["-c", `'${process.execPath}' bin/cofferdam.js --help | head -n 1; echo "\${PIPESTATUS[0]}"`], {
    encoding: "utf8",
    cwd: new URL("../../..", import.meta.url),
  });
  expect(out).toMatch(/^cofferdam - .*\n0\n$/);
});

test("control characters of others do not reach the terminal", () => {
  expect(plain("a\u001b[31mb\r\u0007\u202ec\td\n")).toBe("a\\u001b[31mb\\u000d\\u0007\\u202ec\td\n");
});

describe("what never gets lost", () => {
  test("--quiet keeps refusals and errors", async () => {
    const missing = await cli("verify", "none", "--integrity", "0".repeat(128), "--quiet");
    expect([missing.exit, missing.stderr]).toEqual([2, expect.stringContaining("NOT_FOUND")]);
    const refused = await cli("install", "--quiet", "--", "npm", "ci");
    expect(refused.exit).not.toBe(0);
    expect(refused.stderr).toContain("cofferdam: stopped");
    expect((await cli("verify", "package.json", "--integrity", hash("sha512", project.read("package.json"), "hex"), "-q")).stderr).toBe("");
  });

  test("a reader that goes away keeps the exit code of what was decided", async () => {
    const script = `"$0" "$1" verify package.json --integrity ${"0".repeat(128)} --json | true; echo "\${PIPESTATUS[0]}"`;
    const executable = new URL("../../../bin/cofferdam.js", import.meta.url).pathname;
    const out = execFileSync("bash", ["-c", script, process.execPath, executable], { cwd: project.root, env: project.env, encoding: "utf8" });
    expect(out.trim()).toBe("6");
  });

  test("an empty or relative HOME never makes the working folder the user's own", async () => {
    project.write(".config/cofferdam/cofferdam.yaml", "version: 1\nlevel: low\n");
    for (const home of ["", "."]) {
      const { stdout } = await project.cli(["policy", "show", "--json"], { env: { HOME: home } });
      expect(JSON.parse(stdout).values.level).toBe("medium");
    }
  });
});
