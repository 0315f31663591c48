/** Containers of jobs on a real dockerd: made, proven, let go; and what stops them. */
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ContainerCreate, EngineClient } from "../../src/engine/index.ts";
import { CofferdamError } from "../../src/foundation/index.ts";
import {
  containerProfile,
  HardenedContainer,
  type JobContainer,
  makeJobFolder,
  prepareSecureContainer,
  releaseJobFolder,
  Workspace,
} from "../../src/jobs/container/index.ts";
import type { Level } from "../../src/policy/index.ts";
import type { ArchiveEntry } from "../world/archives.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage, imageArchive } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";

const LEVELS: readonly Level[] = ["low", "medium", "high", "paranoid"];
const NEVER = new AbortController().signal;
const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "x64";

let docker: TestDocker;
let engine: EngineClient;
let image: string;
let jobs: string;
let count = 0;

beforeAll(async () => {
  if (!has("docker") || !has("container")) return;
  docker = await startDocker();
  engine = new EngineClient({ socketPath: docker.socketPath });
  image = await busyboxImage(engine);
  // Below the daemon's shared mounts, and nobody's but root's.
  jobs = join(docker.mounts, "jobs");
});
afterAll(async () => {
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "container");
});
afterEach(async () => {
  if (engine === undefined) return;
  const left = (await engine.containers.list({ all: true })).map(({ Id }) => Id);
  const folders = existsSync(jobs) ? readdirSync(jobs) : [];
  // One test's remains are not the next one's failure.
  for (const id of left) await engine.containers.remove(id, { force: true, volumes: true });
  for (const folder of folders) await releaseJobFolder(join(jobs, folder));
  expect({ left, folders }).toEqual({ left: [], folders: [] });
});

interface Asked extends Partial<JobContainer> {
  readonly level?: Level;
  readonly profile?: "build" | "none";
  /** An engine that does something else than it is told. */
  readonly through?: (body: ContainerCreate) => ContainerCreate;
  readonly waitSeconds?: number;
  readonly folder?: string;
}

async function create(asked: Asked): Promise<HardenedContainer> {
  const { level = "medium", profile = "build", through, waitSeconds, folder = makeJobFolder(jobs, `j${count++}`), ...container } = asked;
  const target = through === undefined ? engine : lying(through);
  return HardenedContainer.create(
    target,
    {
      container: {
        jobId: "job-1",
        imageId: image,
        env: {},
        tty: false,
        stdin: false,
        limits: { Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20 },
        mounts: [],
        scratch: [],
        ...container,
      },
      profile: containerProfile(level, profile, ARCHITECTURE),
      folder,
      waitSeconds,
    },
    NEVER,
  );
}

/** The real engine, whose create changes the body: what a broken or hostile engine, or one that ignores a key, would do. */
function lying(through: (body: ContainerCreate) => ContainerCreate): EngineClient {
  const containers = new Proxy(engine.containers, {
    get: (target, key) =>
      key === "create" ? (body: ContainerCreate, options: object) => target.create(through(body), options) : Reflect.get(target, key).bind(target),
  });
  return new Proxy(engine, { get: (target, key) => (key === "containers" ? containers : Reflect.get(target, key)) });
}

interface Ran {
  readonly out: string;
  readonly exit: number;
}

/** To its end; what it wrote, both streams. */
async function run(asked: Asked, secrets: Record<string, string> = {}): Promise<Ran> {
  const container = await create(asked);
  try {
    await container.start(NEVER);
    await container.go(secrets, NEVER);
    const { exitCode } = await container.exit();
    return { out: await logs(container.id, asked.tty), exit: exitCode };
  } finally {
    await container.remove();
  }
}

async function logs(id: string, tty = false): Promise<string> {
  let text = "";
  for await (const { bytes } of await engine.containers.logs(id, { tty })) text += bytes.toString();
  return text;
}

const sh = (script: string): { command: string[] } => ({ command: ["sh", "-c", script] });

