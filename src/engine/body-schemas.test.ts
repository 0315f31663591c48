import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContainerCreate } from "./bodies.ts";
import { containerCreateSchema, containerUpdateSchema, execCreateSchema, MAX_BODY_BYTES, networkCreateSchema, valuesOf, writeBody } from "./body-schemas.ts";

const FULL: ContainerCreate = {
  Image: "sha256:00",
  Cmd: ["sh", "-c", "exit"],
  Env: ["TOKEN=hunter22"],
  Labels: { "cofferdam.job": "8f2c" },
  HostConfig: {
    Memory: 2 ** 29,
    CapDrop: ["ALL"],
    Mounts: [{ Type: "tmpfs", Target: "/tmp", TmpfsOptions: { SizeBytes: 1, Mode: 0o1777 } }],
    Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    Privileged: false,
    LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
  },
  NetworkingConfig: { EndpointsConfig: { jobs: { IPAMConfig: { IPv4Address: "10.0.0.2" } } } },
};

/** As an answer or a file would bring it. */
function written(body: ContainerCreate): unknown {
  return JSON.parse(writeBody(containerCreateSchema, body, "body").toString());
}

/** Every object in a body, as a path of keys. */
function objectsOf(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== "object" || value === null) return [];
  const children = Object.entries(value).flatMap(([key, child]) => objectsOf(child, [...path, Array.isArray(value) ? Number(key) : key]));
  return Array.isArray(value) ? children : [path, ...children];
}

function withKey(value: unknown, path: readonly (string | number)[], key: string, extra: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return { ...(typeof value === "object" ? value : {}), [key]: extra };
  if (Array.isArray(value)) return value.map((item, at) => (at === first ? withKey(item, rest, key, extra) : item));
  return Object.fromEntries(Object.entries(value ?? {}).map(([name, child]) => [name, name === first ? withKey(child, rest, key, extra) : child]));
}

test("what is written is what was given", () => {
  expect(written(FULL)).toEqual(FULL);
});

/** Maps whose keys the caller names; everywhere else the keys are ours. */
const OPEN = ["Labels", "Config", "EndpointsConfig"];

test("a key that is not known is refused in every object, however it is spelt", () => {
  const places = objectsOf(FULL).filter((path) => !OPEN.includes(String(path.at(-1))));
  const keys = fc.constantFrom(
    "privileged",
    "PRIVILEGED",
    "Prıvileged",
    "HoſtConfig",
    "hostconfig",
    "hostConfig",
    "Devıces",
    "DeviceCgroupRules",
    "capadd",
    "CapADD",
    "binds",
    "image",
    "__proto",
    "constructor",
    "",
  );
  fc.assert(
    fc.property(fc.constantFrom(...places), keys, fc.jsonValue(), (path, key, extra) => {
      const body = withKey(FULL, path, key, extra);
      expect(() => writeBody(containerCreateSchema, JSON.parse(JSON.stringify(body)), "container to create")).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(/unknown key|Unrecognized key/) }),
      );
    }),
  );
});

describe("what no body can ask for", () => {
  test.each<[string, object]>([
    ["privileged", { Privileged: true }],
    ["devices", { Devices: [{ PathOnHost: "/dev/sda" }] }],
    ["a restart policy", { RestartPolicy: { Name: "always" } }],
    ["published ports", { PublishAllPorts: true }],
    ["shared mounts", { Mounts: [{ Type: "bind", Source: "/", Target: "/x", BindOptions: { Propagation: "rshared" } }] }],
    ["a volume driver", { Mounts: [{ Type: "volume", Target: "/x", VolumeOptions: { DriverConfig: { Name: "local", Options: { device: "/" } } } }] }],
  ])("%s", (_, hostConfig) => {
    expect(containerCreateSchema.safeParse({ Image: "x", HostConfig: hostConfig }).success).toBe(false);
  });
});

describe("what the engine would read differently", () => {
  test.each([
    ["a NUL", "a\0b"],
    ["half a surrogate pair", "a\ud800"],
    ["more than one argument can be", "x".repeat(128 * 1024 + 1)],
  ])("%s is refused in every kind of text", (_, text) => {
    for (const body of [
      { Cmd: [text] },
      { Env: [text] },
      { Labels: { a: text } },
      { Labels: { [text]: "a" } },
      { User: text },
      { HostConfig: { Tmpfs: { "/x": text } } },
    ])
      expect(containerCreateSchema.safeParse({ Image: "x", ...body }).success).toBe(false);
  });

  test("toJSON and what is inherited do not count", () => {
    const hostile = Object.assign(Object.create({ Tty: true }), { Image: "x", HostConfig: { Memory: 1 } });
    expect(written(hostile)).toEqual({ Image: "x", HostConfig: { Memory: 1 } });
    const own = Object.assign({ Image: "x" }, { toJSON: () => ({ Image: "y" }) });
    expect(() => written(own)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("a label named __proto__ stays a label", () => {
    const body: unknown = JSON.parse('{"Image":"x","Labels":{"__proto__":"y","constructor":"z"}}');
    expect(writeBody(containerCreateSchema, containerCreateSchema.parse(body), "body").toString()).toBe(
      '{"Image":"x","Labels":{"__proto__":"y","constructor":"z"}}',
    );
  });
});

test("values of variables are in no error, and are known to be hidden in the engine's", () => {
  const env = ["TOKEN=hunter22", "EMPTY=", "A=b=c", "bare"];
  expect(valuesOf(env)).toEqual(["hunter22", "", "b=c", "bare"]);
  const body: unknown = { Image: "x", Env: ["TOKEN=hunter22\0"] };
  const failure = (() => {
    try {
      writeBody(containerCreateSchema, JSON.parse(JSON.stringify(body)), "container to create");
    } catch (error) {
      return error;
    }
    return undefined;
  })();
  expect(failure).toBeInstanceOf(Error);
  expect(JSON.stringify(failure) + String(failure)).not.toContain("hunter22");
});

test("a body larger than the limit is refused before it is sent", () => {
  const Cmd = Array.from({ length: 40 }, () => "x".repeat(110_000));
  expect(() => writeBody(containerCreateSchema, { Image: "x", Cmd }, "container to create")).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
  expect(writeBody(containerCreateSchema, { Image: "x", Cmd: Cmd.slice(0, 38) }, "c").length).toBeLessThan(MAX_BODY_BYTES);
});

test("the other bodies are as strict", () => {
  expect(containerUpdateSchema.safeParse({ Memory: 1, CapDrop: ["ALL"] }).success).toBe(false);
  expect(execCreateSchema.safeParse({ Cmd: ["x"], Privileged: true }).success).toBe(false);
  expect(networkCreateSchema.safeParse({ Name: "x", ConfigOnly: true }).success).toBe(false);
});
