/** Whose a process is, by the kernel's numbers alone: as records of the connector say them, for processes that are gone already. */
import { readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { AT, HEAD_SIZE, KIND } from "../reader/record.ts";
import { Connector, type ConnectorEvent } from "./connector.ts";

/** Above every number that the kernel gives. */
const FIRST = 5_000_000;
/** Of the boot clock, ns. */
const LOOK = 10n ** 12n;

function told(kind: number, pid: number, { ppid = 0, time = 1n, result = 0n } = {}): Buffer {
  const bytes = Buffer.alloc(HEAD_SIZE);
  bytes.writeUInt32LE(HEAD_SIZE, AT.size);
  bytes.writeUInt16LE(kind, AT.kind);
  bytes.writeUInt32LE(pid, AT.pid);
  bytes.writeUInt32LE(ppid, AT.ppid);
  bytes.writeBigUInt64LE(time, AT.time);
  bytes.writeBigInt64LE(result, AT.result);
  return bytes;
}

/** This process is a member of watch 8, as if it were a container's, found by a look a while after the boot. */
function withMember(): { readonly connector: Connector; readonly events: ConnectorEvent[] } {
  const events: ConnectorEvent[] = [];
  const clockOffset = (): bigint => BigInt(Date.now()) * 1_000_000n - LOOK;
  const connector = new Connector({ event: (_, event) => void events.push(event), loss: () => undefined, clockOffset });
  connector.watch({ id: 8, pidns: namespaceOf("pid"), mntns: 0, pid: process.pid, rate: 1, env: false });
  return { connector, events };
}

function namespaceOf(name: "pid"): number {
  return Number(/\d+/.exec(readlinkSync(`/proc/self/ns/${name}`))?.[0]);
}

test("children and their children are, in order, and after their end for a while", () => {
  const { connector, events } = withMember();
  connector.take(told(KIND.fork, FIRST, { ppid: process.pid, time: 2n * LOOK }));
  connector.take(told(KIND.fork, FIRST + 1, { ppid: FIRST, time: 2n * LOOK + 1n }));
  expect(events.map(({ kind }) => kind)).toEqual(["fork", "fork"]);
  connector.take(told(KIND.exit, FIRST + 1, { result: 256n }));
  expect(events.at(-1)).toMatchObject({ kind: "exit", code: 1, actor: { pid: FIRST + 1, ppid: FIRST } });
  expect(connector.owner(FIRST + 1, false)?.watch).toBe(8);
});

test("a number that somebody else has now is nobody's, also when the end was never told", () => {
  const { connector } = withMember();
  connector.take(told(KIND.fork, FIRST, { ppid: process.pid, time: 2n * LOOK }));
  expect(connector.owner(FIRST, false)?.watch).toBe(8);
  connector.take(told(KIND.fork, FIRST, { ppid: FIRST + 9, time: 2n * LOOK + 1n }));
  expect(connector.owner(FIRST, false)).toBe(undefined);
});

test("what began before the look that found it does not begin again", () => {
  const { connector, events } = withMember();
  connector.take(told(KIND.fork, process.pid, { ppid: process.pid, time: LOOK / 2n }));
  expect(events).toEqual([]);
  expect(connector.owner(process.pid, false)?.watch).toBe(8);
});

test("after an unwatch, and after nobody listened, it is nobody's", () => {
  const { connector } = withMember();
  connector.unwatch(8);
  expect(connector.owner(process.pid, false)).toBe(undefined);
  connector.clear();
  expect(connector.owner(process.pid, true)).toBe(undefined);
});
