/**
 * The fallback's half in this thread: numbers of the kernel's process connector, for the processes of watched containers, with
 * what /proc still knows of them. A program whose process was gone at the look is a loss, counted: it ran, and nobody saw what.
 */
import { readdirSync } from "node:fs";
import type { Actor, ExecEvent, ExitEvent, FileFacts, ForkEvent, LossEvent } from "../event.ts";
import { exitOf, wallTime } from "../reader/kernel-values.ts";
import { AT, KIND } from "../reader/record.ts";
import { Layers } from "./layers.ts";
import type { WatchOrder } from "./messages.ts";
import { actorFromProc, programFromProc, spaceNumber } from "./proc-process.ts";

type Unowned<T> = Omit<T, "job" | "container">;
/** An event before its watch has a name. */
export type ConnectorEvent = Unowned<ExecEvent> | Unowned<ExitEvent> | Unowned<ForkEvent>;

export interface ConnectorOptions {
  event(id: number, event: ConnectorEvent): void;
  loss(id: number, where: LossEvent["where"], count: number): void;
  clockOffset(): bigint;
}

/** A process of a watch. */
export interface Member {
  readonly watch: number;
  readonly actor: Actor;
  /** When a look at /proc found it, of the boot clock; undefined where the kernel told that it began. */
  readonly found?: bigint;
}

/** Ended ones that are remembered: what they did may be told after their end. */
const REMEMBERED_ENDED = 4096;

export class Connector {
  readonly #options: ConnectorOptions;
  readonly #members = new Map<number, Member>();
  readonly #ended = new Map<number, Member>();
  readonly #foreign = new WeakSet<Member>();
  readonly #watches = new Map<number, WatchOrder>();
  readonly #layers = new Map<number, Layers>();

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** Whoever is in its namespaces now is looked for. */
  watch(order: WatchOrder): void {
    this.#watches.set(order.id, order);
    this.#layers.set(order.id, Layers.of(order.pid));
    for (const name of readdirSync("/proc")) {
      const pid = Number(name);
      if (Number.isInteger(pid) && !this.#members.has(pid)) this.#enter(pid);
    }
  }

  unwatch(id: number): void {
    this.#watches.delete(id);
    this.#layers.delete(id);
    for (const map of [this.#members, this.#ended]) for (const [pid, member] of map) if (member.watch === id) map.delete(pid);
  }

  /** Nobody listened for a while: whoever is a member has to be found anew. */
  clear(): void {
    for (const one of [this.#members, this.#ended, this.#watches, this.#layers]) one.clear();
  }

  take(bytes: Buffer): void {
    const pid = bytes.readUInt32LE(AT.pid);
    switch (bytes.readUInt16LE(AT.kind)) {
      case KIND.fork:
        this.#forked(bytes, pid);
        break;
      case KIND.exec:
        this.#ran(bytes, pid);
        break;
      case KIND.exit:
        this.#ends(bytes, pid);
        break;
      default:
    }
  }

  /**
   * Whose process this is, for another source's word of what it did. @param ran it runs another program: then also whoever came in from outside.
   */
  owner(pid: number, ran: boolean): Member | undefined {
    return this.#members.get(pid) ?? this.#ended.get(pid) ?? (ran ? this.#enter(pid) : undefined);
  }

  /** What is known of a process that runs another program. */
  runs(pid: number, actor: Actor): void {
    const member = this.#members.get(pid);
    if (member !== undefined) this.#members.set(pid, { ...member, actor });
  }

  /** With whether it is of the image, where that can be known. */
  layered(watch: number, program: FileFacts): FileFacts {
    return { ...program, fresh: this.#layers.get(watch)?.fresh(program) };
  }

  /** Once a process: it used the door for other programs. */
  knowsForeign(member: Member): boolean {
    const known = this.#foreign.has(member);
    this.#foreign.add(member);
    return known;
  }

  #head(ns: bigint, call: string, actor: Actor, result: number): Pick<ConnectorEvent, "time" | "ns" | "actor" | "call" | "result"> {
    return { time: wallTime(ns, this.#options.clockOffset()), ns, actor, call, result };
  }

  #forked(bytes: Buffer, pid: number): void {
    const ns = bytes.readBigUInt64LE(AT.time);
    // A look found it meanwhile.
    if ((this.#members.get(pid)?.found ?? 0n) > ns) return;
    // Whoever had the number before is gone, also when nobody told.
    this.#ended.delete(pid);
    this.#members.delete(pid);
    const parent = this.#members.get(bytes.readUInt32LE(AT.ppid));
    if (parent === undefined || !this.#watches.has(parent.watch)) return;
    // Gone already, it is still somebody: its beginning is when we heard of it.
    const known = actorFromProc(pid);
    const key = known?.key ?? `${pid}:${ns}`;
    const inside = known?.inside ?? { pid: 0, tid: 0, ppid: 0 };
    const actor: Actor = known ?? { ...parent.actor, key, parent: parent.actor.key, pid, tid: pid, ppid: parent.actor.pid, inside };
    this.#members.set(pid, { watch: parent.watch, actor });
    const child = { key, pid, tid: pid, ppid: parent.actor.pid, inside };
    this.#options.event(parent.watch, { ...this.#head(ns, "fork", parent.actor, pid), kind: "fork", child, namespaces: [] });
  }

  #ran(bytes: Buffer, pid: number): void {
    const member = this.#members.get(pid) ?? this.#enter(pid);
    if (member === undefined) return;
    const actor = actorFromProc(pid);
    const program = programFromProc(pid);
    if (actor === undefined || program === undefined) {
      this.#options.loss(member.watch, "untracked", 1);
      return;
    }
    // Its beginning stays what it was when it was heard of first.
    const same: Actor = { ...actor, key: member.actor.key, parent: member.actor.parent };
    this.#members.set(pid, { ...member, actor: same });
    this.#options.event(member.watch, {
      ...this.#head(bytes.readBigUInt64LE(AT.time), "exec", same, 0),
      kind: "exec",
      ...program,
      program: this.layered(member.watch, program.program),
    });
  }

  #ends(bytes: Buffer, pid: number): void {
    const member = this.#members.get(pid);
    if (member === undefined) return;
    this.#members.delete(pid);
    this.#ended.set(pid, member);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > REMEMBERED_ENDED && oldest !== undefined) this.#ended.delete(oldest);
    const result = Number(bytes.readBigInt64LE(AT.result));
    const head = this.#head(bytes.readBigUInt64LE(AT.time), "exit", member.actor, result);
    this.#options.event(member.watch, { ...head, kind: "exit", ...exitOf(result) });
  }

  /** @returns undefined for a process of nobody's. */
  #enter(pid: number): Member | undefined {
    try {
      const spaces = [spaceNumber(pid, "pid"), spaceNumber(pid, "mnt")];
      const order = [...this.#watches.values()].find((one) => spaces.includes(one.pidns) || spaces.includes(one.mntns));
      const actor = order === undefined ? undefined : actorFromProc(pid);
      if (order === undefined || actor === undefined) return undefined;
      const member = { watch: order.id, actor, found: BigInt(Date.now()) * 1_000_000n - this.#options.clockOffset() };
      this.#members.set(pid, member);
      return member;
    } catch {
      return undefined;
    }
  }
}