async function refusal(work: Promise<unknown>): Promise<CofferdamError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CofferdamError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a job", () => {
  test.each(LEVELS)("%s: is proven before it runs, and runs", async (level) => {
    const container = await create({ level, ...sh("echo ran") });
    const proof = await container.start(NEVER);
    expect(await logs(container.id)).toBe("");
    expect(proof.controls.filter(({ ok }) => !ok)).toEqual([]);
    expect(proof.held).toEqual(expect.arrayContaining(["capabilities", "devices", "mounts", "namespaces", "network-isolation", "seccomp"]));
    expect(proof.held.includes("non-root")).toBe(level === "high" || level === "paranoid");
    expect(await container.go({}, NEVER)).toEqual({ kind: "started" });
    expect(await container.ended(NEVER)).toEqual({ exit: 0, signal: undefined, leftovers: 0 });
    await container.remove();
    await container.remove();
  });

  test("its exit, its signal and a program that is not there", async () => {
    expect(await run(sh("exit 7"))).toEqual({ out: "", exit: 7 });
    expect((await run(sh("kill -9 $$"))).exit).toBe(137);
    expect(await run({ command: ["/no/such"] })).toEqual({ out: "cofferdam: /no/such: No such file or directory\n", exit: 127 });
    expect((await run({ command: ["/etc/passwd"] })).exit).toBe(126);
  });

  test("secrets are only the workload's: not in the configuration, not in process 1", async () => {
    const container = await create({
      env: { OPEN: "1" },
      ...sh('echo "$OPEN $TOKEN"; tr "\\0" "\\n" < /proc/1/environ 2>&1 | grep -c hidden; cat /proc/1/mem 2>&1 | head -c 0; read -r wait'),
      stdin: true,
    });
    const attached = await engine.containers.attach(container.id, { stdin: true, tty: false });
    await container.start(NEVER);
    await container.go({ TOKEN: "hidden-value" }, NEVER);
    const [first] = await engine.containers.list();
    expect(JSON.stringify([first, await engine.containers.inspect(container.id)])).not.toContain("hidden-value");
    const { Pid } = (await engine.containers.inspect(container.id)).State;
    expect(readFileSync(`/proc/${Pid}/environ`, "utf8")).not.toContain("hidden-value");
    attached.stdin.end();
    await container.exit();
    expect(await logs(container.id)).toContain("1 hidden-value");
    await container.remove();
  });

  test("signals reach it, orphans are reaped, and nothing outlives it", async () => {
    const container = await create(sh('trap "echo got it; exit 3" TERM; (sleep 1000 &) ; echo ready; while :; do sleep 0.05; done'));
    await container.start(NEVER);
    await container.go({}, NEVER);
    for await (const { bytes } of await engine.containers.logs(container.id, { follow: true })) if (bytes.toString().includes("ready")) break;
    await engine.containers.kill(container.id, { killSignal: "SIGTERM" });
    expect((await container.exit()).exitCode).toBe(3);
    expect(await container.ended(NEVER)).toMatchObject({ exit: 3, leftovers: expect.any(Number) });
    await container.remove();
  });

  test("a terminal is in front of it", async () => {
    const { out, exit } = await run({ tty: true, ...sh("tty; test -t 0 && echo in front") });
    expect({ out: out.replaceAll("\r", ""), exit }).toEqual({ out: "/dev/pts/0\nin front\n", exit: 0 });
  });

  test("the image's volumes, health check, labels and entry point do not get their way", async () => {
    const hostile = await busyboxImage(engine, {
      config: {
        Volumes: { "/data": {} },
        Healthcheck: { Test: ["CMD-SHELL", "echo healthy > /health"], Interval: 1e8 },
        Labels: { "ofelia.enabled": "true" },
        Entrypoint: ["/evil"],
      },
    });
    const container = await create({ imageId: hostile, ...sh("sleep 0.4; mount | grep ' /data '; ls /health 2>&1") });
    const proof = await container.start(NEVER);
    expect(proof.controls.filter(({ ok }) => !ok)).toEqual([]);
    await container.go({}, NEVER);
    await container.exit();
    expect(await logs(container.id)).toMatch(/^tmpfs on \/data type tmpfs \(rw,nosuid,nodev.*\nls: \/health: No such file/m);
    expect((await engine.containers.inspect(container.id)).Config.Labels).toEqual({ "ofelia.enabled": "", "cofferdam.job": "job-1" });
    await container.remove();
    expect(await engine.volumes.list()).toEqual([]);
    await engine.images.remove(hostile, { force: true });
  });
});

