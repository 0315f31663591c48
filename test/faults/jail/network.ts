/** Attacks that talk to something: services of this host, resolvers, the cloud's metadata, sockets lying in the project. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Attack, type Conditional, outerFilter, text, userNamespacesRefused } from "./attack.ts";
import { call } from "./kernel-call.ts";
import { perl, pl, secretPattern } from "./programs.ts";

const ANSWER = secretPattern("service");
const hearsUnix = (path: string): string => perl(`hears(unixsock(SOCK_STREAM, ${path}), qr/${ANSWER}/);`);
/** Perl: our socket, or the end. */
const socketOf = (family: number, type: number, protocol: number): string =>
  perl(`my $s = ${call("socket", `${family}, ${type}, ${protocol}`)}; $s >= 0 or lost 'socket'; won;`);

/** The kernel lists every protocol that sockets can be made of. */
const needsProtocol = (by: "anyone" | "root", name: string): Conditional => ({
  by,
  unless: `this kernel has no ${name} sockets`,
  refused: () => outerFilter() || !new RegExp(`^${name}\\s`, "m").test(text("/proc/net/protocols")),
});
/** In its list of netlink sockets the kernel's own ones have process 0. */
const needsNetlink = (protocol: number, name: string): Conditional => ({
  by: "anyone",
  unless: `this kernel has no ${name}`,
  refused: () => outerFilter() || !new RegExp(`^\\S+\\s+${protocol}\\s+0\\s`, "m").test(text("/proc/net/netlink")),
});
/** Connecting a datagram socket sends nothing: it only asks the kernel for a way there. */
const routesTo = (address: string, port: number): string =>
  perl(`socket(my $s, AF_INET, SOCK_DGRAM, 0) or lost 'socket'; connect($s, pack_sockaddr_in(${port}, inet_aton('${address}'))) or lost 'connect'; won;`);
const NEEDS_ROUTE: Conditional = {
  by: "anyone",
  unless: "this machine has no default route",
  refused: () => !/^\S+\s+00000000\s/m.test(text("/proc/net/route")),
};
const PING: Conditional = {
  by: "anyone",
  unless: "net.ipv4.ping_group_range lets nobody ping",
  refused: () => outerFilter() || /^1\s+0/.test(text("/proc/sys/net/ipv4/ping_group_range")),
};

