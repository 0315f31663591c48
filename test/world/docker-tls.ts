/** Certificates for an engine that speaks TLS: an authority, its own for 127.0.0.1, a client's, and a stranger's client. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  readonly ca: string;
  readonly client: Identity;
  /** Of another authority. */
  readonly stranger: Identity;
}

/** Writes `ca.pem`, `server.pem`, `server.key` and the rest into a folder, which is made. */
export function makeCertificates(folder: string): Certificates {
  mkdirSync(folder);
  const openssl = (...args: readonly string[]): void => void execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const authority = (name: string): void =>
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      `/CN=${name}`,
      "-days",
      "2",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
    );
  const identity = (name: string, by: string, use: string): Identity => {
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=IP:127.0.0.1\nextendedKeyUsage=${use}\n`);
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      `${by}.pem`,
      "-CAkey",
      `${by}.key`,
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
    );
    return { cert: readFileSync(join(folder, `${name}.pem`), "utf8"), key: readFileSync(join(folder, `${name}.key`), "utf8") };
  };
  authority("ca");
  authority("other");
  identity("server", "ca", "serverAuth");
  return {
    ca: readFileSync(join(folder, "ca.pem"), "utf8"),
    client: identity("client", "ca", "clientAuth"),
    stranger: identity("stranger", "other", "clientAuth"),
  };
}
