import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CgroupReader, countersV1, countersV2 } from "./counters.ts";
import { blockDeviceOf } from "./devices.ts";
import { cgroupOf, foldersOf } from "./mounts.ts";
import { ioWrites, proveLimits } from "./proof.ts";

/** Files of a cgroup as text, by name. */
const files =
  (texts: Readonly<Record<string, string>>): CgroupReader =>
  (_, file) =>
    texts[file];

/** Captured from Linux 6.18, cgroup v1, a shell that forked past its limit and wrote through its memory. */
const V1 = {
  "cpuacct.usage": "1234567890\n",
  "cpu.stat": "nr_periods 40\nnr_throttled 12\nthrottled_time 345678901\nnr_bursts 0\nburst_time 0\n",
  "cpu.cfs_quota_us": "50000\n",
  "cpu.cfs_period_us": "100000\n",
  "memory.usage_in_bytes": "20971520\n",
  "memory.max_usage_in_bytes": "33554432\n",
  "memory.limit_in_bytes": "67108864\n",
  "memory.soft_limit_in_bytes": "9223372036854771712\n",
  "memory.memsw.limit_in_bytes": "67108864\n",
  "memory.stat": "cache 8192000\nrss 1000\ninactive_file 1\ntotal_inactive_file 4194304\ntotal_active_file 4096\n",
  "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
  "pids.current": "7\n",
  "pids.max": "20\n",
  "pids.events": "max 3\n",
  "blkio.throttle.io_service_bytes_recursive":
    "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Async 0\n254:0 Discard 0\n254:0 Total 12288\n7:0 Read 1000\n7:0 Write 1\nTotal 13289\n",
  "blkio.throttle.io_serviced_recursive": "254:0 Read 1\n254:0 Write 2\n7:0 Read 3\nTotal 6\n",
  "blkio.throttle.read_bps_device": "254:0 1048576\n",
};

/** As Linux 6.12 writes them on cgroup v2. */
const V2 = {
  "cpu.stat":
    "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnice_usec 0\ncore_sched.force_idle_usec 0\nnr_periods 40\nnr_throttled 12\nthrottled_usec 345678\nnr_bursts 0\nburst_usec 0\n",
  "cpu.max": "50000 100000\n",
  "memory.current": "20971520\n",
  "memory.peak": "33554432\n",
  "memory.max": "67108864\n",
  "memory.swap.max": "0\n",
  "memory.low": "0\n",
  "memory.stat": "anon 1000\nfile 8192000\ninactive_anon 5\ninactive_file 4194304\nactive_file 4096\n",
  "memory.events": "low 0\nhigh 0\nmax 41\noom 2\noom_kill 2\noom_group_kill 0\n",
  "pids.current": "7\n",
  "pids.peak": "19\n",
  "pids.max": "20\n",
  "pids.events": "max 3\n",
  "io.stat": "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:0 rbytes=1000 wbytes=1 rios=3 wios=0 dbytes=9 dios=9\n",
  "io.max": "254:0 rbps=1048576 wbps=max riops=max wiops=500\n",
};

describe("counters", () => {
  const same = {
    memory: { current: 20971520, workingSet: 16777216, peak: 33554432, oomKills: 2 },
    io: { readBytes: 5096, writeBytes: 8193, readOps: 4, writeOps: 2 },
  };
  test("v1", () => {
    expect(countersV1(files(V1))).toEqual({
      ...same,
      cpu: { usage: 1234567890, throttledPeriods: 12, throttledTime: 345678901 },
      pids: { current: 7, refused: 3 },
    });
  });

  test("v2", () => {
    expect(countersV2(files(V2))).toEqual({
      ...same,
      cpu: { usage: 1234567000, throttledPeriods: 12, throttledTime: 345678000 },
      pids: { current: 7, peak: 19, refused: 3 },
    });
  });

  test("a controller that is not there is absent, not zero", () => {
    for (const read of [countersV1, countersV2]) expect(Object.values(read(files({})))).toEqual([undefined, undefined, undefined, undefined]);
  });
});

