/** The hashes of the log: RFC 6962 leaves, and the links between them. */
import { hash } from "node:crypto";
import { canonicalBytes } from "../foundation/index.ts";

const LEAF_PREFIX = Buffer.from([0x00]);
/** Sets the chain hash apart from RFC 6962 leaves (0x00) and nodes (0x01). */
const CHAIN_LABEL = Buffer.from("cofferdam/audit/chain/v1\0", "utf8");

/** RFC 6962 leaf hash: SHA-256(0x00 || body); of a text, its UTF-8. */
export function leafHash(body: Uint8Array | string): Buffer {
  return typeof body === "string" ? hash("sha256", `\0${body}`, "buffer") : sha256([LEAF_PREFIX, body]);
}

/** SHA-256(label || previous || leaf). The body holds seq, log id and schema version, so the link binds those too. */
export function chainHash(previous: Uint8Array, leaf: Uint8Array): Buffer {
  return sha256([CHAIN_LABEL, previous, leaf]);
}

/** What stands before the first event: SHA-256 over the log's identity. */
export function genesisHash(logId: string, publicKey: string): Buffer {
  return sha256([canonicalBytes({ logId, publicKey })]);
}

export function hashText(digest: Uint8Array): string {
  return `sha256:${Buffer.from(digest).toString("hex")}`;
}

function sha256(parts: readonly Uint8Array[]): Buffer {
  // One call on joined bytes costs half of a digest object for inputs of this size.
  return hash("sha256", Buffer.concat(parts), "buffer");
}
