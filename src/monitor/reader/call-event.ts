/** System calls that returned, into events: what each argument of each call means. */
import type { ClaimedPath, FileChangeEvent, FileFacts, IdentityEvent, MountEvent, OpenEvent, ProcessEvent, SocketEvent, SocketFacts } from "../event.ts";
import type { EventHead } from "./decode.ts";
import { claimedPaths, claimsOf, fileOf, passedSocket, socketOf } from "./facts.ts";
import { namespacesOf } from "./namespaces.ts";
import { AT, broken, PART, type SensorRecord } from "./record.ts";

const O_ACCMODE = 3;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_PATH = 0o10000000;
const FMODE_READ = 1;
const FMODE_WRITE = 2;
const FMODE_PATH = 0x4000;
const FMODE_CREATED = 0x100000;
const NOWHERE: ClaimedPath = { path: "", cut: true, claimed: true };

/** Throws BrokenRecord for a call that this file does not know: the list of calls and this switch belong together. */
export function callEvent(record: SensorRecord, head: EventHead): ProcessEvent {
  switch (head.call) {
    case "open":
    case "openat":
    case "openat2":
    case "creat":
    case "open_by_handle_at":
      return opened(record, head);
    case "execve":
    case "execveat":
      return { ...head, kind: "exec-failed", path: claimedPaths(record)[0] ?? NOWHERE };
    case "unlink":
    case "unlinkat":
    case "rmdir":
      return change(record, head, "unlink");
    case "rename":
    case "renameat":
    case "renameat2":
      return change(record, head, "rename");
    case "link":
    case "linkat":
      return change(record, head, "link");
    case "symlink":
    case "symlinkat":
      return change(record, head, "symlink");
    case "mkdir":
    case "mknod":
      return change(record, head, "mkdir" === head.call ? "mkdir" : "mknod", { mode: record.integer(1) });
    case "mkdirat":
    case "mknodat":
      return change(record, head, "mkdirat" === head.call ? "mkdir" : "mknod", { mode: record.integer(2) });
    case "chmod":
    case "fchmod":
      return change(record, head, "chmod", { mode: record.integer(1) & 0o7777 });
    case "fchmodat":
    case "fchmodat2":
      return change(record, head, "chmod", { mode: record.integer(2) & 0o7777 });
    case "chown":
    case "lchown":
    case "fchown":
      return change(record, head, "chown", { uid: record.integer(1), gid: record.integer(2) });
    case "fchownat":
      return change(record, head, "chown", { uid: record.integer(2), gid: record.integer(3) });
    case "setxattr":
    case "lsetxattr":
    case "fsetxattr":
    case "setxattrat":
      return change(record, head, "xattr", { name: claimsOf(record).at(-1) });
    case "truncate":
    case "ftruncate":
      return change(record, head, "truncate");
    case "connect":
    case "bind":
      return { ...head, kind: head.call, socket: socket(record, head.call === "bind" ? "local" : "remote") };
    case "accept":
    case "accept4":
      return { ...head, kind: "accept", socket: socket(record, "remote") } satisfies SocketEvent;
    case "sendto":
    case "sendmsg":
    case "sendmmsg":
      return { ...head, kind: "dns", socket: socket(record, "remote"), payload: Uint8Array.from(record.part(PART.payload) ?? []) };
    case "dup":
    case "dup2":
    case "dup3":
    case "fcntl":
      return { ...head, kind: "dup", descriptor: standard(head.result), socket: socket(record, "remote") };
    case "ptrace":
      return { ...head, kind: "ptrace", request: Number(record.argument(0)), target: record.integer(1) };
    case "process_vm_readv":
    case "process_vm_writev":
      return { ...head, kind: "memory", target: record.integer(0), write: head.call === "process_vm_writev" };
    case "setns":
      return { ...head, kind: "namespace", flags: record.integer(1), namespaces: namespacesOf(record.integer(1)), file: fileOf(record) };
    case "unshare":
      return { ...head, kind: "namespace", flags: record.integer(0), namespaces: namespacesOf(record.integer(0)), file: undefined };
    case "init_module":
      return { ...head, kind: "module", file: undefined, name: undefined };
    case "finit_module":
      return { ...head, kind: "module", file: fileOf(record), name: undefined };
    case "delete_module":
      return { ...head, kind: "module", file: undefined, name: claimsOf(record)[0] };
    case "memfd_create":
      return { ...head, kind: "memfd", name: claimsOf(record)[0] ?? "", flags: record.integer(1) };
    default:
      return mounted(record, head) ?? identity(record, head) ?? { ...head, kind: "kernel", args: numbers(record, 3), texts: claimsOf(record) };
  }
}

