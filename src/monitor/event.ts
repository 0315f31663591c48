/**
 * What the monitor knows of a job as it happens: one type for each thing that a process did, as the kernel told it, and one
 * for each thing that the sensor says of itself. Rules, baseline and evidence stand on these.
 *
 * Texts come from inside a job and may hold anything, newlines included. Where a text was not UTF-8, a byte that does not
 * belong is written `\xHH`, and a backslash of that text is doubled.
 */

/** A process, told apart from later ones with its number: `PID:START`. */
export type ProcessKey = string;

/** Numbers of a process on the host, and in its own pid namespace. */
export interface ProcessNumbers {
  readonly pid: number;
  /** The thread; the same as `pid` in one that has no others. */
  readonly tid: number;
  readonly ppid: number;
  readonly inside: { readonly pid: number; readonly tid: number; readonly ppid: number };
}

/** Who did it, as of the moment it was done. */
export interface Actor extends ProcessNumbers {
  readonly key: ProcessKey;
  readonly parent: ProcessKey;
  /** Numbers on the host; in a user namespace they are others inside. */
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  /** The thread's own name, 15 bytes. It chooses that itself: to be shown, never to be matched. */
  readonly name: string;
  /** Numbers of its namespaces and of its cgroup (v2; "1" where the host has only v1). */
  readonly pidns: number;
  readonly mntns: number;
  readonly cgroup: string;
}

/** A file in the kernel's memory: no name that can be exchanged after a look. */
export interface FileFacts {
  /** Within the mount namespace of whoever used it, whatever its root is. */
  readonly path: string;
  /** More parts above than were read: `path` starts with `.../`. */
  readonly cut: boolean;
  /** `DEVICE:INODE`, hexadecimal: the same file under every name. */
  readonly id: string;
  readonly type: "file" | "directory" | "link" | "device" | "fifo" | "socket" | "other";
  /** Permission bits, 0o7777. */
  readonly mode: number;
  readonly uid: number;
  /** Bytes; -1, as the times: not known. */
  readonly size: number;
  /** Unix time, ms. */
  readonly mtime: number;
  readonly ctime: number;
  /** No name leads to it: deleted, or never had one. */
  readonly unlinked: boolean;
  /** In memory only: memfd, or a file system without a name. */
  readonly anonymous: boolean;
  /** In a container: made or changed since the image. undefined where the file system is no overlay. */
  readonly fresh: boolean | undefined;
}

/**
 * A name that the process gave, read from its memory. Another of its threads may have changed it after the kernel read it:
 * never a reason to let something pass.
 */
export interface ClaimedPath {
  /** Made absolute with the kernel's own view of the folder it starts from; `..` and links are not resolved. */
  readonly path: string;
  readonly cut: boolean;
  readonly claimed: true;
}

export interface SocketFacts {
  readonly family: "inet" | "inet6" | "unix" | "netlink" | "packet" | "vsock" | "other";
  readonly type: "stream" | "datagram" | "raw" | "other";
  readonly protocol: number;
  readonly inode: string;
  readonly local: Endpoint | undefined;
  readonly remote: Endpoint | undefined;
  /** The addresses were read from the process's memory, see {@link ClaimedPath}. */
  readonly claimed: boolean;
}

/** An address and port, or a unix socket's path (`@` first: without a file). */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What a descriptor leads to. */
export type StreamFacts =
  | { readonly to: "closed" }
  | { readonly to: "file" | "terminal" | "pipe" | "null" | "other"; readonly id: string }
  | { readonly to: "socket"; readonly id: string; readonly socket: SocketFacts };

interface Base<K extends string> {
  readonly kind: K;
  /** Unix time, ms, with microseconds behind the point. */
  readonly time: number;
  /** Of the boot clock: exact, and in order. */
  readonly ns: bigint;
  readonly job: string;
  readonly container: string | undefined;
  readonly actor: Actor;
  /** The system call's name; for exec, exit and fork what the kernel did. */
  readonly call: string;
  /** What the call returned; negative: refused, an errno. */
  readonly result: number;
}

export interface ExecEvent extends Base<"exec"> {
  /** What runs now. For a script: its interpreter. */
  readonly program: FileFacts;
  /** The name that was asked for; a script's own. */
  readonly asked: string;
  readonly args: readonly string[];
  /** Of all arguments in memory; `args` stops at a bound when `argsCut`. */
  readonly argsBytes: number;
  readonly argsCut: boolean;
  /** When it was asked for at the watch: NAME=VALUE, cut at a bound. Holds secrets. */
  readonly env: readonly string[] | undefined;
  readonly cwd: string;
  /** Descriptors 0, 1 and 2. */
  readonly stdio: readonly [StreamFacts, StreamFacts, StreamFacts];
  /** It got more rights than its caller had (setuid, setgid, file capabilities). */
  readonly gained: boolean;
  /** Effective capabilities, a mask. */
  readonly capabilities: bigint;
}

export interface ExecFailedEvent extends Base<"exec-failed"> {
  readonly path: ClaimedPath;
}

/** Once a process, by the last of its threads, whichever that is. */
export interface ExitEvent extends Base<"exit"> {
  readonly code: number;
  /** That ended it, 0 for none. */
  readonly signal: number;
}

/** A process, not a thread. */
export interface ForkEvent extends Base<"fork"> {
  readonly child: ProcessNumbers & { readonly key: ProcessKey };
  /** Namespaces that the child has of its own. */
  readonly namespaces: readonly Namespace[];
}

