/** What a condition can ask for: of a program, and of an event and whoever did it. The language is these words and no others. */
import type { Endpoint, FileFacts, OpenEvent, ProcessEvent, ProcessEventKind, SocketFacts, StreamFacts } from "../event.ts";
import { askedName } from "./dns-question.ts";
import { baseOf, type JobProcesses, nameOf, type ProgramFacts, takesCommands } from "./program.ts";

/** What is judged: an event, who did it, and whom to ask about the others. */
export interface Subject {
  readonly event: ProcessEvent;
  /** Of an exec, what runs from then on. */
  readonly program: ProgramFacts | undefined;
  readonly processes: JobProcesses;
}

interface Values {
  readonly text: string;
  readonly number: number;
  readonly flag: boolean;
  readonly texts: readonly string[];
  readonly address: string;
}
export type FieldType = keyof Values;

/** `read` gives undefined for what is not known: every condition on it is then false. */
export type Field<S> = {
  readonly [T in FieldType]: {
    readonly type: T;
    readonly says: string;
    /** Events that have it; undefined: all of them. */
    readonly kinds?: ReadonlySet<ProcessEventKind> | undefined;
    readonly read: (subject: S) => Values[T] | undefined;
  };
}[FieldType];

/** Longest text that is made of arguments. */
const MAX_LINE = 16_384;

export const PROGRAM_FIELDS: ReadonlyMap<string, Field<ProgramFacts>> = new Map<string, Field<ProgramFacts>>([
  ["path", { type: "text", says: "the file that runs, whatever it was called as", read: ({ program }) => program?.path }],
  ["name", { type: "text", says: "its name; of busybox and its like, the one that it was called as", read: (program) => nameOf(program) || undefined }],
  ["script", { type: "text", says: "the name that was asked for: a script's, where path is its interpreter", read: ({ asked }) => asked || undefined }],
  ["args", { type: "texts", says: "its arguments; a condition holds when it holds for one of them", read: ({ args }) => args }],
  ["line", { type: "text", says: "its arguments with spaces between", read: ({ args }) => args.join(" ").slice(0, MAX_LINE) }],
  [
    "takes-commands",
    {
      type: "flag",
      says: "of a shell: it was given neither a command nor a script, and runs what comes in",
      read: (program) => (program.args.length === 0 ? undefined : takesCommands(program)),
    },
  ],
  ["cwd", { type: "text", says: "the folder that it was started in", read: ({ cwd }) => cwd || undefined }],
  ["uid", { type: "number", says: "its effective user, as the host numbers it", read: ({ uid }) => uid }],
  ["fresh", { type: "flag", says: "its file was made or changed since the image", read: ({ program }) => program?.fresh }],
  [
    "memory-only",
    { type: "flag", says: "its file is in no folder: memory, or deleted", read: ({ program }) => program && (program.anonymous || program.unlinked) },
  ],
]);

type Of<K extends ProcessEventKind, E = ProcessEvent> = E extends { readonly kind: infer L } ? ([Extract<L, K>] extends [never] ? never : E) : never;

/** A field of some kinds of events, and its reader, which then gets none but those. */
function of<K extends ProcessEventKind, R>(
  kinds: readonly K[],
  read: (event: Of<K>) => R | undefined,
): { kinds: ReadonlySet<ProcessEventKind>; read: (subject: Subject) => R | undefined } {
  const set: ReadonlySet<ProcessEventKind> = new Set(kinds);
  const has = (event: ProcessEvent): event is Of<K> & ProcessEvent => set.has(event.kind);
  return { kinds: set, read: ({ event }) => (has(event) ? read(event) : undefined) };
}

export const CHANGES = ["unlink", "rename", "link", "symlink", "mkdir", "mknod", "chmod", "chown", "xattr", "truncate"] as const;
const FILES = ["open", "exec-failed", ...CHANGES] as const;
const SOCKETS = ["connect", "bind", "accept", "dup", "dns"] as const;