describe("the image's user", () => {
  const users = "root:x:0:0::/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\ntoor:x:0:0::/:/bin/sh\n";
  const imageWith = async (user: string, files: readonly ArchiveEntry[]): Promise<string> => {
    const applets = ["sh", "id", "wc", "echo"].map((name): ArchiveEntry => ({ path: `bin/${name}`, type: "2", linkname: "busybox" }));
    const folders = ["bin", "dev", "etc", "proc", "sys", "tmp"].map((path): ArchiveEntry => ({ path: `${path}/`, type: "5", mode: 0o755 }));
    const { archive, id } = imageArchive([...folders, { path: "bin/busybox", body: readFileSync("/bin/busybox"), mode: 0o755 }, ...applets, ...files], {
      config: { User: user },
    });
    await engine.images.load(archive);
    return id;
  };
  test.each([
    ["node", "medium", "1000:1001 /home/node"],
    ["node", "high", "1000:1001 /home/job"],
    ["1000", "medium", "1000:1001 /home/node"],
    ["77", "medium", "77:77 /"],
    ["node:wheel", "medium", "1000:55 /home/node"],
    ["toor", "medium", "0:0 /"],
    ["toor", "high", "65534:65534 /home/job"],
    ["node:root", "high", "65534:65534 /home/job"],
  ] as const)("%s at %s is %s", async (user, level, expected) => {
    const named = await imageWith(user, [
      { path: "etc/passwd", body: users },
      { path: "etc/group", body: "root:x:0:\nwheel:x:55:node\n" },
    ]);
    expect(await run({ level, imageId: named, ...sh('echo "$(id -u):$(id -g) $HOME"; id -G | wc -w') })).toEqual({ out: `${expected}\n1\n`, exit: 0 });
    await engine.images.remove(named, { force: true });
  });

  test("one that the image does not know, and lists of users that are no plain files", async () => {
    for (const entry of [
      { path: "etc/passwd", body: users },
      { path: "etc/passwd", type: "2", linkname: "/etc/shadow" },
      { path: "etc/passwd/", type: "5" },
    ]) {
      const odd = await imageWith("nobody-knows", [entry]);
      expect((await refusal(run({ imageId: odd, ...sh("id") }))).code).toMatch(/^(FAILED_PRECONDITION|NOT_FOUND|UPSTREAM_UNAVAILABLE)$/);
      await engine.images.remove(odd, { force: true });
    }
  });
});

describe("the gate", () => {
  test("without the word nothing runs: the container ends with 125", async () => {
    const container = await create({ waitSeconds: 1, ...sh("echo ran") });
    await container.start(NEVER);
    expect((await container.exit()).exitCode).toBe(125);
    expect(await logs(container.id)).toBe("cofferdam: no word to go on in time\n");
    await container.remove();
  });

  test("a container that is started behind our back, after we are gone, runs nothing", async () => {
    const container = await create(sh("echo ran"));
    // What a kill -9 of ours leaves: the socket is there, and nobody listens.
    const folder = readdirSync(jobs)[0] ?? "";
    const { Id } = await engine.containers.create({
      Image: image,
      Entrypoint: ["/.cofferdam/shim", "5"],
      Cmd: ["sh", "-c", "echo ran"],
      HostConfig: { NetworkMode: "none", Mounts: [{ Type: "bind", Source: join(jobs, folder, "gate"), Target: "/.cofferdam", ReadOnly: true }] },
    });
    await container.remove();
    mkdirSync(join(jobs, folder, "gate"), { recursive: true });
    const { exit } = await engine.containers.startWait(Id, { condition: "next-exit" });
    const started = await engine.containers.start(Id).then(
      () => true,
      () => false,
    );
    if (started) expect((await exit).exitCode).toBe(125);
    expect(await logs(Id)).not.toContain("ran");
    await engine.containers.remove(Id, { force: true });
    rmSync(join(jobs, folder), { recursive: true });
  });

  test("go without a proof is refused", async () => {
    const container = await create(sh("echo ran"));
    expect((await refusal(Promise.resolve().then(() => container.go({}, NEVER)))).code).toBe("FAILED_PRECONDITION");
    await container.remove();
  });

  test("somebody else at the gate is a violation", async () => {
    const container = await create(sh("echo ran"));
    const place = join(jobs, readdirSync(jobs)[0] ?? "", "gate", "gate");
    const intruder = connect(place);
    await new Promise((resolve) => intruder.once("connect", resolve));
    intruder.write('{"hello":1,"probes":{}}\n');
    const error = await refusal(container.start(NEVER));
    expect(error.code).toBe("SECURITY_VIOLATION");
    intruder.destroy();
  });

  test("when we are gone the job is gone: the channel closes", async () => {
    const container = await create(sh("sleep 1000"));
    await container.start(NEVER);
    await container.go({}, NEVER);
    await container.remove();
    expect([125, 137]).toContain((await container.exit().catch(() => ({ exitCode: 137 }))).exitCode);
  });
});