describe("proof", () => {
  const limits = { cpu: 0.5, memory: 64 * 2 ** 20, swap: 0, pids: 20, readRate: 2 ** 20 };
  test.each([
    [1, V1],
    [2, V2],
  ] as const)("v%i: what is in force, and what is not", (version, texts) => {
    const prove = (wanted: object, devices: readonly string[] = ["254:0"]): unknown =>
      proveLimits(version, files(texts), { limits: { ...limits, ...wanted }, enforcement: "hard", devices });
    expect(prove({})).toEqual({ applied: ["cpu", "memory", "swap", "pids", "readRate"], missing: [] });
    expect(prove({ cpu: 1 })).toMatchObject({ missing: [{ limit: "cpu", wanted: "1", found: "0.5" }] });
    expect(prove({ memory: 2 ** 20 })).toMatchObject({ missing: [{ limit: "memory" }, ...(version === 1 ? [{ limit: "swap" }] : [])] });
    expect(prove({ swap: 2 ** 30 })).toMatchObject({ missing: [{ limit: "swap" }] });
    expect(prove({ pids: 21 })).toMatchObject({ missing: [{ limit: "pids", wanted: "21", found: "20" }] });
    expect(prove({ writeRate: 5 })).toMatchObject({ missing: [{ limit: "writeRate", found: "none" }] });
    expect(prove({}, ["8:0"])).toMatchObject({ missing: [{ limit: "readRate", found: "none" }] });
    expect(prove({}, [])).toMatchObject({ missing: [{ limit: "readRate", found: "no block device to limit" }] });
  });

  test("soft: memory is a reservation, cpu a weight", () => {
    const read = files({ ...V2, "memory.low": String(64 * 2 ** 20) });
    expect(proveLimits(2, read, { limits, enforcement: "soft", devices: ["254:0"] }).applied).toEqual(["memory", "pids", "readRate"]);
  });

  test("no limit is none", () => {
    const read = files({ "cpu.max": "max 100000\n", "memory.max": "max\n", "pids.max": "max\n", "memory.swap.max": "max\n" });
    expect(proveLimits(2, read, { limits: { cpu: 1, memory: 1e9, pids: 5 }, enforcement: "hard", devices: [] }).missing.map(({ found }) => found)).toEqual([
      "none",
      "none",
      "none",
      "none",
    ]);
  });

  test("io limits of a live cgroup are one line a device", () => {
    expect(ioWrites(1, { readRate: 5, writeOps: 6 }, ["254:0", "7:0"])).toEqual([
      { file: "blkio.throttle.read_bps_device", text: "254:0 5" },
      { file: "blkio.throttle.read_bps_device", text: "7:0 5" },
      { file: "blkio.throttle.write_iops_device", text: "254:0 6" },
      { file: "blkio.throttle.write_iops_device", text: "7:0 6" },
    ]);
    expect(ioWrites(2, { readRate: 5 }, ["254:0"])).toEqual([{ file: "io.max", text: "254:0 rbps=5" }]);
  });
});

describe("where a cgroup is", () => {
  const hybrid = [
    "20 1 0:20 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
    "21 1 0:21 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "22 1 0:22 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
  ].join("\n");
  test("v1 and hybrid: a folder a controller, below what is mounted", () => {
    expect(foldersOf("3:cpu,cpuacct:/a\n2:memory:/docker/abc/x\n0::/u\n", hybrid)).toEqual({
      version: 1,
      folders: { cpu: "/sys/fs/cgroup/cpu,cpuacct/a", cpuacct: "/sys/fs/cgroup/cpu,cpuacct/a", memory: "/sys/fs/cgroup/memory/x" },
    });
  });
  test("v2: one folder for all", () => {
    expect(foldersOf("0::/user.slice/x\n", hybrid)).toMatchObject({ version: 2, folders: { memory: "/sys/fs/cgroup/unified/user.slice/x" } });
  });
  test("what is outside of our view is not guessed", () => {
    expect(foldersOf("2:memory:/docker/other\n0::/../other\n", hybrid)).toBeUndefined();
    expect(foldersOf("", "")).toBeUndefined();
    expect(cgroupOf(2 ** 22)).toBeUndefined();
  });
});

test("the disk of a path is a whole one, and what has no disk has none", () => {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-device-"));
  expect(blockDeviceOf(folder)).toMatchObject({ number: expect.stringMatching(/^\d+:\d+$/), path: expect.stringMatching(/^\/dev\//) });
  expect(blockDeviceOf("/proc")).toBeUndefined();
  expect(() => blockDeviceOf(join(folder, "absent"))).toThrow();
  rmSync(folder, { recursive: true });
});
