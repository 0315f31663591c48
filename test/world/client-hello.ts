/** Hellos of TLS as no honest client makes them. */
/** The handshake message of a hello with these extensions, in records of a length. */
export function hello(extensions: readonly (readonly [number, Buffer])[], recordLength: number = 16_000, tail: Buffer = Buffer.alloc(0)): Buffer {
  const list = Buffer.concat(extensions.map(([type, data]) => Buffer.concat([u16(type), u16(data.length), data])));
  const body = Buffer.concat([u16(0x0303), Buffer.alloc(32, 7), Buffer.from([0]), u16(2), u16(0x1301), Buffer.from([1, 0]), u16(list.length), list, tail]);
  const message = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordLength) {
    const part = message.subarray(at, at + recordLength);
    records.push(Buffer.concat([Buffer.from([22, 3, 1]), u16(part.length), part]));
  }
  return Buffer.concat(records);
}

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);

/** server_name with these names. */
export function serverNames(...names: readonly string[]): readonly [number, Buffer] {
  const list = Buffer.concat(names.map((name) => Buffer.concat([Buffer.from([0]), u16(name.length), Buffer.from(name, "latin1")])));
  return [0, Buffer.concat([u16(list.length), list])];
}
