import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { SqliteStore } from "../../store/index.ts";
import { ResourceQuotaManager } from "../index.ts";
import { mountOf, mountsAt } from "./mounted.ts";
import { storageOptSupport } from "./storage-opt.ts";
import { sizeOfTree } from "./walk.ts";

const MiB = 2 ** 20;
const PROCESS = fileURLToPath(new URL("../../../test/world/quota-disk-process.ts", import.meta.url));
let base: string;
let store: SqliteStore;
let quota: ResourceQuotaManager;
let children: ChildProcess[];
beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-disk-"));
  children = [];
  store = new SqliteStore({ path: join(base, "cofferdam.db") });
  quota = new ResourceQuotaManager(undefined, { store, workspaces: join(base, "workspaces"), slots: 4 });
  await quota.initialize();
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await quota.close();
  await store.close();
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n"))
    if (line.includes(base)) execFileSync("umount", ["--lazy", line.split(" ")[4] ?? ""]);
  rmSync(base, { recursive: true });
});

describe("a workspace", () => {
  const workspace = async (jobId: string, disk: string): Promise<string> => {
    await quota.allocateResources(jobId, { requestedResources: { disk, memory: "6MiB", cpu: 0.1 } });
    const made = await quota.createWorkspace(jobId, { uid: 1234, gid: 1235 });
    expect(made.enforcement).toBe("enforced");
    return made.path;
  };

  test("is the job's own, empty, nosuid and nodev, and out of everybody else's reach", async (context) => {
    requires(context, "root");
    const path = await workspace("job1", "64MiB");
    expect(readdirSync(path)).toEqual([]);
    expect(statSync(path)).toMatchObject({ uid: 1234, gid: 1235 });
    const [mount] = mountsAt(path);
    expect(mount).toMatchObject({ type: "ext4" });
    expect(mount?.options).toEqual(expect.arrayContaining(["nosuid", "nodev"]));
    expect(lstatSync(join(base, "workspaces")).mode & 0o777).toBe(0o700);
    expect(() => execFileSync("setpriv", ["--reuid=1234", "--clear-groups", "ls", path], { stdio: "ignore" })).toThrow();
  });

  test("holds so much and no more, in bytes and in files, whoever writes", async (context) => {
    requires(context, "root");
    const path = await workspace("job1", "16MiB");
    const fill = execFileSync("sh", ["-c", `dd if=/dev/zero of=${path}/big bs=64k count=1000 2>&1 || true`]).toString();
    expect(fill).toContain("No space left");
    expect(statSync(join(path, "big")).size).toBeLessThanOrEqual(16 * MiB);
    rmSync(join(path, "big"));
    const made = execFileSync("sh", ["-c", `i=0; while true > ${path}/f$i; do i=$((i+1)); done 2>/dev/null; echo $i`]).toString();
    expect(Number(made)).toBeGreaterThan(100);
    expect(Number(made)).toBeLessThan(20_000);
  });

  test("goes with the job's resources, twice if need be, and in use too", async (context) => {
    requires(context, "root");
    const path = await workspace("job1", "16MiB");
    const user = spawn("sleep", ["60"], { cwd: path });
    children.push(user);
    await once(user, "spawn");
    expect(await quota.releaseResources("job1")).toMatchObject({ workspace: { lingering: true } });
    expect(await quota.releaseResources("job1")).toBeUndefined();
    expect(existsSync(join(base, "workspaces", "job1"))).toBe(false);
    expect(mountsAt(path)).toEqual([]);
    user.kill("SIGKILL");
    await once(user, "exit");
  });

  test("one a job; none without resources, without a folder, in a folder that others can enter, or behind a link", async (context) => {
    requires(context, "root");
    await workspace("job1", "16MiB");
    const owner = { uid: 0, gid: 0 };
    await expect(quota.createWorkspace("job1", owner)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(quota.createWorkspace("job2", owner)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await quota.allocateResources("job2", { requestedResources: { disk: "1MiB" } });
    chmodSync(join(base, "workspaces"), 0o755);
    await expect(quota.createWorkspace("job2", owner)).rejects.toMatchObject({ code: "FAILED_PRECONDITION", message: expect.stringContaining("0700") });
    await quota.releaseResources("job1");
    rmSync(join(base, "workspaces"), { recursive: true });
    symlinkSync("/root", join(base, "workspaces"));
    await expect(quota.createWorkspace("job2", owner)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  test("what a killed process left mounted is found by its record and removed; what a living one has stays", async (context) => {
    requires(context, "root");
    const child = spawn(process.execPath, [PROCESS, join(base, "cofferdam.db"), join(base, "workspaces"), "theirs"], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    const path = String((await once(child.stdout, "data"))[0]).trim();
    // Nobody's: it has no record, and is not ours to touch.
    mkdirSync(join(base, "workspaces", "cofferdam-lookalike"));
    const look = async (): Promise<void> => {
      await using next = new ResourceQuotaManager(undefined, { store, workspaces: join(base, "workspaces") });
      await next.initialize();
    };
    await look();
    expect(mountsAt(path)).toHaveLength(1);
    child.kill("SIGKILL");
    await once(child, "exit");
    await look();
    expect(mountsAt(path)).toEqual([]);
    expect(readdirSync(join(base, "workspaces"))).toEqual(["cofferdam-lookalike"]);
  });
});

describe("a walk", () => {
  test("counts blocks, not sizes; names of one file once; and follows no link", async () => {
    mkdirSync(join(base, "tree/a/b"), { recursive: true });
    writeFileSync(join(base, "tree/a/one"), Buffer.alloc(MiB, 1));
    linkSync(join(base, "tree/a/one"), join(base, "tree/a/b/two"));
    writeFileSync(join(base, "tree/sparse"), "");
    truncateSync(join(base, "tree/sparse"), 2 ** 30);
    symlinkSync("/usr", join(base, "tree/usr"));
    symlinkSync(".", join(base, "tree/self"));
    const { bytes, entries, complete } = await sizeOfTree(join(base, "tree"));
    expect(bytes).toBeGreaterThanOrEqual(MiB);
    expect(bytes).toBeLessThan(MiB + 100_000);
    expect({ entries, complete }).toEqual({ entries: 7, complete: true });
  });

  test("agrees with du for any tree", async () => {
    const tree = fc.array(fc.tuple(fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 50_000 })), {
      maxLength: 15,
    });
    await fc.assert(
      fc.asyncProperty(tree, async (files) => {
        const root = mkdtempSync(join(base, "t-"));
        for (const [path, size] of files) {
          mkdirSync(join(root, ...path.slice(0, -1).map((name) => `d${name}`)), { recursive: true });
          writeFileSync(join(root, ...path.slice(0, -1).map((name) => `d${name}`), path.at(-1) ?? "x"), Buffer.alloc(size, 1));
        }
        execFileSync("sync", ["-f", root]);
        const du = Number(execFileSync("du", ["-s", "--block-size=1", root]).toString().split("\t")[0]);
        expect((await sizeOfTree(root)).bytes).toBe(du - lstatSync(root).blocks * 512);
      }),
      { numRuns: 15 },
    );
  });

  test("reaches what lies deeper than any path is long", async () => {
    const script = `import os\nos.chdir("${base}")\nfor i in range(60):\n  os.mkdir("x"*100); os.chdir("x"*100)\nopen("deep","wb").write(b"1"*1000000)`;
    const deep = spawn("python3", ["-c", script]);
    const [code] = await once(deep, "exit").catch(() => [1]);
    if (code !== 0) return;
    expect((await sizeOfTree(join(base, "x".repeat(100)))).bytes).toBeGreaterThan(1_000_000);
  });

  test("is bounded in entries, depth and time, and says that it was cut", async () => {
    mkdirSync(join(base, "many/a/b/c"), { recursive: true });
    for (let i = 0; i < 50; i++) writeFileSync(join(base, `many/${i}`), "x");
    expect(await sizeOfTree(join(base, "many"), { entries: 10 })).toMatchObject({ entries: 10, complete: false });
    expect((await sizeOfTree(join(base, "many"), { depth: 2 })).complete).toBe(false);
    expect((await sizeOfTree(join(base, "many"), { time: 0 })).complete).toBe(false);
    expect(await sizeOfTree(join(base, "absent"))).toEqual({ bytes: 0, entries: 0, complete: true });
    expect((await sizeOfTree(join(base, "many/0"))).bytes).toBe(lstatSync(join(base, "many/0")).blocks * 512);
  });

  test("leaves no descriptor open", async () => {
    mkdirSync(join(base, "many/a/b/c"), { recursive: true });
    await sizeOfTree(join(base, "many"), { depth: 1 });
    const first = openSync(base, "r");
    for (let i = 0; i < 20; i++) await sizeOfTree(join(base, "many"));
    expect(openSync(base, "r")).toBe(first + 1);
  });
});

test("storage options are for overlay2 on xfs with project quotas, and say why not elsewhere", () => {
  const info = (root: string): string => `1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /var/lib/docker rw - xfs /dev/sdb ${root}\n`;
  const facts = { driver: "overlay2", root: "/var/lib/docker" };
  expect(storageOptSupport(facts, info("rw,prjquota"))).toMatchObject({ supported: true });
  expect(storageOptSupport(facts, info("rw,noquota"))).toMatchObject({ supported: false, why: expect.stringContaining("pquota") });
  expect(storageOptSupport({ ...facts, root: "/srv" }, info("rw,prjquota"))).toMatchObject({ supported: false, why: expect.stringContaining("ext4") });
  expect(storageOptSupport({ driver: "vfs", root: "/" })).toMatchObject({ supported: false });
  expect(storageOptSupport({ driver: "btrfs", root: "/" })).toMatchObject({ supported: true });
});

test("mounts with spaces in their path, and the uppermost of several", () => {
  const info = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /a\\040b rw shared:1 - tmpfs t rw\n3 2 8:3 / /a\\040b rw - ext4 u rw,x\n";
  expect(mountsAt("/a b", info).map(({ type }) => type)).toEqual(["tmpfs", "ext4"]);
  expect(mountOf("/a b/c", info)).toMatchObject({ type: "ext4" });
  expect(mountOf("/a bc", info)).toMatchObject({ path: "/" });
});
