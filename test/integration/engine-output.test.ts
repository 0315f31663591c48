/** Output, terminals and stdin of containers and execs, against a real engine; see world/engine.ts for another one. */
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { Attachment } from "../../src/engine/index.ts";
import { collect, EngineWorld, until } from "../world/engine.ts";

const world = new EngineWorld();

describe("output", () => {
  test("both streams come apart, whole, from the first byte", async () => {
    const script = "i=0; while [ $i -lt 300 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; exit 5";
    const { stdout, stderr, exitCode } = await world.run(["sh", "-c", script]);
    const lines = (word: string): string => Array.from({ length: 300 }, (_, i) => `${word}${i}\n`).join("");
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: lines("out"), stderr: lines("err"), exitCode: 5 });
  });

  test("a line of 10 MB, attached and from the log", async () => {
    const id = await world.create(["sh", "-c", "dd if=/dev/zero bs=1M count=10 2>/dev/null | tr '\\0' x; echo; echo end >&2"]);
    await using attached = await world.engine.containers.attach(id, { tty: false });
    await world.engine.containers.start(id);
    const live = await collect(attached.output);
    expect([live.stdout.length, new Set(live.stdout.slice(0, -1)).size, live.stderr]).toEqual([10 * 2 ** 20 + 1, 1, "end\n"]);
    const logged = await collect(await world.engine.containers.logs(id));
    expect([logged.stdout === live.stdout, logged.stderr]).toEqual([true, "end\n"]);
    let records = 0;
    let bytes = 0;
    for await (const chunk of await world.engine.containers.logs(id, { timestamps: true, stderr: false })) {
      expect(chunk.time).toMatch(/^2\d{3}-\d\d-\d\dT[\d:.]+Z$/);
      records += 1;
      bytes += chunk.bytes.length;
    }
    expect([records, bytes]).toEqual([641, 10 * 2 ** 20 + 1]);
    await world.gone(id);
  });

  test("is taken from the engine only as fast as it is read", async () => {
    const id = await world.create(["sh", "-c", "dd if=/dev/zero bs=1M count=256 2>/dev/null; echo done >&2"], { HostConfig: { LogConfig: { Type: "none" } } });
    await using attached = await world.engine.containers.attach(id, { tty: false });
    const { exit } = await world.engine.containers.startWait(id, { condition: "next-exit" });
    await world.engine.containers.start(id);
    const before = process.memoryUsage.rss();
    let length = 0;
    for await (const { bytes } of attached.output) {
      length += bytes.length;
      if (length < 2 ** 20) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(length).toBe(256 * 2 ** 20 + 5);
    expect(process.memoryUsage.rss() - before).toBeLessThan(128 * 2 ** 20);
    expect(await exit).toEqual({ exitCode: 0 });
    await world.gone(id);
  });

  test("the log's window: tail, since, until, one stream, following", async () => {
    const id = await world.running(["sh", "-c", "for i in 1 2 3; do echo l$i; done; echo e >&2; read x; echo last"], { OpenStdin: true });
    await until(await world.engine.containers.logs(id, { follow: true, stdout: false }), "e");
    // The two streams are read by two threads of the engine: their order against each other is not fixed.
    const last = await collect(await world.engine.containers.logs(id, { tail: 2 }));
    expect((last.stdout + last.stderr).split("\n")).toHaveLength(3);
    expect(last.stdout.endsWith("l3\n")).toBe(true);
    expect(await collect(await world.engine.containers.logs(id, { tail: 0 }))).toEqual({ stdout: "", stderr: "" });
    expect(await collect(await world.engine.containers.logs(id, { since: Date.now() / 1000 + 100 }))).toEqual({ stdout: "", stderr: "" });
    expect(await collect(await world.engine.containers.logs(id, { until: 1 }))).toEqual({ stdout: "", stderr: "" });
    const follow = collect(await world.engine.containers.logs(id, { follow: true }));
    await using attached = await world.engine.containers.attach(id, { tty: false, stdin: true });
    attached.stdin.end("go\n");
    expect(await follow).toEqual({ stdout: "l1\nl2\nl3\nlast\n", stderr: "e\n" });
    await world.gone(id);
  });

  test("a container that ended before anyone was attached has its output in the log, and an attach with logs", async () => {
    const id = await world.running(["sh", "-c", "echo early; exit 4"]);
    expect(await world.engine.containers.wait(id)).toEqual({ exitCode: 4 });
    expect(await collect(await world.engine.containers.logs(id))).toEqual({ stdout: "early\n", stderr: "" });
    await using late = await world.engine.containers.attach(id, { tty: false, logs: true });
    expect(await until(late.output, "early")).toBe("early\n");
    await world.gone(id);
  });

  test("a close from elsewhere ends the reading, quietly", async () => {
    const id = await world.running(["sh", "-c", "echo x; sleep 1000"]);
    const logs = await world.engine.containers.logs(id, { follow: true });
    const attached = await world.engine.containers.attach(id, { tty: false });
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
    await world.gone(id);
  });

  test("leaving the loop closes the connection, the container goes on", async () => {
    const id = await world.running(["sh", "-c", "while :; do echo x; sleep 0.02; done"]);
    const logs = await world.engine.containers.logs(id, { follow: true });
    await until(logs, "x");
    await using attached = await world.engine.containers.attach(id, { tty: false });
    await until(attached.output, "x");
    expect(attached.stdin.destroyed).toBe(true);
    expect((await world.engine.containers.inspect(id)).State.Running).toBe(true);
    await world.gone(id);
  });
});

