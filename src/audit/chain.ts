/** The hashes of the log: RFC 6962 leaves, and the links between them. */
import { canonicalBytes } from "../foundation/index.ts";
import { sha256 } from "./sha256.ts";

const LEAF_PREFIX = Buffer.from([0x00]);
/** Sets the chain hash apart from RFC 6962 leaves (0x00) and nodes (0x01). */
const CHAIN_LABEL = Buffer.from("cofferdam/audit/chain/v1\0", "utf8");

/** RFC 6962 leaf hash: SHA-256(0x00 || body); of a text, its UTF-8. */
export function leafHash(body: Uint8Array | string): Buffer {
  return sha256(typeof body === "string" ? `\0${body}` : Buffer.concat([LEAF_PREFIX, body]));
}

/** SHA-256(label || previous || leaf). The body holds seq, log id and schema version, so the link binds those too. */
export function chainHash(previous: Uint8Array, leaf: Uint8Array): Buffer {
  return sha256(Buffer.concat([CHAIN_LABEL, previous, leaf]));
}

/** What stands before the first event: SHA-256 over the log's identity. */
export function genesisHash(logId: string, publicKey: string): Buffer {
  return sha256(canonicalBytes({ logId, publicKey }));
}

export function hashText(digest: Uint8Array): string {
  return `sha256:${Buffer.from(digest).toString("hex")}`;
}
