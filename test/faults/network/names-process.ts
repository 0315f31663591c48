/** The test's internet's name server: for every zone. */
import { createSocket } from "node:dgram";

/** What is not here has no address. */
const ZONE: Readonly<Record<string, string>> = {
  "allowed.example": "203.0.113.9",
  "db.allowed.example": "203.0.113.10",
  "evil.example": "203.0.113.66",
  "shared.example": "203.0.113.9",
  "rebind.wild.example": "169.254.169.254",
  "inner.wild.example": "192.168.7.7",
  "good.wild.example": "203.0.113.11",
};

const server = createSocket("udp4");
server.on("message", (query, from) => {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  const question = query.subarray(12, at + 5);
  const address = query.readUInt16BE(at + 1) === 1 ? ZONE[labels.join(".").toLowerCase()] : undefined;
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(address === undefined ? 0 : 1, 6);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, ...(address ?? "").split(".").map(Number)]);
  server.send(Buffer.concat([head, question, ...(address === undefined ? [] : [record])]), from.port, from.address);
});
// biome-ignore lint/suspicious/noConsole: whoever started it waits for a line.
server.bind(53, "203.0.113.53", () => console.log("up"));
