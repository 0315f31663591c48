/** The base, from real repositories: every shape of clone, and one that would start programs if git read its configuration. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readBase } from "./base.ts";

let base: string;
let origin: string;
beforeEach((context) => {
  if (!existsSync("/usr/bin/git")) context.skip("requires git");
  base = mkdtempSync(join(tmpdir(), "cofferdam-base-"));
  origin = join(base, "origin");
  mkdirSync(origin);
  git(origin, "init", "-q", "-b", "main");
  commit(origin, { "package-lock.json": "one" });
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const ENV = {
  ...{ PATH: "/usr/bin:/bin", GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null", GIT_TERMINAL_PROMPT: "0" },
  ...{ GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@example.com", GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@example.com" },
};
const git = (cwd: string, ...args: string[]): string =>
  execFileSync("git", ["-c", "protocol.file.allow=always", ...args], {
    cwd,
    env: { ...ENV, HOME: base },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();

function commit(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  git(folder, "add", "-A");
  git(folder, "commit", "-q", "--allow-empty", "-m", "x");
  return git(folder, "rev-parse", "HEAD");
}

function clone(name: string, ...args: string[]): string {
  git(base, "clone", "-q", ...args, `file://${origin}`, name);
  return join(base, name);
}

const read = (root: string, more: { readonly file?: string; readonly ref?: string; readonly env?: NodeJS.ProcessEnv } = {}): ReturnType<typeof readBase> =>
  readBase({ root, file: "package-lock.json", signal: new AbortController().signal, env: { PATH: "" }, ...more });

describe("the base", () => {
  test("is where this branch left the default branch, whatever either did since", async () => {
    const left = git(origin, "rev-parse", "HEAD");
    const work = clone("work");
    git(work, "switch", "-q", "-c", "feature");
    commit(work, { "package-lock.json": "feature" });
    commit(origin, { "package-lock.json": "two" });
    git(work, "fetch", "-q");
    writeFileSync(join(work, "package-lock.json"), "uncommitted");
    expect(await read(work)).toEqual({ ref: left.slice(0, 10), note: "merge base with origin/main", text: "one" });
    git(work, "merge", "-q", "-s", "ours", "origin/main", "-m", "m");
    expect(await read(work)).toMatchObject({ text: "two" });
  });

  test("is HEAD on the default branch, with or without a remote; a folder below and the other name of the lockfile are found", async () => {
    commit(origin, { "web/app/npm-shrinkwrap.json": "shrunk" });
    expect(await read(origin)).toMatchObject({ note: "HEAD, which is in main", text: "one" });
    const work = clone("work");
    expect(await read(work)).toMatchObject({ note: "HEAD, which is in origin/main", text: "one" });
    expect(await read(join(work, "web/app"))).toMatchObject({ text: "shrunk" });
    git(work, "checkout", "-q", "--detach");
    expect(await read(work)).toMatchObject({ note: "HEAD, which is in origin/main" });
  });

  test("is what is asked for: a branch, a commit", async () => {
    const first = git(origin, "rev-parse", "HEAD");
    git(origin, "switch", "-q", "-c", "release");
    commit(origin, { "package-lock.json": "release" });
    git(origin, "switch", "-q", "-c", "feature");
    const last = commit(origin, { "package-lock.json": "feature" });
    expect(await read(origin, { ref: "release" })).toMatchObject({ note: "merge base with release", text: "release" });
    expect(await read(origin, { ref: first.slice(0, 12) })).toMatchObject({ text: "one" });
    expect(await read(origin, { ref: last })).toMatchObject({ text: "feature" });
    expect(await read(origin, { ref: "origin/gone" })).toEqual({ note: 'no base: "origin/gone" is no commit here; git fetch origin gone' });
    for (const ref of ["--output=x", "-h", "a b", "x\ny", "", `${"a".repeat(300)}`, ":/one", "HEAD:package-lock.json"])
      expect(await read(origin, { ref }), ref).toEqual({ note: expect.stringMatching(/^no base: .* is no commit here/) });
    expect(existsSync(join(origin, "x"))).toBe(false);
  });

  test("is not what a workflow's environment, a tag or a replacement object says", async () => {
    const work = clone("work");
    git(work, "switch", "-q", "-c", "evil");
    const evil = commit(work, { "package-lock.json": "evil" });
    git(work, "switch", "-q", "-c", "feature", "origin/main");
    commit(work, { other: "x" });
    git(work, "tag", "origin/main", evil);
    git(work, "tag", "main", evil);
    git(work, "replace", "origin/main^{commit}", evil);
    git(work, "replace", git(work, "rev-parse", "refs/remotes/origin/main"), evil, "-f");
    const env = {
      PATH: "",
      GITHUB_BASE_REF: "evil",
      GIT_DIR: join(origin, ".git"),
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "core.bare",
      GIT_CONFIG_VALUE_0: "x",
    };
    expect(await read(work, { env })).toMatchObject({ text: "one", note: "merge base with origin/main" });
  });

  test("worktrees, submodules, sparse and SHA-256 repositories", async () => {
    const work = clone("work");
    git(work, "worktree", "add", "-q", "-b", "feature", "../tree");
    commit(join(base, "tree"), { "package-lock.json": "feature" });
    expect(await read(join(base, "tree"))).toMatchObject({ note: "merge base with origin/main", text: "one" });

    const outer = join(base, "outer");
    git(base, "init", "-q", "-b", "main", "outer");
    git(outer, "submodule", "--quiet", "add", `file://${origin}`, "sub");
    commit(outer, { "package-lock.json": "outer" });
    expect(await read(join(outer, "sub"))).toMatchObject({ text: "one" });

    git(work, "sparse-checkout", "set", "none");
    git(work, "pack-refs", "--all");
    expect(await read(work)).toMatchObject({ text: "one" });

    git(base, "init", "-q", "-b", "main", "--object-format=sha256", "long");
    commit(join(base, "long"), { "package-lock.json": "long" });
    expect(await read(join(base, "long"))).toMatchObject({ text: "long" });
  });
});

describe("no base, and the way out", () => {
  const cases: readonly [string, () => string, RegExp][] = [
    ["no repository", () => base, /no base: not in a git repository/],
    [
      "no commit yet",
      () => {
        git(base, "init", "-q", "new");
        return join(base, "new");
      },
      /there is no commit yet/,
    ],
    [
      "another default branch",
      () => {
        git(origin, "branch", "-q", "-m", "trunk");
        return origin;
      },
      /neither origin\/main.*git fetch origin main.*fetch-depth: 0.*--base REF/,
    ],
    [
      "no lockfile there",
      () => {
        git(origin, "rm", "-q", "package-lock.json");
        commit(origin, {});
        return origin;
      },
      /there was no lockfile at [0-9a-f]{10}, HEAD/,
    ],
    [
      "nothing in common",
      () => {
        const work = clone("work");
        git(work, "checkout", "-q", "--orphan", "other");
        commit(work, { x: "" });
        return work;
      },
      /HEAD and origin\/main have no commit in common/,
    ],
    [
      "shallow",
      () => {
        git(origin, "switch", "-q", "-c", "feature");
        commit(origin, { "package-lock.json": "feature" });
        git(origin, "switch", "-q", "main");
        commit(origin, { "package-lock.json": "two" });
        const work = clone("work", "--depth", "1", "--no-single-branch");
        git(work, "switch", "-q", "feature");
        return work;
      },
      /shallow.*origin\/main; git fetch --unshallow.*fetch-depth: 0/,
    ],
    [
      "a link",
      () => {
        rmSync(join(origin, "package-lock.json"));
        symlinkSync("/etc/hostname", join(origin, "package-lock.json"));
        commit(origin, {});
        return origin;
      },
      /package-lock\.json was no file at/,
    ],
    [
      "a .git that leads nowhere",
      () => {
        mkdirSync(join(base, "w"));
        writeFileSync(join(base, "w/.git"), "gitdir: ../gone\n");
        return join(base, "w");
      },
      /its \.git cannot be read/,
    ],
    [
      "a HEAD of nonsense",
      () => {
        writeFileSync(join(origin, ".git/HEAD"), "ref: refs/heads/main\nx");
        return origin;
      },
      /its HEAD cannot be read/,
    ],
    [
      "refs in another form",
      () => {
        mkdirSync(join(origin, ".git/reftable"));
        return origin;
      },
      /reftable/,
    ],
    [
      "damaged objects",
      () => {
        for (const name of readdirSync(join(origin, ".git/objects"))) rmSync(join(origin, ".git/objects", name), { recursive: true });
        return origin;
      },
      /no base/,
    ],
  ];
  test.each(cases)("%s", async (_name, make, note) => {
    expect(await read(make())).toEqual({ note: expect.stringMatching(note) });
  });

  test("a repository that makes git wait forever", async () => {
    execFileSync("mkfifo", [join(origin, ".git/packed-refs")]);
    const request = { root: origin, file: "package-lock.json", signal: new AbortController().signal, timeout: 500 };
    expect(await readBase(request)).toEqual({ note: "no base: git did not answer in time" });
  });

  test("a git that the repository brings along is not run; an interruption is one", async () => {
    const bin = join(origin, "node_modules/.bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "git"), `#!/bin/sh\ntouch ${base}/ran\n`);
    chmodSync(join(bin, "git"), 0o755);
    expect(await read(origin, { env: { PATH: `${bin}:node_modules/.bin:` } })).toMatchObject({ text: "one" });
    expect(existsSync(join(base, "ran"))).toBe(false);

    const controller = new AbortController();
    controller.abort(new Error("interrupted"));
    await expect(readBase({ root: origin, file: "package-lock.json", signal: controller.signal })).rejects.toThrow("interrupted");
  });
});

/** Each would leave a file of its name; the second word is a plain git command that falls for it. */
const TRAPS: readonly [name: string, config: (program: string) => string, command: readonly string[]][] = [
  ["fsmonitor", (run) => `[core]\nfsmonitor = ${run}\n`, ["status"]],
  ["textconv", (run) => `[diff "trap"]\ntextconv = ${run}\n`, ["cat-file", "--textconv", "HEAD:package-lock.json"]],
  ["filter", (run) => `[filter "trap"]\nsmudge = ${run}\nrequired = true\n`, ["cat-file", "--filters", "HEAD:package-lock.json"]],
  ["process", (run) => `[filter "trap"]\nprocess = ${run}\nrequired = true\n`, ["cat-file", "--filters", "HEAD:package-lock.json"]],
  ["alias", (run) => `[alias]\nls = !${run}\n`, ["ls"]],
  ["hook", (run) => `[core]\nhooksPath = ${run.replace(/\/[^/]*$/, "")}/hooks\n`, ["commit", "--allow-empty", "-m", "x"]],
];

