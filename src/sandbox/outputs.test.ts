import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { TreeOutput, WritableTree } from "./jail-types.ts";
import { takeOver } from "./outputs.ts";

const ROOT: boolean = process.geteuid?.() === 0;

/** A host tree and its staged copy, side by side, with a folder around them that nothing may reach. */
class Trees implements Disposable {
  readonly base: string = mkdtempSync(join(tmpdir(), "cofferdam-outputs-"));
  readonly host: string = join(this.base, "around", "host");
  readonly stage: string = join(this.base, "stage");

  constructor() {
    mkdirSync(this.host, { recursive: true });
    mkdirSync(this.stage);
    mkdirSync(join(this.base, "around", "outside"));
    writeFileSync(join(this.base, "around", "outside", "secret"), "secret");
  }

  /** The same file in both. */
  both(path: string, text: string): void {
    for (const root of [this.host, this.stage]) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
      utimesSync(join(root, path), 1000, 1000);
    }
  }

  write(path: string, text = ""): void {
    mkdirSync(dirname(join(this.stage, path)), { recursive: true });
    writeFileSync(join(this.stage, path), text);
  }

  read(path: string): string {
    return readFileSync(join(this.host, path), "utf8");
  }

  take(more: Partial<WritableTree> = {}): TreeOutput {
    return takeOver({ path: this.host, mode: "staged", except: [], ...more }, this.stage);
  }

  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true });
  }
}

test("no link that is taken over leads out of the tree, as the file system itself resolves it", () => {
  // Few names, so that links often lead over other links.
  const part = fc.constantFrom("a", "b", "..", "..", ".", "");
  const relative = fc.array(part, { maxLength: 4 }).map((parts) => parts.join("/"));
  const target = fc.oneof(
    { weight: 6, arbitrary: relative },
    { weight: 1, arbitrary: relative.map((path) => `/STAGE/${path}`) },
    { weight: 2, arbitrary: relative.map((path) => `/HOST/${path}`) },
  );
  const place = fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  const entry = fc.oneof(
    fc.record({ kind: fc.constant("folder" as const), place, target }),
    fc.record({ kind: fc.constant("file" as const), place, target }),
    fc.record({ kind: fc.constant("link" as const), place, target }),
    fc.record({ kind: fc.constant("link" as const), place, target }),
  );
  let taken = 0;
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 12 }), fc.array(place, { maxLength: 4 }), (entries, folders) => {
      using trees = new Trees();
      for (const folder of folders) mkdirSync(join(trees.host, folder), { recursive: true });
      for (const { kind, place: at, target: leadsTo } of entries) make(trees, kind, at, leadsTo);
      const { written, refused } = trees.take();
      const links = written.filter((path) => lstatSync(join(trees.host, path)).isSymbolicLink());
      taken += links.length;
      const before = snapshot(join(trees.base, "around"), "host");
      // Whatever a later reader or writer does by way of the link.
      for (const path of links) useLink(join(trees.host, path));
      expect(snapshot(join(trees.base, "around"), "host")).toEqual(before);
      for (const path of links) expect(reads(join(trees.host, path))).not.toContain("secret");
      for (const { path } of refused) expect(lstatSync(join(trees.host, path), { throwIfNoEntry: false })?.isSymbolicLink() ?? false).toBe(false);
    }),
    { numRuns: 400 },
  );
  // Or the property would hold for a function that takes nothing.
  expect(taken).toBeGreaterThan(100);
});

