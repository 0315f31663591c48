/** The two ends of a checked connection: towards the job with a certificate of its own authority, towards the server as any client. HTTP/1.1 only. */
import type { Socket } from "node:net";
import { connect, createSecureContext, getCACertificates, type SecureContext, TLSSocket } from "node:tls";
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import type { JobAuthority } from "./job-authority.ts";

const PROTOCOLS = ["http/1.1"];
/** ms for a handshake. */
const TIMEOUT = 10_000;

/**
 * TLS with the job. Throws SECURITY_VIOLATION when its client does not trust the authority, or does not speak HTTP/1.1.
 * @param client what was read of it is put back in front (unshift).
 */
export async function acceptTls(client: Socket, name: string, authority: JobAuthority): Promise<TLSSocket> {
  const secured = new TLSSocket(client, { isServer: true, secureContext: authority.contextFor(name), ALPNProtocols: PROTOCOLS });
  return await handshake(secured, "secure", `${name}: the client did not accept a connection that is checked`);
}

/** Whom we trust to say who a server is: what Node brings, what this host has, and what an operator added. */
export class ServerTrust {
  readonly #more: readonly string[];
  #context: SecureContext | undefined;

  /** @param more certificates of authorities, PEM. */
  constructor(more: readonly string[]) {
    this.#more = more;
  }

  /** TLS with the server that has this name, or UPSTREAM_UNAVAILABLE: its certificate is not for that name, or of nobody we trust. */
  async connectTls(socket: Socket, name: string): Promise<TLSSocket> {
    // Some hundred certificates: read once, and only when there is need.
    this.#context ??= createSecureContext({ ca: [...new Set([...getCACertificates("default"), ...getCACertificates("system"), ...this.#more])] });
    const secured = connect({ socket, servername: name, secureContext: this.#context, ALPNProtocols: PROTOCOLS, rejectUnauthorized: true });
    return await handshake(secured, "secureConnect", `${name}: no secure connection to the server`);
  }
}

async function handshake(socket: TLSSocket, event: "secure" | "secureConnect", what: string): Promise<TLSSocket> {
  return await new Promise<TLSSocket>((resolve, reject) => {
    const failed = (error?: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      const code = event === "secure" ? "SECURITY_VIOLATION" : "UPSTREAM_UNAVAILABLE";
      reject(new CofferdamError(code, error === undefined ? what : `${what}: ${messageOf(error)}`, { cause: error }));
    };
    const timer = setTimeout(failed, TIMEOUT);
    // Without a protocol in common OpenSSL goes on without one: what is spoken then is found out by reading it.
    socket.once("error", failed).once("close", () => failed());
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off("error", failed).on("error", () => socket.destroy());
      resolve(socket);
    });
  });
}
