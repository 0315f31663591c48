/** The engine itself, a container's life and its events, against a real engine; see world/engine.ts for another one. */
import { describe, expect, test } from "vitest";
import { EngineClient, type EngineNews } from "../../src/engine/index.ts";
import { collect, EngineWorld, until } from "../world/engine.ts";

const world = new EngineWorld();

describe("the engine", () => {
  test("says who it is, and the version both speak is agreed on", async () => {
    expect(await world.engine.ping()).toEqual({
      engine: "docker",
      apiVersion: expect.stringMatching(/^1\.4\d$/),
      engineApiVersion: expect.stringMatching(/^1\.\d+$/),
    });
    expect((await world.engine.version()).Components.map(({ Name }) => Name)).toContain("runc");
    expect(await world.engine.info()).toMatchObject({ NCPU: expect.any(Number), CgroupDriver: "cgroupfs", DockerRootDir: expect.stringMatching(/^\//) });
  });

  test("adds up what it holds", async () => {
    const usage = await world.engine.diskUsage();
    expect(usage.Images.map(({ Id }) => Id)).toContain(world.image);
    expect(usage.LayersSize).toBeGreaterThan(1e6);
  });
});

describe("a container's life", () => {
  test("create, start, wait, inspect, remove", async () => {
    const { Id: id } = await world.engine.containers.create(
      { Image: world.image, Cmd: ["sh", "-c", "exit 7"], Env: ["A=b"], Labels: { job: "j1" }, HostConfig: { NetworkMode: "none", Memory: 64 * 2 ** 20 } },
      { name: "life" },
    );
    const { exit } = await world.engine.containers.startWait(id, { condition: "next-exit" });
    expect(await world.engine.containers.start(id)).toBe(true);
    expect(await exit).toEqual({ exitCode: 7 });
    const facts = await world.engine.containers.inspect("life", { size: true });
    expect(facts).toMatchObject({
      Id: id,
      Name: "/life",
      Image: world.image,
      State: { Status: "exited", Running: false, ExitCode: 7, OOMKilled: false },
      SizeRw: 0,
    });
    expect(facts.Config).toMatchObject({ Labels: { job: "j1", "of.image": "yes" }, Cmd: ["sh", "-c", "exit 7"] });
    expect(facts.HostConfig["Memory"]).toBe(64 * 2 ** 20);
    await world.engine.containers.remove(id);
    await expect(world.engine.containers.inspect(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("a second start and a second stop change nothing and say so", async () => {
    const id = await world.running(["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"]);
    expect(await world.engine.containers.start(id)).toBe(false);
    expect(await world.engine.containers.stop(id, { graceSeconds: 20 })).toBe(true);
    expect(await world.engine.containers.stop(id)).toBe(false);
    expect(await world.engine.containers.wait(id)).toEqual({ exitCode: 3 });
    await world.gone(id);
  });

  test("one that ignores SIGTERM is killed after its grace", async () => {
    const id = await world.running(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    expect(await world.engine.containers.stop(id, { graceSeconds: 0 })).toBe(true);
    expect(await world.engine.containers.wait(id)).toEqual({ exitCode: 137 });
    await world.gone(id);
  });

  test("a signal arrives; a container that does not run takes none", async () => {
    const id = await world.running(["sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"]);
    await until(await world.engine.containers.logs(id, { follow: true }), "up");
    await world.engine.containers.kill(id, { killSignal: "SIGUSR1" });
    expect(await world.engine.containers.wait(id)).toEqual({ exitCode: 9 });
    await expect(world.engine.containers.kill(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(world.engine.containers.kill(id, { killSignal: "SIGUSR1; rm" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await world.gone(id);
  });

  test("a wait for the removal ends with it, one that is given up leaves the container", async () => {
    const id = await world.running();
    const stop = new AbortController();
    const given = world.engine.containers.wait(id, { signal: stop.signal });
    const { exit } = await world.engine.containers.startWait(id, { condition: "removed" });
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: "CANCELLED" });
    expect((await world.engine.containers.inspect(id)).State.Running).toBe(true);
    await world.gone(id);
    expect(await exit).toMatchObject({ exitCode: 137 });
  });

  test("pause, unpause, rename, update, top, stats", async () => {
    const id = await world.running(["sleep", "999"], { HostConfig: { Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20, PidsLimit: 20 } });
    await world.engine.containers.pause(id);
    expect((await world.engine.containers.inspect(id)).State.Paused).toBe(true);
    await expect(world.engine.containers.pause(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await world.engine.containers.unpause(id);
    await world.engine.containers.rename(id, "other-name");
    expect((await world.engine.containers.inspect(id)).Name).toBe("/other-name");
    expect(await world.engine.containers.update(id, { Memory: 32 * 2 ** 20, MemorySwap: 32 * 2 ** 20 })).toEqual([]);
    const stats = await world.engine.containers.stats(id);
    expect(stats.memory_stats.limit).toBe(32 * 2 ** 20);
    expect(stats.pids_stats).toMatchObject({ current: 1, limit: 20 });
    expect(stats.cpu_stats.cpu_usage.total_usage).toBeGreaterThan(0);
    const { Titles, Processes } = await world.engine.containers.top(id);
    expect(Processes.map((row) => row[Titles.indexOf("CMD")])).toEqual(["sleep 999"]);
    await world.gone(id);
  });

  test("lists by label, state and number", async () => {
    const ids = [await world.create(["true"], { Labels: { set: "a" } }), await world.running(undefined, { Labels: { set: "a", odd: 'é "quoted" \u202e=' } })];
    const listed = async (filters: Record<string, string[]>): Promise<string[]> =>
      (await world.engine.containers.list({ all: true, filters })).map(({ Id }) => Id);
    expect(new Set(await listed({ label: ["set=a"] }))).toEqual(new Set(ids));
    expect(await listed({ label: ["set=a"], status: ["running"] })).toEqual([ids[1]]);
    expect(await listed({ label: ["set=b"] })).toEqual([]);
    expect((await world.engine.containers.list({ filters: { label: ["odd"] } }))[0]?.Labels["odd"]).toBe('é "quoted" \u202e=');
    expect(await world.engine.containers.list({ all: true, limit: 1, filters: { label: ["set=a"] } })).toHaveLength(1);
    await expect(world.engine.containers.list({ filters: { nonsense: ["x"] } })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    for (const id of ids) await world.gone(id);
  });
});

describe("what cannot be done says why", () => {
  test("no world.image, a taken name, a name that is none, an world.image in use", async () => {
    await expect(world.create([], { Image: "nothing:1" })).rejects.toMatchObject({ code: "NOT_FOUND", details: { status: 404 } });
    const { Id: id } = await world.engine.containers.create({ Image: world.image }, { name: "taken" });
    await expect(world.engine.containers.create({ Image: world.image }, { name: "taken" })).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(world.engine.containers.create({ Image: world.image }, { name: "../x" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(world.engine.containers.rename(id, "a b")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(world.engine.images.remove(world.image)).rejects.toMatchObject({ code: "CONFLICT" });
    await world.gone(id);
  });

  test.each([
    [["/nothing"], "command-not-found"],
    [["nothing"], "command-not-found"],
    [["/etc/passwd"], "command-not-executable"],
    [["/etc"], "command-not-executable"],
  ])("command %j: %s", async (cmd, reason) => {
    // The image's own files are 755; a file that nobody may execute is needed.
    const id = await world.create(cmd);
    await expect(world.engine.containers.start(id)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", details: { reason } });
    await world.gone(id);
  });

  test("a running container is not removed without force; one that runs is no place for a second", async () => {
    const id = await world.running();
    await expect(world.engine.containers.remove(id)).rejects.toMatchObject({ code: "CONFLICT" });
    await world.gone(id);
    await expect(world.engine.containers.remove(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("what the engine repeats of a variable is hidden", async () => {
    const env = ["=hunter22"];
    const failure = await world.create(["true"], { Env: env }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("***") });
    expect(JSON.stringify(failure) + String(failure)).not.toContain("hunter22");
  });
});

describe("events", () => {
  test("a container's life, in order, with its labels; the filter holds the rest back", async () => {
    const stop = new AbortController();
    const news: EngineNews[] = [];
    const open = Promise.withResolvers<void>();
    const destroyed = Promise.withResolvers<void>();
    const following = (async () => {
      for await (const one of world.engine.events({ signal: stop.signal, filters: { label: ["ev=1"], type: ["container"] } })) {
        news.push(one);
        if (one.kind === "open") open.resolve();
        if (one.kind === "event" && one.event.Action === "destroy") destroyed.resolve();
      }
    })();
    await open.promise;
    await world.run(["true"], { Labels: { ev: "2" } });
    await world.run(["true"], { Labels: { ev: "1" } });
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
    for await (const one of world.engine.events({ since: first, filters: { label: ["ev=1"], type: ["container"] } })) {
      again.push(one);
      if (again.length === 6) break;
    }
    expect(again.slice(1)).toEqual(news.slice(1));
  });
});

test("fifty containers at once: each has its own exit, and nothing stays", async () => {
  const codes = Array.from({ length: 50 }, (_, i) => i + 1);
  const results = await Promise.all(codes.map((code) => world.run(["sh", "-c", `echo ${code}; exit ${code}`], { Labels: { many: "1" } })));
  expect(results).toEqual(codes.map((code) => ({ stdout: `${code}\n`, stderr: "", exitCode: code })));
  expect(await world.engine.containers.list({ all: true, filters: { label: ["many=1"] } })).toEqual([]);
});

test("a client that is closed ends what is open", async () => {
  const own = new EngineClient(world.address);
  const id = await world.running();
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
  await world.gone(id);
});
