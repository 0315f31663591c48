import { expect, test } from "vitest";
import { refusalOf, refusalOfProxy } from "./refusals.ts";
import { type SyscallName, syscallNumber } from "./seccomp/syscalls.ts";

const seen = (refused: "read" | "write" | "connect" | "name" | "call", what: string, why = "hidden", by = "sh > node") =>
  refusalOf({ kind: "refused", refused, what, why, by });

test("a hidden file counts when it is there; a program that looks for what nobody has was kept from nothing", () => {
  expect(seen("read", "/etc/passwd")).toEqual({ kind: "read", what: "/etc/passwd", why: "hidden", by: "sh > node" });
  expect(seen("read", "/etc/not-there-at-all")).toBeUndefined();
  expect(seen("read", "/etc/passwd/below-a-file")).toBeUndefined();
  expect(seen("read", "/etc/not-there-at-all", "denied")).toMatchObject({ why: "denied" });
});

test("connections and names are both the network; who asked is left out when nobody knows", () => {
  expect(seen("connect", "192.0.2.1:443", "no-network")).toMatchObject({ kind: "network", what: "192.0.2.1:443" });
  expect(seen("name", "a.example", "no-network", "")).toEqual({ kind: "network", what: "a.example", why: "no-network", by: undefined });
});

test("system calls by name, probes by nobody", () => {
  const architecture = process.arch === "arm64" ? "arm64" : "x64";
  const call = (name: SyscallName): ReturnType<typeof seen> => seen("call", String(syscallNumber(name, architecture)), "never");
  expect(call("bpf")).toEqual({ kind: "call", what: "bpf", why: "never", by: "sh > node" });
  expect(call("io_uring_setup")).toBeUndefined();
  expect(seen("call", "99999", "never")?.what).toMatch(/99999/);
});

test("of the proxy only what it refused", () => {
  expect(refusalOfProxy({ target: "a.example:443", connection: 0 }, "node")).toBeUndefined();
  expect(refusalOfProxy({ target: "a.example:443", connection: 0, refused: "not granted" }, "node")).toEqual({
    kind: "network",
    ...{ what: "a.example:443", why: "not granted", by: "node" },
  });
});
