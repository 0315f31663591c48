/**
 * The sensor's program for arm64, on a kernel of Debian for arm64, by an emulated processor: the kernel takes its program, numbers and
 * registers of calls are the right ones, and its filter lets its work through. No machine of that kind was at hand.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, type TestContext, test } from "vitest";
import { packageFolder } from "../../src/foundation/index.ts";
import type { ProcessEvent } from "../../src/monitor/index.ts";
import { decodeRecord } from "../../src/monitor/reader/decode.ts";
import { AT, KIND, PART } from "../../src/monitor/reader/record.ts";
import { requires } from "../world/needs.ts";
import { allowedCalls, SENSOR_PARTS } from "../world/sensor-calls.ts";
import { type Arm64, bootArm64, type Look } from "./arm64.ts";
import { HARD_TIME } from "./machine.ts";

const FULL = process.env["COFFERDAM_TEST_FULL"] === "1";
const TIME = (HARD_TIME + 60) * 1000;
const POWERLESS = "CapEff:0000000000000000 NoNewPrivs:1 Seccomp:2";

let guest: Promise<Arm64> | undefined;

/** One guest for all tests. */
async function guestOf(context: TestContext): Promise<Arm64> {
  requires(context, "arm64");
  guest ??= bootArm64();
  return await guest;
}

async function lookBy(context: TestContext, source: string): Promise<Look> {
  const look = (await guestOf(context)).looks.get(source);
  if (look === undefined) throw new Error(`the guest tells nothing of ${source}`);
  return look;
}

/** Records of the sensor itself left out, and those that the reader makes whole only in its own process. */
function eventsOf({ records }: Look): ProcessEvent[] {
  return records.flatMap((record) => {
    const kind = record.bytes.readUInt16LE(AT.kind);
    if (kind >= KIND.hello || (kind === KIND.fork && record.part(PART.child) === undefined)) return [];
    return [decodeRecord(record, { job: "job", container: undefined, clockOffset: 0n })];
  });
}

/** What the acts changed and asked for, in short. */
function short(event: ProcessEvent): string[] {
  switch (event.kind) {
    case "open":
      return [`${event.call} ${event.file.path} ${event.sensitive ? "sensitive" : "new"}`];
    case "symlink":
    case "rename":
      return [`${event.call} ${event.file.path} ${event.to?.path}`];
    case "chmod":
      return [`${event.call} ${event.file.path} ${event.mode?.toString(8)}`];
    case "unlink":
    case "mkdir":
      return [`${event.call} ${event.file.path}`];
    case "connect":
      return [`${event.call} ${event.socket.remote?.address} ${event.socket.remote?.port} ${event.result}`];
    case "namespace":
      return [`${event.call} ${event.namespaces.join()} ${event.result}`];
    default:
      return [];
  }
}

function arm64(name: string, source: string, judge: (look: Look) => void): void {
  if (FULL) test(name, { timeout: TIME }, async (context) => judge(await lookBy(context, source)));
}

if (!FULL) test("the sensor for arm64, in a guest", (context) => context.skip("optional: ./dev test --full boots a kernel for it"));

arm64("the program in the kernel: every act by its own call, with what the kernel has of it", "ebpf", (look) => {
  const events = eventsOf(look);
  expect({ exit: look.exit, words: look.words, status: look.status }).toEqual({ exit: 0, words: "", status: POWERLESS });
  expect(events.flatMap(short)).toEqual([
    "openat /tmp/made new",
    "symlinkat /tmp/link /tmp/made",
    "renameat /tmp/made /tmp/renamed",
    "fchmodat /tmp/renamed 4755",
    "openat /etc/shadow sensitive",
    "unlinkat /tmp/renamed",
    "mkdirat /tmp/folder",
    "connect 127.0.0.1 9 -111",
    "unshare network 0",
  ]);
  const programs = events.flatMap((event) => (event.kind === "exec" ? [`${event.program.path} ${event.args.join(" ")}`] : []));
  expect(programs).toEqual(expect.arrayContaining(["/bin/busybox cat /etc/shadow", "/bin/busybox /bin/true other network", "/bin/busybox sh -c exit 3"]));
  const ends = events.flatMap((event) => (event.kind === "exit" ? [event.code] : []));
  expect(ends.slice(-3)).toEqual([3, 3, 3]);
});

arm64("audit: the same acts by the same calls, as far as it knows them", "audit", (look) => {
  expect({ exit: look.exit, words: look.words, status: look.status }).toEqual({
    exit: 0,
    words: "",
    status: `${POWERLESS} ${POWERLESS.replace("0".repeat(16), "0000000040000000")}`,
  });
  const told = eventsOf(look).flatMap(short);
  for (const act of ["symlinkat /tmp/link /tmp/made", "renameat /tmp/made /tmp/renamed", "unlinkat /tmp/renamed", "mkdirat /tmp/folder"])
    expect(told).toContain(act);
  expect(told).toContain("connect 127.0.0.1 9 -111");
});

arm64("the process connector: begins, programs and ends", "connector", (look) => {
  expect({ exit: look.exit, words: look.words }).toEqual({ exit: 0, words: "" });
  const kinds = look.records.map((record) => record.bytes.readUInt16LE(AT.kind));
  expect(kinds).toEqual(expect.arrayContaining([KIND.hello, KIND.fork, KIND.exec, KIND.exit]));
});

if (FULL)
  test("the filter: the same calls pass as on x86-64, by the numbers of arm64, and any other is the end", { timeout: TIME }, async (context) => {
    const { passed } = await guestOf(context);
    const expected = SENSOR_PARTS.map((part) => {
      const more = ["write 1", "write 2", ...(part === "ebpf" ? ["bpf 2", "bpf 3", "bpf 17", "bpf 28"] : [])];
      return [part, [...allowedCalls(part, "arm64", [0]), ...more].sort()];
    });
    expect(Object.fromEntries(passed)).toEqual(Object.fromEntries(expected));
  });

if (FULL)
  test("the other native programs start, and answer who starts them by hand as those for this machine do", { timeout: TIME }, async (context) => {
    const { starts } = await guestOf(context);
    const here = ["jail", "net", "place", "shim"].map((name) => {
      const { status, stdout, stderr } = spawnSync(join(packageFolder(), "dist/native", `cofferdam-${name}-${process.arch}`), { input: "" });
      return [name, `${status} ${`${stdout}${stderr}`.trim()}`];
    });
    expect(Object.fromEntries(starts)).toEqual(Object.fromEntries(here));
  });