function opened(record: SensorRecord, head: EventHead): OpenEvent {
  const part = record.part(PART.open);
  if (part === undefined) throw broken("an open without its flags");
  const flags = part.readUInt32LE(4);
  const file = fileOf(record);
  const mode = file === undefined ? modeAsked(flags) : part.readUInt32LE(0);
  return {
    ...head,
    kind: "open",
    file: file ?? claimedPaths(record)[0] ?? NOWHERE,
    access: (mode & FMODE_PATH) !== 0 ? "path" : (mode & FMODE_WRITE) === 0 ? "read" : (mode & FMODE_READ) === 0 ? "write" : "both",
    create: file === undefined ? (flags & O_CREAT) !== 0 : (mode & FMODE_CREATED) !== 0,
    truncate: (flags & O_TRUNC) !== 0,
    append: (flags & O_APPEND) !== 0,
    sensitive: part.readUInt32LE(8) !== 0,
  };
}

/** Flags of an open that was refused, as the kernel's own mode bits. */
function modeAsked(flags: number): number {
  if ((flags & O_PATH) !== 0) return FMODE_PATH;
  const access = flags & O_ACCMODE;
  return access === 0 ? FMODE_READ : access === 1 ? FMODE_WRITE : FMODE_READ | FMODE_WRITE;
}

function change(
  record: SensorRecord,
  head: EventHead,
  kind: FileChangeEvent["kind"],
  more: { readonly mode?: number; readonly uid?: number; readonly gid?: number; readonly name?: string | undefined } = {},
): FileChangeEvent {
  const held: FileFacts | undefined = fileOf(record);
  const claims = claimedPaths(record);
  const hasSecond = kind === "rename" || kind === "link" || kind === "symlink";
  return {
    ...head,
    kind,
    file: held ?? claims[0] ?? NOWHERE,
    to: hasSecond ? claims[1] : undefined,
    mode: more.mode,
    uid: more.uid,
    gid: more.gid,
    name: more.name,
  };
}

/** Closed by another thread before the sensor looked, or never shown: then only what was passed is known. */
function socket(record: SensorRecord, passed: "local" | "remote"): SocketFacts {
  return socketOf(record, passed) ?? passedSocket(record.part(PART.address), passed);
}

function standard(descriptor: number): 0 | 1 | 2 {
  if (descriptor === 0 || descriptor === 1 || descriptor === 2) return descriptor;
  throw broken(`a standard stream numbered ${descriptor}`);
}

function mounted(record: SensorRecord, head: EventHead): MountEvent | undefined {
  const texts = claimsOf(record);
  const paths = claimedPaths(record).map((claim) => claim.path);
  const event = (source = "", target = "", type = "", flags = 0): MountEvent => ({ ...head, kind: "mount", source, target, type, flags });
  switch (head.call) {
    case "mount":
      return event(texts[0], texts[1], texts[2], Number(record.argument(3)));
    case "umount2":
      return event("", texts[0], "", record.integer(1));
    case "pivot_root":
      return event(texts[0], texts[1]);
    case "chroot":
      return event("", texts[0]);
    case "move_mount":
      return event(paths[0], paths[1]);
    case "open_tree":
      return event(paths[0], "", "", record.integer(2));
    case "fspick":
    case "mount_setattr":
      return event("", paths[0], "", record.integer(2));
    case "fsopen":
      return event("", "", texts[0], record.integer(1));
    case "fsconfig":
      // An option's value and its name.
      return event(texts[1], "", texts[0], record.integer(1));
    case "fsmount":
      return event("", "", "", record.integer(1));
    default:
      return undefined;
  }
}

const IDENTITY = new Set(["setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset"]);

function identity(record: SensorRecord, head: EventHead): IdentityEvent | undefined {
  if (!IDENTITY.has(head.call)) return undefined;
  const { uid, euid, gid } = head.actor;
  const capabilities = record.part(PART.capabilities)?.readBigUInt64LE(0) ?? 0n;
  // setgroups and capset take pointers.
  const args = head.call === "setgroups" || head.call === "capset" ? [] : [0, 1, 2].map((index) => record.integer(index));
  return { ...head, kind: "identity", args, after: { uid, euid, gid, egid: record.number(AT.egid), capabilities } };
}

function numbers(record: SensorRecord, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Number(record.argument(index)));
}