export const EVENT_FIELDS: ReadonlyMap<string, Field<Subject>> = new Map<string, Field<Subject>>([
  ...[...PROGRAM_FIELDS].map(([name, field]): [string, Field<Subject>] => [`process.${name}`, fieldOf(field, ({ program }) => program)]),
  ["call", { type: "text", says: "the system call", read: ({ event }) => event.call }],
  ["refused", { type: "flag", says: "the kernel said no", read: ({ event }) => event.result < 0 }],

  ["gained", { type: "flag", says: "the program has more rights than its caller had", ...of(["exec"], ({ gained }) => gained) }],
  ["env", { type: "texts", says: "its environment, NAME=VALUE, where that is watched", ...of(["exec"], ({ env }) => env) }],
  [
    "no-arguments",
    {
      type: "flag",
      says: "it was run without even a name of its own",
      ...of(["exec"], ({ args }) => args.length === 0 || (args.length === 1 && args[0] === "")),
    },
  ],
  ["stdin", { type: "text", says: "what its input is: socket, pipe, file, terminal, null, closed, other", ...of(["exec"], ({ stdio }) => stdio[0].to) }],
  ["stdout", { type: "text", says: "what its output is", ...of(["exec"], ({ stdio }) => stdio[1].to) }],
  ["stdin.family", { type: "text", says: "of a socket: inet, inet6, unix, ...", ...of(["exec"], ({ stdio }) => socketOf(stdio[0])?.family) }],

  ["file.path", { type: "text", says: "where the file is; for a refused call, the name that was given", ...of(FILES, (event) => fileOf(event).path) }],
  ["file.name", { type: "text", says: "the last part of its path", ...of(FILES, (event) => baseOf(fileOf(event).path)) }],
  ["file.type", { type: "text", says: "file, directory, link, device, fifo, socket, other", ...of(FILES, (event) => factsOf(fileOf(event))?.type) }],
  ["file.fresh", { type: "flag", says: "made or changed since the image", ...of(FILES, (event) => factsOf(fileOf(event))?.fresh) }],
  ["file.size", { type: "number", says: "bytes", ...of(FILES, (event) => factsOf(fileOf(event))?.size) }],
  ["file.uid", { type: "number", says: "its owner", ...of(FILES, (event) => factsOf(fileOf(event))?.uid) }],
  ["file.process", { type: "text", says: "below /proc: whether it is its own process's, or an other's: own, other", ...of(["open"], processOf) }],
  ["write", { type: "flag", says: "opened to be written", ...of(["open"], ({ access }) => access === "write" || access === "both") }],
  ["read", { type: "flag", says: "opened to be read; told of sensitive names alone", ...of(["open"], ({ access }) => access === "read" || access === "both") }],
  ["create", { type: "flag", says: "made, if it was not there", ...of(["open"], ({ create }) => create) }],
  ["truncate", { type: "flag", says: "emptied as it was opened", ...of(["open"], ({ truncate }) => truncate) }],
  ["sensitive", { type: "flag", says: "its name is on the list of those whose reading is told", ...of(["open"], ({ sensitive }) => sensitive) }],
  ["executable", { type: "flag", says: "chmod, mkdir, mknod: with a bit to be run", ...of(CHANGES, ({ mode }) => bits(mode, 0o111)) }],
  ["setid", { type: "flag", says: "chmod, mknod: set-user-id or set-group-id", ...of(CHANGES, ({ mode }) => bits(mode, 0o6000)) }],
  ["file.executable", { type: "flag", says: "it has a bit to be run", ...of(["open"], ({ file }) => bits(factsOf(file)?.mode, 0o111)) }],
  ["to.path", { type: "text", says: "rename, link: the new name; symlink: what it says", ...of(CHANGES, ({ to }) => to?.path) }],
  ["to.name", { type: "text", says: "the last part of it", ...of(CHANGES, ({ to }) => to && baseOf(to.path)) }],
  [
    "device",
    {
      type: "flag",
      says: "mknod: a device, and no file or fifo",
      ...of(["mknod"], ({ mode }) => (mode === undefined ? undefined : [0o020000, 0o060000].includes(mode & 0o170000))),
    },
  ],
  ["attribute", { type: "text", says: "xattr: its name", ...of(["xattr"], ({ name }) => name) }],

  ["remote.address", { type: "address", says: "who is at the other end", ...of(SOCKETS, ({ socket }) => inet(socket, socket.remote)?.address) }],
  ["remote.port", { type: "number", says: "the port there", ...of(SOCKETS, ({ socket }) => inet(socket, socket.remote)?.port) }],
  [
    "remote",
    { type: "text", says: "both, as ADDRESS:PORT; the path of a unix socket", ...of(SOCKETS, ({ socket: { remote } }) => remote && endpointText(remote)) },
  ],
  ["local.address", { type: "address", says: "its own address", ...of(SOCKETS, ({ socket }) => inet(socket, socket.local)?.address) }],
  ["local.port", { type: "number", says: "its own port", ...of(SOCKETS, ({ socket }) => inet(socket, socket.local)?.port) }],
  ["family", { type: "text", says: "inet, inet6, unix, packet, ...", ...of(SOCKETS, ({ socket }) => socket.family) }],
  ["socket", { type: "text", says: "stream, datagram, raw, other", ...of(SOCKETS, ({ socket }) => socket.type) }],
  ["descriptor", { type: "number", says: "dup: 0, 1 or 2", ...of(["dup"], ({ descriptor }) => descriptor) }],
  ["dns.name", { type: "text", says: "the name that was asked for", ...of(["dns"], ({ payload }) => askedName(payload)?.name) }],
  ["dns.domain", { type: "text", says: "its last two parts", ...of(["dns"], ({ payload }) => askedName(payload)?.domain) }],
  ["dns.label", { type: "number", says: "bytes of its longest part", ...of(["dns"], ({ payload }) => askedName(payload)?.longest) }],

  ["request", { type: "number", says: "ptrace: its number", ...of(["ptrace"], ({ request }) => request) }],
  ["write-memory", { type: "flag", says: "memory of another process is written", ...of(["memory"], ({ write }) => write) }],
  ["namespaces", { type: "texts", says: "user, pid, mount, network, uts, ipc, cgroup, time", ...of(["namespace", "fork"], ({ namespaces }) => namespaces) }],
  ["mount.source", { type: "text", says: "as it was given", ...of(["mount"], ({ source }) => source) }],
  ["mount.target", { type: "text", says: "as it was given", ...of(["mount"], ({ target }) => target) }],
  ["mount.type", { type: "text", says: "as it was given", ...of(["mount"], ({ type }) => type) }],
  ["after.uid", { type: "number", says: "its user after the call", ...of(["identity"], ({ after }) => after.euid) }],
  ["changes-user", { type: "flag", says: "it is not the user that its program was started as", kinds: new Set(["identity"]), read: changesUser }],
  ["memfd.name", { type: "text", says: "the name that it gave", ...of(["memfd"], ({ name }) => name) }],
]);

