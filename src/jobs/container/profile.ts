/**
 * What a level and a named profile mean for a job's container, as data: create-body.ts writes it into the engine's words,
 * prove.ts reads it back from the kernel. The table of levels is docs/container.md.
 */
import type { Level } from "../../policy/index.ts";
import { type SeccompProfile, seccompProfile } from "./seccomp/profile.ts";

/** `build` gives root back what apt and databases need of it; `none` gives nothing. */
export type ProfileName = "build" | "none";

export interface ContainerProfile {
  readonly level: Level;
  readonly name: ProfileName;
  /** The bounding set: nothing in the container has, or gets, any other. Sorted, without CAP_. */
  readonly capabilities: readonly string[];
  /** Set-user-id programs and file capabilities change nothing. */
  readonly noNewPrivileges: boolean;
  /** Refuses uid 0; see {@link UNPRIVILEGED}. */
  readonly nonRoot: boolean;
  readonly readOnlyRoot: boolean;
  readonly seccomp: SeccompProfile;
  /** Hidden: a folder is empty, a file is /dev/null. */
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  /** Folders in memory, for where the image cannot be written. They count to the job's memory. */
  readonly scratch: readonly Scratch[];
  /** Bytes of /dev/shm. */
  readonly shmBytes: number;
  readonly ulimits: readonly Ulimit[];
  /** When the job did not ask for less. */
  readonly pids: number;
  /** Above 0: when the host runs out of memory, a job goes before what the host needs. */
  readonly oomScoreAdj: number;
  /** What the engine keeps of the output, on its disk; never sent elsewhere. `none` for a job with secrets: it is not masked there. */
  readonly log: { readonly type: "json-file" | "none"; readonly config: Readonly<Record<string, string>> };
  /** Whether the caller's own folder may be mounted, or only a copy of it. */
  readonly workspace: "bind" | "copy";
  /** Whether an image has to be named by its digest. */
  readonly digestOnly: boolean;
}

export interface Scratch {
  readonly path: string;
  readonly bytes: number;
  readonly inodes: number;
  /** Octal permission bits. */
  readonly mode: number;
  readonly exec: boolean;
}

export interface Ulimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** Who a job is at high and above when neither it nor its image names somebody: nobody, on every Linux. */
export const UNPRIVILEGED: { readonly uid: number; readonly gid: number } = Object.freeze({ uid: 65534, gid: 65534 });
/** HOME where the image's own cannot be written. */
export const SCRATCH_HOME = "/home/job";

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** Docker's own, without those that this profile's filter makes useless or that reach beyond the container. */
const ROOT_OF_A_CONTAINER = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETPCAP", "SETUID"];
const BUILD = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];

/** Things of the host that a container sees because /proc and /sys have no namespace for them. */
const MASKED = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kallsyms",
  "/proc/kcore",
  "/proc/key-users",
  "/proc/keys",
  "/proc/kmsg",
  "/proc/kpagecgroup",
  "/proc/kpagecount",
  "/proc/kpageflags",
  "/proc/latency_stats",
  "/proc/modules",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/slabinfo",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/vmallocinfo",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
  "/sys/kernel/debug",
  "/sys/kernel/security",
];
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** @param architecture of the machine that runs the engine. */
export function containerProfile(level: Level, name: ProfileName, architecture: "x64" | "arm64"): ContainerProfile {
  const strict = level === "high" || level === "paranoid";
  return {
    level,
    name,
    capabilities: capabilitiesOf(level, name),
    noNewPrivileges: level !== "low",
    nonRoot: strict,
    readOnlyRoot: strict,
    seccomp: seccompProfile({ architecture, tracing: !strict }),
    maskedPaths: MASKED,
    readOnlyPaths: READ_ONLY,
    scratch: strict ? scratchOf(level) : [],
    shmBytes: 64 * MiB,
    ulimits: [
      { name: "core", soft: 0, hard: 0 },
      { name: "memlock", soft: 8 * MiB, hard: 8 * MiB },
      { name: "nofile", soft: 16_384, hard: 16_384 },
    ],
    pids: 1000,
    oomScoreAdj: 500,
    log: { type: "json-file", config: { "max-file": "2", "max-size": "16m" } },
    workspace: level === "paranoid" ? "copy" : "bind",
    digestOnly: level === "paranoid",
  };
}

/** Without root none of them could be used, so that at high and above there are none. */
function capabilitiesOf(level: Level, name: ProfileName): readonly string[] {
  if (level === "low") return ROOT_OF_A_CONTAINER;
  return level === "medium" && name === "build" ? BUILD : [];
}

/** Builds write programs to /tmp and run them; elsewhere nothing needs to be executed. */
function scratchOf(level: Level): readonly Scratch[] {
  const bytes = level === "paranoid" ? 512 * MiB : GiB;
  const inodes = 100_000;
  return [
    { path: SCRATCH_HOME, bytes, inodes, mode: 0o700, exec: true },
    { path: "/run", bytes: 16 * MiB, inodes: 1000, mode: 0o755, exec: false },
    { path: "/tmp", bytes, inodes, mode: 0o1777, exec: true },
    { path: "/var/tmp", bytes: 256 * MiB, inodes, mode: 0o1777, exec: false },
  ];
}