function make(trees: Trees, kind: "folder" | "file" | "link", at: string, leadsTo: string): void {
  const full = join(trees.stage, at);
  let folder = trees.stage;
  for (const name of at.split("/").slice(0, -1)) {
    folder = join(folder, name);
    const stat = lstatSync(folder, { throwIfNoEntry: false });
    if (stat === undefined) break;
    if (!stat.isDirectory()) return;
  }
  if (lstatSync(full, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(kind === "folder" ? full : dirname(full), { recursive: true });
  if (kind === "file") writeFileSync(full, "x");
  // Absolute ones: the host's tree under its own name, and the folder around it.
  if (kind === "link") symlinkSync(leadsTo.replace("/STAGE", join(trees.base, "around", "outside")).replace("/HOST", trees.host) || ".", full);
}

function useLink(path: string): void {
  for (const use of [() => writeFileSync(path, "through"), () => mkdirSync(join(path, "planted")), () => writeFileSync(join(path, "planted.txt"), "through")]) {
    try {
      use();
    } catch {
      // It leads nowhere, or to the other kind.
    }
  }
}

function reads(path: string): string {
  try {
    return lstatSync(path).isDirectory() ? "" : readFileSync(path, "utf8");
  } catch {
    try {
      return readdirSync(path).join();
    } catch {
      return "";
    }
  }
}

/** Everything around the tree; links are not followed. */
function snapshot(folder: string, but: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== but)
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return [path, ...(entry.isDirectory() ? snapshot(path, but) : entry.isFile() ? [readFileSync(path, "utf8")] : [])];
    })
    .sort();
}

test.each([
  ["a", "file", true],
  ["sub/a", "../file", true],
  ["sub/a", "..", true],
  ["a", "sub/missing", true],
  ["a", ".", true],
  ["a", "..", false],
  ["a", "../host-evil", false],
  ["a", "/etc/passwd", false],
  ["sub/a", "../../outside", false],
  ["a", "sub/../file", false],
  ["a", "sub/../../outside", false],
])("link %s to %s: taken over is %s", (path, leadsTo, taken) => {
  using trees = new Trees();
  trees.both("sub/file", "x");
  trees.both("file", "x");
  symlinkSync(leadsTo, join(trees.stage, path));
  const { written, refused } = trees.take();
  expect(written).toEqual(taken ? [path] : []);
  expect(refused).toEqual(taken ? [] : [{ path, why: "a link out of the tree" }]);
  if (taken) expect(readlinkSync(join(trees.host, path))).toBe(leadsTo);
});

test("what did not change is not written; what did replaces the old file, and no hard link is written through", () => {
  using trees = new Trees();
  trees.both("same", "same");
  trees.both("changed", "before");
  trees.both("mode", "mode");
  const store = join(trees.base, "store");
  linkSync(join(trees.host, "changed"), store);
  trees.write("changed", "after!");
  chmodSync(join(trees.stage, "mode"), 0o755);
  const { written } = trees.take();
  expect(written).toEqual(["changed", "mode"]);
  expect([trees.read("changed"), readFileSync(store, "utf8")]).toEqual(["after!", "before"]);
  expect(lstatSync(join(trees.host, "mode")).mode & 0o777).toBe(0o755);
  expect(readdirSync(trees.host).sort()).toEqual(["changed", "mode", "same"]);
});

test("every kind becomes every other", () => {
  using trees = new Trees();
  const kinds = ["file", "folder", "link"] as const;
  const put = (root: string, name: string, kind: string): void => {
    if (kind === "file") writeFileSync(join(root, name), "x");
    else if (kind === "link") symlinkSync("target", join(root, name));
    else {
      mkdirSync(join(root, name));
      writeFileSync(join(root, name, "inner"), "x");
    }
  };
  for (const from of kinds)
    for (const to of kinds) {
      put(trees.host, `${from}-${to}`, from);
      put(trees.stage, `${from}-${to}`, to);
    }
  trees.take();
  for (const from of kinds)
    for (const to of kinds) {
      const stat = lstatSync(join(trees.host, `${from}-${to}`));
      expect([stat.isFile(), stat.isDirectory(), stat.isSymbolicLink()], `${from}-${to}`).toEqual(kinds.map((kind) => kind === to));
    }
});

