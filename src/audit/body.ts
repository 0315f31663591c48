/** The exact bytes of an event: RFC 8785 canonical JSON, made once, stored, and hashed as they are. */
import { randomBytes } from "node:crypto";
import { canonicalText, newId } from "../foundation/index.ts";
import { type AuditEvent, type AuditEventInput, MAX_EVENT_BYTES, parseEvent, SCHEMA_VERSION, tooLarge } from "./event.ts";

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

/** An event whose bytes are settled but for its place in the log. Later changes of the caller's objects do not reach it. */
export class PreparedEvent {
  readonly id: string = newId("evt");
  readonly input: AuditEventInput;
  /** Canonical text of each member that is known, by its name. */
  readonly #texts: Partial<Record<Member, string>> = {};

  /** Throws INVALID_ARGUMENT and PAYLOAD_TOO_LARGE: what was prepared can be appended, so that it never fails its neighbours. */
  constructor(input: unknown, logId: string) {
    this.input = parseEvent(input);
    const known = { ...this.input, id: this.id, logId, salt: randomBytes(16).toString("hex"), schemaVersion: SCHEMA_VERSION };
    for (const member of MEMBERS) {
      if (member !== "seq" && member !== "timestamp" && known[member] !== undefined) this.#texts[member] = canonicalText(known[member]);
    }
    const { length } = this.bytesAt(LONGEST_PLACE);
    if (length > MAX_EVENT_BYTES) throw tooLarge(length);
  }

  bytesAt({ seq, timestamp }: { readonly seq: number; readonly timestamp: string }): Buffer {
    this.#texts.seq = canonicalText(seq);
    this.#texts.timestamp = canonicalText(timestamp);
    const members: string[] = [];
    for (const member of MEMBERS) if (this.#texts[member] !== undefined) members.push(`"${member}":${this.#texts[member]}`);
    return Buffer.from(`{${members.join(",")}}`, "utf8");
  }
}

/** A stored body, or undefined for bytes that are not one. What was stored is returned whole: nothing is left out or renamed. */
export function parseBody(bytes: Uint8Array): EventBody | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
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
    isObjectOrAbsent(body["compliance"])
  );
}

function isObjectOrAbsent(value: unknown): boolean {
  return value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value));
}