export type Namespace = "user" | "pid" | "mount" | "network" | "uts" | "ipc" | "cgroup" | "time";

export interface OpenEvent extends Base<"open"> {
  readonly file: FileFacts | ClaimedPath;
  readonly access: "read" | "write" | "both" | "path";
  /** This call made the file. Of a refused one: it would have. */
  readonly create: boolean;
  readonly truncate: boolean;
  readonly append: boolean;
  /** Its name is on the list of names whose reading is told as well. */
  readonly sensitive: boolean;
}

/** Changes of names and attributes. `to` for rename, link (the new name) and symlink (what it says). */
export interface FileChangeEvent extends Base<"unlink" | "rename" | "link" | "symlink" | "mkdir" | "mknod" | "chmod" | "chown" | "xattr" | "truncate"> {
  readonly file: FileFacts | ClaimedPath;
  readonly to: ClaimedPath | undefined;
  /** chmod, mkdir, mknod: the bits asked for. */
  readonly mode: number | undefined;
  /** chown: -1 leaves it. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** xattr: the attribute's name, claimed. */
  readonly name: string | undefined;
}

export interface SocketEvent extends Base<"connect" | "bind" | "accept"> {
  readonly socket: SocketFacts;
}

/** Something was sent to port 53: its first bytes, claimed. */
export interface DnsEvent extends Base<"dns"> {
  readonly socket: SocketFacts;
  readonly payload: Uint8Array;
}

/** A socket became descriptor 0, 1 or 2. */
export interface DupEvent extends Base<"dup"> {
  readonly descriptor: 0 | 1 | 2;
  readonly socket: SocketFacts;
}

export interface PtraceEvent extends Base<"ptrace"> {
  readonly request: number;
  /** As the caller numbers it. */
  readonly target: number;
}

/** process_vm_readv and process_vm_writev. */
export interface MemoryEvent extends Base<"memory"> {
  readonly target: number;
  readonly write: boolean;
}

/** setns and unshare. */
export interface NamespaceEvent extends Base<"namespace"> {
  /** CLONE_NEW* bits as they were asked for; 0: any, for setns. */
  readonly flags: number;
  readonly namespaces: readonly Namespace[];
  /** setns: what the descriptor is. */
  readonly file: FileFacts | undefined;
}

/** mount, umount2, pivot_root, chroot and the calls of the new mount interface. All of it claimed. */
export interface MountEvent extends Base<"mount"> {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
}

/** The setuid and setgid family, setgroups and capset: what the process has after it. */
export interface IdentityEvent extends Base<"identity"> {
  readonly args: readonly number[];
  readonly after: { readonly uid: number; readonly euid: number; readonly gid: number; readonly egid: number; readonly capabilities: bigint };
}

export interface ModuleEvent extends Base<"module"> {
  /** finit_module: the file. delete_module: the name. */
  readonly file: FileFacts | undefined;
  readonly name: string | undefined;
}

/** What builds have no use for: bpf, io_uring_setup, userfaultfd, keyctl, add_key, request_key, perf_event_open, kexec, and so on. */
export interface KernelEvent extends Base<"kernel"> {
  /** The first three arguments as numbers; over 2^53 they are not exact. */
  readonly args: readonly number[];
  /** Texts that were passed, claimed: a key's type and description, a host name, a file to swap to. */
  readonly texts: readonly string[];
}

export interface MemfdEvent extends Base<"memfd"> {
  readonly name: string;
  readonly flags: number;
}

/** A call by another door (32-bit calls on a 64-bit kernel): its numbers mean other calls, so the sensor does not read it. Once a thread. */
export interface ForeignEvent extends Base<"foreign"> {
  readonly number: number;
}

/** What a process of a job did. */
export type ProcessEvent =
  | ExecEvent
  | ExecFailedEvent
  | ExitEvent
  | ForkEvent
  | OpenEvent
  | FileChangeEvent
  | SocketEvent
  | DnsEvent
  | DupEvent
  | PtraceEvent
  | MemoryEvent
  | NamespaceEvent
  | MountEvent
  | IdentityEvent
  | ModuleEvent
  | KernelEvent
  | MemfdEvent
  | ForeignEvent;

export type ProcessEventKind = ProcessEvent["kind"];

/** Events of a job that nobody will see. `where`: over the job's budget, no room in the kernel's ring, no room for the reader. */
export interface LossEvent {
  readonly kind: "loss";
  readonly time: number;
  /** undefined: it is not known whose. */
  readonly job: string | undefined;
  readonly where: "budget" | "ring" | "reader" | "untracked";
  readonly count: number;
}

/** Nobody looked from `from` to `to` (Unix time, ms), at any job. */
export interface GapEvent {
  readonly kind: "gap";
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

/** By what the kernel tells: its program, its audit, or its process connector; each shows less than the one before. */
export type SensorSource = "ebpf" | "audit" | "connector";

/** `watching`: everything in this file. `degraded`: less, as `lacks` says. `absent`: nothing. */
export interface SensorStatus {
  readonly kind: "status";
  readonly time: number;
  readonly state: "watching" | "degraded" | "absent";
  readonly source: SensorSource | "none";
  /** Why not more: a sentence. */
  readonly why: string | undefined;
  readonly lacks: readonly string[];
}

export type SensorEvent = LossEvent | GapEvent | SensorStatus;
export type MonitorEvent = ProcessEvent | SensorEvent;
