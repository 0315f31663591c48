/** Bytes into and out of a process's network namespace, as the kernel counts them. Source: proc_pid_net(5), net/dev. */
import { readFileSync } from "node:fs";

export interface NetworkCounters {
  readonly received: number;
  readonly sent: number;
}

/** Undefined when the process is gone. Loopback does not count. */
export function networkCounters(pid: number): NetworkCounters | undefined {
  try {
    return parseNetDev(readFileSync(`/proc/${pid}/net/dev`, "utf8"));
  } catch {
    return undefined;
  }
}

export function parseNetDev(text: string): NetworkCounters {
  let [received, sent] = [0, 0];
  for (const line of text.split("\n")) {
    const [, name, numbers] = /^\s*([^\s:]+):\s*([\d\s]+)$/.exec(line) ?? [];
    if (name === undefined || name === "lo") continue;
    const columns = (numbers ?? "").trim().split(/\s+/).map(Number);
    received += columns[0] ?? 0;
    sent += columns[8] ?? 0;
  }
  return { received, sent };
}
