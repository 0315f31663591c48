/** A guest for arm64 in qemu, which emulates its processor: a kernel and a shell of Debian, the sensor, and what it told. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SensorRecord } from "../../src/monitor/reader/record.ts";
import { Frames } from "../../src/monitor/sensors/frames.ts";
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

/** Boots it and lets each source look. @returns by source. */
export async function lookOnArm64(): Promise<ReadonlyMap<string, Look>> {
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
    return new Map(
      Array.from(said.matchAll(REPORT), ([, source = "", exit, status = "", words = "", records = ""]) => [
        source,
        { exit: Number(exit), status: status.trim(), words: words.trim(), records: recordsOf(records) },
      ]),
    );
  } finally {
    rmSync(work, { recursive: true });
  }
}

const REPORT = /^LOOK (\w+) (\d+)\nSTATUS (.*)\nWORDS (.*)\n([\w+/=\n]*)END$/gm;

function recordsOf(base64: string): readonly SensorRecord[] {
  return new Frames().push(Buffer.from(base64, "base64")).map((bytes) => new SensorRecord(bytes));
}

function writeGuest(root: string, archive: string): void {
  for (const folder of ["bin", "dev", "etc", "proc", "sys", "tmp"]) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(join(SYSTEM, "bin/busybox"), join(root, "bin/busybox"));
  copyFileSync(join(CHECKOUT, "dist/native/cofferdam-sensor-arm64"), join(root, "sensor"));
  cpSync(join(CHECKOUT, "test/qemu/guest-arm64"), root, { recursive: true });
  for (const program of ["init", "bin/busybox", "sensor"]) chmodSync(join(root, program), 0o755);
  archiveFolder(root, archive);
}
