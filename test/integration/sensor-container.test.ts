/** The sensor and real containers: whose process it is, what is the image's, what an engine's exec begins with; and many of them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KernelSensor, type LossEvent, type ProcessEvent } from "../../src/monitor/index.ts";
import { collect, EngineWorld } from "../world/engine.ts";
import { has, requires } from "../world/needs.ts";
import { WatchedShell } from "../world/watched-shell.ts";

const world = new EngineWorld();

describe("containers", () => {
  const sensor = new KernelSensor();
  const losses: LossEvent[] = [];
  beforeAll(async () => {
    if (!has("sensor")) return;
    sensor.on("loss", (loss) => losses.push(loss));
    await sensor.initialize();
  });
  afterAll(async () => await sensor.close());
  beforeEach((context) => requires(context, "sensor"));

  /** A container that runs the script once it is watched, to its end. */
  async function watched(script: string): Promise<{ readonly events: ProcessEvent[]; readonly id: string }> {
    const id = await world.running(["sh", "-c", `while [ ! -e /tmp/go ]; do sleep 0.02; done; ${script}`]);
    const { State } = await world.engine.containers.inspect(id);
    const events: ProcessEvent[] = [];
    const hear = (event: ProcessEvent): void => void events.push(event);
    await using _watch = await sensor.watch({ job: "job", container: id, pid: State.Pid });
    sensor.on("event", hear);
    await execute(id, ["touch", "/tmp/go"]);
    await world.engine.containers.wait(id);
    await sensor.sync();
    sensor.off("event", hear);
    await world.gone(id);
    return { events, id };
  }

  async function execute(id: string, Cmd: readonly string[]): Promise<void> {
    const exec = await world.engine.execs.create(id, { Cmd, AttachStdout: true, AttachStderr: true });
    await using attached = await world.engine.execs.start(exec, { tty: false });
    await collect(attached.output);
  }

  test("what the image brought is told from what the job made or changed", async () => {
    const { events, id } = await watched("/bin/busybox true; cp /bin/busybox /tmp/fresh; /tmp/fresh true; echo >> /etc/passwd; echo x > /etc/new");
    const programs = events.flatMap((event) => (event.kind === "exec" && event.args[1] === "true" ? [[event.program.path, event.program.fresh]] : []));
    expect(programs).toEqual([
      ["/bin/busybox", false],
      ["/tmp/fresh", true],
    ]);
    const opened = events.flatMap((event) => (event.kind === "open" && !("claimed" in event.file) ? [event.file] : []));
    expect(opened.find((file) => file.path === "/etc/new")).toMatchObject({ fresh: true, type: "file" });
    expect(opened.find((file) => file.path === "/etc/passwd")).toMatchObject({ fresh: true });
    expect(new Set(events.map((event) => event.container))).toEqual(new Set([id]));
  });

  test("an engine's exec begins with the program that it is for: nothing of the runtime itself is told", async () => {
    const { events } = await watched("true");
    const touch = events.find((event) => event.kind === "exec" && event.args[0] === "touch");
    const first = events.find((event) => event.actor.key === touch?.actor.key);
    expect(first).toBe(touch);
    expect(events.filter((event) => event.actor.name.startsWith("runc"))).toEqual([]);
    expect(touch?.actor.inside.ppid).toBe(0);
  });

  test("the hash of what runs and of what ran, in an overlay", async () => {
    const id = await world.running(["sleep", "1000"]);
    const { State } = await world.engine.containers.inspect(id);
    await using _watch = await sensor.watch({ job: "job", container: id, pid: State.Pid });
    const found: Promise<readonly [string, string | undefined]>[] = [];
    const hear = (event: ProcessEvent): void => {
      if (event.kind === "exec") found.push(sensor.hash(event).then((hash) => [event.program.path, hash]));
    };
    sensor.on("event", hear);
    await execute(id, ["sh", "-c", "cp /bin/busybox /mine; /mine true; /bin/busybox true"]);
    await sensor.sync();
    sensor.off("event", hear);
    const hashes = await Promise.all(found);
    const busybox = createHash("sha256").update(readFileSync("/bin/busybox")).digest("hex");
    expect(hashes).toContainEqual(["/mine", busybox]);
    expect(new Set(hashes.map(([, hash]) => hash))).toEqual(new Set([busybox]));
    await world.gone(id);
  });

  test("two containers at a time: each event is of its own", async () => {
    const ids = await Promise.all([world.running(["sleep", "1000"]), world.running(["sleep", "1000"])]);
    const seen: string[][] = [];
    const hear = (event: ProcessEvent): void =>
      void (event.kind === "exec" && event.args[0] === "echo" ? seen.push([event.job, event.args[1] ?? ""]) : undefined);
    sensor.on("event", hear);
    const watches = await Promise.all(
      ids.map(async (id) => await sensor.watch({ job: `job of ${id}`, container: id, pid: (await world.engine.containers.inspect(id)).State.Pid })),
    );
    await Promise.all(ids.map(async (id) => await execute(id, ["echo", id])));
    for (const watch of watches) await watch.close();
    sensor.off("event", hear);
    expect(new Set(seen.map(([job, id]) => `${job} ${id}`))).toEqual(new Set(ids.map((id) => `job of ${id} ${id}`)));
    expect(seen).toHaveLength(2);
    await Promise.all(ids.map(async (id) => await world.gone(id)));
  });

  test("a container of the host's own namespaces is refused, and one that is watched already", async () => {
    const id = await world.running(["sleep", "1000"], { HostConfig: { PidMode: "host" } });
    const { State } = await world.engine.containers.inspect(id);
    await expect(sensor.watch({ job: "job", pid: State.Pid })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await world.gone(id);
    await using shell = await WatchedShell.start("/bin/true still");
    await using _watch = await sensor.watch({ job: "job", pid: shell.pid });
    await expect(sensor.watch({ job: "job", pid: shell.pid })).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(sensor.watch({ job: "job", pid: 4_194_304 })).rejects.toMatchObject({ code: "NOT_FOUND" });
    const still: ProcessEvent[] = [];
    const hear = (event: ProcessEvent): void => void (event.kind === "exec" ? still.push(event) : undefined);
    sensor.on("event", hear);
    await shell.go();
    await sensor.sync();
    sensor.off("event", hear);
    expect(still).toMatchObject([{ args: ["/bin/true", "still"] }]);
  });

  test("many at a time, each with a process of its own, come and go", async () => {
    const count = process.env["COFFERDAM_TEST_FULL"] === "1" ? 1000 : 60;
    const shells = await Promise.all(Array.from({ length: count }, (_, i) => WatchedShell.start('/bin/true "$1"', [String(i)])));
    const seen = new Map<string, string[]>();
    const hear = (event: ProcessEvent): void => {
      if (event.kind === "exec") seen.set(event.job, [...(seen.get(event.job) ?? []), event.args[1] ?? ""]);
    };
    sensor.on("event", hear);
    const watches = await Promise.all(shells.map(async (shell, i) => await sensor.watch({ job: `job ${i}`, pid: shell.pid })));
    await Promise.all(shells.map(async (shell) => await shell.go()));
    for (const watch of watches) await watch.close();
    sensor.off("event", hear);
    expect([...seen].sort()).toEqual(Array.from({ length: count }, (_, i): [string, string[]] => [`job ${i}`, [String(i)]]).sort());
  });

  test("nothing was lost meanwhile", () => {
    expect(losses).toEqual([]);
  });
});
