/** Interfaces of a container and their other ends on the host, as `ip -json link` tells them. */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import { parseJson } from "../json.ts";
import type { NetworkNamespace } from "./namespace.ts";

export interface VethPair {
  /** Name inside of the container. */
  readonly inside: string;
  /** Name of the other end on the host. */
  readonly outside: string;
}

interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  /** Index of the other end, in whichever namespace that is. */
  readonly link_index?: number | undefined;
  readonly flags?: readonly string[] | undefined;
}

const linksSchema: z.ZodType<readonly Link[]> = z.array(
  z.looseObject({ ifindex: z.int(), ifname: z.string().max(64), link_index: z.int().optional(), flags: z.array(z.string()).optional() }),
);

/** Pairs of which each end names the other. Interfaces without an end on this host are left out. */
export async function vethPairs(container: NetworkNamespace, host: NetworkNamespace): Promise<readonly VethPair[]> {
  const [inner, outer] = await Promise.all([linksOf(container), linksOf(host)]);
  return inner.flatMap(({ ifindex, ifname, link_index, flags }) => {
    if (link_index === undefined || flags?.includes("LOOPBACK") === true) return [];
    const other = outer.find((link) => link.ifindex === link_index && link.link_index === ifindex);
    return other === undefined ? [] : [{ inside: ifname, outside: other.ifname }];
  });
}

async function linksOf(namespace: NetworkNamespace): Promise<readonly Link[]> {
  const parsed = linksSchema.safeParse(parseJson(await namespace.run("ip", ["-json", "link", "show"])));
  if (!parsed.success) throw new CofferdamError("INTERNAL", "ip -json link: an answer that cannot be read", { details: { problem: parsed.error.message } });
  return parsed.data;
}
