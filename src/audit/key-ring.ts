/**
 * The keys that checkpoints of one log may be signed with: those that a verifier pins, and those that an earlier one vouched
 * for in an event of the log itself. (A rotation: the old key signs the new one; both sign for a while; then only the new one.)
 */
import { type KeyObject, sign, verify } from "node:crypto";
import { z } from "zod";
import type { EventBody } from "./body.ts";
import type { AuditEventInput } from "./event.ts";
import { formatVerifierKey, parseVerifierKey, publicKeyOf, SIGNATURE_TYPES, strictBase64, type VerifierKey } from "./note.ts";

/** Action of the event that makes one key follow another. */
export const KEY_ROTATED = "key_rotated";

const detailsSchema: z.ZodType<{ readonly from: string; readonly to: string; readonly bothUntil: number; readonly signature: string }> = z.strictObject({
  from: z.string().max(1024),
  to: z.string().max(1024),
  /** Largest tree that the old key still signs. */
  bothUntil: z.int().min(0),
  signature: z.string().max(200),
});

export interface KnownKey {
  readonly key: VerifierKey;
  /** Largest tree that the key signs for. */
  readonly until: number;
}

/** A key that is believed for every size. */
export function pinned(key: VerifierKey): KnownKey {
  return { key, until: Number.MAX_SAFE_INTEGER };
}

export class KeyRing {
  #known: readonly KnownKey[];

  constructor(known: readonly KnownKey[]) {
    this.#known = known;
  }

  get known(): readonly KnownKey[] {
    return this.#known;
  }

  /** Keys that may sign a tree of this size. */
  keysFor(size: number): VerifierKey[] {
    return this.#known.filter(({ until }) => size <= until).map(({ key }) => key);
  }

  /** Takes in an event of the log, in the log's order. @returns what is wrong with a rotation that cannot be believed. */
  learn({ category, action, details }: EventBody): string | undefined {
    if (category !== "audit" || action !== KEY_ROTATED) return undefined;
    const parsed = detailsSchema.safeParse(details);
    if (!parsed.success) return "a key rotation that cannot be read";
    const { from, to, bothUntil, signature } = parsed.data;
    const old = this.#known.find(({ key }) => formatVerifierKey(key) === from);
    const next = keyOf(to);
    if (old === undefined || next === undefined || next.name !== old.key.name) return "a key rotation that no known key vouches for";
    const bytes = strictBase64(signature);
    if (bytes === undefined || !verify(null, Buffer.from(rotationText(from, to, bothUntil)), publicKeyOf(old.key.raw), bytes))
      return "a key rotation whose signature does not verify";
    const handedOver = { key: old.key, until: Math.min(old.until, bothUntil) };
    this.#known = [...this.#known.map((one) => (one === old ? handedOver : one)), pinned(next)];
    return undefined;
  }
}

/** The event by which `old` hands over. */
export function rotationEvent(old: VerifierKey, oldPrivate: KeyObject, next: VerifierKey, bothUntil: number): AuditEventInput {
  const [from, to] = [formatVerifierKey(old), formatVerifierKey(next)];
  const signature = sign(null, Buffer.from(rotationText(from, to, bothUntil)), oldPrivate).toString("base64");
  return { category: "audit", action: KEY_ROTATED, result: "success", details: { from, to, bothUntil, signature } };
}

function rotationText(from: string, to: string, bothUntil: number): string {
  return `cofferdam/audit/rotate/v1\n${from}\n${to}\n${bothUntil}\n`;
}

function keyOf(text: string): VerifierKey | undefined {
  try {
    const key = parseVerifierKey(text);
    return key.type === SIGNATURE_TYPES.ed25519 ? key : undefined;
  } catch {
    return undefined;
  }
}
