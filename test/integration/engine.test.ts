/**
 * Every call of the engine client against a real dockerd, as it answers here. COFFERDAM_TEST_ENGINE names another one to run
 * them against, which should be nobody's: they list and count.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Attachment, type ContainerCreate, type EngineAddress, EngineClient, type EngineNews, type OutputChunk } from "../../src/engine/index.ts";
import { tar } from "../world/archives.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage, imageArchive } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";

const other = process.env["COFFERDAM_TEST_ENGINE"];
let docker: TestDocker | undefined;
let address: string;
let engine: EngineClient;
let image: string;

beforeAll(async () => {
  if (other === undefined && !has("docker")) return;
  docker = other === undefined ? await startDocker({ tls: has("openssl") }) : undefined;
  address = other ?? docker?.socketPath ?? "";
  engine = new EngineClient(address);
  image = await busyboxImage(engine, { config: { Labels: { "of.image": "yes" } } });
});
afterAll(async () => {
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  if (other === undefined) requires(context, "docker");
});

async function create(cmd: readonly string[], more: Partial<ContainerCreate> = {}): Promise<string> {
  const { HostConfig, ...rest } = more;
  return (await engine.containers.create({ Image: image, Cmd: cmd, HostConfig: { NetworkMode: "none", ...HostConfig }, ...rest })).Id;
}

async function running(cmd: readonly string[] = ["sleep", "1000"], more: Partial<ContainerCreate> = {}): Promise<string> {
  const id = await create(cmd, more);
  await engine.containers.start(id);
  return id;
}

async function gone(id: string): Promise<void> {
  await engine.containers.remove(id, { force: true, volumes: true });
}

async function collect(output: AsyncIterable<OutputChunk>): Promise<{ stdout: string; stderr: string }> {
  const all = { stdout: "", stderr: "" };
  for await (const { source, bytes } of output) all[source] += bytes.toString();
  return all;
}

async function until(output: AsyncIterable<OutputChunk>, end: string): Promise<string> {
  let all = "";
  for await (const { bytes } of output) {
    all += bytes.toString();
    if (all.includes(end)) break;
  }
  return all;
}

/** Runs it with what it prints, from its first byte to its exit. */
async function run(cmd: readonly string[], more: Partial<ContainerCreate> = {}): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  const id = await create(cmd, more);
  await using attached = await engine.containers.attach(id, { tty: false });
  const { exit } = await engine.containers.startWait(id, { condition: "next-exit" });
  await engine.containers.start(id);
  const output = await collect(attached.output);
  const { exitCode } = await exit;
  await gone(id);
  return { ...output, exitCode };
}

