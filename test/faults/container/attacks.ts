/** The corpus: each attack of attack.c, what it needs to work in a container without our controls, and where ours must stop it. */
import type { ContainerCreate } from "../../../src/engine/index.ts";
import type { Level } from "../../../src/policy/index.ts";

export interface ContainerAttack {
  readonly name: string;
  readonly group: "kernel" | "sockets" | "namespaces and mounts" | "privileges" | "the host's settings" | "other processes" | "resources" | "reach";
  /** What is changed in a plain container so that it works; absent: nothing, the engine's defaults let it through. */
  readonly without?: Partial<ContainerCreate>;
  /** Lowest level that stops it. */
  readonly from: Level;
}

/** The engine's own filter stands in the way of some: it is off, so that ours is what is tried. */
const unfiltered = (...capabilities: string[]): Partial<ContainerCreate> => ({
  HostConfig: { NetworkMode: "none", SecurityOpt: ["seccomp=unconfined"], CapAdd: capabilities },
});

export const ATTACKS: readonly ContainerAttack[] = [
  { name: "io_uring", group: "kernel", from: "low" },
  { name: "keyring", group: "kernel", without: unfiltered(), from: "low" },
  { name: "userfault", group: "kernel", without: unfiltered(), from: "low" },
  { name: "bpf_map", group: "kernel", without: unfiltered("SYS_ADMIN"), from: "low" },
  { name: "perf", group: "kernel", without: unfiltered("SYS_ADMIN"), from: "low" },
  { name: "handle", group: "kernel", without: unfiltered(), from: "low" },
  { name: "no_random", group: "kernel", without: unfiltered(), from: "low" },
  { name: "foreign_table", group: "kernel", from: "low" },
  { name: "vsock", group: "sockets", from: "low" },
  { name: "vsock_high", group: "sockets", from: "low" },
  { name: "packet", group: "sockets", from: "low" },
  { name: "raw", group: "sockets", from: "low" },
  { name: "crypto", group: "sockets", from: "low" },
  { name: "audit", group: "sockets", from: "low" },
  { name: "new_user", group: "namespaces and mounts", without: unfiltered(), from: "low" },
  { name: "clone_user", group: "namespaces and mounts", without: unfiltered(), from: "low" },
  { name: "new_mounts", group: "namespaces and mounts", without: unfiltered("SYS_ADMIN"), from: "low" },
  { name: "mount_tmpfs", group: "namespaces and mounts", without: unfiltered("SYS_ADMIN"), from: "low" },
  { name: "new_mount_api", group: "namespaces and mounts", without: unfiltered("SYS_ADMIN"), from: "low" },
  { name: "release_agent", group: "namespaces and mounts", without: unfiltered("SYS_ADMIN"), from: "low" },
  { name: "rename_host", group: "namespaces and mounts", without: unfiltered("SYS_ADMIN"), from: "low" },
  { name: "become_root", group: "privileges", without: { User: "1000:1000" }, from: "medium" },
  { name: "make_device", group: "privileges", from: "low" },
  { name: "core_pattern", group: "the host's settings", without: { HostConfig: { NetworkMode: "none", ReadonlyPaths: [] } }, from: "low" },
  { name: "sysrq", group: "the host's settings", without: { HostConfig: { NetworkMode: "none", ReadonlyPaths: [] } }, from: "low" },
  { name: "kernel_symbols", group: "the host's settings", from: "low" },
  { name: "hosts_file", group: "the host's settings", from: "low" },
  { name: "trace_sibling", group: "other processes", from: "high" },
  { name: "trace_init", group: "other processes", from: "low" },
  { name: "read_init", group: "other processes", without: { Env: ["TOKEN=secret"] }, from: "low" },
  { name: "forks", group: "resources", from: "low" },
  { name: "memory", group: "resources", from: "medium" },
  { name: "fill_root", group: "resources", from: "high" },
  { name: "fill_tmp", group: "resources", from: "high" },
  { name: "inodes", group: "resources", from: "high" },
  { name: "replace_shell", group: "privileges", from: "high" },
  { name: "interfaces", group: "reach", without: { HostConfig: { NetworkMode: "attack-net" } }, from: "low" },
];