test("what is gone on the stage goes, but for what was never shown there", () => {
  using trees = new Trees();
  for (const path of ["gone", "kept/deep/except", "kept/gone", "own/gone", "other/file"]) {
    mkdirSync(dirname(join(trees.host, path)), { recursive: true });
    writeFileSync(join(trees.host, path), "x");
  }
  mkdirSync(join(trees.stage, "own"));
  expect(trees.take({ only: ["own"] }).removed).toEqual(["own/gone"]);
  // A folder with a protected place in it stays, whatever else is in it.
  expect(trees.take({ except: ["kept/deep/except", "other"] }).removed).toEqual(["gone"]);
  expect(existsSync(join(trees.host, "kept/deep/except"))).toBe(true);
});

test("protected places, planted repositories, set-id files, FIFOs and names of ours are left out, each with its reason", () => {
  using trees = new Trees();
  trees.both("lock", "before");
  for (const path of ["lock", ".github/x", ".git/config", "sub/.GIT/config", ".cofferdam-output", "fine"]) trees.write(path, "evil");
  trees.write("suid");
  chmodSync(join(trees.stage, "suid"), 0o4755);
  trees.write("sgid");
  chmodSync(join(trees.stage, "sgid"), 0o2755);
  execFileSync("mkfifo", [join(trees.stage, "fifo")]);
  const { written, refused } = trees.take({ except: ["lock", ".github"] });
  expect(written).toEqual(["fine", "sub/"]);
  expect(Object.fromEntries(refused.map(({ path, why }) => [path, why]))).toEqual({
    ".github": "may not be made here",
    ".git": "a planted git folder",
    "sub/.GIT": "a planted git folder",
    ".cofferdam-output": "a name of ours",
    suid: "a set-user-id or set-group-id bit",
    sgid: "a set-user-id or set-group-id bit",
    fifo: "not a file, folder or link",
  });
  expect(trees.read("lock")).toBe("before");
});

test("an objection leaves a file or link out; it sees what is there, up to 1 MiB", () => {
  using trees = new Trees();
  trees.write("good", "good");
  trees.write("bad", "bad");
  symlinkSync("good", join(trees.stage, "link"));
  const accept: WritableTree["accept"] = ({ path, read }) => (read().toString() === "good" ? undefined : `no: ${path}`);
  expect(trees.take({ accept })).toMatchObject({ written: ["good", "link"], refused: [{ path: "bad", why: "no: bad" }] });
  trees.write("bad", "x".repeat(2 ** 20 + 1));
  expect(() => trees.take({ accept })).toThrow(/1048577 bytes where a small one is expected/);
});

test("names and depths that the host cannot read back are left out, and the rest is taken", () => {
  using trees = new Trees();
  writeFileSync(Buffer.concat([Buffer.from(`${trees.stage}/bad`), Buffer.from([0xff])]), "x");
  let at = trees.stage;
  for (let i = 0; i < 200; i++) at = join(at, "d");
  mkdirSync(at, { recursive: true });
  execFileSync("perl", ["-e", `chdir shift; for (1 .. 40) { mkdir "n" x 200; chdir "n" x 200 or last }`, trees.stage]);
  trees.write("zz-last", "fine");
  const { refused } = trees.take();
  expect(trees.read("zz-last")).toBe("fine");
  expect(refused.map(({ why }) => why).sort()).toEqual(["cannot be read (ENAMETOOLONG)", "cannot be read (ENOENT)", "too deep"]);
});

test("who calls as root writes for the owner of the tree, and of each file", (context) => {
  if (!ROOT) return context.skip("requires root");
  using trees = new Trees();
  trees.both("theirs", "before");
  chownSync(trees.host, 1234, 1234);
  chownSync(join(trees.host, "theirs"), 4321, 4321);
  trees.write("theirs", "after");
  trees.write("new/file", "x");
  trees.take();
  const owner = (path: string): number => lstatSync(join(trees.host, path)).uid;
  expect([owner("theirs"), owner("new"), owner("new/file")]).toEqual([4321, 1234, 1234]);
});

test("a host tree that cannot be written is an error, and not a refusal", () => {
  using trees = new Trees();
  trees.write("new", "x");
  mkdirSync(join(trees.host, ".cofferdam-output"));
  expect(() => trees.take({ except: [".cofferdam-output"] })).toThrow();
});