describe("a repository that would start programs", () => {
  test.each(TRAPS)("%s", async (name, config, command) => {
    const mark = join(base, `ran-${name}`);
    const program = join(base, `trap-${name}`);
    writeFileSync(program, `#!/bin/sh\ntouch ${mark}\ncat 2>/dev/null\n`);
    chmodSync(program, 0o755);
    mkdirSync(join(base, "hooks"));
    symlinkSync(program, join(base, "hooks/pre-commit"));
    commit(origin, { ".gitattributes": "package-lock.json diff=trap filter=trap\n" });
    writeFileSync(
      join(origin, ".git/config"),
      `[core]\nrepositoryformatversion = 0\nbare = false\n${config(program)}[core]\npager = ${program}\n[pager]\ncat-file = ${program}\n`,
    );
    try {
      git(origin, ...command);
    } catch {
      // Some fail after the trap went off.
    }
    expect(existsSync(mark)).toBe(true);
    rmSync(mark);
    expect(await read(origin)).toMatchObject({ text: "one" });
    expect(existsSync(mark)).toBe(false);
  });

  test("an object that is to be fetched: by a program, by ext::, from a promisor", async () => {
    git(origin, "config", "uploadpack.allowFilter", "true");
    const work = clone("work", "--filter=blob:none", "--no-checkout");
    const mark = join(base, "ran");
    const program = join(base, "trap");
    writeFileSync(program, `#!/bin/sh\ntouch ${mark}\n`);
    chmodSync(program, 0o755);
    const blob = git(work, "rev-parse", "HEAD:package-lock.json");
    for (const [key, value] of [
      ["remote.origin.uploadpack", program],
      ["protocol.allow", "always"],
      ["protocol.ext.allow", "always"],
    ] as const)
      git(work, "config", key, value);
    for (const url of [`file://${origin}`, `ext::${program}`]) {
      git(work, "config", "remote.origin.url", url);
      expect(() => git(work, "cat-file", "blob", blob)).toThrow();
      expect(existsSync(mark), url).toBe(true);
      rmSync(mark);
      expect(await read(work)).toEqual({
        note: expect.stringMatching(/package-lock\.json is not in this clone \(git show [0-9a-f]{10}:package-lock\.json fetches it\)/),
      });
      expect(existsSync(mark), url).toBe(false);
    }
  });

  test("a commit-graph that lies about parents is not believed; nothing of ours is left behind", async () => {
    git(origin, "switch", "-q", "-c", "feature");
    commit(origin, { "package-lock.json": "feature" });
    git(origin, "commit-graph", "write", "--reachable");
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith("cofferdam-git-")).length;
    writeFileSync(join(origin, ".git/objects/info/commit-graph"), "CGPH nonsense");
    expect(await read(origin)).toMatchObject({ note: "merge base with main", text: "one" });
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("cofferdam-git-"))).toHaveLength(before);
  });

  test("a lockfile over the limit is not read", async () => {
    commit(origin, { "package-lock.json": "x".repeat(64 * 2 ** 20 + 1) });
    expect(await read(origin)).toEqual({ note: "no base: the lockfile there is larger than 64 MiB" });
  }, 60_000);
});
