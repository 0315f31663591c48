import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { startOf } from "../../foundation/index.ts";
import { networkCounters } from "./counters.ts";
import { type ShapeTarget, shape, shaped } from "./shaper.ts";

const KiB = 1024;
let job: ChildProcess;
let target: ShapeTarget;

/** A process in a network namespace of its own, with one end of a veth pair; the other end is ours. */
beforeEach(async (context) => {
  requires(context, "root");
  job = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec sleep 600"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(job.stdout ?? job, "data");
  const pid = job.pid ?? 0;
  const name = `cfq${pid}`;
  const ip = (...args: readonly string[]): void => void execFileSync("ip", args);
  const inside = (...args: readonly string[]): void => void execFileSync("nsenter", [`--net=/proc/${pid}/ns/net`, "ip", ...args]);
  ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", String(pid));
  // TEST-NET-2 (RFC 5737), so that nobody's route is taken.
  ip("address", "add", "198.51.100.1/30", "dev", name);
  ip("link", "set", name, "up");
  inside("address", "add", "198.51.100.2/30", "dev", "eth0");
  inside("link", "set", "eth0", "up");
  inside("link", "set", "lo", "up");
  target = { pid, started: startOf(pid) ?? "" };
});
afterEach(async () => {
  // The pair goes with the namespace; removed by name so that the next test does not wait for that.
  execFileSync("sh", ["-c", `ip link del cfq${job.pid} 2>/dev/null || true`]);
  job.kill("SIGKILL");
  if (job.exitCode === null && job.signalCode === null) await once(job, "exit");
});

/** Sends so many bytes over TCP from one side to the other. @returns bytes a second, as the receiver saw them. */
async function transfer(direction: "download" | "upload", bytes: number): Promise<number> {
  const inside = ["nsenter", `--net=/proc/${target.pid}/ns/net`];
  const receive = `const s=require("net").createServer(c=>{let n=0,t;c.on("data",d=>{t??=performance.now();n+=d.length});c.on("end",()=>{console.log(n,performance.now()-t);s.close()})});s.listen(9,"0.0.0.0",()=>console.log("up"))`;
  const [address, to, from] = direction === "download" ? ["198.51.100.2", inside, []] : ["198.51.100.1", [], inside];
  const send = `const c=require("net").connect(9,"${address}",()=>c.end(Buffer.alloc(${bytes})))`;
  const [program = "", ...args] = [...to, process.execPath, "-e", receive];
  const receiver = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(receiver.stdout, "data");
  const answer = once(receiver.stdout, "data");
  const [sender = "", ...rest] = [...from, process.execPath, "-e", send];
  const sending = spawn(sender, rest, { stdio: "inherit" });
  const [received = 0, ms = 0] = String((await answer)[0])
    .split(" ")
    .map(Number);
  if (sending.exitCode === null) await once(sending, "exit");
  expect(received).toBe(bytes);
  return received / (ms / 1000);
}

describe("rates", () => {
  test("hold in each direction on its own, are seen in the kernel, change while it runs, and go", async () => {
    const free = Math.min(await transfer("download", 4000 * KiB), await transfer("upload", 4000 * KiB));
    expect(free).toBeGreaterThan(8000 * KiB);
    expect(await shape(target, { download: 1000 * KiB, upload: 500 * KiB })).toEqual([
      { name: "eth0", download: 1000 * KiB, upload: 500 * KiB, dropped: expect.any(Number) },
    ]);
    const [down, up] = [await transfer("download", 1200 * KiB), await transfer("upload", 600 * KiB)];
    for (const [found, rate] of [
      [down, 1000 * KiB],
      [up, 500 * KiB],
    ] as const) {
      // The first burst is free, and headers count.
      expect(found).toBeLessThan(rate * 1.25);
      expect(found).toBeGreaterThan(rate * 0.6);
    }
    expect(await shape(target, { download: 2000 * KiB })).toMatchObject([{ download: 2000 * KiB, upload: undefined }]);
    expect(await transfer("upload", 4000 * KiB)).toBeGreaterThan(4000 * KiB);
    expect(await shape(target, {})).toMatchObject([{ download: undefined, upload: undefined }]);
    expect(await shaped(target)).toMatchObject([{ download: undefined, upload: undefined }]);
  });

  test("cannot be undone by the job, which has no NET_ADMIN", async () => {
    await shape(target, { upload: 500 * KiB });
    const undo = ["--net", "-t", String(target.pid), "setpriv", "--bounding-set", "-net_admin", "tc", "qdisc", "del", "dev", "eth0", "root"];
    expect(() => execFileSync("nsenter", undo, { stdio: "ignore" })).toThrow();
    expect(await shaped(target)).toMatchObject([{ upload: 500 * KiB }]);
  });

  test("are not set on somebody else: a pid that another process has now is refused", async () => {
    await expect(shape({ ...target, started: "1" }, { upload: 1000 })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(shape({ pid: 2 ** 22, started: "1" }, { upload: 1000 })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("need an interface with an end here: the host's own network is not limited by mistake", async () => {
    await expect(shape({ pid: process.pid, started: startOf(process.pid) ?? "" }, { upload: 1000 })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await expect(shape({ ...target, host: `/proc/${target.pid}/ns/net` }, { upload: 1000 })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(await shape({ pid: process.pid, started: startOf(process.pid) ?? "" }, {})).toEqual([]);
  });
});

test("bytes are counted where the job cannot change them", async () => {
  const before = networkCounters(target.pid) ?? { received: 0, sent: 0 };
  await transfer("download", 500 * KiB);
  const after = networkCounters(target.pid) ?? { received: 0, sent: 0 };
  expect(after.received - before.received).toBeGreaterThanOrEqual(500 * KiB);
  expect(after.sent - before.sent).toBeLessThan(200 * KiB);
  expect(networkCounters(2 ** 22)).toBeUndefined();
});
