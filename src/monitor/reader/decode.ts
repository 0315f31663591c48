/** Records into events. */
import type { Actor, ExecEvent, ForeignEvent, ForkEvent, ProcessEvent } from "../event.ts";
import { callEvent } from "./call-event.ts";
import { CALL_NAMES } from "./calls.ts";
import { fileOf, pathOf, streamsOf } from "./facts.ts";
import { exitOf, wallTime } from "./kernel-values.ts";
import { namespacesOf } from "./namespaces.ts";
import { AT, broken, KIND, PART, type SensorRecord } from "./record.ts";
import { pieces, textOf, untilNul } from "./text.ts";

/** Whose a record is, and when it was: what a record itself does not hold. */
export interface RecordContext {
  readonly job: string;
  readonly container: string | undefined;
  /** Wall time minus the boot clock, ns. */
  readonly clockOffset: bigint;
}

/** What every event has. */
export type EventHead = Pick<ProcessEvent, "time" | "ns" | "job" | "container" | "actor" | "call" | "result">;

/** Throws BrokenRecord, or RangeError for a part that is too short, when the record is none of native/sensor/record.h. */
export function decodeRecord(record: SensorRecord, context: RecordContext): ProcessEvent {
  const head = headOf(record, context);
  switch (record.kind) {
    case KIND.exec:
      return execOf(record, head);
    case KIND.exit:
      return { ...head, kind: "exit", ...exitOf(head.result) };
    case KIND.fork:
      return forkOf(record, head);
    case KIND.foreign:
      return foreignOf(record, head);
    case KIND.call:
      return callEvent(record, head);
    default:
      throw broken(`a record of kind ${record.kind}`);
  }
}

function headOf(record: SensorRecord, { job, container, clockOffset }: RecordContext): EventHead {
  const ns = record.time;
  const call = record.kind === KIND.call ? CALL_NAMES[record.call] : kindName(record.kind);
  if (call === undefined) throw broken(`call number ${record.call}`);
  return { time: wallTime(ns, clockOffset), ns, job, container, actor: actorOf(record), call, result: record.result };
}

function kindName(kind: number): string {
  return kind === KIND.exec ? "exec" : kind === KIND.exit ? "exit" : kind === KIND.fork ? "fork" : "foreign";
}

function actorOf(record: SensorRecord): Actor {
  const pid = record.number(AT.pid);
  const ppid = record.number(AT.ppid);
  return {
    key: `${pid}:${record.wide(AT.start)}`,
    parent: `${ppid}:${record.wide(AT.parentStart)}`,
    pid,
    tid: record.number(AT.tid),
    ppid,
    inside: { pid: record.number(AT.insidePid), tid: record.number(AT.insideTid), ppid: record.number(AT.insidePpid) },
    uid: record.number(AT.uid),
    euid: record.number(AT.euid),
    gid: record.number(AT.gid),
    name: textOf(untilNul(record.bytes.subarray(AT.name, AT.name + 16))),
    pidns: record.number(AT.pidns),
    mntns: record.number(AT.mntns),
    cgroup: record.wide(AT.cgroup).toString(),
  };
}

function execOf(record: SensorRecord, head: EventHead): ExecEvent {
  const program = fileOf(record);
  const numbers = record.part(PART.program);
  const argv = record.part(PART.argv) ?? Buffer.alloc(0);
  if (program === undefined || numbers === undefined) throw broken("an exec without its program");
  const argsBytes = Number(numbers.readBigUInt64LE(0));
  const env = record.part(PART.env);
  const cwd = record.part(PART.cwd);
  return {
    ...head,
    kind: "exec",
    program,
    asked: textOf(record.part(PART.asked) ?? Buffer.alloc(0)),
    args: pieces(argv).map(textOf),
    argsBytes,
    argsCut: argv.length < argsBytes,
    env: env === undefined ? undefined : pieces(env).map(textOf),
    cwd: cwd === undefined ? "" : pathOf(cwd).path,
    stdio: streamsOf(record),
    gained: numbers.readUInt32LE(16) !== 0,
    capabilities: record.part(PART.capabilities)?.readBigUInt64LE(0) ?? 0n,
  };
}

function forkOf(record: SensorRecord, head: EventHead): ForkEvent {
  const child = record.part(PART.child);
  if (child === undefined) throw broken("a fork without its child");
  const pid = child.readUInt32LE(8);
  return {
    ...head,
    kind: "fork",
    child: {
      key: `${pid}:${child.readBigUInt64LE(0)}`,
      pid,
      tid: child.readUInt32LE(12),
      ppid: head.actor.pid,
      inside: { pid: child.readUInt32LE(16), tid: child.readUInt32LE(20), ppid: head.actor.inside.pid },
    },
    namespaces: namespacesOf(child.readUInt32LE(24)),
  };
}

function foreignOf(record: SensorRecord, head: EventHead): ForeignEvent {
  return { ...head, kind: "foreign", number: record.number(AT.number) };
}