const IP: readonly Omit<Attack, "group">[] = [
  {
    name: "connects to a service on the host's loopback",
    works: "anyone",
    program: "node",
    code: (v) =>
      `require("net").connect(${v.services.tcp}, "127.0.0.1").on("data", (d) => /${ANSWER}/.test(d) && console.log("WON")).on("error", (e) => console.log(e.code))`,
  },
  {
    name: "connects to a service on the host's IPv6 loopback",
    works: { by: "anyone", unless: "this machine has no IPv6 loopback", refused: () => !/ lo$/m.test(text("/proc/net/if_inet6")) },
    program: "node",
    code: (v) =>
      `require("net").connect(${v.services.tcp6}, "::1").on("data", (d) => /${ANSWER}/.test(d) && console.log("WON")).on("error", (e) => console.log(e.code))`,
  },
  {
    name: "exchanges datagrams with the host's loopback",
    works: "anyone",
    program: "perl",
    code: (v) =>
      perl(`socket(my $s, AF_INET, SOCK_DGRAM, 0) or lost 'socket'; connect($s, pack_sockaddr_in(${v.services.udp}, inet_aton('127.0.0.1'))) or lost 'connect';
        send($s, 'hello', 0) or lost 'send'; hears($s, qr/${ANSWER}/);`),
  },
  {
    name: "carries data in a name asked of a resolver",
    works: "anyone",
    program: "node",
    code: (v) => `const r = new (require("dns").Resolver)({ timeout: 1000, tries: 1 }); r.setServers(["127.0.0.1:${v.services.udp}"]);
      r.resolveTxt("stolen-data.example.org", (e, records) => console.log(e ? e.code : /${ANSWER}/.test(records.flat().join()) ? "WON" : "other"))`,
  },
  { name: "has a way to the cloud's metadata service", works: NEEDS_ROUTE, program: "perl", code: () => routesTo("169.254.169.254", 80) },
  { name: "has a way to an address of the internet", works: NEEDS_ROUTE, program: "perl", code: () => routesTo("192.0.2.1", 443) },
  { name: "opens a raw ICMP socket", works: "root", program: "perl", code: () => socketOf(2, 3, 1) },
  { name: "opens a ping socket", works: PING, program: "perl", code: () => socketOf(2, 2, 1) },
  {
    name: "lists the host's open ports",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`slurp('/proc/net/tcp') =~ /0100007F:${v.services.tcp.toString(16).toUpperCase().padStart(4, "0")} /i and won;`),
  },
  {
    name: "lists the host's Unix sockets",
    works: "anyone",
    program: "perl",
    code: (v) => perl(`index(slurp('/proc/net/unix'), ${pl(v.services.abstract)}) >= 0 and won;`),
  },
  {
    name: "lists the host's network interfaces",
    works: { by: "anyone", unless: "this machine has no interface besides loopback", refused: () => !/^ *(?!lo:)\w+:/m.test(text("/proc/net/dev")) },
    program: "node",
    code: () => `console.log(Object.keys(require("os").networkInterfaces()).some((name) => name !== "lo") ? "WON" : "")`,
  },
  {
    name: "changes the flags of a network interface",
    works: "root",
    program: "perl",
    // To what they are.
    code: () =>
      perl(`socket(my $s, AF_INET, SOCK_DGRAM, 0) or lost 'socket'; my $if = pack('a16 x24', 'lo');
        ioctl($s, 0x8913, $if) or lost 'read'; ioctl($s, 0x8914, $if) or lost 'write'; won;`),
  },
];

const UNIX: readonly Omit<Attack, "group">[] = [
  { name: "asks the user's ssh agent", works: "anyone", program: "perl", code: (v) => hearsUnix(pl(v.agentSocket)) },
  { name: "asks the container engine", works: "anyone", program: "perl", code: (v) => hearsUnix(pl(v.engineSocket)) },
  {
    name: "asks a service in the abstract namespace",
    works: "anyone",
    program: "perl",
    code: (v) => hearsUnix(`"\\0" . ${pl(v.services.abstract)}`),
  },
  { name: "asks a daemon whose socket lies in its own package", works: "anyone", program: "perl", code: () => hearsUnix("'daemon.sock'") },
  { name: "asks a daemon whose socket lies in the project", works: "anyone", program: "perl", at: "project", code: () => hearsUnix("'daemon.sock'") },
  {
    name: "sends to a datagram socket in its package",
    works: "anyone",
    program: "perl",
    code: () => perl("my $s = unixsock(SOCK_DGRAM, 'log.sock'); send($s, 'hello', 0) or lost 'send';"),
    won: (v) => v.hears("datagram"),
  },
  {
    name: "turns one end of a socket pair to a datagram socket in its package",
    works: "anyone",
    program: "perl",
    // A pair needs no socket(), and an end of a datagram pair may be connected anew.
    code: () =>
      perl(`socketpair(my $a, my $b, AF_UNIX, SOCK_DGRAM, 0) or lost 'socketpair';
        connect($a, pack_sockaddr_un('log.sock')) or lost 'connect'; send($a, 'hello', 0) or lost 'send';`),
    won: (v) => v.hears("datagram"),
  },
  {
    name: "sends from a socket pair without connecting it",
    works: "anyone",
    program: "perl",
    at: "project",
    code: (v) =>
      perl(`socketpair(my $a, my $b, AF_UNIX, SOCK_DGRAM, 0) or lost 'socketpair';
        send($a, 'hello', 0, pack_sockaddr_un(${pl(join(v.own, "log.sock"))})) or lost 'send';`),
    won: (v) => v.hears("datagram"),
  },
  {
    name: "commands a daemon by a FIFO in its package",
    works: "anyone",
    program: "perl",
    code: () => perl("sysopen(my $f, 'commands.fifo', O_WRONLY | O_NONBLOCK) or lost 'open'; syswrite($f, 'run this') or lost 'write';"),
    won: (v) => v.hears("fifo"),
  },
  {
    name: "commands a daemon by a FIFO in the project",
    works: "anyone",
    program: "sh",
    at: "project",
    // The shell would wait for a reader for ever.
    code: () => "timeout 2 sh -c 'echo run this > commands.fifo'",
    won: (v) => v.hears("fifo"),
  },
];

