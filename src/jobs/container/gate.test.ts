/** The host's end of the gate, with clients that are not the shim. */
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { Gate } from "./gate.ts";

const NEVER = new AbortController().signal;
const HELLO = '{"hello":1,"probes":{"bpf":1}}\n';
let world: string;
let gate: Gate;
const open: Socket[] = [];

beforeEach(async (context) => {
  requires(context, "container");
  world = mkdtempSync(join(tmpdir(), "cofferdam-gate-"));
  gate = await Gate.open(join(world, "gate"));
});
afterEach(() => {
  gate?.close();
  for (const socket of open.splice(0)) socket.destroy();
  if (world !== undefined) rmSync(world, { recursive: true, force: true });
});

async function client(): Promise<Socket> {
  const socket = connect(join(world, "gate", "gate"));
  socket.on("error", () => undefined);
  open.push(socket);
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return socket;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "fine";
  } catch (error) {
    if (error instanceof CofferdamError) return error.code;
    throw error;
  }
}

test("what lies at the gate: the shim and the container's names, for everybody to read and nobody to write", () => {
  const mode = (name: string): string => (statSync(join(world, "gate", name)).mode & 0o777).toString(8);
  expect(["shim", "hosts", "hostname", "resolv.conf", "gate", "."].map(mode)).toEqual(["555", "444", "444", "444", "666", "755"]);
  expect(readFileSync(join(world, "gate", "hosts"), "utf8")).toBe("127.0.0.1 localhost job\n");
});

test("hello, go and the end, in pieces of any size; the word is a length and texts that end with NUL", async () => {
  const shim = await client();
  const heard = once(shim, "data");
  for (const letter of HELLO) shim.write(letter);
  expect(await gate.arrival(5000, NEVER)).toEqual({ bpf: 1 });
  expect(existsSync(join(world, "gate", "gate"))).toBe(false);
  const going = gate.go({ A: "1", B: "ü" }, NEVER);
  shim.write('{"started":true}\n{"ended":true,"exit":-1,"signal":9,"leftovers":2}\n');
  expect(await going).toEqual({ kind: "started" });
  expect(await gate.ended(NEVER)).toEqual({ exit: undefined, signal: 9, leftovers: 2 });
  const [word] = await heard;
  const text = "go\0A=1\0B=ü\0";
  // The answer to its end may come with it.
  expect(word.toString("utf8", 4, 4 + word.readUInt32LE(0))).toBe(text);
  expect(["", "\n"]).toContain(word.toString("utf8", 4 + Buffer.byteLength(text)));
});

test("the last look comes before the shim is let go, and its failure keeps nobody", async () => {
  const shim = await client();
  shim.write(HELLO);
  await gate.arrival(5000, NEVER);
  const looked = Promise.withResolvers<void>();
  const done: string[] = [];
  gate.lastLook(async () => {
    await looked.promise;
    done.push("looked");
    throw new Error("gone");
  });
  const going = gate.go({}, NEVER);
  await once(shim, "data");
  shim.write('{"started":true}\n{"ended":true,"exit":0,"signal":0,"leftovers":0}\n');
  await going;
  await gate.ended(NEVER);
  const answer = once(shim, "data").then(([byte]) => done.push(`answer ${byte.length}`));
  looked.resolve();
  await answer;
  expect(done).toEqual(["looked", "answer 1"]);
});

test("the shim dies after go: that is an end that nobody told of", async () => {
  const shim = await client();
  shim.write(HELLO);
  await gate.arrival(5000, NEVER);
  const going = gate.go({}, NEVER);
  shim.end('{"started":true}\n');
  await going;
  expect(await gate.ended(NEVER)).toBeUndefined();
});

test.each([
  ["no JSON", "hello\n"],
  ["another document", '{"hello":2,"probes":{}}\n'],
  ["more than is asked", '{"hello":1,"probes":{},"more":1}\n'],
  ["a line without end", "x".repeat(20_000)],
  ["lines without end", "{}\n".repeat(50)],
])("%s is not the shim", async (_, text) => {
  (await client()).write(text);
  expect(await codeOf(gate.arrival(5000, NEVER))).toBe("SECURITY_VIOLATION");
});

test("a second one at the gate ends it, even after the first was heard", async () => {
  const place = join(world, "gate", "gate");
  const [first, second] = [connect(place), connect(place)];
  for (const socket of [first, second]) {
    socket.on("error", () => undefined);
    open.push(socket);
  }
  first.write(HELLO);
  second.write(HELLO);
  const code = await codeOf(gate.arrival(5000, NEVER).then(() => gate.go({}, AbortSignal.timeout(1000))));
  expect(code).toBe("SECURITY_VIOLATION");
});

test("nobody comes, we are cancelled, we close, and words that cannot be sent", async () => {
  expect(await codeOf(gate.arrival(20, NEVER))).toBe("DEADLINE_EXCEEDED");
  expect(await codeOf(gate.arrival(5000, AbortSignal.timeout(20)))).toBe("CANCELLED");
  expect(await codeOf(gate.go({}, NEVER))).toBe("FAILED_PRECONDITION");
  const shim = await client();
  shim.write(HELLO);
  await gate.arrival(5000, NEVER);
  for (const variables of [{ A: "x\0y" }, { "": "x" }, { "A=B": "x" }]) expect(await codeOf(gate.go(variables, NEVER))).toBe("INVALID_ARGUMENT");
  expect(await codeOf(gate.go({ A: "x".repeat(5 * 2 ** 20) }, NEVER))).toBe("PAYLOAD_TOO_LARGE");
  const waiting = codeOf(gate.ended(NEVER));
  gate.close();
  gate.close();
  expect(await waiting).toBe("CANCELLED");
  expect(existsSync(join(world, "gate"))).toBe(false);
  expect(await codeOf(Gate.open(join(world, "x".repeat(200))))).toBe("INVALID_ARGUMENT");
});
