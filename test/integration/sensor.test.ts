/** The kernel's events of real processes in real namespaces, through the built sensor. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KernelSensor, type LossEvent, type ProcessEvent, type SensorEvent } from "../../src/monitor/index.ts";
import { has, requires } from "../world/needs.ts";
import { eventsOfScript } from "../world/sensor-watch.ts";
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

  test("says that it watches", (context) => {
    requires(context, "sensor");
    expect(sensor.status).toMatchObject({ state: "watching", source: "ebpf", lacks: [] });
  });

  test("sees each of sixty processes that live about a millisecond, and each of sixty opens", async (context) => {
    requires(context, "sensor");
    const script = 'i=0; while [ $i -lt 60 ]; do /bin/true "$i"; : > "$1/f$i"; i=$((i+1)); done';
    const events = await eventsOfScript(sensor, script, [folder]);
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
    const running = eventsOfScript(sensor, "unshare --mount --pid --fork unshare --net sh -c '/bin/true \"deep inside\"'");
    await other.go();
    const execs = (await running).filter((event) => event.kind === "exec");
    expect(execs.map((event) => event.args[1])).not.toContain("not watched");
    const deep = execs.find((event) => event.args[1] === "deep inside");
    expect(deep?.actor.inside.pid).toBeGreaterThan(0);
    expect(deep?.actor.pid).toBeGreaterThan(deep?.actor.inside.pid ?? 0);
  });

  test("follows who leaves for the host's own mount namespace, and whoever is made there", async (context) => {
    requires(context, "sensor");
    const script = "nsenter --mount=/proc/self/fd/3 sh -c '( : > /dev/zero ); /bin/true escaped'";
    await using shell = await WatchedShell.start(script, [], ["/proc/self/ns/mnt"]);
    const events: ProcessEvent[] = [];
    const hear = (event: ProcessEvent): void => void events.push(event);
    sensor.on("event", hear);
    await using watch = await sensor.watch({ job: "job", pid: shell.pid });
    await shell.go();
    await watch.close();
    sensor.off("event", hear);
    const outside = events.filter((event) => event.actor.mntns === statSync("/proc/self/ns/mnt").ino);
    expect(outside.find((event) => event.kind === "exec" && event.args[1] === "escaped")).toBeDefined();
    expect(events.find((event) => event.kind === "namespace")).toMatchObject({ namespaces: ["mount"], result: 0 });
    // Also by one that runs no program of its own.
    expect(outside.find((event) => event.kind === "open")).toMatchObject({ file: { path: "/dev/zero" } });
  });

  test("reads files from the kernel: the same one under any name, with what becomes of it", async (context) => {
    requires(context, "sensor");
    mkdirSync(join(folder, "files"));
    const script = 'cd "$1"; echo 1 > a; ln a b; mv b c; chmod 4755 c; ln -s a d; echo 2 >> d; rm a c d; mkdir e; rmdir e; cat /etc/shadow; cat /etc/passwd';
    const events = await eventsOfScript(sensor, script, [join(folder, "files")]);
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

  test("names and arguments of any bytes and any length", async (context) => {
    requires(context, "sensor");
    const script = [
      'cd "$1" && mkdir names && cd names',
      'n=$(printf \'two\\nlines\'); i=$(printf \'not\\377utf\\\\8\'); : > "$n"; : > "$i"; /bin/true "$n" "$i" \'\' last',
      "d=$(printf '%0200d' 0); for k in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do mkdir $d; cd $d; done; : > deep",
      'cd "$1"; k=0; while [ $k -lt 90 ]; do mkdir d; cd d; k=$((k+1)); done; : > far',
      "a=$(printf '%0100000d' 0); /bin/true $a $a $a $a $a $a $a $a $a $a $a $a $a $a $a $a $a $a $a $a",
    ].join("; ");
    const events = await eventsOfScript(sensor, script, [folder]);
    const [strange, long] = events.flatMap((event) => (event.kind === "exec" && event.asked === "/bin/true" ? [event] : []));
    expect(strange).toMatchObject({ args: ["/bin/true", "two\nlines", "not\\xffutf\\\\8", "", "last"], argsCut: false });
    expect(long?.argsBytes).toBe(10 + 20 * 100_001);
    expect(long?.argsCut).toBe(true);
    expect(long?.args.join("").length).toBeGreaterThan(5000);
    const opened = events.flatMap((event) => (event.kind === "open" && event.create ? [event.file] : []));
    const name = (file: { readonly path: string }): string => file.path.slice(file.path.lastIndexOf("/") + 1);
    expect(opened.map(name)).toEqual(["two\nlines", "not\\xffutf\\\\8", "deep", "far"]);
    const [deep, far] = opened.slice(2);
    expect(deep).toMatchObject({ cut: false, path: expect.stringMatching(/^\/.{3800,}\/deep$/) });
    expect(far).toMatchObject({ cut: true, path: `...${"/d".repeat(63)}/far` });
  });

  test.for([1000, 1_000_000])(
    "of a flood in one container, at a bound of %i a second, every event is told or counted; the other one loses nothing",
    async (rate) => {
      if (!has("sensor")) return;
      await using sensor = new KernelSensor({ rate });
      await sensor.initialize();
      const FLOOD = 60_000;
      await using flood = await WatchedShell.start("exec > /dev/null; i=0; while [ $i -lt $1 ]; do : > /dev/zero; i=$((i+1)); done", [String(FLOOD)]);
      await using quiet = await WatchedShell.start("exec > /dev/null; i=0; while [ $i -lt 100 ]; do : > /dev/zero; /bin/true; i=$((i+1)); done");
      const told = { flood: 0, quiet: 0, programs: 0 };
      const lost = { flood: 0, quiet: 0 };
      const hear = (event: ProcessEvent): void => {
        if (event.kind === "exec") told.programs++;
        if (event.kind === "open") told[event.job === "flood" ? "flood" : "quiet"]++;
      };
      const lose = ({ job, count }: LossEvent): void => {
        lost[job === "flood" ? "flood" : "quiet"] += count;
      };
      sensor.on("event", hear).on("loss", lose);
      const watches = [await sensor.watch({ job: "flood", pid: flood.pid }), await sensor.watch({ job: "quiet", pid: quiet.pid })];
      const both = Promise.all([flood.go(), quiet.go()]);
      // As one synchronous call of whoever uses this would do it: nobody decodes meanwhile.
      execFileSync("sleep", ["1"]);
      await both;
      for (const watch of watches) await watch.close();
      expect(told.flood + lost.flood).toBe(FLOOD);
      if (rate === 1000) expect(lost.flood).toBeGreaterThan(0);
      expect({ opens: told.quiet, programs: told.programs, lost: lost.quiet }).toEqual({ opens: 100, programs: 100, lost: 0 });
    },
  );

  test("no storm of anything else hides the program that runs in it", async (context) => {
    requires(context, "sensor");
    await using sensor = new KernelSensor({ rate: 200 });
    await sensor.initialize();
    // Standard output is a socket here: each redirection is a `dup` besides; each subshell a fork and an exit.
    const storm = "i=0; while [ $i -lt 3000 ]; do : > /dev/zero; i=$((i+1)); done; i=0; while [ $i -lt 300 ]; do (:); i=$((i+1)); done; /bin/true hidden";
    await using shell = await WatchedShell.start(storm);
    const programs: string[] = [];
    let lost = 0;
    sensor.on("event", (event) => void (event.kind === "exec" ? programs.push(event.args.join(" ")) : undefined));
    sensor.on("loss", ({ count }) => {
      lost += count;
    });
    await using watch = await sensor.watch({ job: "job", pid: shell.pid });
    await shell.go();
    await watch.close();
    expect(programs).toEqual(["/bin/true hidden"]);
    expect(lost).toBeGreaterThan(0);
  });

  test("a watch holds the namespaces of a container that ended, and lets go of them with its end", async (context) => {
    requires(context, "sensor");
    const held = (): (string | undefined)[] => readdirSync("/proc/self/fd").map((fd) => linkOf(`/proc/self/fd/${fd}`));
    await using shell = await WatchedShell.start("true");
    const spaces = ["pid", "mnt"].map((name) => readlinkSync(`/proc/${shell.pid}/ns/${name}`));
    const watch = await sensor.watch({ job: "job", pid: shell.pid });
    await shell.go();
    expect(held()).toEqual(expect.arrayContaining(spaces));
    await watch.close();
    for (const space of spaces) expect(held()).not.toContain(space);
  });

  test("nothing was lost or missed meanwhile", (context) => {
    requires(context, "sensor");
    expect(said.filter((event) => event.kind !== "status")).toEqual([]);
  });
});

/** undefined: it was closed meanwhile. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
