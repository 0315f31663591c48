/** The sensor that is killed, stopped, refused or not there: said, counted, and come back from. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { packageFolder } from "../../src/foundation/index.ts";
import { type GapEvent, JobPrograms, KernelSensor, type LossEvent, type ProcessEvent, type SensorStatus } from "../../src/monitor/index.ts";
import { requires } from "../world/needs.ts";
import { argumentSeen, sensorPid, statusTold } from "../world/sensor-watch.ts";
import { WatchedShell } from "../world/watched-shell.ts";

const PROGRAM = join(packageFolder(), "dist", "native", `cofferdam-sensor-${process.arch}`);

describe("a sensor in trouble", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "cofferdam-sensor-"));
    chmodSync(folder, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The sensor's program, started in another way. `"$0"` of the script is the program, `"$@"` what it is asked for. */
  function started(name: string, script: string): string {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\nset -- "${PROGRAM}" "$@"\n${script}\n`, { mode: 0o755 });
    return path;
  }

  test("killed: it says so, comes back, watches the same containers, and tells the gap", async (context) => {
    requires(context, "sensor");
    await using sensor = new KernelSensor();
    await sensor.initialize();
    await using shell = await WatchedShell.start("/bin/true first; read -r line; /bin/true second");
    await using _watch = await sensor.watch({ job: "job", pid: shell.pid });
    const [firstSeen, rest] = [argumentSeen(sensor, "first"), heard(sensor)];
    shell.release();
    await firstSeen;
    const away = statusTold(sensor, "absent");
    const back = statusTold(sensor, "watching");
    const gap = once(sensor, "gap");
    process.kill(sensorPid(), "SIGKILL");
    expect((await away).why).toBe("the sensor ended: it was ended by SIGKILL; it is started again");
    await back;
    const [told]: GapEvent[] = await gap;
    expect(told?.why).toBe("the sensor ended: it was ended by SIGKILL");
    expect(told?.to).toBeGreaterThanOrEqual(told?.from ?? Number.POSITIVE_INFINITY);
    const secondSeen = argumentSeen(sensor, "second");
    await shell.go();
    await secondSeen;
    expect(rest.losses).toEqual([]);
  });

  test("it ends with whoever started it, also when that is killed", async (context) => {
    requires(context, "sensor");
    const index = new URL("../../src/monitor/index.ts", import.meta.url).href;
    const script = `
      const { KernelSensor } = await import(${JSON.stringify(index)});
      const sensor = new KernelSensor();
      await sensor.initialize();
      console.log("up");
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(parent.stdout, "data");
    const pid = sensorPid(parent.pid);
    parent.kill("SIGKILL");
    await vi.waitFor(() => expect(existsSync(`/proc/${pid}`)).toBe(false), { timeout: 10_000 });
  });

  test("stopped: what says nothing for long is ended, and comes back", { timeout: 20_000 }, async (context) => {
    requires(context, "sensor");
    await using sensor = new KernelSensor();
    await sensor.initialize();
    const away = statusTold(sensor, "absent");
    const back = statusTold(sensor, "watching");
    process.kill(sensorPid(), "SIGSTOP");
    expect((await away).why).toBe("the sensor ended: it said nothing for five seconds; it is started again");
    await back;
  });

  test("a kernel that does not describe its types: its audit", async (context) => {
    requires(context, "audit");
    const program = started("no-btf", 'exec unshare --mount sh -c \'mount -t tmpfs none /sys/kernel/btf && exec "$@"\' sh "$@"');
    await using sensor = new KernelSensor({ program });
    const why = expect.stringMatching(/^by the kernel's audit alone: the kernel does not describe its types/);
    expect(await sensor.initialize()).toMatchObject({ state: "degraded", source: "audit", why });
  });

  test.for([
    ["audit_read", "audit's records are not for us"],
    ["audit_control", "audit is not for us"],
  ])("audit without %s: the process connector, with the reason", async ([capability, reason], context) => {
    requires(context, "audit");
    const program = started(`no-${capability}`, `exec setpriv --bounding-set -${capability} "$@"`);
    await using sensor = new KernelSensor({ program, sources: ["audit", "connector"] });
    const why = expect.stringContaining(`by the process connector alone: ${reason}`);
    expect(await sensor.initialize()).toMatchObject({ state: "degraded", source: "connector", why });
  });

  test("a kernel that does not describe its types: the process connector, and what it lacks", async (context) => {
    requires(context, "sensor");
    const program = started("no-btf", 'exec unshare --mount sh -c \'mount -t tmpfs none /sys/kernel/btf && exec "$@"\' sh "$@"');
    await using sensor = new KernelSensor({ program, sources: ["ebpf", "connector"] });
    expect(await sensor.initialize()).toMatchObject({ state: "degraded", source: "connector", why: expect.stringContaining("does not describe its types") });
    await using shell = await WatchedShell.start('sh -c \'read -r line\' "kept for the look" <> "$1" & read -r line; kill "$!"; wait "$!"; exit 7', [
      fifo(folder),
    ]);
    const events: ProcessEvent[] = [];
    sensor.on("event", (event) => events.push(event));
    await using _watch = await sensor.watch({ job: "job", container: "box", pid: shell.pid });
    const seen = argumentSeen(sensor, "kept for the look");
    shell.release();
    const run = await seen;
    expect(run.program.path).toMatch(/\/(da)?sh$/);
    expect(run.actor.parent).toBe(events.find((event) => event.kind === "fork" && event.child.key === run.actor.key)?.actor.key);
    expect(run.actor.inside.pid).toBe(2);
    await shell.go();
    await sensor.sync();
    const ends = events.flatMap((event) => (event.kind === "exit" ? [[event.actor.inside.pid, event.code, event.signal]] : []));
    expect(ends).toContainEqual([2, 0, 15]);
    expect(ends).toContainEqual([1, 7, 0]);
    for (const event of events) expect(event).toMatchObject({ job: "job", container: "box" });
  });

  test("no rights: absent, with the kernel's reason", async (context) => {
    requires(context, "sensor");
    const program = started("nobody", 'exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all "$@"');
    await using sensor = new KernelSensor({ program });
    const found = await sensor.initialize();
    expect(found).toMatchObject({ state: "absent", source: "none", lacks: ["everything"], why: "only root may look" });
  });

  test("root without rights over the kernel: absent, with the kernel's reason", async (context) => {
    requires(context, "sensor");
    const program = started("bare-root", 'exec setpriv --bounding-set -all --inh-caps -all "$@"');
    await using sensor = new KernelSensor({ program });
    const found = await sensor.initialize();
    expect(found).toMatchObject({ state: "absent", source: "none" });
    expect(found.why).toMatch(/not permitted/);
  });

  test("not built: absent, and no watch that claims to be one", async () => {
    await using sensor = new KernelSensor({ program: join(folder, "is-not-here") });
    const found = await sensor.initialize();
    expect(found).toMatchObject({ state: "absent", source: "none" });
    expect(found.why).toContain("ENOENT");
  });

  test("a program that writes something else: never believed, and given up after a few starts of each kind", async () => {
    const program = started("nonsense", "head -c 100000 /dev/zero | tr '\\0' 'A'; read -r line");
    await using sensor = new KernelSensor({ program });
    const found = await sensor.initialize();
    expect(found).toMatchObject({ state: "absent", why: expect.stringMatching(/makes no sense: .*; it is started again$/) });
    const last = await new Promise<SensorStatus>((resolve) => {
      sensor.on("status", (told) => (told.why?.endsWith("it is started again") === true ? undefined : resolve(told)));
    });
    expect(last).toMatchObject({ state: "absent", source: "none" });
  });

  test("one number for forty processes, one after the other: each is told as itself, and what it wrote is its own", async (context) => {
    requires(context, "sensor");
    const count = 40;
    // The next number of a pid namespace, which is the shell's own: proc_sys_kernel(5).
    const again = 'i=0; while [ $i -lt $2 ]; do echo 499 > /proc/sys/kernel/ns_last_pid; sh -c \': > "$1/$2"\' sh "$1" "reused-$i"; i=$((i+1)); done';
    await using sensor = new KernelSensor();
    await sensor.initialize();
    await using shell = await WatchedShell.start(again, [folder, String(count)]);
    const programs = new JobPrograms();
    const run: [string, number, string | undefined][] = [];
    const wrote: (readonly [string, string | undefined])[] = [];
    sensor.on("event", (event) => {
      programs.take(event);
      if (event.kind === "exec") run.push([event.actor.key, event.actor.inside.pid, programs.get(event.actor.key)?.args.at(-1)]);
      if (event.kind === "open" && event.create && "id" in event.file) wrote.push([event.file.path, programs.writerOf(event.file.id)?.args.at(-1)]);
    });
    await using watch = await sensor.watch({ job: "job", pid: shell.pid });
    await shell.go();
    await watch.close();
    const names = Array.from({ length: count }, (_, i) => `reused-${i}`);
    expect(run.map(([, inside, name]) => [inside, name])).toEqual(names.map((name) => [500, name]));
    expect(new Set(run.map(([key]) => key)).size).toBe(count);
    expect(wrote).toEqual(names.map((name) => [join(folder, name), name]));
    expect([...programs.running].map(({ insidePid }) => insidePid)).not.toContain(500);
  });

  test("a listener that fails is its own affair", async (context) => {
    requires(context, "sensor");
    await using sensor = new KernelSensor();
    await sensor.initialize();
    await using shell = await WatchedShell.start("/bin/true seen");
    await using _watch = await sensor.watch({ job: "job", pid: shell.pid });
    sensor.on("event", () => {
      throw new Error("not yours");
    });
    sensor.on("event", () => Promise.reject(new Error("nor this")));
    const seen = argumentSeen(sensor, "seen");
    await shell.go();
    expect((await seen).env).toBeUndefined();
  });

  test("the environment of programs is told when it is asked for", async (context) => {
    requires(context, "sensor");
    await using sensor = new KernelSensor({ env: true });
    await sensor.initialize();
    await using shell = await WatchedShell.start("A_SECRET=value /bin/true seen");
    await using _watch = await sensor.watch({ job: "job", pid: shell.pid });
    const seen = argumentSeen(sensor, "seen");
    await shell.go();
    expect((await seen).env).toContain("A_SECRET=value");
  });
});

function heard(sensor: KernelSensor): { readonly losses: LossEvent[] } {
  const losses: LossEvent[] = [];
  sensor.on("loss", (loss) => losses.push(loss));
  return { losses };
}

function fifo(folder: string): string {
  const path = join(folder, "fifo");
  execFileSync("mkfifo", [path]);
  return path;
}
