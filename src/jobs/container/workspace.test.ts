/** Workspaces on real file systems: what a hostile job leaves in one, and what a hostile owner swaps meanwhile. Needs root. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { makeJobFolder, releaseJobFolder } from "./job-folder.ts";
import { Workspace, type WorkspaceOutcome, type WorkspaceRequest } from "./workspace.ts";

const OWNER = { uid: 12_345, gid: 12_346 };
const NEVER = new AbortController().signal;

let world: string;
let folder: string;
/** The caller's, with a file and a folder. */
let project: string;

beforeEach((context) => {
  requires(context, "root");
  requires(context, "container");
  world = mkdtempSync(join(tmpdir(), "cofferdam-workspace-"));
  chmodSync(world, 0o755);
  folder = makeJobFolder(join(world, "jobs"), "a");
  project = join(world, "project");
  put("src/a.txt", "a");
  put("b.txt", "b");
});
afterEach(async () => {
  if (folder === undefined) return;
  for (const name of readdirSync(join(world, "jobs"))) await releaseJobFolder(join(world, "jobs", name));
  // Removing a tree with a mount in it would remove what is mounted.
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(` ${world}/`);
  rmSync(world, { recursive: true, force: true });
});

function put(path: string, text: string): void {
  const target = join(project, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
  for (let at = target; at !== world; at = dirname(at)) chownSync(at, OWNER.uid, OWNER.gid);
}

function request(change: Partial<WorkspaceRequest>): WorkspaceRequest {
  return {
    mode: "copy",
    place: { root: world, path: "project" },
    target: "/work",
    readOnly: false,
    who: { uid: 65_534, gid: 65_534 },
    folder,
    bounds: { bytes: 2 ** 20, entries: 1000 },
    ...change,
  };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "fine";
  } catch (error) {
    if (error instanceof CofferdamError) return error.code;
    throw error;
  }
}

/** Copies, lets `job` work in the copy and `meanwhile` in the project, and takes over. */
async function through(job: (copy: string) => void, meanwhile: () => void = () => undefined): Promise<WorkspaceOutcome> {
  const workspace = await Workspace.prepare(request({}), NEVER);
  job(workspace.mount.source);
  meanwhile();
  return workspace.collect(NEVER);
}

describe("the path", () => {
  test.each(["bind", "copy"] as const)("%s: a link in it is refused, wherever it stands", async (mode) => {
    symlinkSync("project", join(world, "link"));
    symlinkSync("/etc", join(project, "out"));
    for (const [index, path] of ["link", "link/src", "project/out", "../etc", "project/../../etc", "/etc", "absent", "project/b.txt"].entries())
      expect(
        await codeOf(Workspace.prepare(request({ mode, place: { root: world, path }, folder: makeJobFolder(join(world, "jobs"), `p${index}`) }), NEVER)),
        path,
      ).toBe("SECURITY_VIOLATION");
  });

  test("bind: a folder of root is refused, since a set-user-id file in it would be root's", async () => {
    mkdirSync(join(world, "roots"));
    expect(await codeOf(Workspace.prepare(request({ mode: "bind", place: { root: world, path: "roots" } }), NEVER))).toBe("FAILED_PRECONDITION");
  });

  test("a folder for jobs that others can change is refused", () => {
    mkdirSync(join(world, "open"));
    chmodSync(join(world, "open"), 0o777);
    expect(() => makeJobFolder(join(world, "open"), "a")).toThrow(/others can change it/);
    expect(() => makeJobFolder(join(world, "open", "below"), "a")).toThrow(/others can change it/);
    expect(() => makeJobFolder(join(world, "jobs"), "a")).toThrow(/has a folder already/);
    expect(() => makeJobFolder(join(world, "jobs"), "../a")).toThrow(/not a name/);
  });
});

test("a job's folder is not removed while something is mounted in it, at any depth; then all of it goes", async () => {
  mkdirSync(join(folder, "deep/er"), { recursive: true });
  execFileSync("mount", ["--bind", project, join(folder, "deep/er")]);
  execFileSync("mount", ["--bind", project, join(folder, "deep/er")]);
  symlinkSync("jobs", join(world, "other-name"));
  await releaseJobFolder(join(world, "other-name", "a"));
  await releaseJobFolder(folder);
  expect(readdirSync(join(world, "jobs"))).toEqual([]);
  expect(readdirSync(project).toSorted()).toEqual(["b.txt", "src"]);
});

