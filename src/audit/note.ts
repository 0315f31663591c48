/**
 * Signed notes (c2sp.org/signed-note v1.0.0): a text, and below it lines with signatures of named keys. Ed25519 signatures
 * (type 0x01) and the timestamped cosignatures of witnesses (type 0x04, c2sp.org/tlog-cosignature v1.0.0).
 */
import { createPublicKey, hash, type KeyObject, sign, verify } from "node:crypto";
import { CofferdamError } from "../foundation/index.ts";

/** Largest note that is read. */
export const MAX_NOTE_BYTES: number = 64 * 1024;
const MAX_SIGNATURES = 100;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

export const SIGNATURE_TYPES = { ed25519: 1, cosignature: 4 } as const;
export type SignatureType = (typeof SIGNATURE_TYPES)[keyof typeof SIGNATURE_TYPES];

/** A key that notes are verified with: pinned by name and bytes, never by its short id alone. */
export interface VerifierKey {
  readonly name: string;
  readonly type: SignatureType;
  /** First four bytes of SHA-256(name, 0x0A, type, key), hex. */
  readonly id: string;
  /** Raw Ed25519 key. */
  readonly raw: Buffer;
}

export interface NoteSignature {
  readonly name: string;
  readonly id: string;
  /** Without the key id in front. */
  readonly bytes: Buffer;
  /** The whole line, without its end. */
  readonly line: string;
}

export interface ParsedNote {
  /** With its last line feed; what is signed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface VerifiedSignature {
  readonly key: VerifierKey;
  readonly line: string;
  /** When a witness signed, seconds since the epoch; undefined for an ordinary signature. */
  readonly time: number | undefined;
}

export interface OpenedNote {
  readonly text: string;
  /** At least one; one a key. */
  readonly verified: readonly VerifiedSignature[];
}

/** A verifier key as text: `name+id+base64(type || key)`. Throws INVALID_ARGUMENT. */
export function parseVerifierKey(text: string): VerifierKey {
  const [name = "", id = "", data = "", more] = text.split("+", 3).length === 3 ? splitKey(text) : [];
  const bytes = strictBase64(data);
  const type = Object.values(SIGNATURE_TYPES).find((one) => one === bytes?.[0]);
  if (more !== undefined || !isName(name) || !/^[0-9a-f]{8}$/.test(id) || bytes === undefined || type === undefined || bytes.length !== KEY_BYTES + 1)
    throw new CofferdamError("INVALID_ARGUMENT", "not a verifier key: name+id+base64, of an Ed25519 key");
  const key = verifierKey(name, type, bytes.subarray(1));
  if (key.id !== id) throw new CofferdamError("INVALID_ARGUMENT", `not a verifier key: its id should be ${key.id}`);
  return key;
}

export function verifierKey(name: string, type: SignatureType, raw: Uint8Array): VerifierKey {
  const id = hash("sha256", Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([type]), raw]), "buffer");
  return { name, type, id: id.toString("hex", 0, 4), raw: Buffer.from(raw) };
}

export function formatVerifierKey({ name, type, id, raw }: VerifierKey): string {
  return `${name}+${id}+${Buffer.concat([Buffer.from([type]), raw]).toString("base64")}`;
}

/** Raw public half of an Ed25519 key. */
export function rawPublicKey(key: KeyObject): Buffer {
  const { x } = createPublicKey(key).export({ format: "jwk" });
  return Buffer.from(x ?? "", "base64url");
}

/** A signature line over `text`, with its line feed. @param time for a cosignature, seconds since the epoch. Throws INVALID_ARGUMENT. */
export function signatureLine(text: string, name: string, privateKey: KeyObject, time?: number): string {
  if (!isName(name)) throw new CofferdamError("INVALID_ARGUMENT", "a key's name has neither spaces nor a plus sign");
  if (!isText(text)) throw new CofferdamError("INVALID_ARGUMENT", "a note's text ends with a line feed and has no control characters");
  const type = time === undefined ? SIGNATURE_TYPES.ed25519 : SIGNATURE_TYPES.cosignature;
  const key = verifierKey(name, type, rawPublicKey(privateKey));
  const signature = sign(null, Buffer.from(signedText(text, time)), privateKey);
  const stamp = Buffer.alloc(time === undefined ? 0 : 8);
  if (time !== undefined) stamp.writeBigUInt64BE(BigInt(time));
  return `\u2014 ${name} ${Buffer.concat([Buffer.from(key.id, "hex"), stamp, signature]).toString("base64")}\n`;
}

