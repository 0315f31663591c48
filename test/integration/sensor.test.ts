/** The kernel's events of real processes in real namespaces, through the built sensor. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KernelSensor, type ProcessEvent, type SensorEvent } from "../../src/monitor/index.ts";
import { has, requires } from "../world/needs.ts";
import { WatchedShell } from "../world/watched-shell.ts";

describe("the kernel sensor", () => {
  const sensor = new KernelSensor();
  const said: SensorEvent[] = [];
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "cofferdam-sensor-"));
    if (!has("sensor")) return;
    for (const name of ["status", "gap", "loss"] as const) sensor.on(name, (event) => said.push(event));
    await sensor.initialize();
  });

  afterAll(async () => {
    await sensor.close();
    rmSync(folder, { recursive: true });
  });

  /** Everything that a script does, in order, once it ended. */
  async function eventsOf(script: string, args: readonly string[] = []): Promise<ProcessEvent[]> {
    await using shell = await WatchedShell.start(script, args);
    const events: ProcessEvent[] = [];
    const hear = (event: ProcessEvent): void => void events.push(event);
    sensor.on("event", hear);
    await using watch = await sensor.watch({ job: "job", container: "box", pid: shell.pid });
    await shell.go();
    await watch.close();
    sensor.off("event", hear);
    return events;
  }

  test("says that it watches", (context) => {
    requires(context, "sensor");
    expect(sensor.status).toMatchObject({ state: "watching", source: "ebpf", lacks: [] });
  });

  test("sees each of sixty processes that live about a millisecond, and each of sixty opens", async (context) => {
    requires(context, "sensor");
    const script = 'i=0; while [ $i -lt 60 ]; do /bin/true "$i"; : > "$1/f$i"; i=$((i+1)); done';
    const events = await eventsOf(script, [folder]);
    const numbers = Array.from({ length: 60 }, (_, i) => String(i));
    expect(events.flatMap((event) => (event.kind === "exec" && event.asked.endsWith("/true") ? [event.args[1]] : []))).toEqual(numbers);
    expect(events.flatMap((event) => (event.kind === "open" && event.create ? [event.file.path] : []))).toEqual(numbers.map((i) => join(folder, `f${i}`)));
    expect(events.filter((event) => event.kind === "fork")).toHaveLength(60);
    // The shell itself, and unshare, which shares its mount namespace.
    expect(events.filter((event) => event.kind === "exit")).toHaveLength(62);
    for (const event of events) expect(event).toMatchObject({ job: "job", container: "box" });
  });

  test("tells processes of the watched namespaces only, and who made them wherever they went", async (context) => {
    requires(context, "sensor");
    await using other = await WatchedShell.start('/bin/true "not watched"');
    const running = eventsOf("unshare --mount --pid --fork unshare --net sh -c '/bin/true \"deep inside\"'");
    await other.go();
    const execs = (await running).filter((event) => event.kind === "exec");
    expect(execs.map((event) => event.args[1])).not.toContain("not watched");
    const deep = execs.find((event) => event.args[1] === "deep inside");
    expect(deep?.actor.inside.pid).toBeGreaterThan(0);
    expect(deep?.actor.pid).toBeGreaterThan(deep?.actor.inside.pid ?? 0);
  });

  test("reads files from the kernel: the same one under any name, with what becomes of it", async (context) => {
    requires(context, "sensor");
    mkdirSync(join(folder, "files"));
    const script = 'cd "$1"; echo 1 > a; ln a b; mv b c; chmod 4755 c; ln -s a d; echo 2 >> d; rm a c d; mkdir e; rmdir e; cat /etc/shadow; cat /etc/passwd';
    const events = await eventsOf(script, [join(folder, "files")]);
    const at = (name: string): string => join(folder, "files", name);
    const changes = events.flatMap((event) => {
      if (event.kind === "link" || event.kind === "rename" || event.kind === "symlink") return [[event.kind, event.file.path, event.to?.path]];
      if (event.kind === "chmod") return [[event.kind, event.file.path, event.mode]];
      return event.kind === "unlink" || event.kind === "mkdir" ? [[event.kind, event.file.path]] : [];
    });
    expect(changes).toEqual([
      ["link", at("a"), at("b")],
      ["rename", at("b"), at("c")],
      ["chmod", at("c"), 0o4755],
      ["symlink", at("d"), "a"],
      ["unlink", at("a")],
      ["unlink", at("c")],
      ["unlink", at("d")],
      ["mkdir", at("e")],
      ["unlink", at("e")],
    ]);
    const opens = events.filter((event) => event.kind === "open");
    const [first, second] = opens.filter((event) => event.file.path === at("a"));
    if (first === undefined || second === undefined || "claimed" in first.file || "claimed" in second.file) throw new Error("not opened, or only claimed");
    expect([first.create, second.create, second.append]).toEqual([true, false, true]);
    expect(second.file.id).toBe(first.file.id);
    expect(opens.find((event) => event.sensitive)?.file.path).toBe("/etc/shadow");
    expect(opens.map((event) => event.file.path)).not.toContain("/etc/passwd");
  });

  test("nothing was lost or missed meanwhile", (context) => {
    requires(context, "sensor");
    expect(said.filter((event) => event.kind !== "status")).toEqual([]);
  });
});
