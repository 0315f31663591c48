/**
 * Personal data under a key of each person's (GDPR Art. 17). What is hashed is the ciphertext: when the key is destroyed the
 * data is gone, from every copy of the log too, and every hash, proof and checkpoint stands.
 */
import { randomBytes } from "node:crypto";
import { CofferdamError, canonicalBytes, type JsonObject, newId, openBytes, sealBytes } from "../foundation/index.ts";
import type { Store, Transaction } from "../store/index.ts";
import type { AuditEvent, AuditEventInput, SealedData, SealedInput } from "./event.ts";
import type { LogIdentity } from "./log-table.ts";
import { strictBase64 } from "./note.ts";
import { bytesOf } from "./row.ts";
import type { Writer } from "./writer.ts";

/** Action of the event that an erasure leaves. */
export const ERASED = "subject_erased";

export class Subjects {
  readonly #store: Store;
  readonly #log: LogIdentity;

  constructor(store: Store, log: LogIdentity) {
    this.#store = store;
    this.#log = log;
  }

  /** The event with its personal data sealed; the person's key is made when there is none. */
  async seal({ personal, ...event }: AuditEventInput): Promise<SealedInput> {
    if (personal === undefined) return event;
    const plain = canonicalBytes(personal.data);
    const { id, key } = (await this.#store.read((tx) => keyOf(tx, personal.subject))) ?? (await this.#store.write((tx) => makeKey(tx, personal.subject)));
    return { ...event, personal: { key: id, sealed: sealBytes(key, plain, this.#purpose(id)).toString("base64") } };
  }

  /** What was sealed, or undefined when the key was destroyed. Throws INTEGRITY_FAILURE for what does not open with its key. */
  async open({ personal }: Pick<AuditEvent, "personal">): Promise<JsonObject | undefined> {
    if (personal === undefined) return undefined;
    const row = await this.#store.read((tx) => tx.get("SELECT key FROM audit_subjects WHERE id = ?", [personal.key]));
    if (row?.["key"] === null || row === undefined) return undefined;
    return this.#unseal(personal, bytesOf(row["key"]));
  }

  /**
   * Destroys a person's key, and the link between person and key; the event names the key alone. Throws NOT_FOUND when the
   * log has nothing of that person.
   */
  async erase(writer: Writer, subject: string, reason: string): Promise<AuditEvent> {
    return await writer.logWith(async (tx, seq) => {
      const known = await keyOf(tx, subject);
      if (known === undefined) throw new CofferdamError("NOT_FOUND", "the audit trail has no personal data under this name");
      await tx.run("UPDATE audit_subjects SET subject = NULL, key = NULL, erased = ? WHERE id = ?", [seq, known.id]);
      return { category: "audit", action: ERASED, result: "success", details: { key: known.id, reason } };
    });
  }

  #unseal({ key: id, sealed }: SealedData, key: Buffer): JsonObject {
    const bytes = strictBase64(sealed);
    try {
      if (bytes === undefined) throw new Error("not base64");
      return JSON.parse(openBytes(key, bytes, this.#purpose(id)).toString("utf8"));
    } catch (error) {
      throw new CofferdamError("INTEGRITY_FAILURE", "personal data of an audit event does not open with its key", { cause: error });
    }
  }

  /** Additional data: each part with its length in front, in the machine's byte order (logs have it so, `lengthFramed` is big-endian). */
  #purpose(id: string): Buffer {
    const parts = ["cofferdam/audit/personal/v1", this.#log.logId, id].map((part) => Buffer.from(part));
    return Buffer.concat(parts.flatMap((part) => [Buffer.from(Uint32Array.of(part.length).buffer), part]));
  }
}

interface SubjectKey {
  readonly id: string;
  readonly key: Buffer;
}

async function keyOf(tx: Transaction, subject: string): Promise<SubjectKey | undefined> {
  const row = await tx.get("SELECT id, key FROM audit_subjects WHERE subject = ?", [subject]);
  return row === undefined ? undefined : { id: String(row["id"]), key: bytesOf(row["key"]) };
}

async function makeKey(tx: Transaction, subject: string): Promise<SubjectKey> {
  const known = await keyOf(tx, subject);
  if (known !== undefined) return known;
  const made = { id: newId("sub"), key: randomBytes(32) };
  await tx.run("INSERT INTO audit_subjects (id, subject, key) VALUES (?, ?, ?)", [made.id, subject, made.key]);
  return made;
}
