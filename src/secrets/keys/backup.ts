/** The master keys as one text under a passphrase: what is left of a store when its key file is lost. */
import { z } from "zod";
import { cannotOpen, KEY_BYTES } from "../sealing/box.ts";
import { parseDocument } from "../sealing/document.ts";
import { type MasterKey, masterKeyId } from "../sealing/master-key.ts";
import { COST_FLOOR, type KdfCost, openWithPassphrase, passphraseBoxSchema, sealWithPassphrase } from "./passphrase.ts";

const FORMAT = "cofferdam/secrets-backup/v1";
const LABEL = "master keys";

const backupSchema = z.strictObject({ format: z.literal(FORMAT), box: passphraseBoxSchema });
const keysSchema = z
  .array(z.strictObject({ id: z.string(), key: z.base64() }))
  .min(1)
  .max(4);

/** Throws INVALID_ARGUMENT for a passphrase that is too short. */
export async function sealBackup(keys: readonly MasterKey[], passphrase: Uint8Array, cost: KdfCost = COST_FLOOR): Promise<string> {
  const text = Buffer.from(JSON.stringify(keys.map(({ id, key }) => ({ id, key: Buffer.from(key).toString("base64") }))));
  try {
    return `${JSON.stringify({ format: FORMAT, box: await sealWithPassphrase(passphrase, "backup", LABEL, text, cost) })}\n`;
  } finally {
    text.fill(0);
  }
}

/** Throws INTEGRITY_FAILURE for another passphrase, and for what is no backup or was changed. */
export async function openBackup(text: string, passphrase: Uint8Array): Promise<readonly MasterKey[]> {
  const { box } = parseDocument(backupSchema, text);
  const opened = await openWithPassphrase(passphrase, "backup", LABEL, box);
  try {
    return parseDocument(keysSchema, opened.toString("utf8")).map(({ id, key: base64 }) => {
      const key = Buffer.from(base64, "base64");
      if (key.length !== KEY_BYTES || masterKeyId(key) !== id) throw cannotOpen();
      return { id, key };
    });
  } finally {
    opened.fill(0);
  }
}
