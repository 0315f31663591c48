/** The exact text of an event: RFC 8785 canonical JSON, made once, stored, and hashed as it is. */
import { randomBytes } from "node:crypto";
import { canonicalText } from "../foundation/index.ts";
import { type AuditEvent, MAX_EVENT_BYTES, SCHEMA_VERSION, type SealedInput, tooLarge } from "./event.ts";

/** An event as its bytes hold it; `integrity` is what is computed from them. */
export type EventBody = Omit<AuditEvent, "integrity">;

/** Longest of the two members that are not known before an event has its place: `9007199254740991`, and a time in quotes. */
const LONGEST_PLACE = 16 + 26;

/** An event whose text is settled but for its place in the log. Later changes of the caller's objects do not reach it. */
export class PreparedEvent {
  readonly id: string;
  readonly input: SealedInput;
  readonly #logId: string;
  readonly #salt: string;
  readonly #details: string | undefined;
  readonly #compliance: string | undefined;
  /** The text up to the value of `seq`, between it and that of `timestamp`, and after that; members stand in RFC 8785 order. */
  readonly #pieces: readonly [string, string, string];

  /**
   * @param input validated by parseEvent, its personal data sealed.
   * @param random of its own, from {@link RandomPool}.
   * Throws INVALID_ARGUMENT and PAYLOAD_TOO_LARGE: what was prepared can be appended, so that it never fails its neighbours.
   */
  constructor(input: SealedInput, logId: string, random: EventRandom) {
    this.id = eventId(Date.now(), random.id);
    this.input = input;
    this.#logId = logId;
    this.#salt = random.salt;
    const { action, category, resourceId, resourceType, result, sessionId, userId, personal } = input;
    this.#details = input.details === undefined ? undefined : canonicalText(input.details);
    this.#compliance = input.compliance === undefined ? undefined : canonicalText(input.compliance);
    const first = `{"action":${text(action)},"category":${text(category)}${member("compliance", this.#compliance)}${member("details", this.#details)}`;
    const own = `,"id":"${this.id}","logId":${text(logId)}${member("personal", personal && canonicalText(personal))}`;
    const rest = `${member("resourceId", resourceId && text(resourceId))}${member("resourceType", resourceType && text(resourceType))},"result":"${result}"`;
    this.#pieces = [
      `${first}${own}${rest},"salt":"${this.#salt}","schemaVersion":${SCHEMA_VERSION},"seq":`,
      `${member("sessionId", sessionId && text(sessionId))},"timestamp":`,
      `${member("userId", userId && text(userId))}}`,
    ];
    const units = this.#pieces[0].length + this.#pieces[1].length + this.#pieces[2].length;
    // A UTF-16 unit is three bytes at most: only what may be too large is counted.
    if (units * 3 + LONGEST_PLACE <= MAX_EVENT_BYTES) return;
    const length = this.#pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), LONGEST_PLACE);
    if (length > MAX_EVENT_BYTES) throw tooLarge(length);
  }

  textAt({ seq, timestamp }: EventPlace): string {
    const [start, middle, end] = this.#pieces;
    return `${start}${seq}${middle}"${timestamp}"${end}`;
  }

  /** What {@link parseBody} reads from that text, without taking it apart again. */
  bodyAt({ seq, timestamp }: EventPlace): EventBody {
    const { action, category, resourceId, resourceType, result, sessionId, userId, personal } = this.input;
    return {
      action,
      category,
      ...(this.#compliance === undefined ? {} : { compliance: JSON.parse(this.#compliance) }),
      ...(this.#details === undefined ? {} : { details: JSON.parse(this.#details) }),
      id: this.id,
      logId: this.#logId,
      ...(personal === undefined ? {} : { personal }),
      ...(resourceId === undefined ? {} : { resourceId }),
      ...(resourceType === undefined ? {} : { resourceType }),
      result,
      salt: this.#salt,
      schemaVersion: SCHEMA_VERSION,
      seq,
      ...(sessionId === undefined ? {} : { sessionId }),
      timestamp,
      ...(userId === undefined ? {} : { userId }),
    };
  }
}

/** What an event is made with, hex. */
export interface EventRandom {
  /** 80 bits. */
  readonly id: string;
  /** 128 bits. */
  readonly salt: string;
}

const ID_DIGITS = 20;
const SALT_DIGITS = 32;

/** Random bits drawn in blocks: asking the system for each event's own costs as much as hashing it. */
export class RandomPool {
  #block = "";
  #used = 0;

  take(): EventRandom {
    if (this.#used === this.#block.length) {
      this.#block = randomBytes(64 * (ID_DIGITS + SALT_DIGITS)).toString("hex");
      this.#used = 0;
    }
    const salt = this.#used + ID_DIGITS;
    const end = salt + SALT_DIGITS;
    const taken = { id: this.#block.slice(this.#used, salt), salt: this.#block.slice(salt, end) };
    this.#used = end;
    return taken;
  }
}

export interface EventPlace {
  readonly seq: number;
  /** ISO 8601, UTC, milliseconds. */
  readonly timestamp: string;
}

/** Canonical JSON of a text: what ECMAScript writes (RFC 8785, 3.2.2.2). Throws INVALID_ARGUMENT for a lone surrogate. */
function text(value: string): string {
  return value.isWellFormed() ? JSON.stringify(value) : canonicalText(value);
}

function member(name: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${name}":${value}`;
}

/**
 * An id that sorts by when it was made: milliseconds in base 32, then 80 random bits. Ids that come in order keep the index
 * that makes them unique from being written all over.
 */
function eventId(now: number, random: string): string {
  return `evt_${now.toString(32).padStart(10, "0")}${random}`;
}

/** A stored body, or undefined for a text that is none. What was stored is returned whole: nothing is left out or renamed. */
export function parseBody(json: string): EventBody | undefined {
  try {
    const value: unknown = JSON.parse(json);
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
