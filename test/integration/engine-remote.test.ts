/** The engine over TLS with certificates on both sides, and over plain TCP. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { beforeEach, describe, expect, test } from "vitest";
import { type EngineAddress, EngineClient } from "../../src/engine/index.ts";
import type { TestDocker } from "../world/docker.ts";
import { collect, EngineWorld } from "../world/engine.ts";
import { requires } from "../world/needs.ts";

const world = new EngineWorld({ tls: true });

describe("over TLS", () => {
  beforeEach((context) => {
    requires(context, "openssl");
    if (world.docker === undefined) context.skip("another engine");
  });

  function secure(): TestDocker["tls"] {
    if (world.docker === undefined) throw new Error("another engine");
    return world.docker.tls;
  }

  function secured(more: Partial<EngineAddress> = {}): EngineClient {
    const { port, ca, client } = secure();
    return new EngineClient({ host: "127.0.0.1", port, ca, ...client, ...more });
  }

  test("with a client certificate everything is the same, stdin's end too", async () => {
    await using over = secured();
    const { Id: id } = await over.containers.create({
      Image: world.image,
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
    const upstream = connect({ path: world.address.replace("unix://", ""), allowHalfOpen: true });
    for (const one of [socket, upstream]) one.on("error", () => undefined);
    socket.pipe(upstream).pipe(socket);
  });
  await once(forward.listen(0, "127.0.0.1"), "listening");
  const bound = forward.address();
  await using over = new EngineClient(`tcp://127.0.0.1:${typeof bound === "object" ? bound?.port : 0}`);
  const id = await world.running(["cat"], { OpenStdin: true, StdinOnce: true });
  await using attached = await over.containers.attach(id, { tty: false, stdin: true });
  attached.stdin.end("typed\n");
  expect((await collect(attached.output)).stdout).toBe("typed\n");
  await world.gone(id);
  forward.close();
});