describe("the proof finds what an engine did otherwise", () => {
  const host =
    (change: object) =>
    (body: ContainerCreate): ContainerCreate => ({ ...body, HostConfig: { ...body.HostConfig, ...change } });
  const unconfined = (body: ContainerCreate): ContainerCreate => host({ SecurityOpt: ["no-new-privileges:true", "seccomp=unconfined"] })(body);
  const lies: [string, string, (body: ContainerCreate) => ContainerCreate, Level?][] = [
    ["another capability", "capabilities", host({ CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "NET_ADMIN"] })],
    ["no filter", "seccomp", unconfined],
    ["the engine's own filter", "seccomp", host({ SecurityOpt: ["no-new-privileges:true"] })],
    ["no no-new-privileges", "no-new-privileges", (body) => host({ SecurityOpt: body.HostConfig?.SecurityOpt?.slice(1) })(body)],
    ["the host's processes", "namespaces", host({ PidMode: "host" })],
    ["the host's ipc", "namespaces", host({ IpcMode: "host" })],
    ["the host's network", "namespaces", host({ NetworkMode: "host" })],
    ["the host's name", "namespaces", (body) => host({ UTSMode: "host" })({ ...body, Hostname: undefined })],
    ["the host's cgroups", "namespaces", host({ CgroupnsMode: "host" })],
    ["a writable root", "read-only-root", host({ ReadonlyRootfs: false }), "high"],
    ["root", "non-root", (body) => ({ ...body, User: "0:0" }), "high"],
    ["another group", "non-root", host({ GroupAdd: ["6"] }), "high"],
    ["a mount of the host", "mounts", (body) => host({ Binds: ["/etc:/host:ro"] })(body)],
    ["a writable gate", "mounts", (body) => host({ Mounts: body.HostConfig?.Mounts?.map((mount) => ({ ...mount, ReadOnly: false })) })(body)],
    ["an anonymous volume", "mounts", (body) => host({ Mounts: [...(body.HostConfig?.Mounts ?? []), { Type: "volume", Target: "/data" }] })(body)],
    [
      "a larger scratch",
      "mounts",
      (body) => host({ Tmpfs: { ...body.HostConfig?.Tmpfs, "/tmp": "rw,nosuid,nodev,exec,size=2g,nr_inodes=100000" } })(body),
      "high",
    ],
    ["nothing masked", "masked-paths", host({ MaskedPaths: [] })],
    ["a writable /proc/sys", "masked-paths", host({ ReadonlyPaths: [] })],
    ["more memory", "memory-limit", host({ Memory: 2 ** 30, MemorySwap: 2 ** 30 })],
    ["swap", "memory-limit", host({ MemorySwap: 2 ** 30 })],
    ["no kill when out of memory", "memory-limit", host({ OomKillDisable: true })],
    ["more processes", "pids-limit", host({ PidsLimit: 2000 })],
    ["more open files", "pids-limit", host({ Ulimits: [{ Name: "nofile", Soft: 20000, Hard: 20000 }] })],
    ["another variable", "proven-before-start", (body) => ({ ...body, Env: [...(body.Env ?? []), "LD_PRELOAD=/evil.so"] })],
    ["an init of the engine", "proven-before-start", host({ Init: true })],
    ["other labels", "proven-before-start", (body) => ({ ...body, Labels: { ...body.Labels, "traefik.enable": "true" } })],
  ];
  test.each(lies.map(([what, control, through, level]) => ({ what, control, through, level: level ?? "medium" })))(
    "$what",
    async ({ control, through, level }) => {
      const error = await refusal(create({ level, through, ...sh("echo ran") }).then((container) => container.start(NEVER)));
      expect(error.code).toBe("SECURITY_VIOLATION");
      const failed = error.details["failed"];
      // A shim that is not process 1 ends at once; everything else is a control that differs.
      if (failed === undefined) expect(error.message).toMatch(/before it was proven/);
      else expect(JSON.stringify(failed)).toContain(`"name":"${control}"`);
    },
  );

  test("a filter with one rule more", async () => {
    const through = (body: ContainerCreate): ContainerCreate => {
      const [first = "", filter = ""] = body.HostConfig?.SecurityOpt ?? [];
      return host({ SecurityOpt: [first, filter.replace('"keyctl",', "").replace('"accept",', '"accept","keyctl",')] })(body);
    };
    const error = await refusal(create({ through, ...sh("true") }).then((container) => container.start(NEVER)));
    expect(error.message).toContain("seccomp (keyctl): expected errno 1");
  });
});

