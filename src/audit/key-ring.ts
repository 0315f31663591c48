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
/** Action of the event that names a new key after the loss of the old one; nobody vouches for it. */
export const KEY_REPLACED = "key_replaced";

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

const replacedSchema: z.ZodType<{ readonly to: string; readonly reason: string }> = z.strictObject({ to: z.string().max(1024), reason: z.string().max(1024) });

export interface KeyRingOptions {
  /**
   * Believe the log about a key that replaced a lost one. Only where nothing better is known than what the log itself says:
   * a verifier with a pinned key does not.
   */
  readonly trustReplaced: boolean;
}

export class KeyRing {
  #known: readonly KnownKey[];
  readonly #trustReplaced: boolean;
  #replaced = false;

  constructor(known: readonly KnownKey[], { trustReplaced }: KeyRingOptions) {
    this.#known = known;
    this.#trustReplaced = trustReplaced;
  }

  /** The key that the log named last. */
  get latest(): VerifierKey | undefined {
    return this.#known.at(-1)?.key;
  }

  /** True when the keys to begin with are a verifier's own, and the log is not believed about others. */
  get isPinned(): boolean {
    return !this.#trustReplaced;
  }

  /** True when a key is believed that no earlier one vouched for. */
  get replaced(): boolean {
    return this.#replaced;
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
    if (category !== "audit") return undefined;
    if (action === KEY_REPLACED) return this.#replace(details);
    return action === KEY_ROTATED ? this.#rotate(details) : undefined;
  }

  #replace(details: unknown): string | undefined {
    const parsed = replacedSchema.safeParse(details);
    const key = parsed.success ? keyOf(parsed.data.to) : undefined;
    if (key === undefined) return "a key replacement that cannot be read";
    // To a verifier with a pinned key this one stays unknown, and so does what it signs.
    if (!this.#trustReplaced) return undefined;
    this.#known = [...this.#known, pinned(key)];
    this.#replaced = true;
    return undefined;
  }

  #rotate(details: unknown): string | undefined {
    const parsed = detailsSchema.safeParse(details);
    if (!parsed.success) return "a key rotation that cannot be read";
    const { from, to, bothUntil, signature } = parsed.data;
    const old = this.#known.find(({ key }) => formatVerifierKey(key) === from);
    const next = keyOf(to);
    if (old === undefined && this.#trustReplaced) return "a key rotation that no known key vouches for";
    if (old === undefined) return undefined;
    if (next === undefined || next.name !== old.key.name) return "a key rotation to something that is no key of this log";
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

/** The event by which a log goes on with another key after the loss of its own. */
export function replacementEvent(next: VerifierKey, reason: string): AuditEventInput {
  return { category: "audit", action: KEY_REPLACED, result: "success", details: { to: formatVerifierKey(next), reason } };
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