/** A field of programs as one of what has a program, or knows of none. */
export function fieldOf<S>(field: Field<ProgramFacts>, programOf: (subject: S) => ProgramFacts | undefined): Field<S> {
  const reads =
    <V>(read: (program: ProgramFacts) => V | undefined) =>
    (subject: S): V | undefined => {
      const program = programOf(subject);
      return program && read(program);
    };
  // One case a type: functions of different types have no call in common.
  switch (field.type) {
    case "number":
      return { ...field, read: reads(field.read) };
    case "flag":
      return { ...field, read: reads(field.read) };
    case "texts":
      return { ...field, read: reads(field.read) };
    default:
      return { ...field, read: reads(field.read) };
  }
}

function fileOf(event: Of<(typeof FILES)[number]>): { readonly path: string } {
  return event.kind === "exec-failed" ? event.path : event.file;
}

function processOf({ file: { path }, actor }: OpenEvent): "own" | "other" | undefined {
  const number = /^\/proc\/(\d+)\//.exec(path)?.[1];
  return number === undefined ? undefined : Number(number) === actor.inside.pid ? "own" : "other";
}

function changesUser({ event, program }: Subject): boolean | undefined {
  return event.kind !== "identity" || program === undefined ? undefined : event.after.euid !== program.uid;
}

function factsOf(file: object): FileFacts | undefined {
  return isFacts(file) ? file : undefined;
}

function isFacts(file: object): file is FileFacts {
  return "id" in file;
}

function socketOf(stream: StreamFacts): SocketFacts | undefined {
  return stream.to === "socket" ? stream.socket : undefined;
}

function inet({ family }: SocketFacts, endpoint: Endpoint | undefined): Endpoint | undefined {
  return family === "inet" || family === "inet6" ? endpoint : undefined;
}

function bits(mode: number | undefined, mask: number): boolean | undefined {
  return mode === undefined ? undefined : (mode & mask) !== 0;
}

export function endpointText({ address, port }: Endpoint): string {
  if (port === 0 && !/^[\d.]+$/.test(address)) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