/** Takes a note apart. Throws INVALID_ARGUMENT for what is none, PAYLOAD_TOO_LARGE past {@link MAX_NOTE_BYTES}. */
export function parseNote(note: Uint8Array | string): ParsedNote {
  const text = decode(note);
  const end = text.lastIndexOf("\n\n");
  const body = text.slice(0, end + 1);
  if (end < 0 || !isText(body) || !text.endsWith("\n")) throw malformed();
  const lines = text.slice(end + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) throw malformed();
  return { text: body, signatures: lines.map(parseSignatureLine) };
}

/** One signature line, without its line feed. Throws INVALID_ARGUMENT. */
export function parseSignatureLine(line: string): NoteSignature {
  const [, name = "", data = ""] = /^\u2014 (\S+) (\S+)$/u.exec(line) ?? [];
  const bytes = strictBase64(data);
  if (!isName(name) || bytes === undefined || bytes.length < 5) throw malformed();
  return { name, id: bytes.toString("hex", 0, 4), bytes: bytes.subarray(4), line };
}

/**
 * Verifies a note with known keys; lines of other keys are ignored. Throws INTEGRITY_FAILURE when a known key's signature is
 * wrong or no known key signed, and INVALID_ARGUMENT for what is no note.
 */
export function openNote(note: Uint8Array | string, keys: readonly VerifierKey[]): OpenedNote {
  const { text, signatures } = parseNote(note);
  const verified: VerifiedSignature[] = [];
  for (const signature of signatures) {
    const key = keys.find(({ name, id }) => name === signature.name && id === signature.id);
    // The first line of a key counts, as in the reference implementation.
    if (key === undefined || verified.some((one) => one.key === key)) continue;
    verified.push(verifySignature(text, signature, key));
  }
  if (verified.length === 0) throw new CofferdamError("INTEGRITY_FAILURE", "no known key has signed this note");
  return { text, verified };
}

/** Throws INTEGRITY_FAILURE when the signature is not the key's over this text. */
export function verifySignature(text: string, { bytes, line }: NoteSignature, key: VerifierKey): VerifiedSignature {
  const stamped = key.type === SIGNATURE_TYPES.cosignature;
  const time = stamped && bytes.length === SIGNATURE_BYTES + 8 ? Number(bytes.readBigUInt64BE(0)) : undefined;
  const signature = stamped ? bytes.subarray(8) : bytes;
  const sound = signature.length === SIGNATURE_BYTES && (!stamped || Number.isSafeInteger(time));
  if (!sound || !verify(null, Buffer.from(signedText(text, time)), publicKeyOf(key.raw), signature))
    throw new CofferdamError("INTEGRITY_FAILURE", `the signature of ${key.name} does not verify`, { details: { name: key.name, id: key.id } });
  return { key, line, time };
}

/** The key object of a raw Ed25519 key. */
export function publicKeyOf(raw: Buffer): KeyObject {
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
}

/** Base64 as RFC 4648 section 4 has it, padding and all; undefined for anything else. */
export function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

function signedText(text: string, time: number | undefined): string {
  return time === undefined ? text : `cosignature/v1\ntime ${time}\n${text}`;
}

function splitKey(text: string): string[] {
  const first = text.indexOf("+");
  const second = text.indexOf("+", first + 1);
  // The base64 part may hold a plus sign too.
  return [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)];
}

function decode(note: Uint8Array | string): string {
  if ((typeof note === "string" ? Buffer.byteLength(note) : note.length) > MAX_NOTE_BYTES)
    throw new CofferdamError("PAYLOAD_TOO_LARGE", `a note larger than ${MAX_NOTE_BYTES} bytes`);
  if (typeof note === "string") {
    if (!note.isWellFormed()) throw malformed();
    return note;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(note);
  } catch {
    throw malformed();
  }
}

function isText(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the format forbids exactly these.
  return text.endsWith("\n") && !/[\0-\t\v-\x1f]/.test(text);
}

function isName(name: string): boolean {
  return name !== "" && name.isWellFormed() && !/[\p{White_Space}+]/u.test(name);
}

function malformed(): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", "not a signed note (c2sp.org/signed-note)");
}
