/**
 * Rates of a job's network, both ways. What leaves a queue is what can be held back: the host's end of the interface limits
 * what comes into the container, the container's own end what goes out. The job cannot undo it without NET_ADMIN. Sources:
 * tc-tbf(8), and measured (docs/quota.md). Several interfaces have the rate each.
 */
import { z } from "zod";
import { CofferdamError, programPath } from "../../foundation/index.ts";
import { parseJson } from "../json.ts";
import { type VethPair, vethPairs } from "./links.ts";
import { NetworkNamespace } from "./namespace.ts";

export interface NetworkRates {
  /** Bytes a second into the job; undefined for no limit. */
  readonly download?: number | undefined;
  readonly upload?: number | undefined;
}

/** As the kernel has them. */
export interface ShapedInterface extends NetworkRates {
  readonly name: string;
  /** Packets that were dropped because they came too fast. */
  readonly dropped: number;
}

export interface ShapeTarget {
  readonly pid: number;
  /** When that process started (foundation/process-identity.ts). */
  readonly started: string;
  /** Path of the network namespace with the host's ends; ours unless told. */
  readonly host?: string | undefined;
}

interface Qdisc {
  readonly kind: string;
  readonly root?: boolean | undefined;
  readonly options?: { readonly rate?: number | undefined } | undefined;
  readonly drops?: number | undefined;
}

const qdiscsSchema: z.ZodType<readonly Qdisc[]> = z.array(
  z.looseObject({
    kind: z.string(),
    root: z.boolean().optional(),
    options: z.looseObject({ rate: z.number().optional() }).optional(),
    drops: z.number().optional(),
  }),
);

/** Room for one large segment, and for 10 ms at full rate: the kernel refills it at most every few ms. */
const LEAST_BURST = 65_536;
const BURST_SHARE = 0.01;
const LATENCY = "50ms";

/** What rates need and this machine lacks, or undefined. */
export function whyUnshaped(): string | undefined {
  if (process.geteuid?.() !== 0) return "only root may set rates";
  const missing = ["ip", "tc", "nsenter"].find((name) => programPath(name) === undefined);
  return missing === undefined ? undefined : `${missing} is not installed (packages iproute2, util-linux)`;
}

/**
 * Sets the rates, or takes off those that are not given. @returns what is in force.
 * Throws ENVIRONMENT_UNFIT without the programs, NOT_FOUND when the process is gone, FAILED_PRECONDITION when a rate was
 * asked for and there is no interface with an end on the host.
 */
export async function shape(target: ShapeTarget, rates: NetworkRates): Promise<readonly ShapedInterface[]> {
  const why = whyUnshaped();
  if (why !== undefined) throw new CofferdamError("ENVIRONMENT_UNFIT", `no network rates here: ${why}`);
  return await inBoth(target, async (container, host, pairs) => {
    if (pairs.length === 0 && (rates.download ?? rates.upload) !== undefined)
      throw new CofferdamError("FAILED_PRECONDITION", `process ${target.pid} has no network interface with an end on this host`, {
        hint: "host networking cannot be limited",
      });
    for (const { inside, outside } of pairs) {
      await setRate(host, outside, rates.download);
      await setRate(container, inside, rates.upload);
    }
    return await Promise.all(pairs.map((pair) => facts(container, host, pair)));
  });
}

/** What is in force now. */
export async function shaped(target: ShapeTarget): Promise<readonly ShapedInterface[]> {
  return await inBoth(target, async (container, host, pairs) => await Promise.all(pairs.map((pair) => facts(container, host, pair))));
}

async function inBoth<T>(
  { pid, started, host }: ShapeTarget,
  work: (container: NetworkNamespace, host: NetworkNamespace, pairs: readonly VethPair[]) => Promise<T>,
): Promise<T> {
  using container = NetworkNamespace.of(pid, started);
  using outside = host === undefined ? NetworkNamespace.own() : NetworkNamespace.at(host);
  return await work(container, outside, await vethPairs(container, outside));
}

async function setRate(namespace: NetworkNamespace, name: string, rate: number | undefined): Promise<void> {
  if (rate === undefined) {
    if ((await rootQdisc(namespace, name))?.kind === "tbf") await namespace.run("tc", ["qdisc", "del", "dev", name, "root"]);
    return;
  }
  const burst = Math.max(LEAST_BURST, Math.ceil(rate * BURST_SHARE));
  await namespace.run("tc", ["qdisc", "replace", "dev", name, "root", "tbf", "rate", `${rate * 8}bit`, "burst", String(burst), "latency", LATENCY]);
}

async function facts(container: NetworkNamespace, host: NetworkNamespace, { inside, outside }: VethPair): Promise<ShapedInterface> {
  const [download, upload] = await Promise.all([rootQdisc(host, outside), rootQdisc(container, inside)]);
  const rateOf = (qdisc: Qdisc | undefined): number | undefined => (qdisc?.kind === "tbf" ? qdisc.options?.rate : undefined);
  return { name: inside, download: rateOf(download), upload: rateOf(upload), dropped: (download?.drops ?? 0) + (upload?.drops ?? 0) };
}

async function rootQdisc(namespace: NetworkNamespace, name: string): Promise<Qdisc | undefined> {
  const parsed = qdiscsSchema.safeParse(parseJson(await namespace.run("tc", ["-s", "-json", "qdisc", "show", "dev", name])));
  if (!parsed.success) throw new CofferdamError("INTERNAL", "tc -json qdisc: an answer that cannot be read", { details: { problem: parsed.error.message } });
  return parsed.data.find(({ root }) => root === true);
}
