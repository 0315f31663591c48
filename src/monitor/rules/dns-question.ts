/** The question of a DNS message (RFC 1035, 4.1), of what a process sent to port 53. Whatever is none is undefined. */

export interface Question {
  readonly name: string;
  /** The last two parts of the name: whoever is asked in a tunnel. */
  readonly domain: string;
  /** Bytes of its longest part. */
  readonly longest: number;
}

const HEAD = 12;
const MAX_NAME = 255;

export function askedName(payload: Uint8Array): Question | undefined {
  // Over a stream two bytes of length come first.
  return question(payload, 0) ?? question(payload, 2);
}

function question(message: Uint8Array, from: number): Question | undefined {
  const count = ((message[from + 4] ?? 0) << 8) | (message[from + 5] ?? 0);
  const isAnswer = ((message[from + 2] ?? 0) & 0x80) !== 0;
  if (message.length < from + HEAD || count !== 1 || isAnswer) return undefined;
  const labels: string[] = [];
  let at = from + HEAD;
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined || length > 63 || at + length - from > HEAD + MAX_NAME || at + 1 + length > message.length) return undefined;
    labels.push(
      Buffer.from(message.subarray(at + 1, at + 1 + length))
        .toString("latin1")
        .toLowerCase(),
    );
    at += 1 + length;
  }
  if (labels.length === 0) return undefined;
  return { name: labels.join("."), domain: labels.slice(-2).join("."), longest: Math.max(...labels.map(({ length }) => length)) };
}
