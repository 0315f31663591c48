/** Frames and messages as bytes, as no stack would send them. */
type Bytes = Buffer;

export function ethernet(to: string, from: string, type: number, payload: Bytes): Bytes {
  const head = Buffer.concat([mac(to), mac(from), word(type)]);
  return Buffer.concat([head, payload, Buffer.alloc(Math.max(0, 46 - payload.length))]);
}

interface Packet {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly payload: Bytes;
  /** In units of eight bytes, and whether more follow. */
  readonly offset?: number;
  readonly more?: boolean;
}

export function ipv4({ from, to, protocol, payload, offset = 0, more = false }: Packet): Bytes {
  const head = Buffer.concat([
    Buffer.from([0x45, 0]),
    word(20 + payload.length),
    word(0x4d4d),
    word((more ? 0x2000 : 0) | offset),
    Buffer.from([64, protocol]),
    word(0),
    v4(from),
    v4(to),
  ]);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, payload]);
}

export function udp(from: string, to: string, port: number, data: Bytes): Bytes {
  const head = Buffer.concat([word(40_000), word(port), word(8 + data.length), word(0)]);
  const pseudo = Buffer.concat([v4(from), v4(to), Buffer.from([0, 17]), word(8 + data.length)]);
  head.writeUInt16BE(checksum(Buffer.concat([pseudo, head, data, Buffer.alloc(data.length % 2)])), 6);
  return Buffer.concat([head, data]);
}

/** A first segment that carries data already. */
export function synWithData(from: string, to: string, port: number, data: Bytes): Bytes {
  const head = Buffer.concat([word(40_001), word(port), Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02]), word(65_000), word(0), word(0)]);
  const pseudo = Buffer.concat([v4(from), v4(to), Buffer.from([0, 6]), word(head.length + data.length)]);
  head.writeUInt16BE(checksum(Buffer.concat([pseudo, head, data, Buffer.alloc(data.length % 2)])), 16);
  return Buffer.concat([head, data]);
}

export function icmpEcho(data: Bytes): Bytes {
  const message = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]), data]);
  message.writeUInt16BE(checksum(message), 2);
  return message;
}

/** Who says that an address is at a hardware address; the marker stands in the padding. */
export function arpReply(fromMac: string, address: string, marker: Bytes): Bytes {
  return Buffer.concat([Buffer.from([0, 1, 8, 0, 6, 4, 0, 2]), mac(fromMac), v4(address), mac("ff:ff:ff:ff:ff:ff"), v4(address), marker]);
}

export function dnsQuery(name: string, type: number): Bytes {
  const labels = name.split(".").flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  return Buffer.concat([Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...labels, Buffer.from([0]), word(type), word(1)]);
}

/** A ClientHello whose random has the marker. @param extra extensions besides, type and body. */
export function clientHello(marker: string, name: string | undefined, extra: readonly (readonly [number, Bytes])[] = []): Bytes {
  const random = Buffer.alloc(32, "r");
  random.write(marker);
  const sni = name === undefined ? [] : [extension(0, sized(2, Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name))])))];
  const extensions = Buffer.concat([...sni, extension(43, Buffer.from([2, 3, 4])), ...extra.map(([type, body]) => extension(type, body))]);
  const body = Buffer.concat([word(0x0303), random, Buffer.from([0]), sized(2, word(0x1301)), Buffer.from([1, 0]), sized(2, extensions)]);
  const handshake = Buffer.concat([Buffer.from([1, 0]), word(body.length), body]);
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(2, handshake)]);
}

function extension(type: number, body: Bytes): Bytes {
  return Buffer.concat([word(type), sized(2, body)]);
}

function sized(bytes: 2, body: Bytes): Bytes {
  const length = Buffer.alloc(bytes);
  length.writeUInt16BE(body.length);
  return Buffer.concat([length, body]);
}

function checksum(bytes: Bytes): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function word(value: number): Bytes {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function mac(text: string): Bytes {
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

function v4(text: string): Bytes {
  return Buffer.from(text.split(".").map(Number));
}