describe("bind", () => {
  test("the owner's files are the job's, the job's are the owner's, and everybody else's are nobody's until they are settled", async () => {
    const workspace = await Workspace.prepare(request({ mode: "bind", who: { uid: 0, gid: 0 } }), NEVER);
    const inside = workspace.mount.source;
    expect(statSync(join(inside, "b.txt"))).toMatchObject({ uid: 0, gid: 0 });
    for (const [name, uid] of [
      ["mine", 0],
      ["theirs", 1000],
    ] as const) {
      writeFileSync(join(inside, name), "");
      chownSync(join(inside, name), uid, uid);
      chmodSync(join(inside, name), 0o4755);
    }
    expect(statSync(join(project, "mine"))).toMatchObject({ uid: OWNER.uid, gid: OWNER.gid });
    expect(statSync(join(project, "theirs")).uid).toBe(2_000_001_000);
    const { settled } = await workspace.collect(NEVER);
    expect(settled).toEqual({ owned: 1, setIdBits: 2 });
    for (const name of ["mine", "theirs"]) expect(statSync(join(project, name))).toMatchObject({ uid: OWNER.uid, gid: OWNER.gid, mode: 0o100_755 });
  });

  test("nothing in it is set-user-id or a device, and what is mounted below it is not seen", async () => {
    mkdirSync(join(project, "inner"));
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(project, "inner")]);
    writeFileSync(join(project, "inner", "hidden"), "");
    try {
      const workspace = await Workspace.prepare(request({ mode: "bind" }), NEVER);
      expect(readdirSync(join(workspace.mount.source, "inner"))).toEqual([]);
      const line = readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .find((one) => one.includes(` ${workspace.mount.source} `));
      expect(line).toMatch(/ rw,nosuid,nodev,/);
    } finally {
      execFileSync("umount", [join(project, "inner")]);
    }
  });

  test("swapped for a link after it was mounted: the mount shows what was opened, and nothing is settled elsewhere", async () => {
    const workspace = await Workspace.prepare(request({ mode: "bind" }), NEVER);
    renameSync(project, `${project}.old`);
    symlinkSync("/etc", project);
    expect(readdirSync(workspace.mount.source).toSorted()).toEqual(["b.txt", "src"]);
    expect(await codeOf(workspace.collect(NEVER))).toBe("SECURITY_VIOLATION");
    rmSync(project);
    mkdirSync(project);
    expect(await codeOf(workspace.collect(NEVER))).toBe("SECURITY_VIOLATION");
  });

  test("planted hooks, configuration and workflows are reported", async () => {
    put(".git/config", "[core]\n");
    put(".git/hooks/old", "");
    const workspace = await Workspace.prepare(request({ mode: "bind" }), NEVER);
    writeFileSync(join(workspace.mount.source, ".git/hooks/post-checkout"), "#!/bin/sh\n");
    writeFileSync(join(workspace.mount.source, ".git/config"), "[core]\nfsmonitor=/evil\n");
    mkdirSync(join(workspace.mount.source, ".github/workflows"), { recursive: true });
    writeFileSync(join(workspace.mount.source, ".github/workflows/evil.yml"), "");
    rmSync(join(workspace.mount.source, ".git/hooks/old"));
    expect((await workspace.collect(NEVER)).planted).toEqual([".git/config", ".git/hooks/old", ".git/hooks/post-checkout", ".github/workflows/evil.yml"]);
  });
});

