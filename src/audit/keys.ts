/** The log's Ed25519 key pair. The chain's start binds the public key; signed checkpoints come later with the same key. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { linkSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CofferdamError, errnoOf, makeFolder, newId, readBounded } from "../foundation/index.ts";
import { syncFolder } from "./durable.ts";

export interface LogKey {
  readonly privateKey: KeyObject;
  /** Raw public key, base64. */
  readonly publicKey: string;
}

/** A key that lives as long as the process; for a log in memory. */
export function temporaryKey(): LogKey {
  return keyOf(generateKeyPairSync("ed25519").privateKey);
}

/** Reads the key file, or makes it (mode 0600). Of two processes that make it at once, both end up with the same key. */
export async function openKey(path: string): Promise<LogKey> {
  const known = await readKey(path);
  if (known !== undefined) return known;
  makeFolder(dirname(path), 0o700);
  const fresh = `${path}.${newId("new")}`;
  try {
    writeFileSync(fresh, generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx", flush: true });
    linkSync(fresh, path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
  syncFolder(dirname(path));
  syncFolder(dirname(dirname(path)));
  const made = await readKey(path);
  if (made === undefined) throw new CofferdamError("CONFLICT", `the audit key disappeared: ${path}`);
  return made;
}

async function readKey(path: string): Promise<LogKey | undefined> {
  const pem = await readBounded(path, { maxBytes: 16 * 1024, what: "audit key" });
  if (pem === undefined) return undefined;
  try {
    return keyOf(createPrivateKey(pem));
  } catch (error) {
    throw new CofferdamError("INTEGRITY_FAILURE", `the audit key cannot be read: ${path}`, { cause: error });
  }
}

function keyOf(privateKey: KeyObject): LogKey {
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  return { privateKey, publicKey: Buffer.from(x ?? "", "base64url").toString("base64") };
}