describe("terminals and stdin", () => {
  test("stdin ends, output goes on until the container ends", async () => {
    const id = await world.create(["sh", "-c", "cat; echo after >&2; exit 6"], { OpenStdin: true, StdinOnce: true });
    await using attached = await world.engine.containers.attach(id, { tty: false, stdin: true });
    const { exit } = await world.engine.containers.startWait(id, { condition: "next-exit" });
    await world.engine.containers.start(id);
    const big = "0123456789abcdef".repeat(200_000);
    const output = collect(attached.output);
    Readable.from([big]).pipe(attached.stdin);
    const { stdout, stderr } = await output;
    expect([stdout === big, stderr]).toEqual([true, "after\n"]);
    expect(await exit).toEqual({ exitCode: 6 });
    await world.gone(id);
  });

  test("a terminal echoes, has the size it was given, and is one stream", async () => {
    const id = await world.create(["sh"], { Tty: true, OpenStdin: true });
    await using attached = await world.engine.containers.attach(id, { tty: true, stdin: true });
    await world.engine.containers.start(id);
    await world.engine.containers.resize(id, { rows: 33, columns: 121 });
    attached.stdin.write("stty size; echo err >&2; exit 2\n");
    const { stdout, stderr } = await collect(attached.output);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/stty size[\s\S]*33 121\r\nerr\r\n/);
    expect(await world.engine.containers.wait(id)).toEqual({ exitCode: 2 });
    expect((await collect(await world.engine.containers.logs(id, { tty: true }))).stdout).toContain("33 121\r\n");
    await expect(collect(await world.engine.containers.logs(id))).rejects.toMatchObject({
      code: "UPSTREAM_UNAVAILABLE",
      message: expect.stringContaining("terminal"),
    });
    await world.gone(id);
  });

  test("an exec has streams, an exit code, a size, and its own user", async () => {
    const id = await world.running();
    const exec = await world.engine.execs.create(id, {
      Cmd: ["sh", "-c", "id -u; cat; echo e >&2; exit 8"],
      User: "65534",
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    await using started: Attachment = await world.engine.execs.start(exec, { tty: false });
    started.stdin.end("typed\n");
    expect(await collect(started.output)).toEqual({ stdout: "65534\ntyped\n", stderr: "e\n" });
    expect(await world.engine.execs.inspect(exec)).toMatchObject({ Running: false, ExitCode: 8, ContainerID: id });

    const terminal = await world.engine.execs.create(id, { Cmd: ["sh"], Tty: true, AttachStdin: true, AttachStdout: true, AttachStderr: true });
    await using open = await world.engine.execs.start(terminal, { tty: true });
    await until(open.output, "#").catch(() => undefined);
    await world.gone(id);
  });

  test("an exec's terminal is resized while it runs", async () => {
    const id = await world.running();
    const exec = await world.engine.execs.create(id, {
      Cmd: ["sh", "-c", "read x; stty size"],
      Tty: true,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    await using open = await world.engine.execs.start(exec, { tty: true });
    await world.engine.execs.resize(exec, { rows: 21, columns: 77 });
    open.stdin.write("\n");
    expect((await collect(open.output)).stdout).toContain("21 77\r\n");
    await world.gone(id);
  });

  test("a detached exec runs, a container that ended takes none", async () => {
    const id = await world.running();
    const exec = await world.engine.execs.create(id, { Cmd: ["touch", "/tmp/made"] });
    await world.engine.execs.startDetached(exec);
    await expect.poll(async () => (await world.engine.execs.inspect(exec)).ExitCode).toBe(0);
    expect((await world.engine.containers.statPath(id, "/tmp/made")).name).toBe("made");
    await world.engine.containers.kill(id);
    await world.engine.containers.wait(id);
    await expect(world.engine.execs.create(id, { Cmd: ["true"] })).rejects.toMatchObject({ code: "CONFLICT" });
    await world.gone(id);
  });
});
