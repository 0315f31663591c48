/** Files, sockets and streams from the parts of a record. */
import type { ClaimedPath, FileFacts, SocketFacts, StreamFacts } from "../event.ts";
import { addressOf, endpointOf, FAMILY, unixName } from "./address.ts";
import { fileId, milliseconds, streamKind, TYPE_OF_MODE } from "./kernel-values.ts";
import { broken, PART, type Part, type SensorRecord } from "./record.ts";
import { pieces, textOf } from "./text.ts";

const PATH_HEAD = 8;
const FILE_SIZE = 72;
const SOCKET_SIZE = 56;
const STREAM_SIZE = 40;
const WHOLE = 0;
const DETACHED = 2;
const OVERLAY = 1;
const UPPER = 2;
const INTERNAL = 4;
const PARTIAL = 8;
const MOST_CLAIMED = 4095;
const TYPES: ReadonlyMap<number, FileFacts["type"]> = new Map([
  [0o100000, "file"],
  [0o040000, "directory"],
  [0o120000, "link"],
  [0o020000, "device"],
  [0o060000, "device"],
  [0o010000, "fifo"],
  [0o140000, "socket"],
]);
const FAMILIES: ReadonlyMap<number, SocketFacts["family"]> = new Map([
  [FAMILY.inet, "inet"],
  [FAMILY.inet6, "inet6"],
  [FAMILY.unix, "unix"],
  [FAMILY.netlink, "netlink"],
  [FAMILY.packet, "packet"],
  [FAMILY.vsock, "vsock"],
]);
const SOCKET_TYPES: ReadonlyMap<number, SocketFacts["type"]> = new Map([
  [1, "stream"],
  [2, "datagram"],
  [3, "raw"],
]);

export interface KernelPath {
  readonly path: string;
  readonly cut: boolean;
}

/** Names from the last to the first. A part that has none is the root. */
export function pathOf(content: Buffer): KernelPath {
  need(content, PATH_HEAD, "path");
  const state = content.readUInt32LE(0);
  const names = pieces(content.subarray(PATH_HEAD)).map(textOf).reverse();
  // A file system that is mounted nowhere has a root whose name is `/`.
  if (state === DETACHED && names[0] === "/") names.shift();
  const path = names.join("/");
  return state === WHOLE ? { path: `/${path}`, cut: false } : { path: `.../${path}`, cut: true };
}