describe("the engine", () => {
  test("says who it is, and the version both speak is agreed on", async () => {
    expect(await engine.ping()).toEqual({
      engine: "docker",
      apiVersion: expect.stringMatching(/^1\.4\d$/),
      engineApiVersion: expect.stringMatching(/^1\.\d+$/),
    });
    expect((await engine.version()).Components.map(({ Name }) => Name)).toContain("runc");
    expect(await engine.info()).toMatchObject({ NCPU: expect.any(Number), CgroupDriver: "cgroupfs", DockerRootDir: expect.stringMatching(/^\//) });
  });

  test("adds up what it holds", async () => {
    const usage = await engine.diskUsage();
    expect(usage.Images.map(({ Id }) => Id)).toContain(image);
    expect(usage.LayersSize).toBeGreaterThan(1e6);
  });
});

describe("a container's life", () => {
  test("create, start, wait, inspect, remove", async () => {
    const { Id: id } = await engine.containers.create(
      { Image: image, Cmd: ["sh", "-c", "exit 7"], Env: ["A=b"], Labels: { job: "j1" }, HostConfig: { NetworkMode: "none", Memory: 64 * 2 ** 20 } },
      { name: "life" },
    );
    const { exit } = await engine.containers.startWait(id, { condition: "next-exit" });
    expect(await engine.containers.start(id)).toBe(true);
    expect(await exit).toEqual({ exitCode: 7 });
    const facts = await engine.containers.inspect("life", { size: true });
    expect(facts).toMatchObject({ Id: id, Name: "/life", Image: image, State: { Status: "exited", Running: false, ExitCode: 7, OOMKilled: false }, SizeRw: 0 });
    expect(facts.Config).toMatchObject({ Labels: { job: "j1", "of.image": "yes" }, Cmd: ["sh", "-c", "exit 7"] });
    expect(facts.HostConfig["Memory"]).toBe(64 * 2 ** 20);
    await engine.containers.remove(id);
    await expect(engine.containers.inspect(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a second start and a second stop change nothing and say so", async () => {
    const id = await running(["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"]);
    expect(await engine.containers.start(id)).toBe(false);
    expect(await engine.containers.stop(id, { graceSeconds: 20 })).toBe(true);
    expect(await engine.containers.stop(id)).toBe(false);
    expect(await engine.containers.wait(id)).toEqual({ exitCode: 3 });
    await gone(id);
  });

  test("one that ignores SIGTERM is killed after its grace", async () => {
    const id = await running(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    expect(await engine.containers.stop(id, { graceSeconds: 0 })).toBe(true);
    expect(await engine.containers.wait(id)).toEqual({ exitCode: 137 });
    await gone(id);
  });

  test("a signal arrives; a container that does not run takes none", async () => {
    const id = await running(["sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"]);
    await until(await engine.containers.logs(id, { follow: true }), "up");
    await engine.containers.kill(id, { killSignal: "SIGUSR1" });
    expect(await engine.containers.wait(id)).toEqual({ exitCode: 9 });
    await expect(engine.containers.kill(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(engine.containers.kill(id, { killSignal: "SIGUSR1; rm" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await gone(id);
  });

  test("a wait for the removal ends with it, one that is given up leaves the container", async () => {
    const id = await running();
    const stop = new AbortController();
    const given = engine.containers.wait(id, { signal: stop.signal });
    const { exit } = await engine.containers.startWait(id, { condition: "removed" });
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: "CANCELLED" });
    expect((await engine.containers.inspect(id)).State.Running).toBe(true);
    await gone(id);
    expect(await exit).toMatchObject({ exitCode: 137 });
  });

  test("pause, unpause, rename, update, top, stats", async () => {
    const id = await running(["sleep", "999"], { HostConfig: { Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20, PidsLimit: 20 } });
    await engine.containers.pause(id);
    expect((await engine.containers.inspect(id)).State.Paused).toBe(true);
    await expect(engine.containers.pause(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await engine.containers.unpause(id);
    await engine.containers.rename(id, "other-name");
    expect((await engine.containers.inspect(id)).Name).toBe("/other-name");
    expect(await engine.containers.update(id, { Memory: 32 * 2 ** 20, MemorySwap: 32 * 2 ** 20 })).toEqual([]);
    const stats = await engine.containers.stats(id);
    expect(stats.memory_stats.limit).toBe(32 * 2 ** 20);
    expect(stats.pids_stats).toMatchObject({ current: 1, limit: 20 });
    expect(stats.cpu_stats.cpu_usage.total_usage).toBeGreaterThan(0);
    const { Titles, Processes } = await engine.containers.top(id);
    expect(Processes.map((row) => row[Titles.indexOf("CMD")])).toEqual(["sleep 999"]);
    await gone(id);
  });

  test("lists by label, state and number", async () => {
    const ids = [await create(["true"], { Labels: { set: "a" } }), await running(undefined, { Labels: { set: "a", odd: 'é "quoted" \u202e=' } })];
    const listed = async (filters: Record<string, string[]>): Promise<string[]> => (await engine.containers.list({ all: true, filters })).map(({ Id }) => Id);
    expect(new Set(await listed({ label: ["set=a"] }))).toEqual(new Set(ids));
    expect(await listed({ label: ["set=a"], status: ["running"] })).toEqual([ids[1]]);
    expect(await listed({ label: ["set=b"] })).toEqual([]);
    expect((await engine.containers.list({ filters: { label: ["odd"] } }))[0]?.Labels["odd"]).toBe('é "quoted" \u202e=');
    expect(await engine.containers.list({ all: true, limit: 1, filters: { label: ["set=a"] } })).toHaveLength(1);
    await expect(engine.containers.list({ filters: { nonsense: ["x"] } })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    for (const id of ids) await gone(id);
  });
});

describe("what cannot be done says why", () => {
  test("no image, a taken name, a name that is none, an image in use", async () => {
    await expect(create([], { Image: "nothing:1" })).rejects.toMatchObject({ code: "NOT_FOUND", details: { status: 404 } });
    const { Id: id } = await engine.containers.create({ Image: image }, { name: "taken" });
    await expect(engine.containers.create({ Image: image }, { name: "taken" })).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(engine.containers.create({ Image: image }, { name: "../x" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(engine.containers.rename(id, "a b")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(engine.images.remove(image)).rejects.toMatchObject({ code: "CONFLICT" });
    await gone(id);
  });

  test.each([
    [["/nothing"], "command-not-found"],
    [["nothing"], "command-not-found"],
    [["/etc/passwd"], "command-not-executable"],
    [["/etc"], "command-not-executable"],
  ])("command %j: %s", async (cmd, reason) => {
    // The image's own files are 755; a file that nobody may execute is needed.
    const id = await create(cmd);
    await expect(engine.containers.start(id)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", details: { reason } });
    await gone(id);
  });

  test("a running container is not removed without force; one that runs is no place for a second", async () => {
    const id = await running();
    await expect(engine.containers.remove(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await gone(id);
    await expect(engine.containers.remove(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("what the engine repeats of a variable is hidden", async () => {
    const env = ["=hunter22"];
    const failure = await create(["true"], { Env: env }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("***") });
    expect(JSON.stringify(failure) + String(failure)).not.toContain("hunter22");
  });
});

describe("output", () => {
  test("both streams come apart, whole, from the first byte", async () => {
    const script = "i=0; while [ $i -lt 300 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; exit 5";
    const { stdout, stderr, exitCode } = await run(["sh", "-c", script]);
    const lines = (word: string): string => Array.from({ length: 300 }, (_, i) => `${word}${i}\n`).join("");
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: lines("out"), stderr: lines("err"), exitCode: 5 });
  });

  test("a line of 10 MB, attached and from the log", async () => {
    const id = await create(["sh", "-c", "dd if=/dev/zero bs=1M count=10 2>/dev/null | tr '\\0' x; echo; echo end >&2"]);
    await using attached = await engine.containers.attach(id, { tty: false });
    await engine.containers.start(id);
    const live = await collect(attached.output);
    expect([live.stdout.length, new Set(live.stdout.slice(0, -1)).size, live.stderr]).toEqual([10 * 2 ** 20 + 1, 1, "end\n"]);
    const logged = await collect(await engine.containers.logs(id));
    expect([logged.stdout === live.stdout, logged.stderr]).toEqual([true, "end\n"]);
    let records = 0;
    let bytes = 0;
    for await (const chunk of await engine.containers.logs(id, { timestamps: true, stderr: false })) {
      expect(chunk.time).toMatch(/^2\d{3}-\d\d-\d\dT[\d:.]+Z$/);
      records += 1;
      bytes += chunk.bytes.length;
    }
    expect([records, bytes]).toEqual([641, 10 * 2 ** 20 + 1]);
    await gone(id);
  });

  test("is taken from the engine only as fast as it is read", async () => {
    const id = await create(["sh", "-c", "dd if=/dev/zero bs=1M count=64 2>/dev/null; echo done >&2"], { HostConfig: { LogConfig: { Type: "none" } } });
    await using attached = await engine.containers.attach(id, { tty: false });
    const { exit } = await engine.containers.startWait(id, { condition: "next-exit" });
    await engine.containers.start(id);
    const before = process.memoryUsage.rss();
    let length = 0;
    for await (const { bytes } of attached.output) {
      length += bytes.length;
      if (length < 2 ** 20) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(length).toBe(64 * 2 ** 20 + 5);
    expect(process.memoryUsage.rss() - before).toBeLessThan(48 * 2 ** 20);
    expect(await exit).toEqual({ exitCode: 0 });
    await gone(id);
  });

  test("the log's window: tail, since, until, one stream, following", async () => {
    const id = await running(["sh", "-c", "for i in 1 2 3; do echo l$i; done; echo e >&2; read x; echo last"], { OpenStdin: true });
    await until(await engine.containers.logs(id, { follow: true, stdout: false }), "e");
    // The two streams are read by two threads of the engine: their order against each other is not fixed.
    const last = await collect(await engine.containers.logs(id, { tail: 2 }));
    expect((last.stdout + last.stderr).split("\n")).toHaveLength(3);
    expect(last.stdout.endsWith("l3\n")).toBe(true);
    expect(await collect(await engine.containers.logs(id, { tail: 0 }))).toEqual({ stdout: "", stderr: "" });
    expect(await collect(await engine.containers.logs(id, { since: Date.now() / 1000 + 100 }))).toEqual({ stdout: "", stderr: "" });
    expect(await collect(await engine.containers.logs(id, { until: 1 }))).toEqual({ stdout: "", stderr: "" });
    const follow = collect(await engine.containers.logs(id, { follow: true }));
    await using attached = await engine.containers.attach(id, { tty: false, stdin: true });
    attached.stdin.end("go\n");
    expect(await follow).toEqual({ stdout: "l1\nl2\nl3\nlast\n", stderr: "e\n" });
    await gone(id);
  });

  test("a container that ended before anyone was attached has its output in the log, and an attach with logs", async () => {
    const id = await running(["sh", "-c", "echo early; exit 4"]);
    expect(await engine.containers.wait(id)).toEqual({ exitCode: 4 });
    expect(await collect(await engine.containers.logs(id))).toEqual({ stdout: "early\n", stderr: "" });
    await using late = await engine.containers.attach(id, { tty: false, logs: true });
    expect(await until(late.output, "early")).toBe("early\n");
    await gone(id);
  });

  test("a close from elsewhere ends the reading, quietly", async () => {
    const id = await running(["sh", "-c", "echo x; sleep 1000"]);
    const logs = await engine.containers.logs(id, { follow: true });
    const attached = await engine.containers.attach(id, { tty: false });
    const first = Promise.withResolvers<void>();
    const reading = [logs, attached.output].map(async (output) => {
      let all = "";
      for await (const { bytes } of output) {
        all += bytes.toString();
        first.resolve();
      }
      return all;
    });
    await first.promise;
    logs.close();
    attached.close();
    expect(await Promise.all(reading)).toEqual(["x\n", ""]);
    await gone(id);
  });

  test("leaving the loop closes the connection, the container goes on", async () => {
    const id = await running(["sh", "-c", "while :; do echo x; sleep 0.02; done"]);
    const logs = await engine.containers.logs(id, { follow: true });
    await until(logs, "x");
    await using attached = await engine.containers.attach(id, { tty: false });
    await until(attached.output, "x");
    expect(attached.stdin.destroyed).toBe(true);
    expect((await engine.containers.inspect(id)).State.Running).toBe(true);
    await gone(id);
  });
});

describe("terminals and stdin", () => {
  test("stdin ends, output goes on until the container ends", async () => {
    const id = await create(["sh", "-c", "cat; echo after >&2; exit 6"], { OpenStdin: true, StdinOnce: true });
    await using attached = await engine.containers.attach(id, { tty: false, stdin: true });
    const { exit } = await engine.containers.startWait(id, { condition: "next-exit" });
    await engine.containers.start(id);
    const big = "0123456789abcdef".repeat(200_000);
    const output = collect(attached.output);
    Readable.from([big]).pipe(attached.stdin);
    const { stdout, stderr } = await output;
    expect([stdout === big, stderr]).toEqual([true, "after\n"]);
    expect(await exit).toEqual({ exitCode: 6 });
    await gone(id);
  });

  test("a terminal echoes, has the size it was given, and is one stream", async () => {
    const id = await create(["sh"], { Tty: true, OpenStdin: true });
    await using attached = await engine.containers.attach(id, { tty: true, stdin: true });
    await engine.containers.start(id);
    await engine.containers.resize(id, { rows: 33, columns: 121 });
    attached.stdin.write("stty size; echo err >&2; exit 2\n");
    const { stdout, stderr } = await collect(attached.output);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/stty size[\s\S]*33 121\r\nerr\r\n/);
    expect(await engine.containers.wait(id)).toEqual({ exitCode: 2 });
    expect((await collect(await engine.containers.logs(id, { tty: true }))).stdout).toContain("33 121\r\n");
    await expect(collect(await engine.containers.logs(id))).rejects.toMatchObject({
      code: "UPSTREAM_UNAVAILABLE",
      message: expect.stringContaining("terminal"),
    });
    await gone(id);
  });

  test("an exec has streams, an exit code, a size, and its own user", async () => {
    const id = await running();
    const exec = await engine.execs.create(id, {
      Cmd: ["sh", "-c", "id -u; cat; echo e >&2; exit 8"],
      User: "65534",
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    await using started: Attachment = await engine.execs.start(exec, { tty: false });
    started.stdin.end("typed\n");
    expect(await collect(started.output)).toEqual({ stdout: "65534\ntyped\n", stderr: "e\n" });
    expect(await engine.execs.inspect(exec)).toMatchObject({ Running: false, ExitCode: 8, ContainerID: id });

    const terminal = await engine.execs.create(id, { Cmd: ["sh"], Tty: true, AttachStdin: true, AttachStdout: true, AttachStderr: true });
    await using open = await engine.execs.start(terminal, { tty: true });
    await until(open.output, "#").catch(() => undefined);
    await gone(id);
  });

  test("an exec's terminal is resized while it runs", async () => {
    const id = await running();
    const exec = await engine.execs.create(id, {
      Cmd: ["sh", "-c", "read x; stty size"],
      Tty: true,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    await using open = await engine.execs.start(exec, { tty: true });
    await engine.execs.resize(exec, { rows: 21, columns: 77 });
    open.stdin.write("\n");
    expect((await collect(open.output)).stdout).toContain("21 77\r\n");
    await gone(id);
  });

  test("a detached exec runs, a container that ended takes none", async () => {
    const id = await running();
    const exec = await engine.execs.create(id, { Cmd: ["touch", "/tmp/made"] });
    await engine.execs.startDetached(exec);
    await expect.poll(async () => (await engine.execs.inspect(exec)).ExitCode).toBe(0);
    expect((await engine.containers.statPath(id, "/tmp/made")).name).toBe("made");
    await engine.containers.kill(id);
    await engine.containers.wait(id);
    await expect(engine.execs.create(id, { Cmd: ["true"] })).rejects.toMatchObject({ code: "CONFLICT" });
    await gone(id);
  });
});

describe("files", () => {
  test("a tar goes in and comes out", async () => {
    const id = await create(["cat", "/work/deep/file"]);
    const body = "content\n".repeat(100_000);
    await engine.containers.putArchive(
      id,
      "/work",
      Readable.from([
        tar([
          { path: "deep/", type: "5", mode: 0o755 },
          { path: "deep/file", body, mode: 0o640 },
        ]),
      ]),
    );
    await engine.containers.putArchive(id, "/work", tar([{ path: "second", body: "2" }]));
    const { stat, tar: out } = await engine.containers.getArchive(id, "/work/deep/file");
    expect(stat).toMatchObject({ name: "file", size: body.length, linkTarget: "" });
    expect(stat.mode & 0o777).toBe(0o640);
    expect(await text(out)).toContain(body);
    expect(await engine.containers.changes(id)).toEqual(
      expect.arrayContaining([
        { Path: "/work/deep/file", Kind: 1 },
        { Path: "/work/second", Kind: 1 },
      ]),
    );
    await gone(id);
  });

  test("a refusal of a large stream is read, and the stream is given up", async () => {
    const id = await create(["true"]);
    let sent = 0;
    const endless = new Readable({
      read() {
        sent += 65_536;
        this.push(Buffer.alloc(65_536));
      },
    });
    await expect(engine.containers.putArchive(id, "/no/such/folder", endless)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(endless.destroyed).toBe(true);
    expect(sent).toBeLessThan(2 ** 20);
    await expect(engine.containers.getArchive(id, "/nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(engine.containers.statPath(id, "/nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await gone(id);
  });

  test("a stream that breaks off is our caller's failure, not the engine's", async () => {
    const id = await create(["true"]);
    const broken = new Readable({
      read() {
        this.destroy(new Error("disk gone"));
      },
    });
    await expect(engine.containers.putArchive(id, "/work", broken)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await gone(id);
  });

  test("a tar that is not read to its end holds nothing", async () => {
    const id = await create(["true"]);
    const { tar: out } = await engine.containers.getArchive(id, "/");
    await once(out, "readable");
    out.destroy();
    await gone(id);
  });
});

describe("images", () => {
  test("load, inspect, tag, history, list, remove", async () => {
    const { archive, id } = imageArchive([{ path: "x", body: "y" }], { reference: "team/app:1", config: { User: "7", ExposedPorts: { "80/tcp": {} } } });
    expect(await engine.images.load(Readable.from([archive]))).toEqual(["team/app:1"]);
    expect(await engine.images.inspect("team/app:1")).toMatchObject({
      Id: id,
      Os: "linux",
      RepoTags: ["team/app:1"],
      Config: { User: "7" },
      RootFS: { Type: "layers" },
    });
    await engine.images.tag(id, "localhost:5000/other");
    expect((await engine.images.inspect(id)).RepoTags).toEqual(expect.arrayContaining(["team/app:1", "localhost:5000/other:latest"]));
    expect(await engine.images.history(id)).toEqual([expect.objectContaining({ CreatedBy: "test" })]);
    expect((await engine.images.list({ filters: { reference: ["team/*"] } })).map(({ Id }) => Id)).toEqual([id]);
    expect(await engine.images.remove("team/app:1")).toEqual([expect.objectContaining({ Untagged: "team/app:1" })]);
    expect((await engine.images.remove(id)).map(({ Deleted }) => Deleted)).toContain(id);
    await expect(engine.images.inspect(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a tar of a root becomes an image with the configuration it is given", async () => {
    const root = tar([{ path: "hello", body: "hi" }]);
    const id = await engine.images.import(root, { reference: "imported:2", changes: ['CMD ["/hello"]', "ENV A=b"] });
    expect(await engine.images.inspect("imported:2")).toMatchObject({ Id: id, Config: { Cmd: ["/hello"], Env: ["A=b"] } });
    await engine.images.remove(id, { force: true });
    await expect(engine.images.import(root, { changes: ["RUN true"] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test.each([
    ["no archive", Buffer.from("not a tar at all")],
    ["a manifest that names nothing", tar([{ path: "manifest.json", body: '[{"Config":"x.json","RepoTags":null,"Layers":[]}]' }])],
    ["an empty archive", tar([])],
  ])("%s is not loaded", async (_, archive) => {
    await expect(engine.images.load(archive)).rejects.toBeInstanceOf(Error);
  });
});

describe("networks and volumes", () => {
  test("a network is made, joined, left and removed", async () => {
    const id = await engine.networks.create({
      Name: "job-net",
      Driver: "bridge",
      Internal: true,
      IPAM: { Config: [{ Subnet: "10.213.0.0/28", Gateway: "10.213.0.1" }] },
      Labels: { job: "n" },
    });
    expect(await engine.networks.inspect(id)).toMatchObject({
      Name: "job-net",
      Internal: true,
      IPAM: { Config: [{ Subnet: "10.213.0.0/28" }] },
      Labels: { job: "n" },
    });
    expect((await engine.networks.list({ filters: { label: ["job=n"] } })).map(({ Id }) => Id)).toEqual([id]);
    const container = await running();
    await engine.networks.disconnect("none", container);
    await engine.networks.connect(id, { Container: container, EndpointConfig: { IPAMConfig: { IPv4Address: "10.213.0.5" }, Aliases: ["web"] } });
    expect((await engine.containers.inspect(container)).NetworkSettings.Networks["job-net"]?.IPAddress).toBe("10.213.0.5");
    expect(Object.keys((await engine.networks.inspect(id)).Containers)).toEqual([container]);
    await expect(engine.networks.remove(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(engine.networks.create({ Name: "job-net" })).rejects.toMatchObject({ code: "CONFLICT" });
    await engine.networks.disconnect(id, container, { force: true });
    await gone(container);
    await engine.networks.remove(id);
    await expect(engine.networks.inspect(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a container is created in its network with an address", async () => {
    await engine.networks.create({ Name: "own", IPAM: { Config: [{ Subnet: "10.213.1.0/28" }] } });
    const { stdout } = await run(["ip", "-4", "addr"], {
      HostConfig: { NetworkMode: "own" },
      NetworkingConfig: { EndpointsConfig: { own: { IPAMConfig: { IPv4Address: "10.213.1.9" } } } },
    });
    expect(stdout).toContain("10.213.1.9/28");
    await expect(engine.networks.create({ Name: "same", IPAM: { Config: [{ Subnet: "10.213.1.0/29" }] } })).rejects.toMatchObject({ code: "CONFLICT" });
    await engine.networks.remove("own");
  });

  test("a volume outlives its container, and is removed when nobody uses it", async () => {
    const made = await engine.volumes.create({ Name: "cache", Labels: { job: "v" } });
    expect(made).toMatchObject({ Name: "cache", Driver: "local", Labels: { job: "v" } });
    const HostConfig = { NetworkMode: "none", Mounts: [{ Type: "volume", Source: "cache", Target: "/work" } as const] };
    await run(["sh", "-c", "echo kept > /work/file"], { HostConfig });
    expect((await run(["cat", "/work/file"], { HostConfig })).stdout).toBe("kept\n");
    const user = await create(["true"], { HostConfig });
    await expect(engine.volumes.remove("cache")).rejects.toMatchObject({ code: "CONFLICT" });
    await gone(user);
    expect((await engine.volumes.list({ filters: { label: ["job=v"] } })).map(({ Name }) => Name)).toEqual(["cache"]);
    expect((await engine.volumes.inspect("cache")).Mountpoint).toMatch(/\/cache\/_data$/);
    await engine.volumes.remove("cache");
    await expect(engine.volumes.inspect("cache")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("events", () => {
  test("a container's life, in order, with its labels; the filter holds the rest back", async () => {
    const stop = new AbortController();
    const news: EngineNews[] = [];
    const open = Promise.withResolvers<void>();
    const destroyed = Promise.withResolvers<void>();
    const following = (async () => {
      for await (const one of engine.events({ signal: stop.signal, filters: { label: ["ev=1"], type: ["container"] } })) {
        news.push(one);
        if (one.kind === "open") open.resolve();
        if (one.kind === "event" && one.event.Action === "destroy") destroyed.resolve();
      }
    })();
    await open.promise;
    await run(["true"], { Labels: { ev: "2" } });
    await run(["true"], { Labels: { ev: "1" } });
    await destroyed.promise;
    stop.abort();
    await following;
    const events = news.flatMap((one) => (one.kind === "event" ? [one.event] : []));
    expect(events.map(({ Action }) => Action)).toEqual(["create", "attach", "start", "die", "destroy"]);
    expect(events.every(({ Actor }) => Actor.Attributes["ev"] === "1")).toBe(true);
    expect(events.find(({ Action }) => Action === "die")?.Actor.Attributes["exitCode"]).toBe("0");
    const times = events.map(({ timeNano }) => timeNano);
    expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
    expect(news.filter(({ kind }) => kind !== "event")).toEqual([{ kind: "open" }]);

    const [first] = times;
    const again: EngineNews[] = [];
    for await (const one of engine.events({ since: first, filters: { label: ["ev=1"], type: ["container"] } })) {
      again.push(one);
      if (again.length === 6) break;
    }
    expect(again.slice(1)).toEqual(news.slice(1));
  });
});

describe("over TLS", () => {
  beforeEach((context) => {
    requires(context, "openssl");
    if (docker === undefined) context.skip("another engine");
  });

  function secure(): TestDocker["tls"] {
    if (docker === undefined) throw new Error("another engine");
    return docker.tls;
  }

  function secured(more: Partial<EngineAddress> = {}): EngineClient {
    const { port, ca, client } = secure();
    return new EngineClient({ host: "127.0.0.1", port, ca, ...client, ...more });
  }

  test("with a client certificate everything is the same, stdin's end too", async () => {
    await using over = secured();
    const { Id: id } = await over.containers.create({
      Image: image,
      Cmd: ["sh", "-c", "cat; echo after; exit 3"],
      OpenStdin: true,
      StdinOnce: true,
      HostConfig: { NetworkMode: "none" },
    });
    await using attached = await over.containers.attach(id, { tty: false, stdin: true });
    const { exit } = await over.containers.startWait(id, { condition: "next-exit" });
    await over.containers.start(id);
    const big = "0123456789abcdef".repeat(20_000);
    const output = collect(attached.output);
    attached.stdin.end(big);
    expect((await output).stdout === `${big}after\n`).toBe(true);
    expect(await exit).toEqual({ exitCode: 3 });
    await over.containers.remove(id);
  });

  test.each<[string, () => EngineClient]>([
    ["no certificate", () => new EngineClient({ host: "127.0.0.1", port: secure().port, ca: secure().ca })],
    ["a stranger's certificate", () => secured(secure().stranger)],
    ["an authority that is not the engine's", () => secured({ ca: secure().stranger.cert })],
    ["a name that is not the engine's", () => secured({ host: "localhost" })],
    ["no TLS at all", () => new EngineClient(`tcp://127.0.0.1:${secure().port}`)],
  ])("%s: no answer", async (_, client) => {
    await using over = client();
    const failure = await over.info().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
    expect(JSON.stringify(failure) + String(failure)).not.toContain("PRIVATE KEY");
  });
});

test("over plain TCP, hijacked or not, it is the same", async () => {
  const forward = createServer({ allowHalfOpen: true }, (socket) => {
    const upstream = connect({ path: address.replace("unix://", ""), allowHalfOpen: true });
    for (const one of [socket, upstream]) one.on("error", () => undefined);
    socket.pipe(upstream).pipe(socket);
  });
  await once(forward.listen(0, "127.0.0.1"), "listening");
  const bound = forward.address();
  await using over = new EngineClient(`tcp://127.0.0.1:${typeof bound === "object" ? bound?.port : 0}`);
  const id = await running(["cat"], { OpenStdin: true, StdinOnce: true });
  await using attached = await over.containers.attach(id, { tty: false, stdin: true });
  attached.stdin.end("typed\n");
  expect((await collect(attached.output)).stdout).toBe("typed\n");
  await gone(id);
  forward.close();
});

test("fifty containers at once: each has its own exit, and nothing stays", async () => {
  const codes = Array.from({ length: 50 }, (_, i) => i + 1);
  const results = await Promise.all(codes.map((code) => run(["sh", "-c", `echo ${code}; exit ${code}`], { Labels: { many: "1" } })));
  expect(results).toEqual(codes.map((code) => ({ stdout: `${code}\n`, stderr: "", exitCode: code })));
  expect(await engine.containers.list({ all: true, filters: { label: ["many=1"] } })).toEqual([]);
});

test("a client that is closed ends what is open", async () => {
  const own = new EngineClient(address);
  const id = await running();
  const wait = own.containers.wait(id);
  const logs = collect(await own.containers.logs(id, { follow: true }));
  await using attached = await own.containers.attach(id, { tty: false });
  const reading = collect(attached.output);
  const refused = expect(wait).rejects.toMatchObject({ code: "CANCELLED" });
  const cut = expect(logs).rejects.toMatchObject({ code: "CANCELLED" });
  const ended = expect(reading).rejects.toMatchObject({ code: "CANCELLED" });
  await own.close();
  await Promise.all([refused, cut, ended]);
  await expect(own.ping()).rejects.toMatchObject({ code: "CANCELLED" });
  await gone(id);
});
