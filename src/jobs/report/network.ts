/** What a report says of the network: by destination, what was asked of the resolver, what was dropped. */
import { z } from "zod";
import type { Talker } from "../../monitor/index.ts";
import type { IsolatedNetwork, NetworkTraffic, TrafficConnection, TrafficLookup } from "../../network/index.ts";
import type { Bounds } from "./bounds.ts";

export interface JobConnection extends Omit<TrafficConnection, "source"> {
  /** Who tried first, as far as the monitor saw it: the job's own number of the process, and its program's file. */
  readonly by?: { readonly pid: number; readonly program?: string | undefined } | undefined;
}

/** Absent lists: there was no network. */
export interface JobNetwork {
  readonly mode: "none" | IsolatedNetwork["mode"];
  /** The job's own range, as CIDR. */
  readonly subnet?: string | undefined;
  /** Bytes on the wire, from the job and to it. */
  readonly sent?: number | undefined;
  readonly received?: number | undefined;
  readonly connections?: readonly JobConnection[] | undefined;
  readonly dns?: readonly TrafficLookup[] | undefined;
  /** Packets that were dropped before any socket, by what they were. */
  readonly dropped?: readonly { readonly kind: string; readonly means: string; readonly packets: number }[] | undefined;
  /** Attempts that are in no list, since there were too many different ones. */
  readonly coalesced?: number | undefined;
  /** What is odd about its rules, and how that was decided. */
  readonly notes?: readonly string[] | undefined;
  /** Why there are no figures of the kernel. */
  readonly notMeasured?: string | undefined;
}

const text = z.string().max(16_384);
const texts = z.array(text);
const count = z.int().min(0);
const verdict = z.enum(["allowed", "refused", "observed"]);

export const jobNetworkSchema: z.ZodType<JobNetwork> = z.strictObject({
  mode: z.enum(["none", "strict", "moderate", "relaxed"]),
  subnet: text.optional(),
  sent: count.optional(),
  received: count.optional(),
  connections: z
    .array(
      z.strictObject({
        proto: z.enum(["tcp", "udp", "icmp", "other"]),
        dst: text,
        port: count.optional(),
        domain: text.optional(),
        verdict,
        rule: text,
        sent: count,
        received: count,
        tries: count,
        by: z.strictObject({ pid: count, program: text.optional() }).optional(),
        requests: texts.optional(),
        first: count,
        last: count,
      }),
    )
    .optional(),
  dns: z.array(z.strictObject({ name: text, type: text, answers: z.array(text), verdict, tries: count })).optional(),
  dropped: z.array(z.strictObject({ kind: text, means: text, packets: count })).optional(),
  coalesced: count.optional(),
  notes: texts.optional(),
  notMeasured: text.optional(),
});

/** @param network undefined: the job has none. @param talkers who made its connections, as far as the monitor saw it. */
export function networkFacts(
  network: IsolatedNetwork | undefined,
  traffic: NetworkTraffic | undefined,
  notes: readonly string[],
  talkers: readonly Talker[],
): JobNetwork {
  if (network === undefined) return { mode: "none" };
  const { mode, subnet } = network;
  if (traffic === undefined) return { mode, subnet, notes, notMeasured: "it was gone before anybody could look" };
  const { sent, received, connections, dns, dropped, coalesced, notMeasured } = traffic;
  return {
    ...{ mode, subnet, sent: sent.bytes, received: received.bytes, connections: connections.map((one) => withTalker(one, talkers)), dns, coalesced, notes },
    dropped: dropped.map(({ kind, means, packets }) => ({ kind, means, packets })),
    ...(notMeasured === undefined ? {} : { notMeasured }),
  };
}

function withTalker({ source, ...connection }: TrafficConnection, talkers: readonly Talker[]): JobConnection {
  const { proto, first } = connection;
  const talker = source === undefined || (proto !== "tcp" && proto !== "udp") ? undefined : talkerAt(talkers, proto, source, first);
  if (talker === undefined) return connection;
  const { pid, program } = talker;
  return { ...connection, by: { pid, ...(program === undefined ? {} : { program }) } };
}

/** ms that an event of the kernel and the gateway's look at the same connection may be apart. */
const APART = 200;

/** Of those that had the port one after the other, the last one by then. */
function talkerAt(talkers: readonly Talker[], protocol: Talker["protocol"], port: number, at: number): Talker | undefined {
  const had = talkers.filter((one) => one.port === port && one.protocol === protocol && one.time <= at + APART);
  return had.reduce<Talker | undefined>((last, one) => (last === undefined || one.time >= last.time ? one : last), undefined);
}

interface Share {
  readonly count: number;
  readonly bytes: number;
}

/** Refused ones first, so that they are the last to be left out. */
export function boundedNetwork(
  network: JobNetwork,
  bounds: Bounds,
  share: { readonly connections: Share; readonly dns: Share; readonly notes: Share },
  short: (text: string) => string,
): JobNetwork {
  const { connections, dns, notes, notMeasured } = network;
  return {
    ...network,
    ...(connections === undefined
      ? {}
      : {
          connections: bounds.list("network.connections", refusedFirst(connections), share.connections, (one) => ({
            ...one,
            dst: short(one.dst),
            rule: short(one.rule),
            ...(one.domain === undefined ? {} : { domain: short(one.domain) }),
            ...(one.by?.program === undefined ? {} : { by: { ...one.by, program: short(one.by.program) } }),
            ...(one.requests === undefined ? {} : { requests: one.requests.slice(0, MAX_REQUESTS).map(short) }),
          })),
        }),
    ...(dns === undefined
      ? {}
      : {
          dns: bounds.list("network.dns", refusedFirst(dns), share.dns, (one) => ({
            ...one,
            name: short(one.name),
            answers: one.answers.slice(0, MAX_ANSWERS).map(short),
          })),
        }),
    ...(notes === undefined ? {} : { notes: bounds.list("network.notes", notes, share.notes, short) }),
    ...(notMeasured === undefined ? {} : { notMeasured: short(notMeasured) }),
  };
}

const MAX_ANSWERS = 8;
const MAX_REQUESTS = 20;

function refusedFirst<T extends { readonly verdict: string }>(entries: readonly T[]): readonly T[] {
  return [...entries.filter(({ verdict: said }) => said !== "allowed"), ...entries.filter(({ verdict: said }) => said === "allowed")];
}