/** The file of a record, from the kernel's memory. */
export function fileOf(record: SensorRecord): FileFacts | undefined {
  const content = record.part(PART.file);
  if (content === undefined) return undefined;
  need(content, FILE_SIZE, "file");
  const mode = content.readUInt32LE(48);
  const flags = content.readUInt32LE(60);
  const anonymous = (flags & INTERNAL) !== 0;
  const found = record.part(PART.path);
  const { path, cut } = found === undefined ? { path: "", cut: true } : pathOf(found);
  const unknown = (flags & PARTIAL) !== 0;
  return {
    // A memfd's name is what follows "memfd:", and no path.
    path: anonymous ? path.replace(/^\.\.\.\//, "") : path,
    cut: cut && !anonymous,
    id: fileId(content.readBigUInt64LE(0), content.readBigUInt64LE(8)),
    type: TYPES.get(mode & TYPE_OF_MODE) ?? "other",
    mode: mode & 0o7777,
    uid: content.readUInt32LE(52),
    size: unknown ? -1 : Number(content.readBigUInt64LE(16)),
    mtime: unknown ? -1 : milliseconds(content.readBigInt64LE(24), content.readUInt32LE(40)),
    ctime: unknown ? -1 : milliseconds(content.readBigInt64LE(32), content.readUInt32LE(44)),
    unlinked: content.readUInt32LE(56) === 0,
    anonymous,
    fresh: (flags & OVERLAY) === 0 ? undefined : (flags & UPPER) !== 0,
  };
}

/** Texts that the process passed, as they are: for what is no path. */
export function claimsOf(record: SensorRecord): readonly string[] {
  return record.all(PART.claim).map(textOf);
}

/** Names that the process passed, each made absolute with the folder in front of it. */
export function claimedPaths(record: SensorRecord): ClaimedPath[] {
  const found: ClaimedPath[] = [];
  let base: KernelPath | undefined;
  for (const { type, content } of record.parts) {
    if (type === PART.base) base = pathOf(content);
    if (type !== PART.claim) continue;
    const text = textOf(content);
    const path = text.startsWith("/") || base === undefined ? text : `${base.path.replace(/\/$/, "")}/${text}`;
    found.push({ path, cut: content.length >= MOST_CLAIMED || (base?.cut ?? false), claimed: true });
    base = undefined;
  }
  return found;
}

/** The socket that a call was about, with the address that the process passed where the kernel has none. */
export function socketOf(record: SensorRecord, passed: "local" | "remote"): SocketFacts | undefined {
  const at = record.parts.findIndex((part) => part.type === PART.socket && part.content.readUInt32LE(0) === 0);
  if (at < 0) return undefined;
  const socket = socketAt(record.parts, at);
  const address = record.part(PART.address);
  const claimed = socket[passed] === undefined && address !== undefined ? endpointOf(address) : undefined;
  return claimed === undefined ? socket : { ...socket, [passed]: claimed, claimed: true };
}

/** What is known of a socket by nothing but an address that was passed. */
export function passedSocket(address: Buffer | undefined, passed: "local" | "remote"): SocketFacts {
  const family = address !== undefined && address.length >= 2 ? FAMILIES.get(address.readUInt16LE(0)) : undefined;
  const end = address && endpointOf(address);
  const nowhere = { local: undefined, remote: undefined };
  return { family: family ?? "other", type: "other", protocol: 0, inode: "", ...nowhere, [passed]: end, claimed: true };
}

/** Descriptors 0, 1 and 2 at an exec. */
export function streamsOf(record: SensorRecord): readonly [StreamFacts, StreamFacts, StreamFacts] {
  const streams: StreamFacts[] = [];
  for (const content of record.all(PART.stream)) {
    need(content, STREAM_SIZE, "stream");
    const slot = content.readUInt32LE(0) + 1;
    const at = record.parts.findIndex((part) => part.type === PART.socket && part.content.readUInt32LE(0) === slot);
    streams.push(streamOf(content, at < 0 ? undefined : socketAt(record.parts, at)));
  }
  const closed: StreamFacts = { to: "closed" };
  return [streams[0] ?? closed, streams[1] ?? closed, streams[2] ?? closed];
}

function streamOf(content: Buffer, socket: SocketFacts | undefined): StreamFacts {
  const mode = content.readUInt32LE(4);
  const id = fileId(content.readBigUInt64LE(8), content.readBigUInt64LE(16));
  if ((mode & TYPE_OF_MODE) === 0) return { to: "closed" };
  if (socket !== undefined) return { to: "socket", id, socket };
  return { to: streamKind(mode, content.readBigUInt64LE(24)), id };
}

/** The socket part at a place, and the names that follow it. */
function socketAt(parts: readonly Part[], at: number): SocketFacts {
  const content = parts[at]?.content ?? Buffer.alloc(0);
  need(content, SOCKET_SIZE, "socket");
  const family = content.readUInt16LE(4);
  const base = {
    family: FAMILIES.get(family) ?? "other",
    type: SOCKET_TYPES.get(content.readUInt16LE(6)) ?? "other",
    protocol: content.readUInt16LE(8),
    inode: content.readBigUInt64LE(16).toString(),
    claimed: false,
  };
  if (family === FAMILY.inet || family === FAMILY.inet6) {
    const size = family === FAMILY.inet ? 4 : 16;
    const end = (port: number, from: number): SocketFacts["local"] =>
      port === 0 ? undefined : { address: addressOf(content.subarray(from, from + size)), port };
    return { ...base, local: end(content.readUInt16LE(12), 24), remote: end(content.readUInt16LE(14), 40) };
  }
  // Of this socket alone: another's part ends the search.
  const next = parts.findIndex((part, i) => i > at && part.type === PART.socket);
  const own = parts.slice(at + 1, next < 0 ? undefined : next);
  const named = (type: number): SocketFacts["local"] => {
    const name = own.find((part) => part.type === type);
    return name === undefined ? undefined : unixName(name.content);
  };
  return { ...base, local: named(PART.nameLocal), remote: named(PART.nameRemote) };
}

function need(content: Buffer, size: number, what: string): void {
  if (content.length < size) throw broken(`a ${what} of ${content.length} bytes`);
}
