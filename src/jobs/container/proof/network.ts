/** The network of a container as the kernel shows it: none at all, or the one interface that it was given, and nothing else. */
import type { ProvenNetwork } from "../prove.ts";
import type { Controls } from "./control.ts";
import type { ProcessView } from "./process-view.ts";

/** Tunnels that the kernel itself puts into every network namespace; they are down and lead nowhere. */
const TUNNELS = /^(tunl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|sit0|ip6tnl0|ip6gre0)$/;

export function proveNetwork(controls: Controls, view: ProcessView, network: ProvenNetwork | undefined): void {
  const names = [...view.text("net/dev").matchAll(/^\s*([^\s:]+):/gm)].map((match) => match[1] ?? "").filter((name) => !TUNNELS.test(name));
  const check = (what: string, expected: string, actual: string): void => controls.equal("network-isolation", what, expected, actual);
  check("interfaces", network === undefined ? "lo" : "eth0 lo", names.toSorted().join(" "));
  if (network !== undefined) {
    check("namespace", `net:[${network.inode}]`, view.link("ns/net"));
    check("addresses", network.addresses.join(" "), [...v4Addresses(view.text("net/fib_trie")), ...v6Addresses(view.text("net/if_inet6"))].join(" "));
    check("default route", network.gateway, defaultRoutes(view.text("net/route")).join(" "));
  }
  controls.holds("network-isolation", true);
}

/** Its own, of all interfaces but loopback. The table has each of them twice. */
function v4Addresses(trie: string): readonly string[] {
  const found = [...trie.matchAll(/\|-- ([\d.]+)\n\s+\/32 host LOCAL/g)].map((match) => match[1] ?? "");
  return [...new Set(found)].filter((address) => !address.startsWith("127."));
}

/** What the kernel gives to an interface by itself (fe80::) reaches nobody, and counts all the same. */
function v6Addresses(lines: string): readonly string[] {
  return [...lines.matchAll(/^([0-9a-f]{32}) .* (\S+)$/gm)].flatMap(([, hex = "", name]) => (name === "lo" ? [] : [shortV6(hex)]));
}

function shortV6(hex: string): string {
  const text = (hex.match(/.{4}/g) ?? []).join(":");
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** Gateways of routes to everywhere, or to a half of it. Bytes stand as the machine has them in memory, last first. */
function defaultRoutes(table: string): readonly string[] {
  return table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, , gateway = "", , , , , mask = ""] = line.split("\t");
      if (!/^0000000[0-9A-F]$|^000000[0-9A-F]{2}$/.test(mask)) return [];
      return [
        (gateway.match(/../g) ?? [])
          .map((byte) => Number.parseInt(byte, 16))
          .toReversed()
          .join("."),
      ];
    });
}
