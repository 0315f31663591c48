/** A dockerd that is killed, stopped or started again while it is used: only ever the test's own. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { EngineClient, type EngineNews, type OutputChunk } from "../../src/engine/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";

let docker: TestDocker;
let engine: EngineClient;
let image: string;

beforeAll(async () => {
  if (!has("docker")) return;
  docker = await startDocker();
  engine = new EngineClient(docker.socketPath);
  image = await busyboxImage(engine);
});
afterAll(async () => {
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
});
beforeEach((context) => requires(context, "docker"));

async function running(): Promise<string> {
  const { Id } = await engine.containers.create({
    Image: image,
    Cmd: ["sh", "-c", "trap exit TERM; while :; do echo tick; sleep 0.05; done"],
    HostConfig: { NetworkMode: "none" },
  });
  await engine.containers.start(Id);
  return Id;
}

async function drain(output: AsyncIterable<OutputChunk>, first: () => void): Promise<void> {
  for await (const _ of output) first();
}

test("killed in mid-stream: what was waited for fails, nothing hangs, and the same client goes on after the start", { timeout: 60_000 }, async () => {
  const id = await running();
  const flowing = Promise.withResolvers<void>();
  const logs = drain(await engine.containers.logs(id, { follow: true }), flowing.resolve);
  await using attached = await engine.containers.attach(id, { tty: false });
  const output = drain(attached.output, () => undefined);
  const { exit } = await engine.containers.startWait(id, { condition: "next-exit" });
  await flowing.promise;

  const failures = Promise.all([
    expect(logs).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" }),
    expect(exit).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" }),
    // A hijacked connection has no mark for its end: this one only ends.
    output.catch((error: unknown) => expect(error).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" })),
  ]);
  await docker.signal("SIGKILL");
  await failures;
  await expect(engine.info()).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", hint: expect.stringContaining("running") });

  await docker.restart();
  const { State } = await engine.containers.inspect(id);
  expect(State).toMatchObject({ Running: false, Status: "exited" });
  await engine.containers.remove(id, { force: true });
});

test("events over a restart: a gap is said, then they go on", { timeout: 60_000 }, async () => {
  const stop = new AbortController();
  const news: EngineNews[] = [];
  const waiting = new Map<string, () => void>();
  const seen = (what: string): Promise<void> => new Promise((resolve) => waiting.set(what, resolve));
  const opened = seen("open");
  const created = seen("create");
  const following = (async () => {
    for await (const one of engine.events({ signal: stop.signal, filters: { type: ["container"], label: ["restart"] } })) {
      news.push(one);
      const what = one.kind === "event" ? one.event.Action : one.kind;
      waiting.get(what)?.();
    }
  })();
  await opened;
  const first = await engine.containers.create({ Image: image, Labels: { restart: "1" } });
  await created;
  const gap = seen("gap");
  const again = seen("open");
  await docker.signal("SIGKILL");
  await docker.restart();
  await gap;
  await again;
  const destroyed = seen("destroy");
  await engine.containers.remove(first.Id);
  await destroyed;
  stop.abort();
  await following;
  expect(news.map((one) => (one.kind === "event" ? one.event.Action : one.kind))).toEqual(["open", "create", "gap", "open", "destroy"]);
});

test("events over a cut connection, the engine living on: nothing is missing, and no gap is said", { timeout: 60_000 }, async () => {
  const { createServer, connect } = await import("node:net");
  const { join } = await import("node:path");
  // A proxy that can be cut.
  const pairs = new Set<() => void>();
  const proxy = createServer((socket) => {
    const upstream = connect(docker.socketPath);
    const cut = (): void => {
      socket.destroy();
      upstream.destroy();
    };
    pairs.add(cut);
    for (const one of [socket, upstream]) one.on("error", cut).on("close", cut);
    socket.pipe(upstream).pipe(socket);
  });
  const path = join(docker.folder, "proxy.sock");
  await new Promise<void>((resolve) => proxy.listen(path, resolve));
  await using through = new EngineClient(path);
  const stop = new AbortController();
  const actions: string[] = [];
  const kinds: string[] = [];
  const progress = new EventTarget();
  const following = (async () => {
    for await (const one of through.events({ signal: stop.signal, filters: { type: ["volume"] } })) {
      kinds.push(one.kind);
      if (one.kind === "event") actions.push(`${one.event.Action} ${one.event.Actor.ID}`);
      progress.dispatchEvent(new Event("news"));
    }
  })();
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise((resolve) => progress.addEventListener("news", resolve, { once: true }));
  };
  await until(() => kinds.includes("open"));
  for (let i = 0; i < 10; i++) {
    // Every third connection is cut with an event known, and another one made before it is back.
    if (i % 3 === 2) for (const cut of pairs) cut();
    await engine.volumes.create({ Name: `v${i}` });
    if (i % 3 === 1) await until(() => actions.length === i + 1);
  }
  await until(() => actions.length === 10);
  stop.abort();
  await following;
  proxy.close();
  expect(actions).toEqual(Array.from({ length: 10 }, (_, i) => `create v${i}`));
  expect(kinds).not.toContain("gap");
  expect(kinds.filter((kind) => kind === "open").length).toBeGreaterThanOrEqual(2);
});

test("stopped, not dead: calls end at their time, and go on when it does", { timeout: 60_000 }, async () => {
  await docker.signal("SIGSTOP");
  await expect(engine.info({ timeoutMs: 300 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  await expect(engine.ping({ timeoutMs: 300 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  await docker.signal("SIGCONT");
  expect((await engine.info()).Driver).toBeTypeOf("string");
});
