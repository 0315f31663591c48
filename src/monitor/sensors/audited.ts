/**
 * The middle fallback's half in this thread: calls as the kernel's audit tells them, of the whole host. Whose they are is known from who began
 * whom (the process connector's word); what is nobody's is left out. A call's record is completed with who did it and goes the way of
 * all records; a program's is completed with what /proc still knows.
 */
import type { Actor, ExecEvent } from "../event.ts";
import { decodeRecord } from "../reader/decode.ts";
import { AT, KIND, SensorRecord } from "../reader/record.ts";
import type { Connector, Member } from "./connector.ts";
import { withFolders } from "./folders.ts";
import { actorFromProc, programFromProc } from "./proc-process.ts";

export interface AuditedOptions {
  readonly members: Connector;
  /** Of a watch: completed. */
  record(bytes: Buffer): void;
  program(watch: number, event: ExecEvent): void;
  /** One that makes no sense. */
  broken(watch: number): void;
  clockOffset(): bigint;
}

export class Audited {
  readonly #options: AuditedOptions;

  constructor(options: AuditedOptions) {
    this.#options = options;
  }

  take(bytes: Buffer): void {
    const kind = bytes.readUInt16LE(AT.kind);
    const { members } = this.#options;
    if (kind === KIND.fork || kind === KIND.exit) {
      members.take(bytes);
      return;
    }
    const member = members.owner(bytes.readUInt32LE(AT.pid), kind === KIND.exec);
    if (member === undefined || (kind === KIND.foreign && members.knowsForeign(member))) return;
    complete(bytes, member);
    if (kind === KIND.exec) this.#ran(bytes, member);
    else this.#called(bytes, member);
  }

  #called(bytes: Buffer, member: Member): void {
    try {
      this.#options.record(withFolders(bytes));
    } catch {
      this.#options.broken(member.watch);
    }
  }

  #ran(bytes: Buffer, member: Member): void {
    let event: ReturnType<typeof decodeRecord>;
    try {
      event = decodeRecord(new SensorRecord(bytes), { job: "", container: undefined, clockOffset: this.#options.clockOffset() });
    } catch {
      this.#options.broken(member.watch);
      return;
    }
    if (event.kind !== "exec") return;
    const { pid } = event.actor;
    const now = actorFromProc(pid);
    const actor: Actor = { ...event.actor, ...(now && { inside: now.inside, pidns: now.pidns, mntns: now.mntns }) };
    this.#options.members.runs(pid, actor);
    const looked = withLook({ ...event, actor });
    this.#options.program(member.watch, { ...looked, program: this.#options.members.layered(member.watch, looked.program) });
  }
}

/** Who did it, as it is known of this process: audit has the numbers of the host alone. */
function complete(bytes: Buffer, { watch, actor }: Member): void {
  const startOf = (key: string): bigint => BigInt(key.slice(key.indexOf(":") + 1));
  bytes.writeUInt32LE(watch, AT.watch);
  bytes.writeBigUInt64LE(startOf(actor.key), AT.start);
  bytes.writeUInt32LE(Number(actor.parent.slice(0, actor.parent.indexOf(":"))), AT.ppid);
  bytes.writeBigUInt64LE(startOf(actor.parent), AT.parentStart);
  bytes.writeUInt32LE(actor.inside.pid, AT.insidePid);
  bytes.writeUInt32LE(actor.inside.pid, AT.insideTid);
  bytes.writeUInt32LE(actor.inside.ppid, AT.insidePpid);
  bytes.writeUInt32LE(actor.pidns, AT.pidns);
  bytes.writeUInt32LE(actor.mntns, AT.mntns);
  bytes.writeBigUInt64LE(1n, AT.cgroup);
}

/** Size, times and streams are /proc's, while the same file still runs with the same arguments; else they stay unknown. */
function withLook(event: ExecEvent): ExecEvent {
  const look = programFromProc(event.actor.pid);
  const other = { to: "other", id: "" } as const;
  const same = look !== undefined && look.program.path === event.program.path && look.args.join("\0") === event.args.join("\0");
  if (!same) return { ...event, stdio: [other, other, other] };
  return { ...event, program: look.program, stdio: look.stdio, capabilities: look.capabilities };
}
