/** Calls that no shell makes, one after the other: what the sensor tells of each, held against what it returned. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KernelSensor, type ProcessEvent } from "../../src/monitor/index.ts";
import { has, requires } from "../world/needs.ts";
import { WatchedShell } from "../world/watched-shell.ts";

describe("single calls", () => {
  const sensor = new KernelSensor();
  let folder: string;
  let acts: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "cofferdam-acts-"));
    acts = join(folder, "acts");
    if (!has("sensor")) return;
    execFileSync("cc", ["-O2", "-o", acts, fileURLToPath(new URL("../world/acts/acts.c", import.meta.url)), "-lpthread"]);
    await sensor.initialize();
  });
  afterAll(async () => {
    await sensor.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach((context) => requires(context, "sensor"));

  /** What the program said, line by line, and what the sensor told of it. */
  async function run(name: string): Promise<{ readonly said: (readonly [string, string])[]; readonly events: ProcessEvent[] }> {
    await using shell = await WatchedShell.start('exec "$1" "$2"', [acts, name]);
    const events: ProcessEvent[] = [];
    const hear = (event: ProcessEvent): void => void (event.actor.inside.pid > 1 && event.actor.name === "unshare" ? undefined : events.push(event));
    sensor.on("event", hear);
    await using watch = await sensor.watch({ job: "job", pid: shell.pid });
    const output = await shell.go();
    await watch.close();
    sensor.off("event", hear);
    const lines = output.trim().split("\n");
    return { said: lines.map((line): [string, string] => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]), events };
  }

  /** Those of the program's own calls that were told, as it says them itself. */
  const told = (events: readonly ProcessEvent[]): string[][] =>
    events.flatMap(({ call, result, kind }) => (["exec", "exit", "fork", "open"].includes(kind) ? [] : [[call, String(result)]]));

  test("sockets: addresses from the kernel, claimed where it has none, and the one that became standard input", async () => {
    const { said, events } = await run("sockets");
    const port = Number(said.find(([name]) => name === "port")?.[1]);
    expect(told(events)).toEqual(said.filter(([name]) => name !== "port"));
    const sockets = events.flatMap((event) => ("socket" in event ? [[event.call, event.socket.remote ?? event.socket.local, event.socket.claimed]] : []));
    const server = { address: "127.0.0.1", port };
    expect(sockets.slice(0, 5)).toEqual([
      ["bind", server, false],
      ["connect", server, false],
      ["accept4", { address: "127.0.0.1", port: expect.any(Number) }, false],
      ["connect", { address: "127.0.0.1", port: 1 }, true],
      ["dup2", server, false],
    ]);
    expect(sockets.slice(5, 8)).toEqual([
      ["connect", { address: "::1", port: 7 }, false],
      ["bind", { address: "@acts\nof \\xff", port: 0 }, false],
      ["connect", { address: "/run/not-there.sock", port: 0 }, true],
    ]);
    const questions = events.flatMap((event) => (event.kind === "dns" ? [[event.socket.remote, Buffer.from(event.payload).toString()]] : []));
    const resolver = { address: "127.0.0.1", port: 53 };
    expect(questions).toEqual([
      [resolver, "a question\0"],
      [resolver, "another one\0"],
    ]);
  });

  test("a program in memory alone, with its hash while it runs or none", async () => {
    const { events } = await run("fileless");
    expect(events.find((event) => event.kind === "memfd")).toMatchObject({ name: "in memory" });
    const run1 = events.find((event) => event.kind === "exec" && event.args[0] === "fileless");
    expect(run1).toMatchObject({ program: { path: "memfd:in memory", anonymous: true, unlinked: true }, asked: expect.stringMatching(/^\/dev\/fd\/\d+$/) });
  });

  test("other processes' memory, and whom a debugger asks for", async () => {
    const { said, events } = await run("processes");
    expect(told(events)).toEqual(said);
    const child = events.find((event) => event.kind === "fork")?.child.inside.pid;
    expect(events.flatMap((event) => (event.kind === "ptrace" || event.kind === "memory" ? [event.target] : []))).toEqual([child, child, child, 1]);
    expect(events.flatMap((event) => (event.kind === "memory" ? [event.write] : []))).toEqual([false, true]);
  });

  test("namespaces, mounts and roots", async () => {
    const { said, events } = await run("namespaces");
    expect(told(events)).toEqual(said);
    expect(events.flatMap((event) => (event.kind === "namespace" ? [event.namespaces] : []))).toEqual([["uts"], ["uts", "ipc"]]);
    const mounts = events.flatMap((event) => (event.kind === "mount" ? [[event.call, event.source, event.target, event.type]] : []));
    expect(mounts).toEqual([
      ["mount", "source", "/mnt", "tmpfs"],
      ["umount2", "", "/mnt", ""],
      ["pivot_root", "/not/there", "/neither", ""],
      ["chroot", "", "/proc/self/fdinfo", ""],
      ["fsopen", "", "", "tmpfs"],
    ]);
    expect(events.find((event) => event.call === "sethostname")).toMatchObject({ texts: ["renamed"] });
  });

  test("what builds have no use for, each with its result", async () => {
    const { said, events } = await run("kernel");
    expect(told(events)).toEqual(said);
    expect(events.find((event) => event.call === "add_key")).toMatchObject({ texts: ["user", "the name"] });
    expect(events.filter((event) => event.kind === "module")).toMatchObject([{ file: { path: expect.stringMatching(/\/true$/) } }, { name: "no-such-module" }]);
  });

  test("who a process is after it changed that", async () => {
    const { said, events } = await run("identity");
    expect(told(events)).toEqual(said);
    const after = events.flatMap((event) =>
      event.kind === "identity" ? [[event.call, event.after.uid, event.after.gid, event.after.capabilities === 0n]] : [],
    );
    expect(after).toEqual([
      ["setgroups", 0, 0, false],
      ["setresgid", 0, 7, false],
      ["setresuid", 8, 7, true],
      ["setuid", 8, 7, true],
      ["capset", 8, 7, true],
    ]);
  });

  test("a name that another thread exchanges: the file that was opened is told, not the name", async () => {
    const { said, events } = await run("race");
    const opened = said.map(([, path]) => path);
    expect(new Set(opened)).toEqual(new Set(["/tmp/acts-a", "/tmp/acts-b"]));
    expect(events.flatMap((event) => (event.kind === "open" && event.file.path.startsWith("/tmp/acts-") ? [event.file.path] : []))).toEqual(opened);
  });

  test.runIf(process.arch === "x64")("a call by the 32-bit door is told as that", async () => {
    const { said, events } = await run("foreign");
    const foreign = events.filter((event) => event.kind === "foreign");
    // A kernel without that door ends the process.
    if (said[0]?.[0] === "getpid32") expect(foreign).toMatchObject([{ number: 20, result: 1 }]);
    else expect(events.filter((event) => event.kind === "exit")).toContainEqual(expect.objectContaining({ signal: 11 }));
  });

  test("who looked in from outside and left makes nothing of the job's", async () => {
    await using shell = await WatchedShell.start("/bin/true inside");
    const programs: string[] = [];
    const hear = (event: ProcessEvent): void => void (event.kind === "exec" ? programs.push(event.args.join(" ")) : undefined);
    sensor.on("event", hear);
    await using watch = await sensor.watch({ job: "job", pid: shell.pid });
    expect(execFileSync(acts, ["visit", String(shell.pid)], { encoding: "utf8" })).toBe("setns 0\nsetns 0\n");
    await shell.go();
    await watch.close();
    sensor.off("event", hear);
    expect(programs).toEqual(["/bin/true inside"]);
  });

  test("the hash of what ran and ended before anybody looked", async () => {
    const hashes: Promise<readonly [string, string | undefined]>[] = [];
    const hear = (event: ProcessEvent): void => {
      if (event.kind === "exec") hashes.push(sensor.hash(event).then((hash) => [event.program.path, hash]));
    };
    await using shell = await WatchedShell.start("/bin/true; cp /bin/true $1/mine; $1/mine; echo >> $1/mine; $1/mine; read -r line", [folder]);
    await using _watch = await sensor.watch({ job: "job", pid: shell.pid });
    sensor.on("event", hear);
    shell.release();
    while (hashes.length < 4) await sensor.sync();
    const found = await Promise.all(hashes);
    sensor.off("event", hear);
    const sums = execFileSync("sha256sum", ["/bin/true", "/bin/cp", join(folder, "mine")], { encoding: "utf8" }).match(/^[0-9a-f]{64}/gm) ?? [];
    const [plain, copier, changed] = sums;
    const [first, second, third, fourth] = found.map(([, hash]) => hash);
    expect([first, second, fourth]).toEqual([plain, copier, changed]);
    // Changed right after it ran: what it was, or nothing. Never what it became.
    expect([plain, undefined]).toContain(third);
    await shell.go();
  });
});
