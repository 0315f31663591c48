/** What each process of the sensor may call (native/sensor/filter.c), written down once more, and the program that tries it. */
import { join } from "node:path";
import { packageFolder } from "../../src/foundation/index.ts";

export const CALLS_SOURCES: readonly string[] = ["test/faults/sensor/calls.c", "native/sensor/filter.c"].map((path) => join(packageFolder(), path));

const PARTS = {
  // BPF_MAP_UPDATE_ELEM and BPF_MAP_DELETE_ELEM.
  ebpf: { any: ["clock_nanosleep", "close", "brk"], with: ["bpf 2", "bpf 3"] },
  connector: { any: ["recvfrom", "sendto", "recvmsg", "epoll_wait", "epoll_ctl", "close", "brk"], with: [] },
  opener: { any: ["recvfrom", "sendmsg", "fstat", "newfstatat", "bind", "close"], with: [] },
  audit: { any: ["recvfrom", "sendto"], with: [] },
  keeper: { any: ["recvfrom", "sendto", "close"], with: ["read 1", "read 2", "read 3"] },
  names: { any: ["recvfrom", "sendto", "fstat", "newfstatat", "getdents64", "readlink", "close", "brk"], with: [] },
} as const;

/** What arm64 has instead. */
const ARM64: Readonly<Record<string, string>> = { poll: "ppoll", epoll_wait: "epoll_pwait", readlink: "readlinkat" };

export type SensorPart = keyof typeof PARTS;
export const SENSOR_PARTS: readonly SensorPart[] = ["ebpf", "connector", "opener", "audit", "keeper", "names"];

/** As the program says them, "NAME FIRST", sorted. What depends on another argument is not among them. @param first values of the first argument. */
export function allowedCalls(part: SensorPart, arch: string, first: readonly number[]): string[] {
  const { any, with: some } = PARTS[part];
  const named = (name: string): string => (arch === "arm64" ? (ARM64[name] ?? name) : name);
  const all = ["poll", "clock_gettime", "restart_syscall", "exit_group", ...any].flatMap((name) => first.map((value) => `${named(name)} ${value}`));
  return [...all, ...["read 0", "write 1", "write 2", ...some].filter((one) => first.includes(Number(one.split(" ")[1])))].sort();
}
