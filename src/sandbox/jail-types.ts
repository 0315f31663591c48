/** What is asked of a jail and what it answers. */
import type { Level } from "../policy/index.ts";

/** Bounds of one run. Sizes in bytes, times in ms. */
export interface JailLimits {
  /** Wall time; then everything in the jail is killed. */
  readonly timeout: number;
  /** Memory of all processes together. The kernel's limit where a cgroup can be made, else watched ten times a second. */
  readonly memory: number;
  /** Processes and threads at once. */
  readonly pids: number;
  /** CPU time of all processes together, watched ten times a second; undefined for no bound but the time-out. */
  readonly cpuTime: number | undefined;
  /** Cores, as a share of time (1.5 is one and a half); undefined for all of them. Needs a cgroup. */
  readonly cpus: number | undefined;
  /** /tmp, home and the staged copies together. Held in memory. */
  readonly disk: number;
  readonly inodes: number;
  /** One file. */
  readonly fileSize: number;
  readonly openFiles: number;
  /** Standard output and standard error together, when they are captured or piped. */
  readonly output: number;
}

export const DEFAULT_LIMITS: JailLimits = Object.freeze({
  timeout: 600_000,
  memory: 2 * 2 ** 30,
  pids: 512,
  cpuTime: undefined,
  cpus: undefined,
  disk: 2 ** 30,
  inodes: 200_000,
  fileSize: 2 ** 30,
  openFiles: 4096,
  output: 64 * 2 ** 20,
});

/** A tree that may be written. */
export interface WritableTree {
  /** Real path on the host, and where it is in the jail. */
  readonly path: string;
  /**
   * `staged`: the jail writes a copy, and what it changed is handed back by {@link JailResult.outputs} for the caller to
   * accept. `direct`: the host's own files; only where the jail runs as their owner (never when the caller is root).
   */
  readonly mode: "staged" | "direct";
  /** Paths below it, relative, that stay read-only (and, when staged, are not copied). Missing ones are ignored. */
  readonly except: readonly string[];
  /** Staged: nothing but these relative paths is copied, the rest of the tree cannot be seen. Absent: all of it. */
  readonly only?: readonly string[];
  /**
   * Staged: what was changed on the host after this time (ms since 1970) is somebody else's work, and stays as it is. Absent:
   * nobody else works there meanwhile.
   */
  readonly since?: number;
  /** Staged: what may be taken over. A file or link for which it gives a reason is left out, and the reason reported. */
  readonly accept?: (output: StagedFile) => string | undefined;
}

/** A file or link on the stage that is about to be taken over. */
export interface StagedFile {
  /** From the tree's root. */
  readonly path: string;
  /** Its content, or where the link leads. Throws RESOURCE_EXHAUSTED past 1 MiB. */
  read(): Buffer;
}

export interface JailRequest {
  /** Program and arguments; the program is looked up in the jail's PATH. */
  readonly command: readonly string[];
  /** Absolute, visible in the jail. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly writable: readonly WritableTree[];
  /** Files and folders besides the system's that can be read. */
  readonly readable: readonly string[];
  /**
   * Sockets, FIFOs and device nodes below {@link readable} and the direct trees, which are hidden. Absent: they are looked
   * for, entry by entry; a caller that runs many commands over one tree looks once, with {@link maskedNodes}.
   */
  readonly masked?: readonly string[];
  /** Names that can be reached, through the jail's own proxy: `registry.example:443`. Empty: no network at all. */
  readonly net: readonly string[];
  /** Lets AF_UNIX sockets be made. Off, because a tree may hold a daemon's socket. */
  readonly unixSockets?: boolean;
  /** Host folders whose content must not be seen; asking for it is recorded. The caller's home is always among them. */
  readonly hidden?: readonly string[];
  readonly limits?: Partial<JailLimits>;
  readonly level: Level;
  readonly stdin?: "inherit" | "ignore";
  /** When staged trees are taken over. `on-success`: only when the command exits 0 and nothing stopped it. */
  readonly keep: "on-success" | "always";
  /** `capture` keeps head and tail of both; streams get it as it comes, terminals directly. */
  readonly output: "capture" | { readonly stdout: NodeJS.WriteStream; readonly stderr: NodeJS.WriteStream };
  /** Which opens are looked at for the record of refusals; see the filter. Default `all`. */
  readonly observe?: "all" | "writes";
  readonly onOutput?: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Something that was asked for and not given. */
export interface Refusal {
  readonly kind: "read" | "write" | "network" | "call" | "limit";
  /** Path, `host:port`, system call, or limit. */
  readonly what: string;
  readonly why: string;
  /** Processes, outermost first: `sh > node`. */
  readonly by: string | undefined;
}

/** Which layers held, each proven after start: from /proc by pid 1 of the jail, or from the cgroup's own files. */
export interface JailLayers {
  readonly userns: boolean;
  readonly mount: boolean;
  readonly net: boolean;
  readonly pid: boolean;
  readonly seccomp: boolean;
  /** Controllers in force, empty without a cgroup. */
  readonly cgroup: readonly string[];
  /** ABI version, 0 where the kernel has none. */
  readonly landlock: number;
  readonly limits: boolean;
  /** True when the caller is root and the jail ran as another uid. */
  readonly dropped: boolean;
  readonly memory: "kernel" | "watched";
}

export type KilledBy = "timeout" | "memory" | "cpu" | "output" | "cancelled";

export interface JailResult {
  /** Undefined when a signal ended it. */
  readonly exit: number | undefined;
  /** Number. */
  readonly signal: number | undefined;
  readonly timedOut: boolean;
  readonly killedBy: KilledBy | undefined;
  readonly cpuMs: number;
  /** Of the largest process, or the cgroup's peak where there is one. */
  readonly maxRssBytes: number;
  readonly wallMs: number;
  readonly refused: readonly Refusal[];
  /** Granted names that were reached, `host:port`, and who asked first. */
  readonly reached: readonly { readonly target: string; readonly by: string | undefined }[];
  /** Processes that were still alive when the command ended, and were killed. */
  readonly leftovers: number;
  readonly layers: JailLayers;
  /** Empty unless captured. */
  readonly stdout: string;
  readonly stderr: string;
  readonly outputs: readonly TreeOutput[];
  /** What the user should know: a limit that is only watched, names that cannot be recorded. */
  readonly notes: readonly string[];
}

/** What a run changed in a staged tree, and what of it was not taken over. */
export interface TreeOutput {
  readonly path: string;
  readonly written: readonly string[];
  readonly removed: readonly string[];
  /** Relative path and reason: links out of the tree, set-id bits, devices, FIFOs, planted hooks. */
  readonly refused: readonly { readonly path: string; readonly why: string }[];
}
