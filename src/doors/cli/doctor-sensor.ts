/** Whether this kernel lets the monitor look: the sensor is started, and asked. */
import { KernelSensor } from "../../monitor/index.ts";
import type { Check } from "./doctor.ts";

export async function sensor(): Promise<Check> {
  await using started = new KernelSensor();
  const { state, why = "", lacks } = await started.initialize();
  const name = "sensor";
  if (state === "watching") return { name, status: "ok", detail: why === "" ? "the kernel takes the program" : `the kernel takes the program; ${why}` };
  const costs = state === "degraded" ? `of what jobs do, nobody sees: ${lacks.join(", ")}` : "nobody sees what the processes of jobs do";
  return { name, status: "warn", detail: why, costs, fix: fixOf(why) };
}

function fixOf(why: string): string {
  if (why.includes("ENOENT")) return "in a checkout: ./dev setup builds it (it needs clang and libbpf-dev)";
  if (why.includes("describe its types")) return "a kernel with CONFIG_DEBUG_INFO_BTF, as distributions have it";
  return process.getuid?.() === 0 ? "let root load BPF programs: kernel lockdown, or the container that this runs in, forbids it" : "run as root";
}