const RARE = [3, 4, 5, 9, 15, 21, 24, 29, 30, 31, 37, 39, 41, 42, 43] as const;
const FAMILIES: readonly Omit<Attack, "group">[] = [
  { name: "opens an AF_VSOCK socket to the hypervisor", works: needsProtocol("anyone", "AF_VSOCK"), program: "perl", code: () => socketOf(40, 1, 0) },
  { name: "opens an AF_ALG socket to the kernel's ciphers", works: needsProtocol("anyone", "ALG"), program: "perl", code: () => socketOf(38, 5, 0) },
  { name: "opens an AF_PACKET socket", works: needsProtocol("root", "PACKET"), program: "perl", code: () => socketOf(17, 3, 0x0300) },
  { name: "opens an AF_XDP socket", works: needsProtocol("root", "XDP"), program: "perl", code: () => socketOf(44, 3, 0) },
  {
    name: "opens an AF_PACKET socket in a network namespace of its own",
    works: {
      by: "anyone",
      unless: "user namespaces are off or restricted on this machine",
      refused: (as) => userNamespacesRefused(as) || !existsSync("/proc/net/packet"),
    },
    program: "perl",
    code: () => perl(`${call("unshare", "0x50000000")} == 0 or lost 'unshare'; my $s = ${call("socket", "17, 3, 0x0300")}; $s >= 0 or lost 'socket'; won;`),
  },
  {
    name: "opens a socket of a rare family",
    works: {
      by: "anyone",
      unless: "this kernel has none of the rare families",
      refused: () => outerFilter() || !/^(?:CAN|TIPC|BTSOCK|L2CAP|SMC|RDS|KCM|NFC|QIPCRTR|PPPOX|AX25|LLC)\S*\s/m.test(text("/proc/net/protocols")),
    },
    program: "perl",
    code: () => perl(`for my $f (${RARE.join(", ")}) { for my $t (1, 2, 3, 5) { my $s = ${call("socket", "$f, $t, 0")}; $s >= 0 and won } } lost 'socket';`),
  },
  { name: "asks the kernel for the host's sockets (sock_diag)", works: needsNetlink(4, "sock_diag"), program: "perl", code: () => socketOf(16, 3, 4) },
  { name: "opens a socket to IPsec (xfrm)", works: needsNetlink(6, "xfrm"), program: "perl", code: () => socketOf(16, 3, 6) },
  { name: "opens a socket to the kernel's audit", works: needsNetlink(9, "audit"), program: "perl", code: () => socketOf(16, 3, 9) },
  { name: "opens a socket to the packet filter (nfnetlink)", works: needsNetlink(12, "nfnetlink"), program: "perl", code: () => socketOf(16, 3, 12) },
  { name: "listens to device events (kobject_uevent)", works: needsNetlink(15, "kobject_uevent"), program: "perl", code: () => socketOf(16, 3, 15) },
];

export const NETWORK: readonly Attack[] = [...IP, ...UNIX, ...FAMILIES].map((attack) => ({ ...attack, group: "network" }));
