/** Starts a guest in qemu, without KVM and without a network, and reads the report of the one for x86-64. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchKernel, writeSystem } from "./image.ts";
import type { Report } from "./report.ts";

/** Seconds. Ended by timeout(1), which is there also when the tests are killed. */
export const HARD_TIME = 400;

export async function boot(): Promise<Report> {
  const kernel = fetchKernel();
  const work = mkdtempSync(join(tmpdir(), "cofferdam-qemu-"));
  const [system, console, report] = ["system.cpio", "console", "report"].map((name) => join(work, name)) as [string, string, string];
  try {
    writeSystem(system);
    const machine = ["-nodefaults", "-no-reboot", "-display", "none", "-nic", "none", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"];
    const size = ["-smp", "2", "-m", "1536"];
    const start = ["-kernel", kernel, "-initrd", system, "-append", "console=ttyS0 panic=-1 quiet loglevel=1"];
    const ports = ["-serial", `file:${console}`, "-serial", `file:${report}`];
    const ended = await runMachine("qemu-system-x86_64", [...machine, ...size, ...start, ...ports]);
    const line = read(report)
      .split("\n")
      .find((text) => text.startsWith("{"));
    if (line === undefined) throw new Error(`no report from the guest (${ended})\n${read(console).slice(-4000)}`);
    return JSON.parse(line) as Report;
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** @returns how qemu ended, and what it said at last. */
export async function runMachine(program: string, args: readonly string[]): Promise<string> {
  const qemu = spawn("timeout", ["--kill-after=5", String(HARD_TIME), program, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  qemu.stderr.on("data", (piece: Buffer) => {
    said = (said + piece.toString("utf8")).slice(-2000);
  });
  const [code] = await once(qemu, "close");
  return `qemu ended with ${code}: ${said}`;
}

export function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
