/** A guest for arm64 in qemu, which emulates its processor: a kernel and a shell of Debian, the sensor, and what it told. */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SensorRecord } from "../../src/monitor/reader/record.ts";
import { Frames } from "../../src/monitor/sensors/frames.ts";
import { CALLS_SOURCES } from "../world/sensor-calls.ts";
import { archiveFolder } from "./image.ts";
import { read, runMachine } from "./machine.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
/** Fetched by `./dev test --full`. */
const SYSTEM = join(CHECKOUT, ".dev/arm64/guest");

/** What one source told of the acts. */
export interface Look {
  /** The sensor's exit code, of which a filter that ended it would make 159. */
  readonly exit: number;
  readonly words: string;
  /** Of the sensor's processes, while they worked. */
  readonly status: string;
  readonly records: readonly SensorRecord[];
}

export interface Arm64 {
  /** How each of the other native programs answers who starts it by hand: its exit code and its words. */
  readonly starts: ReadonlyMap<string, string>;
  /** By source. */
  readonly looks: ReadonlyMap<string, Look>;
  /** What the filter of each part of the sensor let through: all calls with 0, writes and bpf(2) with more. */
  readonly passed: ReadonlyMap<string, readonly string[]>;
}

/** Boots it, and lets each source look. */
export async function bootArm64(): Promise<Arm64> {
  const work = mkdtempSync(join(tmpdir(), "cofferdam-arm64-"));
  const [system, console] = ["system.cpio", "console"].map((name) => join(work, name)) as [string, string];
  try {
    writeGuest(join(work, "root"), system);
    const kernel = readdirSync(join(SYSTEM, "boot")).find((name) => name.startsWith("vmlinuz-")) ?? "none";
    const machine = ["-nodefaults", "-no-reboot", "-display", "none", "-nic", "none", "-machine", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72"];
    const start = ["-smp", "2", "-m", "1024", "-kernel", join(SYSTEM, "boot", kernel), "-initrd", system];
    const kernelSays = ["-append", "console=ttyAMA0 panic=-1 quiet loglevel=1", "-serial", `file:${console}`];
    const ended = await runMachine("qemu-system-aarch64", [...machine, ...start, ...kernelSays]);
    const said = read(console).replaceAll("\r", "");
    if (!said.includes("\nALL\n")) throw new Error(`the guest did not come to its end (${ended})\n${said.slice(-4000)}`);
    const looks = Array.from(said.matchAll(LOOK), ([, source = "", exit, status = "", words = "", records = ""]): [string, Look] => [
      source,
      { exit: Number(exit), status: status.trim(), words: words.trim(), records: recordsOf(records) },
    ]);
    const passed = Array.from(said.matchAll(FILTER), ([, part = "", calls = ""]): [string, string[]] => [part, calls.trim().split("\n").sort()]);
    const starts = Array.from(said.matchAll(/^START (\w+) (.*)$/gm), ([, name = "", answer = ""]): [string, string] => [name, answer]);
    return { starts: new Map(starts), looks: new Map(looks), passed: new Map(passed) };
  } finally {
    rmSync(work, { recursive: true });
  }
}

const LOOK = /^LOOK (\w+) (\d+)\nSTATUS (.*)\nWORDS (.*)\n([\w+/=\n]*)END$/gm;
const FILTER = /^FILTER (\w+)\n([\w \n]*?)END$/gm;

function recordsOf(base64: string): readonly SensorRecord[] {
  return new Frames().push(Buffer.from(base64, "base64")).map((bytes) => new SensorRecord(bytes));
}

function writeGuest(root: string, archive: string): void {
  for (const folder of ["bin", "dev", "etc", "proc", "sys", "tmp"]) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(join(SYSTEM, "bin/busybox"), join(root, "bin/busybox"));
  cpSync(join(CHECKOUT, "dist/native"), join(root, "native"), { recursive: true });
  cpSync(join(CHECKOUT, "test/qemu/guest-arm64"), root, { recursive: true });
  const libraries = join(CHECKOUT, ".dev/arm64/libraries");
  execFileSync("aarch64-linux-gnu-gcc", [`--sysroot=${libraries}`, "-std=gnu17", "-O1", "-static", "-o", join(root, "calls"), ...CALLS_SOURCES]);
  for (const program of ["init", "bin/busybox"]) chmodSync(join(root, program), 0o755);
  archiveFolder(root, archive);
}