describe("a workspace", () => {
  const OWNER = 12_345;
  const project = (): string => {
    const folder = mkdtempSync(join(docker.folder, "project-"));
    chownSync(folder, OWNER, OWNER);
    writeFileSync(join(folder, "in.txt"), "input\n");
    chownSync(join(folder, "in.txt"), OWNER, OWNER);
    return folder;
  };
  const prepare = (folder: string, root: string, mode: "bind" | "copy", uid: number): Promise<Workspace> =>
    Workspace.prepare(
      { mode, place: { root, path: "." }, target: "/work", readOnly: false, who: { uid, gid: uid }, folder, bounds: { bytes: 2 ** 20, entries: 100 } },
      NEVER,
    );

  test.each([
    ["bind", "medium", 0],
    ["copy", "medium", 0],
    ["bind", "high", 65_534],
    ["copy", "high", 65_534],
  ] as const)("%s at %s: what the job makes is the caller's", async (mode, level, uid) => {
    const root = project();
    const folder = makeJobFolder(jobs, `j${count++}`);
    const workspace = await prepare(folder, root, mode, uid);
    const container = await create({
      level,
      folder,
      mounts: [workspace.mount],
      workingDir: "/work",
      ...sh("cat in.txt > out.txt; touch suid; chmod 4755 suid; ls -l suid"),
    });
    const proof = await container.start(NEVER);
    expect(proof.controls.find(({ what }) => what === "/work")).toMatchObject({ name: "mounts", ok: true });
    await container.go({}, NEVER);
    expect(await container.ended(NEVER)).toMatchObject({ exit: 0 });
    await engine.containers.remove(container.id, { force: true });
    const outcome = await workspace.collect(NEVER);
    await container.remove();
    expect(execFileSync("stat", ["-c", "%u %g %a", join(root, "out.txt")]).toString()).toBe(`${OWNER} ${OWNER} 644\n`);
    if (mode === "bind") expect(outcome.settled).toEqual({ owned: 0, setIdBits: 1 });
    else expect(outcome.refused).toEqual([{ path: "suid", why: "a set-user-id or set-group-id bit" }]);
  });

  test("swapped for a link between create and start: the container sees what was opened", async () => {
    const root = project();
    const folder = makeJobFolder(jobs, `j${count++}`);
    const workspace = await prepare(folder, root, "bind", 0);
    const container = await create({ folder, mounts: [workspace.mount], ...sh("ls /work") });
    renameSync(root, `${root}.old`);
    symlinkSync("/etc", root);
    await container.start(NEVER);
    await container.go({}, NEVER);
    await container.exit();
    expect(await logs(container.id)).toBe("in.txt\n");
    await container.remove();
  });

  test("the same swap on a plain bind shows the link's target: the attack is real", async () => {
    const root = project();
    const { Id } = await engine.containers.create({
      Image: image,
      Cmd: ["ls", "/work"],
      HostConfig: { NetworkMode: "none", Mounts: [{ Type: "bind", Source: root, Target: "/work" }] },
    });
    renameSync(root, `${root}.old`);
    symlinkSync("/etc", root);
    await engine.containers.start(Id);
    await engine.containers.wait(Id);
    expect(await logs(Id)).toContain("passwd");
    await engine.containers.remove(Id, { force: true });
  });
});

