/**
 * Events written in short, for tests of rules: what processes do, one step after the other. A step names what it does
 * (`exec: /usr/bin/nc`), by whom (`by: NAME`; else the process of the last exec), and what about it matters; the rest is as it
 * usually is. Process `job` is there from the start: /bin/sh of the image.
 */
import { isIP } from "node:net";
import { z } from "zod";
import { parseDuration } from "../../foundation/index.ts";
import type { Actor, Endpoint, FileFacts, ForkEvent, Namespace, ProcessEvent, SocketFacts, StreamFacts } from "../event.ts";
import { CHANGES } from "./fields.ts";
import { wrong } from "./match.ts";

/** `pipe:NAME` is the same pipe wherever it is named; `pipe` is one of its own. */
type Stream = StreamFacts["to"] | `pipe:${string}`;
type TextKey = "exec" | "exec-failed" | "open" | (typeof CHANGES)[number] | "connect" | "bind" | "accept" | "dns" | "mount" | "module" | "kernel" | "memfd";
type AboutKey = "by" | "as" | "replaces" | "every" | "to" | "attribute" | "type" | "remote" | "source" | "call";
type NumberKey = "exit" | "ptrace" | "identity" | "foreign" | "dup" | "uid" | "times" | "mode";
type FlagKey = "refused" | "fresh" | "memory-only" | "gained" | "write" | "create" | "truncated" | "sensitive" | "executable" | "datagram";

export type Step = { readonly [K in TextKey | AboutKey]?: string | undefined } & { readonly [K in NumberKey]?: number | undefined } & {
  readonly [K in FlagKey]?: boolean | undefined;
} & {
  readonly memory?: "read" | "write" | undefined;
  readonly namespace?: readonly Namespace[] | undefined;
  readonly args?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly stdin?: Stream | undefined;
  readonly stdout?: Stream | undefined;
  readonly family?: SocketFacts["family"] | undefined;
};

const text = z.string().max(1000);
const flag = z.boolean();
const STREAMS = ["closed", "file", "terminal", "pipe", "null", "other", "socket"] as const;
const FAMILIES = ["inet", "inet6", "unix", "netlink", "packet", "vsock", "other"] as const;
const NAMESPACES = ["user", "pid", "mount", "network", "uts", "ipc", "cgroup", "time"] as const;

const namedPipe = z.custom<`pipe:${string}`>((value) => typeof value === "string" && /^pipe:[a-z0-9-]{1,32}$/.test(value), "pipe:NAME");
const stream = z.union([z.enum(STREAMS), namedPipe]);

/** What a step does: one of these. */
const verbs = {
  ...{ exec: text, "exec-failed": text, exit: z.int(), open: text },
  ...{ unlink: text, rename: text, link: text, symlink: text, mkdir: text, mknod: text, chmod: text, chown: text, xattr: text, truncate: text },
  ...{ connect: text, bind: text, accept: text, dns: text, dup: z.int().min(0).max(2) },
  ...{ ptrace: z.int(), memory: z.enum(["read", "write"]), namespace: z.array(z.enum(NAMESPACES)), mount: text, identity: z.int() },
  ...{ module: text, kernel: text, memfd: text, foreign: z.int() },
};
const about = {
  ...{ by: text, as: text, replaces: text, refused: flag, uid: z.int(), times: z.int().min(1).max(10_000), every: text },
  ...{ args: z.array(text), env: z.array(text), fresh: flag, "memory-only": flag, gained: flag, stdin: stream, stdout: stream },
  ...{ write: flag, create: flag, truncated: flag, sensitive: flag, executable: flag, to: text, mode: z.int(), attribute: text, type: text },
  ...{ remote: text, family: z.enum(FAMILIES), datagram: flag, source: text, call: text },
};

const stepSchema: z.ZodType<Step> = z
  .strictObject({ ...verbs, ...about })
  .partial()
  .refine((step) => Object.keys(step).filter((key) => Object.hasOwn(verbs, key)).length === 1, "a step does one thing: exec, open, connect, ...");

export interface RuleTest {
  readonly rule: string;
  readonly name?: string | undefined;
  /** Whether the rule is to say something. Default true. */
  readonly finds?: boolean | undefined;
  readonly events: readonly Step[];
}

export const ruleTestsSchema: z.ZodType<{ readonly tests: readonly RuleTest[] }> = z.strictObject({
  tests: z.array(z.strictObject({ rule: text, name: text.optional(), finds: flag.optional(), events: z.array(stepSchema).min(1).max(100) })).max(2000),
});

type EventBase = Omit<ForkEvent, "kind" | "child" | "namespaces">;

