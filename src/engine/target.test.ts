import { describe, expect, test } from "vitest";
import { type Connection, connectionOf, DEFAULT_SOCKET, describeConnection, type EngineTarget } from "./target.ts";

const ca = "-----BEGIN CERTIFICATE-----";

describe("addresses", () => {
  test.each<[EngineTarget, Partial<Connection>]>([
    ["/run/docker.sock", { kind: "unix", path: "/run/docker.sock" }],
    ["unix:///run/docker.sock", { kind: "unix", path: "/run/docker.sock" }],
    ["tcp://127.0.0.1:2375", { kind: "tcp", host: "127.0.0.1", port: 2375 }],
    ["tcp://engine.example", { kind: "tcp", host: "engine.example", port: 2375 }],
    ["http://engine.example:80", { kind: "tcp", port: 80 }],
    ["https://engine.example", { kind: "tls", host: "engine.example", port: 2376 }],
    ["https://engine.example:443/", { kind: "tls", port: 443 }],
    ["tcp://[::1]:2375", { kind: "tcp", host: "::1", port: 2375 }],
    [{ socketPath: "/run/x.sock" }, { kind: "unix", path: "/run/x.sock" }],
    [
      { host: "engine.example", ca },
      { kind: "tls", port: 2376, ca: [Buffer.from(ca)] },
    ],
    [
      { host: "engine.example", port: 1, ca: [ca, Buffer.from(ca)], cert: ca, key: ca },
      { kind: "tls", port: 1 },
    ],
  ])("%j", (target, expected) => {
    expect(connectionOf(target)).toMatchObject(expected);
  });

  test.each<[string, unknown]>([
    ["nothing", ""],
    ["ssh", "ssh://user@host"],
    ["a named pipe", "npipe:////./pipe/docker_engine"],
    ["a relative path", "unix://docker.sock"],
    ["a path that no kernel takes", `/${"x".repeat(107)}`],
    ["a password", "tcp://user:secret@host:2375"],
    ["a path behind the host", "tcp://host:2375/v1.41"],
    ["a port out of range", "tcp://host:70000"],
    ["a file as host", "file:///etc/passwd"],
    ["both kinds", { socketPath: "/x", host: "y" }],
    ["half a certificate", { host: "x", cert: ca }],
    ["certificates without TLS", { host: "x", ca, protocol: "http" }],
    ["an unknown key", { host: "x", insecure: true }],
    ["a host with a port in it", { host: "x:1" }],
    ["null", null],
    ["a number", 7],
  ])("%s is refused", (_, target) => {
    expect(() => connectionOf(target as EngineTarget)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("neither a password nor a key is in what is said", () => {
    expect(() => connectionOf("tcp://user:hunter22@host")).toThrow(expect.not.stringContaining("hunter22"));
    expect(describeConnection(connectionOf({ host: "::1", cert: "hunter22", key: "hunter22" }))).toBe("https://[::1]:2376");
  });
});

describe("an instance of dockerode", () => {
  /** The shape that docker-modem gives it: settings among methods; none may be called. */
  function instance(settings: object): EngineTarget {
    const called = (): never => {
      throw new Error("called");
    };
    const modem = {
      Promise,
      version: undefined,
      timeout: undefined,
      connectionTimeout: undefined,
      agent: undefined,
      headers: {},
      protocol: "http",
      ...settings,
      dial: called,
      buildRequest: called,
    };
    return Object.assign(Object.create({ createContainer: called, listContainers: called }), { modem });
  }

  test.each<[object, Partial<Connection>]>([
    [{ socketPath: "/run/user/1000/docker.sock" }, { kind: "unix", path: "/run/user/1000/docker.sock" }],
    [
      { socketPath: undefined, host: "127.0.0.1", port: "2375" },
      { kind: "tcp", host: "127.0.0.1", port: 2375 },
    ],
    [
      { host: "engine.example", port: 2376, protocol: "https", ca, cert: ca, key: ca },
      { kind: "tls", port: 2376 },
    ],
    [
      { host: "engine.example", port: 2376, protocol: "https", ca: null, key: null },
      { kind: "tls", port: 2376, ca: undefined },
    ],
  ])("%j", (settings, expected) => {
    expect(connectionOf(instance(settings))).toMatchObject(expected);
  });

  test("one that finds its socket by itself gets the usual one", () => {
    const socketPath = (): never => {
      throw new Error("called");
    };
    expect(connectionOf(instance({ socketPath }))).toEqual({ kind: "unix", path: DEFAULT_SOCKET });
  });

  test.each([
    [{ pathPrefix: "/engine", host: "x" }],
    [{ headers: { authorization: "x" }, host: "x" }],
    [{ host: "http://x/path" }],
    [{ protocol: "ssh", host: "x" }],
    [{ port: "x", host: "y" }],
    [{ host: "../x" }],
  ])("%j is refused", (settings) => {
    expect(() => connectionOf(instance(settings))).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});
