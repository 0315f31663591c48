/** What this host has itself: its addresses are closed to every job, and its routes are nowhere cut into. Source: proc_net(5). */
import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import type { Range } from "../kernel/plan.ts";

/** As CIDRs of one address each. */
export function hostAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => (isIPv4(address) ? `${address}/32` : `${address.replace(/%.*/, "")}/128`));
}

/** Whether an address of it is one that others reach by IPv6 (2000::/3 is what is given out). */
export function hasIpv6(): boolean {
  return hostAddresses().some((cidr) => /^[23][0-9a-f]{3}:/.test(cidr));
}

/** Where it has routes to, but for the default one. Without /proc: none. */
export function hostRoutes(path: string = "/proc/net/route"): readonly Range[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, destination = "", , , , , , mask = ""] = line.split("\t");
      if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return [];
      const size = 2 ** 32 - swapped(mask);
      return size >= 2 ** 32 ? [] : [{ first: swapped(destination), size }];
    });
}

/** The kernel writes them as the machine has them in memory: last byte first, on the machines that we run on. */
function swapped(hex: string): number {
  return [6, 4, 2, 0].reduce((sum, at) => sum * 256 + Number.parseInt(hex.slice(at, at + 2), 16), 0);
}