const BEGIN = 1_767_225_600_000;
const FIRST = "1:0";
const STEP = 1;

/** Makes the events of steps, one at a time. */
export class Scenario {
  readonly #keys = new Map<string, string>([["job", FIRST]]);
  readonly #parents = new Map<string, string>([[FIRST, "0:0"]]);
  readonly #files = new Map<string, string>();
  readonly #where: string;
  #last = FIRST;
  #pipes = 0;
  #pid = 1;
  #time: number = BEGIN;

  constructor(where: string) {
    this.#where = where;
  }

  /** What there is before the first step. */
  *begin(): Generator<ProcessEvent, void, undefined> {
    yield this.#exec({ exec: "/bin/sh", args: ["sh", "build.sh"] }, this.#actor(FIRST, 0));
  }

  /** Throws INVALID_ARGUMENT for a step that names a process that there is not. */
  *take(step: Step): Generator<ProcessEvent, void, undefined> {
    const { times = 1, every } = step;
    for (let n = 0; n < times; n++) {
      this.#time += every === undefined ? STEP : parseDuration(every);
      yield* this.#one(numbered(step, n));
    }
  }

  *#one(step: Step): Generator<ProcessEvent, void, undefined> {
    const { uid = 0 } = step;
    if (step.exec === undefined) {
      yield this.#event(step, this.#actor(this.#key(step.by) ?? this.#last, uid));
      return;
    }
    const replaced = this.#key(step.replaces);
    if (replaced === undefined) {
      const parent = this.#actor(this.#key(step.by) ?? FIRST, 0);
      const pid = ++this.#pid;
      const key = `${pid}:${pid}`;
      this.#parents.set(key, parent.key);
      const child = { pid, tid: pid, ppid: parent.pid, inside: { pid, tid: pid, ppid: parent.pid }, key };
      yield { ...this.#base(parent, "fork"), kind: "fork", child, namespaces: [] };
      this.#last = key;
    } else this.#last = replaced;
    if (step.as !== undefined) this.#keys.set(step.as, this.#last);
    yield this.#exec(step, this.#actor(this.#last, uid));
  }

