/** What a process may do, as the kernel has it. */
import { readFileSync } from "node:fs";

const NO_CAPABILITY = "0".repeat(16);

/** Nobody, without a capability, who never gets one, under a filter of calls: fields of /proc/PID/status. */
export const POWERLESS: Readonly<Record<string, string>> = {
  Uid: "65534",
  Gid: "65534",
  Groups: "",
  CapInh: NO_CAPABILITY,
  CapPrm: NO_CAPABILITY,
  CapEff: NO_CAPABILITY,
  CapBnd: NO_CAPABILITY,
  CapAmb: NO_CAPABILITY,
  NoNewPrivs: "1",
  Seccomp: "2",
};

/** Those fields of a process, and of each that it started and that lives. */
export function powersOf(pid: number): Readonly<Record<string, string>>[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return [pid, ...children.map(Number)].map((one) => {
    const lines = readFileSync(`/proc/${one}/status`, "utf8").matchAll(/^(\w+):[ \t]*(\S*)/gm);
    return Object.fromEntries(Array.from(lines, ([, name = "", value = ""]) => [name, value]).filter(([name = ""]) => Object.hasOwn(POWERLESS, name)));
  });
}
