/** A script as npm's own shell would run it. Only for level low, where no jail can be had, and after that was said. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import type { ShellHost } from "./shell.ts";

export async function plainShell(body: string, { env, cwd, signal }: ShellHost): Promise<number> {
  const child = spawn("/bin/sh", ["-c", body], { cwd, env, stdio: "inherit" });
  const end = (): boolean => child.kill("SIGTERM");
  signal.addEventListener("abort", end, { once: true });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, name) => resolve(code ?? 128 + (name === null ? 9 : constants.signals[name])));
    });
  } finally {
    signal.removeEventListener("abort", end);
  }
}