  #exec(step: Step, actor: Actor): ProcessEvent {
    const { exec = "", args = [exec], env, gained = false } = step;
    const program = { ...this.#file(exec, step), mode: 0o755, anonymous: step["memory-only"] === true };
    return {
      ...{ ...this.#base(actor, "execve"), kind: "exec", program, asked: exec, args, argsBytes: args.join("").length, argsCut: false },
      ...{
        env,
        cwd: "/workspace",
        gained,
        capabilities: 0n,
        stdio: [this.#stream(step.stdin, step), this.#stream(step.stdout, step), { to: "pipe", id: "0:1" }],
      },
    };
  }

  #event(step: Step, actor: Actor): ProcessEvent {
    const base = this.#base(actor, step.call ?? verbOf(step), step.refused === true ? -13 : 0);
    for (const kind of CHANGES) {
      const path = step[kind];
      if (path === undefined) continue;
      const to = step.to === undefined ? undefined : ({ path: step.to, cut: false, claimed: true } as const);
      return { ...base, kind, file: this.#file(path, step), to, mode: step.mode, uid: undefined, gid: undefined, name: step.attribute };
    }
    if (step["exec-failed"] !== undefined) return { ...base, result: -13, kind: "exec-failed", path: { path: step["exec-failed"], cut: false, claimed: true } };
    if (step.exit !== undefined) return { ...base, kind: "exit", code: step.exit, signal: 0 };
    if (step.open !== undefined) return this.#open(step, step.open, base);
    if (step.connect !== undefined) return { ...base, kind: "connect", socket: this.#socket(step, undefined, endpoint(step.connect)) };
    if (step.bind !== undefined) return { ...base, kind: "bind", socket: this.#socket(step, endpoint(step.bind), undefined) };
    if (step.accept !== undefined) return { ...base, kind: "accept", socket: this.#socket(step, { address: "10.0.0.2", port: 80 }, endpoint(step.accept)) };
    if (step.dns !== undefined)
      return { ...base, kind: "dns", socket: this.#socket(step, undefined, { address: "10.0.0.1", port: 53 }), payload: question(step.dns) };
    if (step.dup === 0 || step.dup === 1 || step.dup === 2)
      return { ...base, kind: "dup", descriptor: step.dup, socket: this.#socket(step, undefined, endpoint(step.remote ?? "203.0.113.7:4444")) };
    if (step.ptrace !== undefined) return { ...base, kind: "ptrace", request: step.ptrace, target: 1 };
    if (step.memory !== undefined) return { ...base, kind: "memory", target: 1, write: step.memory === "write" };
    if (step.namespace !== undefined) return { ...base, kind: "namespace", flags: 0, namespaces: step.namespace, file: undefined };
    if (step.mount !== undefined) return { ...base, kind: "mount", source: step.source ?? "none", target: step.mount, type: step.type ?? "tmpfs", flags: 0 };
    if (step.identity !== undefined) {
      const after = { uid: step.identity, euid: step.identity, gid: 0, egid: 0, capabilities: 0n };
      return { ...base, call: "setuid", kind: "identity", args: [step.identity], after };
    }
    if (step.module !== undefined) return { ...base, kind: "module", file: this.#file(step.module, step), name: undefined };
    if (step.memfd !== undefined) return { ...base, kind: "memfd", name: step.memfd, flags: 0 };
    if (step.foreign !== undefined) return { ...base, kind: "foreign", number: step.foreign };
    return { ...base, call: step.kernel ?? "", kind: "kernel", args: [], texts: [] };
  }

  #open(step: Step, path: string, base: EventBase): ProcessEvent {
    const { write = false, create = false, truncated = false, sensitive = !write, refused = false } = step;
    const file = refused ? ({ path, cut: false, claimed: true } as const) : { ...this.#file(path, step), mode: step.executable === true ? 0o755 : 0o644 };
    return { ...base, kind: "open", file, access: write ? "write" : "read", create, truncate: truncated, append: false, sensitive };
  }

  #base(actor: Actor, call: string, result = 0): EventBase {
    return { time: this.#time, ns: BigInt(this.#time) * 1_000_000n, job: "test", container: "test", actor, call, result };
  }

  #actor(key: string, uid: number): Actor {
    const pid = Number(key.split(":")[0]);
    const parent = this.#parents.get(key) ?? "0:0";
    const ppid = Number(parent.split(":")[0]);
    const numbers = { pid, tid: pid, ppid, inside: { pid, tid: pid, ppid } };
    return { ...numbers, key, parent, uid, euid: uid, gid: uid, name: "", pidns: 1, mntns: 1, cgroup: "1" };
  }

  #file(path: string, { fresh = false, type = "file" }: Step): FileFacts {
    const id = this.#files.get(path) ?? `1:${this.#files.size.toString(16)}`;
    this.#files.set(path, id);
    const kind = type === "directory" || type === "device" ? type : "file";
    return {
      ...{ path, cut: false, id, type: kind, mode: 0o644, uid: 0, size: 1000, mtime: this.#time, ctime: this.#time },
      ...{ unlinked: false, anonymous: false, fresh },
    };
  }

  #stream(to: Stream = "pipe", step: Step): StreamFacts {
    if (to === "closed") return { to };
    if (to === "socket") return { to, id: "0:2", socket: this.#socket(step, undefined, endpoint(step.remote ?? "203.0.113.7:4444")) };
    if (to === "pipe") return { to, id: `pipe ${++this.#pipes}` };
    if (isNamed(to)) return { to: "pipe", id: to };
    return { to, id: "0:1" };
  }

  #socket({ family, datagram = false }: Step, local: Endpoint | undefined, remote: Endpoint | undefined): SocketFacts {
    const address = (remote ?? local)?.address ?? "";
    const own = family ?? (isIP(address) === 6 ? "inet6" : isIP(address) === 4 ? "inet" : "unix");
    return { family: own, type: datagram ? "datagram" : "stream", protocol: 0, inode: "2", local, remote, claimed: false };
  }

  #key(name: string | undefined): string | undefined {
    if (name === undefined) return undefined;
    const key = this.#keys.get(name);
    if (key === undefined) throw wrong(this.#where, `no process ${name} before this step`);
    return key;
  }
}

function isNamed(stream: Stream): stream is `pipe:${string}` {
  return stream.startsWith("pipe:");
}

function verbOf(step: Step): string {
  return Object.keys(step).find((key) => Object.hasOwn(verbs, key)) ?? "";
}

/** `{n}` in texts of a step that is repeated is its number. */
function numbered(step: Step, n: number): Step {
  const put = (value: unknown): unknown => (typeof value === "string" ? value.replaceAll("{n}", String(n)) : value);
  return stepSchema.parse(Object.fromEntries(Object.entries(step).map(([key, value]) => [key, put(value)])));
}

function endpoint(written: string): Endpoint {
  const [, address = written, port = "0"] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(written) ?? [];
  return { address, port: Number(port) };
}

function question(name: string): Uint8Array {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}
