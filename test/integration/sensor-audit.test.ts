/** Events by way of the kernel's audit: what they say, whose they are, and what becomes of the rules. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { packageFolder } from "../../src/foundation/index.ts";
import { type GapEvent, KernelSensor, type LossEvent, type ProcessEvent } from "../../src/monitor/index.ts";
import { type AuditState, addAuditRule, auditState, removeAuditRules } from "../world/audit-rules.ts";
import { has, requires } from "../world/needs.ts";
import { POWERLESS, powersOf } from "../world/process-power.ts";
import { eventsOfScript } from "../world/sensor-watch.ts";
import { WatchedShell } from "../world/watched-shell.ts";

const PROGRAM = join(packageFolder(), "dist", "native", `cofferdam-sensor-${process.arch}`);
const OWN = "cofferdam-sensor.";
const OTHERS = `cofferdam-test-${process.pid}`;

describe("the sensor by audit", () => {
  const sensor = new KernelSensor({ sources: ["audit"] });
  const losses: LossEvent[] = [];
  let folder: string;
  let before: AuditState | undefined;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "cofferdam-audit-"));
    chmodSync(folder, 0o777);
    // Before anything of ours began; a kernel without audit has no such file.
    if (has("root") && has("python3") && existsSync("/proc/self/loginuid")) before = auditState();
    if (!has("audit")) return;
    sensor.on("loss", (loss) => losses.push(loss));
    await sensor.initialize();
  });
  afterAll(async () => {
    await sensor.close();
    if (has("audit")) removeAuditRules(OTHERS);
    rmSync(folder, { recursive: true });
  });
  beforeEach((context) => {
    requires(context, "audit");
    requires(context, "python3");
  });

  test("says what it is, and what it does not show", () => {
    expect(sensor.status).toMatchObject({ state: "degraded", source: "audit", lacks: expect.arrayContaining(["whether files are new since the image"]) });
  });

  test("each of sixty short processes: begun, run with its arguments, ended, in this order; and each of sixty opens", async () => {
    const script = 'i=0; while [ $i -lt 60 ]; do /bin/true "$i"; : > "$1/f$i"; i=$((i+1)); done';
    const events = await eventsOfScript(sensor, script, [folder]);
    const numbers = Array.from({ length: 60 }, (_, i) => String(i));
    const runs = events.flatMap((event) => (event.kind === "exec" && event.asked.endsWith("/true") ? [event] : []));
    expect(runs.map(({ args }) => args[1])).toEqual(numbers);
    expect(events.flatMap((event) => (event.kind === "open" && event.create ? [event.file.path] : []))).toEqual(numbers.map((i) => join(folder, `f${i}`)));
    for (const run of runs) {
      const place = (kind: string): number =>
        events.findIndex((event) => event.kind === kind && (event.kind === "fork" ? event.child : event.actor).key === run.actor.key);
      expect(run.program).toMatchObject({ path: expect.stringMatching(/\/true$/), type: "file" });
      expect(place("fork")).toBeGreaterThanOrEqual(0);
      expect(place("fork")).toBeLessThan(place("exec"));
      expect(place("exec")).toBeLessThan(place("exit"));
    }
    expect(events.filter((event) => event.kind === "exit")).toHaveLength(62);
    for (const event of events) expect(event).toMatchObject({ job: "job", container: "box" });
    expect(losses).toEqual([]);
  });

  test("names are those that were given, whatever stands in them, and marked so", async () => {
    const strange = 'a" name="shadow" nametype=CREATE\n=';
    const script =
      'cd "$1"; echo x > "$2"; mv "$2" "$(printf "b\\377")"; ln -s target link; ln "$(printf "b\\377")" hard; chmod 4711 hard; mkdir -p sub; rm hard';
    const events = await eventsOfScript(sensor, script, [folder, strange]);
    const found = events.flatMap((event) => ("file" in event && event.file !== undefined ? [{ kind: event.kind, path: event.file.path }] : []));
    const at = (name: string): string => join(folder, name);
    expect(found).toEqual([
      { kind: "open", path: at(strange) },
      { kind: "rename", path: at(strange) },
      { kind: "symlink", path: at("link") },
      { kind: "link", path: `${folder}/b\\xff` },
      { kind: "chmod", path: at("hard") },
      { kind: "mkdir", path: at("sub") },
      { kind: "unlink", path: at("hard") },
    ]);
    expect(events.find((event) => event.kind === "rename")).toMatchObject({ file: { claimed: true }, to: { path: `${folder}/b\\xff`, claimed: true } });
    expect(events.find((event) => event.kind === "symlink")).toMatchObject({ to: { path: "target" } });
    expect(events.find((event) => event.kind === "chmod")).toMatchObject({ mode: 0o4711 });
  });

  test("a name that starts from an open folder: the folder's, while it is open; else only the name", async () => {
    const script = `rm -rf "$1/deep"; mkdir -p "$1/deep/er"; python3 -c '
import os, sys, time
folder = os.open(sys.argv[1] + "/deep", os.O_RDONLY)
os.close(os.open("made", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
os.mkdir("er/here", dir_fd=folder)
os.chmod("made", 0o700, dir_fd=folder)
time.sleep(1)
os.rename("made", "er/moved", src_dir_fd=folder, dst_dir_fd=folder)
time.sleep(1)
os.unlink("er/moved", dir_fd=folder)
os.dup2(os.open("/", os.O_RDONLY), folder)
time.sleep(1)' "$1"`;
    const events = await eventsOfScript(sensor, script, [folder]);
    const at = (name: string): string => join(folder, "deep", name);
    const found = events.flatMap((event) =>
      "file" in event && event.actor.name === "python3" && event.file !== undefined ? [[event.kind, event.file.path]] : [],
    );
    expect(found).toEqual([
      ["open", at("made")],
      ["mkdir", at("er/here")],
      ["chmod", at("made")],
      ["rename", at("made")],
      ["unlink", ".../er/moved"],
    ]);
    expect(events.find((event) => event.kind === "rename")).toMatchObject({ to: { path: at("er/moved"), cut: false, claimed: true } });
  });

  test("what was refused, where a program connected, and the calls that builds have no use for", async () => {
    const script = `
      setpriv --reuid 65534 --clear-groups sh -c 'echo x >> "$1/root-only"; cat "$1/root-only"' sh "$1"
      perl -MSocket -e 'socket S, PF_INET, SOCK_DGRAM, 0; connect S, sockaddr_in(53, inet_aton("192.0.2.7")); bind S, pack_sockaddr_un("/nowhere/s")'
      unshare --uts true`;
    writeFileSync(join(folder, "root-only"), "x", { mode: 0o600 });
    const events = await eventsOfScript(sensor, script, [folder]);
    const refused = events.filter((event) => event.kind === "open" && event.result === -13);
    expect(refused).toMatchObject([
      { file: { path: join(folder, "root-only") }, access: "write", actor: { uid: 65534 } },
      { file: { path: join(folder, "root-only") }, access: "read" },
    ]);
    expect(events.find((event) => event.kind === "connect" && event.socket.family === "inet")).toMatchObject({
      socket: { remote: { address: "192.0.2.7", port: 53 }, claimed: true },
    });
    expect(events.find((event) => event.kind === "namespace")).toMatchObject({ namespaces: ["uts"] });
    expect(events.some((event) => event.kind === "identity" && event.after.uid === 65534)).toBe(true);
  });

  test("a sensitive file that is there when the watch begins: its reading, by any way to it, and no other reading", async () => {
    mkdirSync(join(folder, ".ssh"));
    for (const name of [".npmrc", "plain", ".ssh/any"]) writeFileSync(join(folder, name), "x");
    symlinkSync(".npmrc", join(folder, "id_rsa"));
    // While another watch goes on: the rules of this one go with it.
    await using other = await WatchedShell.start("");
    await using _other = await sensor.watch({ job: "other", pid: other.pid });
    const rules = auditState().keys;
    const events = await eventsOfScript(sensor, "cat .npmrc plain id_rsa .ssh/any", [], [`--wd=${folder}`]);
    const reads = events.flatMap((event) => (event.kind === "open" && event.access === "read" ? [event.file.path] : []));
    expect(reads).toEqual([".npmrc", "id_rsa", ".ssh/any"].map((name) => join(folder, name)));
    const ours = (key: string): boolean => childrenOf(process.pid).includes(Number(key.split(".")[1]));
    await vi.waitFor(() => expect(auditState().keys.filter(ours)).toEqual(rules.filter(ours)), { timeout: 10_000, interval: 200 });
  });

  test("long arguments are counted whole and kept to a bound", async () => {
    const events = await eventsOfScript(sensor, '/bin/true "$(head -c 100000 /dev/zero | tr "\\0" x)" "last one"');
    const run = events.find((event) => event.kind === "exec" && event.asked === "/bin/true");
    expect(run).toMatchObject({ argsBytes: "/bin/true".length + 1 + 100_000 + 1 + "last one".length + 1, argsCut: true });
  });

  test("nothing of a process outside, everything of one that leaves its namespaces", async () => {
    const outside = `outside-${process.pid}`;
    const script = `nsenter --mount=/proc/self/fd/3 --pid=/proc/self/fd/4 /bin/true escaped`;
    await using shell = await WatchedShell.start(script, [], ["/proc/self/ns/mnt", "/proc/self/ns/pid"]);
    await using other = await WatchedShell.start(`/bin/true ${outside}`);
    const events: ProcessEvent[] = [];
    sensor.on("event", (event) => events.push(event));
    await using watch = await sensor.watch({ job: "job", pid: shell.pid });
    await Promise.all([shell.go(), other.go()]);
    await watch.close();
    const args = events.flatMap((event) => (event.kind === "exec" ? event.args : []));
    expect(args).toContain("escaped");
    expect(args).not.toContain(outside);
  });

  test("rules are there while something is watched, and how it was comes back", async () => {
    const { sensor: other, pid } = await another();
    const own = (): readonly string[] => auditState().keys.filter((key) => key.startsWith(`${OWN}${pid()}.`));
    // The mark's.
    expect(own()).toHaveLength(1);
    await using shell = await WatchedShell.start("");
    const watch = await other.watch({ job: "job", pid: shell.pid });
    expect(own().length).toBeGreaterThan(8);
    await watch.close();
    await vi.waitFor(() => expect(own()).toHaveLength(1), { timeout: 10_000, interval: 200 });
    const key = own()[0] ?? "";
    await other.close();
    expect(auditState().keys).not.toContain(key);
  });

  test("a sensor that is killed leaves nothing; one that is killed with its keeper leaves it to the next", async () => {
    const { sensor: first, pid } = await another();
    const key = auditState().keys.find((one) => one.startsWith(`${OWN}${pid()}.`)) ?? "none";
    const back = once(first, "gap");
    await using shell = await WatchedShell.start("");
    await using _watch = await first.watch({ job: "job", pid: shell.pid });
    process.kill(pid(), "SIGKILL");
    const [gap]: GapEvent[] = await back;
    expect(gap?.why).toBe("the sensor ended: it was ended by SIGKILL");
    expect(auditState().keys).not.toContain(key);
    await first.close();
    // Both at once, started without a monitor that would wait for the keeper.
    const { left, gone } = await killBoth();
    expect(left.length).toBeGreaterThan(8);
    expect(gone).toEqual([]);
  });

  test("both processes work under their filter, and the keeper has the one right", async () => {
    const mask = "0000000040000000";
    const { sensor: other, pid } = await another();
    await vi.waitFor(() => expect(powersOf(pid())).toEqual([POWERLESS, { ...POWERLESS, CapPrm: mask, CapEff: mask }]));
    await other.close();
  });

  test("rules that somebody takes away are missed: it says so, and comes back with new ones", async () => {
    const { sensor: other, pid } = await another();
    await using shell = await WatchedShell.start("/bin/true again");
    await using _watch = await other.watch({ job: "job", pid: shell.pid });
    const gap = once(other, "gap");
    removeAuditRules(`${OWN}${pid()}.`);
    const [told]: GapEvent[] = await gap;
    expect(told?.why).toBe("the sensor ended: somebody turned audit off, or removed the sensor's rules");
    const seen = new Promise<void>((resolve) => {
      other.on("event", (event) => (event.kind === "exec" && event.args.includes("again") ? resolve() : undefined));
    });
    await shell.go();
    await seen;
    await other.close();
  });

  test("rules of others stay, and are said", async () => {
    addAuditRule(OTHERS);
    await using other = new KernelSensor({ sources: ["audit"] });
    expect((await other.initialize()).why).toMatch(/^by the kernel's audit alone: audit has \d+ rules? of others: what they exclude is not seen$/);
    await using shell = await WatchedShell.start("");
    await using watch = await other.watch({ job: "job", pid: shell.pid });
    await watch.close();
    await other.close();
    expect(auditState().keys).toContain(OTHERS);
    removeAuditRules(OTHERS);
  });

  test("after the last sensor it is as it was", async () => {
    expect(auditState()).toMatchObject({ enabled: 1 });
    await sensor.close();
    const { enabled, backlog, keys } = auditState();
    // Sensors of somebody else's keep it on.
    if (keys.some((key) => key.startsWith(OWN))) return;
    expect({ enabled, backlog }).toEqual({ enabled: before?.enabled, backlog: before?.backlog });
  });
});

/** A sensor and its keeper, ended at once. @returns the keys of its rules then, and after another sensor began. */
async function killBoth(): Promise<{ readonly left: readonly string[]; readonly gone: readonly string[] }> {
  const child = spawn(PROGRAM, ["audit"], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.stdin.write("watch 1 0 1 1 1000 0 1\n");
  const keys = (): readonly string[] => auditState().keys.filter((key) => key.startsWith(`${OWN}${child.pid}.`));
  await vi.waitFor(() => expect(keys().length).toBeGreaterThan(8));
  for (const keeper of childrenOf(child.pid)) process.kill(keeper, "SIGKILL");
  child.kill("SIGKILL");
  await once(child, "close");
  const left = keys();
  await using next = new KernelSensor({ sources: ["audit"] });
  await next.initialize();
  return { left, gone: keys() };
}

/** One more sensor of this process. `pid`: the program that runs for it now. */
async function another(): Promise<{ readonly sensor: KernelSensor; readonly pid: () => number }> {
  const before = new Set(childrenOf(process.pid));
  const sensor = new KernelSensor({ sources: ["audit"] });
  await sensor.initialize();
  const pid = (): number => {
    const found = childrenOf(process.pid).filter((one) => !before.has(one) && readFileSync(`/proc/${one}/comm`, "utf8").startsWith("cofferdam-senso"));
    if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} new sensors`);
    return found[0];
  };
  return { sensor, pid };
}

function childrenOf(pid: number | undefined): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );
}
