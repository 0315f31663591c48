/**
 * A certificate authority for one job, and for as long as it: its key is in memory and nowhere else. The job trusts it, so that
 * we can end its TLS where its policy has rules for requests; nobody else does.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Clock } from "../../foundation/index.ts";
import { bitString, integer, objectId, octetString, sequence, tagged, time } from "./der.ts";

/** ms. Jobs end before; clocks may differ by the first. */
const BEFORE = 3_600_000;
const LIFETIME = 7 * 86_400_000;
/** Names whose certificates are kept. */
const MAX_KEPT = 200;

const OID = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  subjectAltName: "2.5.29.17",
  subjectKeyId: "2.5.29.14",
  authorityKeyId: "2.5.29.35",
} as const;

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export class JobAuthority {
  /** PEM, for the job's trust store. */
  readonly certificate: string;
  readonly #clock: Clock;
  readonly #name: Buffer;
  readonly #pair: Pair;
  /** One key for all names of a job: they all end here. */
  readonly #leaf: Pair;
  readonly #contexts = new Map<string, SecureContext>();

  /** @param jobId is part of the authority's name, so that two are told apart. */
  constructor(jobId: string, clock: Clock) {
    this.#clock = clock;
    this.#pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#leaf = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#name = distinguishedName(`Cofferdam job ${jobId}`);
    this.certificate = pem(
      this.#issue(this.#name, this.#pair.publicKey, [
        extension(OID.basicConstraints, true, sequence(tagged(0x01, Buffer.from([0xff])), integer(Buffer.from([0])))),
        // keyCertSign.
        extension(OID.keyUsage, true, bitString(Buffer.from([0x04]), 2)),
        extension(OID.subjectKeyId, false, octetString(keyId(this.#pair.publicKey))),
      ]),
    );
  }

  /** What a server of this name is spoken for with. @param name normal form. */
  contextFor(name: string): SecureContext {
    const known = this.#contexts.get(name);
    if (known !== undefined) return known;
    const cert = this.#issue(distinguishedName("Cofferdam checked connection"), this.#leaf.publicKey, [
      extension(OID.keyUsage, true, bitString(Buffer.from([0x80]), 7)),
      extension(OID.extendedKeyUsage, false, sequence(objectId(OID.serverAuth))),
      extension(OID.subjectAltName, false, sequence(tagged(0x82, Buffer.from(name, "latin1")))),
      extension(OID.authorityKeyId, false, sequence(tagged(0x80, keyId(this.#pair.publicKey)))),
    ]);
    const key = this.#leaf.privateKey.export({ type: "pkcs8", format: "pem" });
    const context = createSecureContext({ cert: `${pem(cert)}${this.certificate}`, key, minVersion: "TLSv1.2" });
    const oldest = this.#contexts.size >= MAX_KEPT ? this.#contexts.keys().next().value : undefined;
    if (oldest !== undefined) this.#contexts.delete(oldest);
    this.#contexts.set(name, context);
    return context;
  }

  /** RFC 5280 §4.1. */
  #issue(subject: Buffer, publicKey: KeyObject, extensions: readonly Buffer[]): Buffer {
    const now = this.#clock.now();
    const algorithm = sequence(objectId(OID.ecdsaWithSha256));
    const body = sequence(
      // Version 3.
      tagged(0xa0, integer(Buffer.from([2]))),
      integer(randomBytes(16)),
      algorithm,
      this.#name,
      sequence(time(now - BEFORE), time(now + LIFETIME)),
      subject,
      publicKey.export({ type: "spki", format: "der" }),
      tagged(0xa3, sequence(...extensions)),
    );
    return sequence(body, algorithm, bitString(sign("sha256", body, this.#pair.privateKey)));
  }
}

function distinguishedName(text: string): Buffer {
  // A common name has at most 64 characters.
  return sequence(tagged(0x31, sequence(objectId(OID.commonName), tagged(0x0c, Buffer.from(text.slice(0, 64))))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [tagged(0x01, Buffer.from([0xff]))] : []), octetString(value));
}

function keyId(publicKey: KeyObject): Buffer {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 20);
}

function pem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${(der.toString("base64").match(/.{1,64}/g) ?? []).join("\n")}\n-----END CERTIFICATE-----\n`;
}