describe("prepareSecureContainer", () => {
  const secure = async (body: Partial<ContainerCreate>, level: Level, started = false) => {
    const { Id } = await engine.containers.create(
      { Image: image, Cmd: ["sh", "-c", 'echo "$A"; sleep 1000'], Env: ["A=theirs"], HostConfig: { NetworkMode: "none" }, ...body },
      { name: "theirs" },
    );
    if (started) await engine.containers.start(Id);
    const request = {
      containerId: Id,
      jobId: "job-1",
      profile: containerProfile(level, "build", ARCHITECTURE),
      limits: { Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20 },
      mounts: [],
      folder: makeJobFolder(jobs, `j${count++}`),
    };
    return { original: Id, work: prepareSecureContainer(engine, request, NEVER) };
  };
  const ids = async (): Promise<string[]> => (await engine.containers.list({ all: true })).map(({ Id }) => Id);

  test.each(LEVELS)("%s: one that never started is made anew with what it lacked, and the original is gone first", async (level) => {
    const { original, work } = await secure({ HostConfig: { RestartPolicy: { Name: "no" } } }, level);
    const { secured, containerId, applied, container } = await work;
    expect(secured).toBe(true);
    expect(await ids()).toEqual([containerId]);
    expect(containerId).not.toBe(original);
    expect((await engine.containers.inspect("theirs")).Id).toBe(containerId);
    expect(applied).toEqual(expect.arrayContaining(["capabilities", "seccomp", "network-isolation", "proven-before-start"]));
    await container?.start(NEVER);
    await container?.go({}, NEVER);
    for await (const { bytes } of await engine.containers.logs(containerId, { follow: true })) {
      expect(bytes.toString()).toBe("theirs\n");
      break;
    }
    await container?.remove();
  });

  test("one that asks for more than a job may have is refused and removed", async () => {
    for (const [control, host] of [
      ["pid namespace", { PidMode: "host" }],
      ["mounts", { Binds: ["/etc:/host:ro"] }],
      ["capabilities", { CapAdd: ["SYS_ADMIN"] }],
      ["security-opt", { SecurityOpt: ["seccomp=unconfined"] }],
    ] as const) {
      const { work } = await secure({ HostConfig: { NetworkMode: "none", ...host } }, "medium");
      const error = await refusal(work);
      expect([error.code, error.details["control"]]).toEqual(["SECURITY_VIOLATION", control]);
      expect(await ids()).toEqual([]);
    }
  });

  test("one that runs was never proven: removed at medium; at low it stays when it asks for nothing, else it loses its networks", async () => {
    expect((await refusal((await secure({}, "medium", true)).work)).details["control"]).toBe("proven-before-start");
    expect(await ids()).toEqual([]);
    const { original, work } = await secure({}, "low", true);
    expect(await work).toMatchObject({ secured: true, containerId: original, container: undefined });
    await engine.containers.remove(original, { force: true });
    const network = await engine.networks.create({ Name: "theirs", Internal: true });
    const other = await secure({ HostConfig: { NetworkMode: "theirs", CapAdd: ["NET_ADMIN"] } }, "low", true);
    expect((await refusal(other.work)).message).toContain("refused and disconnected: capabilities");
    expect((await engine.containers.inspect(other.original)).NetworkSettings.Networks).toEqual({});
    await engine.containers.remove(other.original, { force: true });
    await engine.networks.remove(network);
    for (const left of readdirSync(jobs)) await releaseJobFolder(join(jobs, left));
  });
});
