/** The exact text of an event: RFC 8785 canonical JSON, made once, stored, and hashed as it is. */
import { randomBytes } from "node:crypto";
import { canonicalText } from "../foundation/index.ts";
import { type AuditEvent, MAX_EVENT_BYTES, SCHEMA_VERSION, type SealedInput, tooLarge } from "./event.ts";

/** An event as its bytes hold it; `integrity` is what is computed from them. */
export type EventBody = Omit<AuditEvent, "integrity">;

/** The members of a body in RFC 8785 order. */
const MEMBERS = [
  "action",
  "category",
  "compliance",
  "details",
  "id",
  "logId",
  "personal",
  "resourceId",
  "resourceType",
  "result",
  "salt",
  "schemaVersion",
  "seq",
  "sessionId",
  "timestamp",
  "userId",
] as const;
type Member = (typeof MEMBERS)[number];

/** Stands in for a place that is not known yet; no real one is longer. */
const LONGEST_PLACE = { seq: Number.MAX_SAFE_INTEGER, timestamp: "2000-01-01T00:00:00.000Z" };

/** An event whose text is settled but for its place in the log. Later changes of the caller's objects do not reach it. */
export class PreparedEvent {
  readonly id: string = eventId(Date.now());
  readonly input: SealedInput;
  /** Canonical text of each member that is known, by its name. */
  readonly #texts: Partial<Record<Member, string>> = {};

  /**
   * @param input validated by parseEvent, its personal data sealed.
   * Throws INVALID_ARGUMENT and PAYLOAD_TOO_LARGE: what was prepared can be appended, so that it never fails its neighbours.
   */
  constructor(input: SealedInput, logId: string) {
    this.input = input;
    const known = { ...this.input, id: this.id, logId, salt: randomBytes(16).toString("hex"), schemaVersion: SCHEMA_VERSION };
    for (const member of MEMBERS) {
      if (member !== "seq" && member !== "timestamp" && known[member] !== undefined) this.#texts[member] = canonicalText(known[member]);
    }
    const length = Buffer.byteLength(this.textAt(LONGEST_PLACE));
    if (length > MAX_EVENT_BYTES) throw tooLarge(length);
  }

  textAt({ seq, timestamp }: { readonly seq: number; readonly timestamp: string }): string {
    this.#texts.seq = canonicalText(seq);
    this.#texts.timestamp = canonicalText(timestamp);
    const members: string[] = [];
    for (const member of MEMBERS) if (this.#texts[member] !== undefined) members.push(`"${member}":${this.#texts[member]}`);
    return `{${members.join(",")}}`;
  }
}

/**
 * An id that sorts by when it was made: 48 bits of milliseconds, 80 random ones, in Crockford's base 32. Ids that come in
 * order keep the index that makes them unique from being written all over.
 */
function eventId(now: number): string {
  let text = "";
  for (let rest = now; text.length < 10; rest = Math.floor(rest / 32)) text = ALPHABET.charAt(rest % 32) + text;
  for (const byte of randomBytes(16)) text += ALPHABET.charAt(byte & 31);
  return `evt_${text}`;
}

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A stored body, or undefined for a text that is none. What was stored is returned whole: nothing is left out or renamed. */
export function parseBody(text: string): EventBody | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isBody(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const REQUIRED = ["id", "timestamp", "logId", "salt", "category", "action"] as const;
const OPTIONAL = ["userId", "sessionId", "resourceType", "resourceId"] as const;

function isBody(value: unknown): value is EventBody {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const body: Readonly<Record<string, unknown>> = { ...value };
  return (
    REQUIRED.every((member) => typeof body[member] === "string") &&
    OPTIONAL.every((member) => body[member] === undefined || typeof body[member] === "string") &&
    Number.isSafeInteger(body["seq"]) &&
    Number.isSafeInteger(body["schemaVersion"]) &&
    (body["result"] === "success" || body["result"] === "failure") &&
    isObjectOrAbsent(body["details"]) &&
    isObjectOrAbsent(body["personal"]) &&
    isObjectOrAbsent(body["compliance"])
  );
}

function isObjectOrAbsent(value: unknown): boolean {
  return value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value));
}
