/**
 * Rules of audit for the sensitive files of one container: a short program that goes into its root adds them, since the sensor itself has
 * no rights any more (native/sensor/audit-names.c).
 */
import { execFile } from "node:child_process";

/** It ends itself after two seconds. */
const PATIENCE_MS = 5000;

/** @param sensor the process that listens. @param names as lines of its orders. @returns whether the rules are there. */
export async function addSensitiveFiles(program: string, sensor: number, pid: number, watch: number, names: readonly string[]): Promise<boolean> {
  return await new Promise((resolve) => {
    const args = ["audit-names", String(sensor), String(pid), String(watch)];
    const child = execFile(program, args, { env: {}, cwd: "/", timeout: PATIENCE_MS, killSignal: "SIGKILL" }, (error) => resolve(error === null));
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(names.map((name) => `${name}\n`).join(""));
  });
}
