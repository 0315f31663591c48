/**
 * An issuer of job tokens on loopback: https with an authority of its own, a page of keys, and tokens that are put together by
 * hand, so that tests can make every wrong one.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { makeCertificates } from "./docker-tls.ts";

export type Claims = Readonly<Record<string, unknown>>;

export class Issuer {
  readonly rsa: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  readonly ec: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  /** What the page of keys says; tests change it. */
  page: string = JSON.stringify({ keys: [jwkOf(this.rsa.publicKey, { kid: "rsa-1", alg: "RS256" }), jwkOf(this.ec.publicKey, { kid: "ec-1", alg: "ES256" })] });
  /** Status of the answer. */
  status = 200;
  asked = 0;
  readonly ca: string;
  #url = "";
  readonly #server: ReturnType<typeof createServer>;

  constructor(folder: string) {
    this.ca = makeCertificates(folder).ca;
    const [key, cert] = ["server.key", "server.pem"].map((name) => readFileSync(join(folder, name)));
    this.#server = createServer({ key, cert }, (request, response) => {
      this.asked += 1;
      const known = request.url === "/.well-known/jwks";
      response.writeHead(known ? this.status : 404, this.status === 302 ? { location: "https://127.0.0.1:1/jwks" } : {}).end(known ? this.page : "");
    });
  }

  get url(): string {
    return this.#url;
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    this.#url = `https://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** A token as GitHub makes them. @param claims an object, or the text itself. */
  token(claims: Claims | string, header: Claims | string = { typ: "JWT", alg: "RS256", x5t: "dGh1bWI", kid: "rsa-1" }): string {
    const { alg } = typeof header === "string" ? { alg: "RS256" } : header;
    const input = `${part(header)}.${part(claims)}`;
    if (alg === "ES256") return `${input}.${sign("sha256", Buffer.from(input), { key: this.ec.privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    return `${input}.${sign("sha256", Buffer.from(input), this.rsa.privateKey).toString("base64url")}`;
  }

  /** Signed with the public key as if it were a shared secret. */
  confused(claims: Claims): string {
    const input = `${part({ alg: "HS256", typ: "JWT", kid: "rsa-1" })}.${part(claims)}`;
    return `${input}.${createHmac("sha256", this.rsa.publicKey.export({ type: "spki", format: "pem" }))
      .update(input)
      .digest("base64url")}`;
  }
}

export function jwkOf(key: KeyObject, more: Claims): Claims {
  return { ...key.export({ format: "jwk" }), use: "sig", ...more };
}

export function part(value: Claims | string): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}
