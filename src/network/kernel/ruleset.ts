/**
 * What nft is given once a network, before anything else is there; it never changes. Everything is dropped but what a known
 * container sends from its own address, and of that TCP and UDP end in sockets of ours, wherever they are addressed to
 * (TPROXY; native/net/socket.c has the sockets). No connection tracking: nothing is let through because of what was before.
 */
import type { Subnet } from "./plan.ts";

/** On the namespace's own loopback, see native/net/net.h. */
const [TCP_PORT, UDP_PORT] = [61_000, 61_001];

/** What is dropped, but for what a kernel says by itself to groups of IPv6 before it has an address; each with a counter of its own, and what it means. */
export const DROPPED: Readonly<Record<DroppedName, string>> = {
  source: "an address or a hardware address that is not the container's own",
  arp: "ARP: neighbours are set, nobody asks",
  frame: "neither IPv4 nor IPv6",
  icmp: "ICMP",
  protocol: "an IP protocol that is neither TCP, UDP nor ICMP",
  multicast: "to a group, or to everybody",
};
export type DroppedName = "source" | "arp" | "frame" | "icmp" | "protocol" | "multicast";

/** Bytes and packets of these are what the containers sent and got. */
export type CountedName = "sent" | "received";
const COUNTED: readonly CountedName[] = ["sent", "received"];

/** Some of the names are words of nft's own. */
export const COUNTER_PREFIX = "c_";

export function rulesetOf({ v4, v6 }: Subnet): string {
  const ports = v4.hosts.map((address, index) => ({ name: `p${index + 1}`, mac: macOf(address), v4: address, v6: v6?.hosts[index] }));
  const v4Ports = ports.map(({ name, mac, v4: address }) => `"${name}" . ${mac} . ${address}`).join(", ");
  const v6Ports = ports.flatMap(({ name, mac, v6: address }) => (address === undefined ? [] : [`"${name}" . ${mac} . ${address}`])).join(", ");
  const counters = [...COUNTED, ...Object.keys(DROPPED)].map((name) => `  counter ${COUNTER_PREFIX}${name} {}`).join("\n");
  return `
table bridge lock {
${counters}
  set v4 { typeof meta iifname . ether saddr . ip saddr; elements = { ${v4Ports} } }
${v6 === undefined ? "" : `  set v6 { typeof meta iifname . ether saddr . ip6 saddr; elements = { ${v6Ports} } }\n`}
  chain prerouting {
    type filter hook prerouting priority -300; policy drop;
    ether type ip meta iifname . ether saddr . ip saddr @v4 counter name "c_sent" accept
${v6 === undefined ? "" : '    ether type ip6 meta iifname . ether saddr . ip6 saddr @v6 counter name "c_sent" accept\n'}
    ip6 saddr :: ip6 daddr ff02::/16 drop
    ether type { ip, ip6 } counter name "c_source" drop
    ether type arp counter name "c_arp" drop
    counter name "c_frame" drop
  }
  chain output {
    type filter hook output priority 0; policy accept;
    counter name "c_received"
  }
}
table inet lock {
${counters}
  chain prerouting {
    type filter hook prerouting priority mangle; policy drop;
    iifname != "${BRIDGE}" drop
    ip daddr ${v4.gateway} udp dport 53 accept
${v6 === undefined ? "" : `    ip6 daddr ${v6.gateway} udp dport 53 accept\n`}
    fib daddr type { multicast, broadcast, anycast } counter name "c_multicast" drop
    meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:${TCP_PORT} meta mark set 1 accept
    meta nfproto ipv4 meta l4proto udp tproxy ip to 127.0.0.1:${UDP_PORT} meta mark set 1 accept
    meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:${TCP_PORT} meta mark set 1 accept
    meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:${UDP_PORT} meta mark set 1 accept
    meta l4proto { icmp, icmpv6 } counter name "c_icmp" drop
    counter name "c_protocol" drop
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "${BRIDGE}" meta mark 1 accept
    iifname "${BRIDGE}" ip daddr ${v4.gateway} udp dport 53 accept
${v6 === undefined ? "" : `    iifname "${BRIDGE}" ip6 daddr ${v6.gateway} udp dport 53 accept\n`}
  }
  chain forward { type filter hook forward priority 0; policy drop; }
  chain output {
    type filter hook output priority 0; policy drop;
    oifname "${BRIDGE}" meta l4proto { tcp, udp } accept
  }
}
`;
}

const BRIDGE = "br0";

/** As native/net/lock.c makes it: locally administered, one an address. */
export function macOf(v4: string): string {
  return ["02", "00", ...v4.split(".").map((part) => Number(part).toString(16).padStart(2, "0"))].join(":");
}
