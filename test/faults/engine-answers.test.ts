/** An engine that answers late, wrongly, without end or not at all: the right code, in time, and nothing held. */
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { EngineClient, type EngineNews } from "../../src/engine/index.ts";
import { type Answering, FakeEngine, response } from "../world/engine-fake.ts";

const ID = "c".repeat(64);

async function against<T>(answer: Answering, work: (engine: EngineClient, fake: FakeEngine) => Promise<T>): Promise<T> {
  await using fake = await FakeEngine.start(answer);
  await using engine = new EngineClient(fake.socketPath);
  return await work(engine, fake);
}

function failureOf(answer: Answering, work: (engine: EngineClient) => Promise<unknown> = (engine) => engine.info({ timeoutMs: 5000 })): Promise<unknown> {
  return against(answer, async (engine, fake) => {
    const failure = await work(engine).then(
      () => undefined,
      (error: unknown) => error,
    );
    await expect.poll(() => fake.connections).toBe(0);
    return failure;
  });
}

describe("statuses become codes", () => {
  test.each([
    [400, "INVALID_ARGUMENT"],
    [401, "PERMISSION_DENIED"],
    [403, "PERMISSION_DENIED"],
    [404, "NOT_FOUND"],
    [405, "FAILED_PRECONDITION"],
    [409, "CONFLICT"],
    [413, "PAYLOAD_TOO_LARGE"],
    [429, "RATE_LIMITED"],
    [500, "UPSTREAM_UNAVAILABLE"],
    [501, "FAILED_PRECONDITION"],
    [503, "UPSTREAM_UNAVAILABLE"],
    [302, "UPSTREAM_UNAVAILABLE"],
    [304, "UPSTREAM_UNAVAILABLE"],
    [418, "UPSTREAM_UNAVAILABLE"],
  ])("%i: %s", async (status, code) => {
    expect(await failureOf((socket) => socket.end(response(status, '{"message":"why"}')))).toMatchObject({ code, details: { status } });
  });

  test.each([
    [500, "the container name is already in use by x", "CONFLICT"],
    [500, "x is not running: container state improper", "CONFLICT"],
    [403, "network n has active endpoints", "CONFLICT"],
    [403, "authorization denied by plugin: x is already in use, they say", "PERMISSION_DENIED"],
    [500, 'invalid environment variable: "=x"', "INVALID_ARGUMENT"],
    [404, "page not found", "FAILED_PRECONDITION"],
    [404, "No such container: not found", "NOT_FOUND"],
    [404, "no space left on device", "NOT_FOUND"],
  ])("%i %j: %s", async (status, message, code) => {
    expect(await failureOf((socket) => socket.end(response(status, JSON.stringify({ message }))))).toMatchObject({ code, details: { status } });
  });

  test("a redirect is not followed", async () => {
    await against(
      (socket) => socket.end(response(307, "", { Location: "/v1.41/containers/json" })),
      async (engine, fake) => {
        await expect(engine.info()).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
        expect(fake.requests.map((head) => head.split(" ")[1])).toEqual(["/_ping", "/v1.41/info"]);
      },
    );
  });

  test("a full disk is said to be one", async () => {
    expect(await failureOf((socket) => socket.end(response(500, '{"message":"write /x: no space left on device"}')))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
  });

  test("the message is one line, bounded, and does nothing to a terminal", async () => {
    const message = `first\n\u001b[2J\u202esecond ${"x".repeat(10_000)}`;
    const failure = await failureOf((socket) => socket.end(response(500, JSON.stringify({ message }))));
    expect(failure).toBeInstanceOf(Error);
    const said = String(failure);
    expect(said).toMatch(/first \[2J second x+\.\.\.$/);
    expect(said.length).toBeLessThan(700);
  });

  test("an error page without an end is cut, its status stays", async () => {
    const failure = await failureOf((socket) => {
      socket.write("HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n");
      const send = (): void => void (socket.writable && socket.write(`10000\r\n${"x".repeat(65_536)}\r\n`, send));
      send();
    });
    expect(failure).toMatchObject({ code: "UPSTREAM_UNAVAILABLE", details: { status: 500 } });
  });
});

describe("what is no answer", () => {
  const cases: [string, Answering, string][] = [
    ["garbage", (socket) => socket.end("\u0016\u0003\u0001 not http at all\r\n\r\n"), "no HTTP"],
    ["another protocol's greeting", (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP"],
    ["nothing, and the end", (socket) => socket.end(), "hang up"],
    ["a reset", (socket) => socket.destroy(), "hang up"],
    [
      "headers without an end",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        const send = (): void => void (socket.writable && socket.write(`X-${"h".repeat(1000)}: ${"v".repeat(1000)}\r\n`, send));
        send();
      },
      "HPE_HEADER_OVERFLOW",
    ],
    ["a body shorter than it says", (socket) => socket.end(response(200, '{"Driver":', { "Content-Length": "5000" })), "aborted"],
    ["a chunk size that is no number", (socket) => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "the engine at"],
    ["a document that is no JSON", (socket) => socket.end(response(200, "<html>")), "no JSON"],
    ["JSON of another shape", (socket) => socket.end(response(200, '{"Driver":7}')), "Driver"],
    ["null", (socket) => socket.end(response(200, "null")), "not what its API says"],
    ["JSON nested a million deep", (socket) => socket.end(response(200, "[".repeat(1_000_000))), "no JSON"],
    [
      "an upgrade that nobody asked for",
      (socket) => socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"),
      "changes the protocol",
    ],
  ];
  test.each(cases)("%s", async (_, answer, why) => {
    expect(await failureOf(answer)).toMatchObject({ code: "UPSTREAM_UNAVAILABLE", message: expect.stringContaining(why) });
  });

  test("an answer larger than any is given up at the limit", async () => {
    let sent = 0;
    const failure = await failureOf((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const chunk = `100000\r\n${" ".repeat(2 ** 20)}\r\n`;
      const send = (): void => {
        sent += 1;
        if (socket.writable && sent < 200) socket.write(chunk, send);
      };
      send();
    });
    expect(failure).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(sent).toBeLessThan(60);
  });

  test("what could not be parsed is not repeated", async () => {
    const failure = await failureOf((socket) => socket.end("hunter22-is-what-i-say\r\n\r\n"));
    expect(JSON.stringify(failure) + String(failure)).not.toContain("hunter22");
  });
});

describe("no answer in time", () => {
  const never: Answering = () => undefined;

  test.each<[string, Answering]>([
    ["nothing at all", never],
    ["half a head", (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Le")],
    ["half a body", (socket) => socket.write(response(200, "{", { "Content-Length": "100" }))],
    ["interim answers only", (socket) => socket.write("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(5))],
  ])("%s: DEADLINE_EXCEEDED", async (_, answer) => {
    expect(await failureOf(answer, (engine) => engine.info({ timeoutMs: 150 }))).toMatchObject({
      code: "DEADLINE_EXCEEDED",
      message: expect.stringContaining("150 ms"),
    });
  });

  test("the caller's signal ends every kind of call: CANCELLED, and the connection is gone", async () => {
    const calls: ((engine: EngineClient, signal: AbortSignal) => Promise<unknown>)[] = [
      (engine, signal) => engine.info({ signal }),
      (engine, signal) => engine.ping({ signal }),
      (engine, signal) => engine.containers.attach(ID, { tty: false, signal }),
      (engine, signal) => engine.containers.wait(ID, { signal }),
      (engine, signal) => engine.containers.logs(ID, { signal, follow: true }),
      (engine, signal) => engine.images.load(new Readable({ read: () => undefined }), { signal }),
    ];
    for (const call of calls) {
      await using fake = await FakeEngine.start();
      await using engine = new EngineClient(fake.socketPath);
      await engine.ping();
      fake.pong = undefined;
      const stop = new AbortController();
      const failure = call(engine, stop.signal).catch((error: unknown) => error);
      await expect.poll(() => fake.connections).toBe(1);
      stop.abort(new Error("enough"));
      expect(await failure).toMatchObject({ code: "CANCELLED" });
      await expect.poll(() => fake.connections).toBe(0);
      expect(await call(engine, stop.signal).catch((error: unknown) => error)).toMatchObject({ code: "CANCELLED" });
    }
  });

  test("one caller who gives up while the version is asked leaves the others their answer", async () => {
    await using fake = await FakeEngine.start((socket) => socket.end(response(200, '{"Driver":"overlay2","NCPU":1,"MemTotal":1}')));
    await using engine = new EngineClient(fake.socketPath);
    fake.pong = undefined;
    let pong: (() => void) | undefined;
    const { answer } = fake;
    fake.answer = (socket, head) => {
      if (head.startsWith("GET /_ping ")) pong = () => socket.end(response(200, "OK", { "Api-Version": "1.41" }));
      else answer(socket, head);
    };
    const stop = new AbortController();
    const impatient = engine.info({ signal: stop.signal }).catch((error: unknown) => error);
    const patient = engine.info();
    await expect.poll(() => pong !== undefined).toBe(true);
    stop.abort();
    expect(await impatient).toMatchObject({ code: "CANCELLED" });
    pong?.();
    expect((await patient).Driver).toBe("overlay2");
    expect(fake.requests.filter((head) => head.startsWith("GET /_ping "))).toHaveLength(1);
  });

  test("signals that are never used gather no listeners", async () => {
    await against(
      (socket) => socket.end(response(200, '{"Driver":"overlay2","NCPU":1,"MemTotal":1}')),
      async (engine) => {
        const { signal } = new AbortController();
        let added = 0;
        const add = signal.addEventListener.bind(signal);
        const remove = signal.removeEventListener.bind(signal);
        signal.addEventListener = (...args: Parameters<typeof add>) => {
          added += 1;
          add(...args);
        };
        signal.removeEventListener = (...args: Parameters<typeof remove>) => {
          added -= 1;
          remove(...args);
        };
        for (let i = 0; i < 20; i++) await engine.info({ signal });
        expect(added).toBe(0);
      },
    );
  });
});

describe("versions", () => {
  const info: Answering = (socket) => socket.end(response(200, '{"Driver":"x","NCPU":1,"MemTotal":1}'));

  test.each([
    ["1.41", "1.41"],
    ["1.44", "1.44"],
    ["1.45", "1.45"],
    ["1.99", "1.45"],
    ["2.0", "1.45"],
  ])("an engine of %s is spoken to in %s", async (theirs, spoken) => {
    await against(info, async (engine, fake) => {
      fake.pong = response(200, "OK", { "Api-Version": theirs });
      await engine.info();
      await engine.info();
      expect(fake.requests.map((head) => head.split(" ")[1])).toEqual(["/_ping", `/v${spoken}/info`, `/v${spoken}/info`]);
      expect(await engine.ping()).toEqual({ engine: "docker", apiVersion: spoken, engineApiVersion: theirs });
    });
  });

  test("one that is too old, and one that is no engine, are told apart", async () => {
    await against(info, async (engine, fake) => {
      fake.pong = response(200, "OK", { "Api-Version": "1.40" });
      await expect(engine.info()).rejects.toMatchObject({ code: "FAILED_PRECONDITION", message: expect.stringContaining("1.40") });
      for (const headers of [{}, { "Api-Version": "latest" }, { "Api-Version": "1.41.2" }, { "Api-Version": "9".repeat(400) }]) {
        fake.pong = response(200, "OK", headers);
        await expect(engine.info()).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
      }
      fake.pong = response(200, "OK", { "Api-Version": "1.42", "Libpod-Api-Version": "5.0.0" });
      expect(await engine.ping()).toMatchObject({ engine: "podman" });
    });
  });

  test("an engine that was replaced by an older one is asked again", async () => {
    await against(
      (socket, head) =>
        socket.end(
          head.includes("/v1.45/")
            ? response(400, '{"message":"client version 1.45 is too new. Maximum supported API version is 1.41"}')
            : response(200, '{"Driver":"x","NCPU":1,"MemTotal":1}'),
        ),
      async (engine, fake) => {
        fake.pong = response(200, "OK", { "Api-Version": "1.50" });
        await expect(engine.info()).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", retryable: true });
        fake.pong = response(200, "OK", { "Api-Version": "1.41" });
        expect((await engine.info()).Driver).toBe("x");
      },
    );
  });
});

test("an engine that has left our versions behind says so once and for all", async () => {
  const refusal = '{"message":"client version 1.45 is too old. Minimum supported API version is 1.60"}';
  expect(await failureOf((socket) => socket.end(response(400, refusal)))).toMatchObject({ code: "FAILED_PRECONDITION", retryable: false });
});

describe("streams", () => {
  const frame = "\u0001\0\0\0\0\0\0\u0003abc";

  test("an attach that is answered with 200, or whose connection is refused", async () => {
    const attach = (engine: EngineClient): Promise<unknown> => engine.containers.attach(ID, { tty: false, timeoutMs: 5000 });
    expect(await failureOf((socket) => socket.write("HTTP/1.1 200 OK\r\n\r\nabc"), attach)).toMatchObject({
      code: "UPSTREAM_UNAVAILABLE",
      message: expect.stringContaining("hand the connection over"),
    });
    expect(await failureOf((socket) => socket.end(response(409, '{"message":"not running"}')), attach)).toMatchObject({ code: "CONFLICT" });
  });

  test("output that comes with the switch itself is not lost", async () => {
    await against(
      (socket) => socket.end(Buffer.from(`HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n${frame}`, "latin1")),
      async (engine) => {
        await using attached = await engine.containers.attach(ID, { tty: false });
        const seen: string[] = [];
        for await (const { bytes } of attached.output) seen.push(bytes.toString());
        expect(seen.join("")).toBe("abc");
      },
    );
  });

  test("one that breaks while nobody reads ends the reading later, and nothing else", async () => {
    await against(
      (socket) => socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", () => socket.destroy()),
      async (engine, fake) => {
        const attached = await engine.containers.attach(ID, { tty: false });
        attached.stdin.write("x".repeat(2 ** 20));
        await expect.poll(() => fake.connections).toBe(0);
        const seen: number[] = [];
        const reading = async (): Promise<void> => {
          for await (const { bytes } of attached.output) seen.push(bytes.length);
        };
        await reading().catch((error: unknown) => expect(error).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" }));
        expect(seen).toEqual([]);
      },
    );
  });

  test("a wait that is cut is no exit", async () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const wait = (engine: EngineClient): Promise<unknown> => engine.containers.wait(ID);
    expect(await failureOf((socket) => socket.end(head), wait)).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
    expect(await failureOf((socket) => socket.end(`${head}0\r\n\r\n`), wait)).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
    expect(await failureOf((socket) => socket.end(response(200, '{"StatusCode":"0"}')), wait)).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
    const exit = await against((socket) => socket.end(response(200, ' {"StatusCode":1,"Error":{"Message":"lost it"}}')), wait);
    expect(exit).toEqual({ exitCode: 1, error: "lost it" });
  });

  test("a load whose answer ends in an error has failed, whatever its status", async () => {
    const load = (engine: EngineClient): Promise<unknown> => engine.images.load(Buffer.from("x"));
    const lines = '{"stream":"Loaded image: a:1\\n"}\n{"errorDetail":{"message":"m"},"error":"no space left on device"}\n';
    expect(await failureOf((socket) => socket.end(response(200, lines)), load)).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect(await failureOf((socket) => socket.end(response(200, '{"stream":')), load)).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
    expect(
      await failureOf(
        (socket) => socket.end(response(200, '{"status":"nothing"}')),
        (engine) => engine.images.import(Buffer.from("x")),
      ),
    ).toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
  });

  test("an engine that does not know `expect` gets its stream after a moment", async () => {
    await against(
      (socket, head) => {
        expect(head.toLowerCase()).toContain("expect: 100-continue");
        let body = "";
        socket.on("data", (chunk) => {
          body += chunk.toString("latin1");
          if (body.endsWith("0\r\n\r\n")) socket.end(response(200, '{"stream":"Loaded image: a:1\\n"}'));
        });
      },
      async (engine) => {
        expect(await engine.images.load(Readable.from([Buffer.from("tar")]))).toEqual(["a:1"]);
      },
    );
  });
});

describe("events", () => {
  const line = (second: number, action: string): string =>
    `${JSON.stringify({ Type: "container", Action: action, Actor: { ID, Attributes: {} }, timeNano: 0 }).replace('"timeNano":0', `"timeNano":${second}000000007`)}\n`;
  const HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const chunked = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  /** What the engine remembers; live events are what the test sends. */
  interface Memory {
    history: string[];
    live: ((socket: { write(text: string): unknown; destroy(): unknown }) => void)[];
  }

  function remembering(memory: Memory): Answering {
    return (socket, head) => {
      socket.write(HEAD);
      if (head.includes("until=")) socket.end(`${memory.history.map(chunked).join("")}0\r\n\r\n`);
      else memory.live.shift()?.(socket);
    };
  }

  async function follow(memory: Memory, count: number): Promise<string[]> {
    return await against(remembering(memory), async (engine) => {
      const seen: string[] = [];
      for await (const one of engine.events()) {
        seen.push(one.kind === "event" ? `${one.event.Action} ${one.event.timeNano}` : one.kind);
        if (seen.length === count) break;
      }
      return seen;
    });
  }

  test("after a cut nothing is repeated and nothing is missing when the engine remembers", async () => {
    const [a, b, c, d] = [line(1000, "a"), line(1000, "b"), line(1001, "c"), line(1002, "d")];
    const memory: Memory = {
      history: [a, b, c],
      live: [
        (socket) => {
          socket.write(chunked(a) + chunked(b));
          setImmediate(() => socket.destroy());
        },
        (socket) => socket.write(chunked(b) + chunked(c) + chunked(d)),
      ],
    };
    expect(await follow(memory, 6)).toEqual(["open", "a 1000000000007", "b 1000000000007", "c 1001000000007", "open", "d 1002000000007"]);
  });

  test("an engine that forgot: a gap, before it is open again", async () => {
    const memory: Memory = {
      history: [line(1005, "later")],
      live: [
        (socket) => {
          socket.write(chunked(line(1000, "a")));
          setImmediate(() => socket.destroy());
        },
        (socket) => socket.write(chunked(line(1006, "z"))),
      ],
    };
    expect(await follow(memory, 5)).toEqual(["open", "a 1000000000007", "gap", "open", "z 1006000000007"]);
  });

  test("more history than we remember cannot be told from what was missed: a gap", async () => {
    const [a] = [line(1000, "a")];
    const cutAfter = (text: string) => (socket: { write(text: string): unknown; destroy(): unknown }) => {
      socket.write(chunked(text));
      setImmediate(() => socket.destroy());
    };
    const memory: Memory = {
      history: [a, ...Array.from({ length: 1100 }, (_, i) => line(1001 + i, "b"))],
      live: [cutAfter(a), (socket) => socket.write(chunked(line(9000, "z")))],
    };
    expect(await follow(memory, 5)).toEqual(["open", "a 1000000000007", "gap", "open", "z 9000000000007"]);
  });

  test("a silent engine is asked whether it lives; when it does not answer, that is a cut", async () => {
    await using fake = await FakeEngine.start();
    await using engine = new EngineClient(fake.socketPath);
    let hung = 0;
    fake.answer = (socket, head) => {
      if (head.startsWith("GET /_ping ")) return;
      socket.write(HEAD);
      hung += 1;
      // It hangs from now on; the ping after a few heartbeats finds out.
      if (hung === 1) fake.pong = undefined;
    };
    const news: EngineNews[] = [];
    const failure = (async () => {
      for await (const one of engine.events({ heartbeatMs: 50, maxOutageMs: 200 })) news.push(one);
    })().catch((error: unknown) => error);
    expect(await failure).toMatchObject({ code: expect.stringMatching(/UPSTREAM_UNAVAILABLE|DEADLINE_EXCEEDED/) });
    expect(news.map(({ kind }) => kind)).toEqual(["open"]);
  });

  test("silence of an engine that lives is no cut", async () => {
    await using fake = await FakeEngine.start();
    await using engine = new EngineClient(fake.socketPath);
    const opened: number[] = [];
    fake.answer = (socket) => {
      socket.write(HEAD);
      opened.push(1);
    };
    const stop = new AbortController();
    const done = (async () => {
      for await (const _ of engine.events({ heartbeatMs: 20, signal: stop.signal })) {
        // Only `open` comes.
      }
    })();
    const pings = (): number => fake.requests.filter((head) => head.startsWith("GET /_ping ")).length;
    await expect.poll(pings).toBeGreaterThan(5);
    stop.abort();
    await done;
    expect(opened).toHaveLength(1);
  });

  test("no engine at the beginning is an error at once; an event that is none is one too", async () => {
    await using engine = new EngineClient("/nowhere/docker.sock");
    const read = async (from: EngineClient): Promise<void> => {
      for await (const _ of from.events()) {
        // Nothing comes.
      }
    };
    await expect(read(engine)).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", hint: expect.stringContaining("running") });
  });
});

describe("unreachable", () => {
  test.each([
    ["a socket that is not there", "/nowhere/docker.sock", "UPSTREAM_UNAVAILABLE"],
    ["a file that is no socket", import.meta.filename, "UPSTREAM_UNAVAILABLE"],
    ["a port nobody listens on", "tcp://127.0.0.1:1", "UPSTREAM_UNAVAILABLE"],
  ])("%s", async (_, target, code) => {
    await using engine = new EngineClient(target);
    await expect(engine.info()).rejects.toMatchObject({ code, hint: expect.any(String) });
  });
});