describe("copy", () => {
  test("what the job changed comes back with the owner's name, and the rest is left alone", async () => {
    const before = statSync(join(project, "src/a.txt"), { bigint: true }).ino;
    const outcome = await through((copy) => {
      writeFileSync(join(copy, "b.txt"), "changed");
      writeFileSync(join(copy, "new.sh"), "#!/bin/sh\n", { mode: 0o755 });
      mkdirSync(join(copy, "out/deep"), { recursive: true });
      symlinkSync("../../b.txt", join(copy, "out/deep/link"));
    });
    expect(outcome).toMatchObject({
      written: expect.arrayContaining(["b.txt", "new.sh", "out", "out/deep", "out/deep/link"]),
      removed: [],
      refused: [],
      more: 0,
    });
    expect(readFileSync(join(project, "b.txt"), "utf8")).toBe("changed");
    expect(readlinkSync(join(project, "out/deep/link"))).toBe("../../b.txt");
    for (const path of ["b.txt", "new.sh", "out", "out/deep", "out/deep/link"])
      expect(lstatSync(join(project, path))).toMatchObject({ uid: OWNER.uid, gid: OWNER.gid });
    expect(statSync(join(project, "src/a.txt"), { bigint: true }).ino).toBe(before);
  });

  test("what would reach beyond the tree, or would be run later, does not come back", async () => {
    put(".git/config", "[core]\n");
    put(".git/HEAD", "ref: refs/heads/main\n");
    const outcome = await through((copy) => {
      symlinkSync("/etc/passwd", join(copy, "absolute"));
      symlinkSync("../../etc/passwd", join(copy, "up"));
      symlinkSync("src/../../out", join(copy, "through"));
      writeFileSync(join(copy, "setuid"), "");
      chmodSync(join(copy, "setuid"), 0o4755);
      execFileSync("mkfifo", [join(copy, "fifo")]);
      execFileSync("mknod", [join(copy, "device"), "c", "1", "3"]);
      mkdirSync(join(copy, "sub/.git/hooks"), { recursive: true });
      mkdirSync(join(copy, ".git/hooks"));
      writeFileSync(join(copy, ".git/hooks/pre-push"), "#!/bin/sh\n");
      writeFileSync(join(copy, ".git/config"), "[core]\nfsmonitor=/evil\n");
      writeFileSync(join(copy, ".git/HEAD"), "ref: refs/heads/other\n");
    });
    expect(Object.fromEntries(outcome.refused.map(({ path, why }) => [path, why]))).toEqual({
      absolute: "a link out of the tree",
      up: "a link out of the tree",
      through: "a link out of the tree",
      setuid: "a set-user-id or set-group-id bit",
      fifo: "not a file, folder or link",
      device: "not a file, folder or link",
      "sub/.git": "a planted git folder",
      ".git/hooks/pre-push": "git would run it",
      ".git/config": "git would run it",
    });
    expect(readFileSync(join(project, ".git/config"), "utf8")).toBe("[core]\n");
    expect(readFileSync(join(project, ".git/HEAD"), "utf8")).toContain("other");
    expect(outcome.planted).toEqual([".git/config", ".git/hooks/pre-push"]);
  });

  test("what the job removed is removed, but not what the owner changed meanwhile", async () => {
    put("gone.txt", "x");
    put("kept/mine.txt", "x");
    const outcome = await through(
      (copy) => {
        rmSync(join(copy, "gone.txt"));
        rmSync(join(copy, "kept"), { recursive: true });
        writeFileSync(join(copy, "b.txt"), "job");
      },
      () => {
        put("kept/mine.txt", "changed meanwhile");
        put("b.txt", "owner");
      },
    );
    expect(outcome.removed).toEqual(["gone.txt"]);
    expect(outcome.refused).toEqual([{ path: "b.txt", why: "it was changed outside meanwhile" }]);
    expect(readFileSync(join(project, "b.txt"), "utf8")).toBe("owner");
  });

  test("a folder of the owner that was swapped for a link leads nowhere: not for writing, not for removing", async () => {
    const victim = join(world, "victim");
    mkdirSync(victim);
    writeFileSync(join(victim, "precious"), "");
    utimesSync(join(victim, "precious"), 1, 1);
    const outcome = await through(
      (copy) => writeFileSync(join(copy, "src/planted"), ""),
      () => {
        rmSync(join(project, "src"), { recursive: true });
        symlinkSync(victim, join(project, "src"));
        lchownSync(join(project, "src"), OWNER.uid, OWNER.gid);
      },
    );
    expect(readdirSync(victim)).toEqual(["precious"]);
    expect(outcome.written).toEqual([]);
  });

  test("nothing is written with root's rights: a folder in it that the owner cannot write stays as it is", async () => {
    mkdirSync(join(project, "roots"), { mode: 0o755 });
    const outcome = await through((copy) => writeFileSync(join(copy, "roots/file"), ""));
    expect(outcome.refused).toEqual([{ path: "roots/file", why: "EACCES" }]);
    expect(readdirSync(join(project, "roots"))).toEqual([]);
  });

  test("beyond its bounds nothing comes over, and nothing goes in", async () => {
    expect(await codeOf(through((copy) => execFileSync("truncate", ["-s", "2M", join(copy, "large")])))).toBe("PAYLOAD_TOO_LARGE");
    expect(readdirSync(project).toSorted()).toEqual(["b.txt", "src"]);
    const other = makeJobFolder(join(world, "jobs"), "b");
    for (const bounds of [
      { bytes: 1, entries: 10 },
      { bytes: 10, entries: 2 },
    ])
      expect(await codeOf(Workspace.prepare(request({ bounds, into: mkdtempSync(join(other, "c")) }), NEVER))).toBe("PAYLOAD_TOO_LARGE");
    await releaseJobFolder(other);
  });

  test("property: after any work of plain files and folders the project is what the job left", async () => {
    const name = fc.constantFrom("a", "b", "src", "b.txt", "x y", "ü", '"q"');
    const step = fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 3 }),
      act: fc.constantFrom("write", "remove", "mkdir"),
      text: fc.string({ maxLength: 9 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const into = mkdtempSync(join(folder, "c"));
        const workspace = await Workspace.prepare(request({ into }), NEVER);
        for (const { path, act, text } of steps) {
          const target = join(into, ...path);
          try {
            if (act === "remove") rmSync(target, { recursive: true, force: true });
            else if (act === "mkdir") mkdirSync(target, { recursive: true });
            else writeFileSync(target, text);
          } catch {
            // A file where a folder would have to be, or the other way round: that step does nothing.
          }
        }
        await workspace.collect(NEVER);
        expect(snapshot(project)).toEqual(snapshot(into));
        expect(snapshot(workspace.mount.source)).toEqual(snapshot(into));
      }),
      { numRuns: 40 },
    );
  });
});

function snapshot(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    found[path.slice(root.length)] = entry.isDirectory() ? "/" : readFileSync(path, "utf8");
  }
  return found;
}
