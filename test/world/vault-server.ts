/**
 * A vault as its HTTP API is documented: tokens with a life, AppRole and JWT logins, KV version 2 with check-and-set, versions,
 * deletion and destruction, namespaces, health. Time is the test's. Nothing here comes from what it tests.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type CryptoKey, jwtVerify } from "jose";

export interface TlsOptions {
  readonly cert: string;
  readonly key: string;
}

interface Version {
  data: Record<string, unknown> | null;
  readonly created: number;
  deleted: number;
  destroyed: boolean;
}

interface Entry {
  current: number;
  maxVersions: number;
  casRequired: boolean;
  readonly versions: Map<number, Version>;
}

export interface VaultToken {
  readonly token: string;
  /** By the server's time, ms; undefined: for ever. */
  endsAt: number | undefined;
  readonly ttl: number;
  /** Renewals do not go beyond. */
  readonly lastsUntil: number | undefined;
  readonly renewable: boolean;
  readonly namespace: string;
  /** Beginnings of paths that it may use. */
  readonly paths: readonly string[];
}

interface Reply {
  readonly status: number;
  readonly body?: object | string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface VaultRequest {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
}

export class VaultServer {
  readonly requests: VaultRequest[] = [];
  readonly tokens: Map<string, VaultToken> = new Map();
  readonly secretIds: Map<string, { uses: number; readonly roleId: string }> = new Map();
  /** Paths that no token may use. */
  readonly denied: string[] = [];
  /** Answers instead of the server: `hang` never, `reset` breaks the connection. */
  fault: ((request: VaultRequest) => Reply | "hang" | "reset" | undefined) | undefined;
  /** Of sys/health. */
  health = 200;
  sealed = false;
  tokenTtl = 3600;
  maxTtl = 7200;
  jwt: { readonly key: CryptoKey; readonly audience: string } | undefined;
  #ahead = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #scheme: "http" | "https";
  readonly #server: Server;

  constructor(tls?: TlsOptions) {
    const serve = (request: IncomingMessage, response: ServerResponse): void => void this.#serve(request, response);
    this.#scheme = tls === undefined ? "http" : "https";
    this.#server = tls === undefined ? createServer(serve) : createSecureServer(tls, serve);
  }

  /** @param tls certificate and key; without them it is plain HTTP. */
  static async start(tls?: TlsOptions): Promise<VaultServer> {
    const made = new VaultServer(tls);
    await new Promise<void>((resolve) => made.#server.listen(0, "127.0.0.1", resolve));
    return made;
  }

  get address(): string {
    const address: AddressInfo | string | null = this.#server.address();
    return `${this.#scheme}://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  /** Its time goes on. @param seconds as in its API. */
  advance(seconds: number): void {
    this.#ahead += seconds * 1000;
  }

  grant(options: { readonly ttl?: number; readonly namespace?: string; readonly renewable?: boolean; readonly paths?: readonly string[] } = {}): string {
    const { ttl = 0, namespace = "", renewable = true, paths = [""] } = options;
    const token = `hvs.${randomUUID()}`;
    const now = this.#now();
    this.tokens.set(token, {
      ...{ token, ttl, namespace, paths, renewable: renewable && ttl > 0 },
      endsAt: ttl === 0 ? undefined : now + ttl * 1000,
      lastsUntil: ttl === 0 ? undefined : now + this.maxTtl * 1000,
    });
    return token;
  }

  /** Everything that it stores, for a search. */
  dump(): string {
    return JSON.stringify([...this.#entries].map(([path, { versions }]) => [path, [...versions]]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #now(): number {
    return Date.now() + this.#ahead;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", this.address);
    const path = url.pathname.replace(/^\/v1\//, "");
    const token = textOf(request.headers["x-vault-token"]);
    const seen = { method: request.method ?? "", path, token };
    this.requests.push(seen);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const fault = this.fault?.(seen);
    if (fault === "hang") return;
    if (fault === "reset") return void request.socket.destroy();
    const reply =
      fault ?? (await this.#answer(seen, url.searchParams, textOf(request.headers["x-vault-namespace"]) ?? "", Buffer.concat(chunks).toString("utf8")));
    const body = reply.body === undefined ? "" : typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
    response.writeHead(reply.status, { "content-type": "application/json", date: new Date(this.#now()).toUTCString(), ...reply.headers }).end(body);
  }

  async #answer({ method, path, token }: VaultRequest, query: URLSearchParams, namespace: string, text: string): Promise<Reply> {
    if (path === "sys/health")
      return { status: this.sealed ? 503 : this.health, body: { initialized: this.health !== 501, sealed: this.sealed, standby: this.health === 429 } };
    if (this.sealed) return failure(503, "Vault is sealed");
    let body: Record<string, unknown> = {};
    try {
      if (text !== "") body = JSON.parse(text);
    } catch {
      return failure(400, "failed to parse JSON input");
    }
    if (method === "POST" && path === "auth/approle/login") return this.#approle(body, namespace);
    if (method === "POST" && path === "auth/jwt/login") return await this.#jwt(body, namespace);
    const held = token === undefined ? undefined : this.tokens.get(token);
    if (held === undefined || (held.endsAt !== undefined && held.endsAt <= this.#now())) return failure(403, "permission denied", "invalid token");
    if (held.namespace !== namespace) return failure(403, "permission denied");
    if (path === "auth/token/lookup-self")
      return wrapped({ ttl: held.endsAt === undefined ? 0 : Math.ceil((held.endsAt - this.#now()) / 1000), renewable: held.renewable });
    if (path === "auth/token/revoke-self" && method === "POST") {
      this.tokens.delete(held.token);
      return { status: 204 };
    }
    if (path === "auth/token/renew-self" && method === "POST") return this.#renew(held);
    if (this.denied.some((one) => path.startsWith(one)) || !held.paths.some((one) => path.startsWith(one)))
      return failure(403, "1 error occurred:\n\t* permission denied\n\n");
    const match = /^secret\/(data|metadata|delete|undelete|destroy)\/(.*)$/.exec(path);
    if (match?.[1] === undefined || match[2] === undefined) return failure(404, `no handler for route "${path}". route entry not found.`);
    return this.#kv(method, match[1], `${namespace}|`, match[2], query, body);
  }

  #renew(held: VaultToken): Reply {
    const now = this.#now();
    const until = Math.min(now + held.ttl * 1000, held.lastsUntil ?? Number.POSITIVE_INFINITY);
    if (!held.renewable || until <= now) return failure(400, "lease is not renewable");
    held.endsAt = until;
    return login({ ...held, ttl: Math.ceil((until - now) / 1000) });
  }

  #approle(body: Record<string, unknown>, namespace: string): Reply {
    const known = this.secretIds.get(String(body["secret_id"]));
    if (known === undefined || known.roleId !== body["role_id"] || known.uses === 0) return failure(400, "invalid role or secret ID");
    known.uses -= 1;
    return this.#loggedIn(namespace);
  }

  async #jwt(body: Record<string, unknown>, namespace: string): Promise<Reply> {
    if (this.jwt === undefined || body["role"] !== "ci") return failure(400, `role "${String(body["role"])}" could not be found`);
    try {
      await jwtVerify(String(body["jwt"]), this.jwt.key, { audience: this.jwt.audience, currentDate: new Date(this.#now()) });
    } catch {
      return failure(400, "error validating token: invalid signature or claims");
    }
    return this.#loggedIn(namespace);
  }

  #loggedIn(namespace: string): Reply {
    const held = this.tokens.get(this.grant({ ttl: this.tokenTtl, namespace }));
    return held === undefined ? failure(500, "no token") : login(held);
  }

  #kv(method: string, kind: string, space: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Reply {
    if (kind === "metadata" && method === "GET" && query.get("list") === "true") return this.#list(`${space}${path}`);
    const key = `${space}${path}`;
    const entry = this.#entries.get(key);
    if (kind === "data" && method === "GET") return this.#read(entry, Number(query.get("version") ?? 0));
    if (kind === "data" && (method === "POST" || method === "PUT")) return this.#write(key, body);
    if (kind === "metadata" && method === "POST") {
      const made = this.#made(key);
      made.maxVersions = Number(body["max_versions"] ?? made.maxVersions);
      made.casRequired = body["cas_required"] === true;
      return { status: 204 };
    }
    if (kind === "metadata" && method === "DELETE") {
      this.#entries.delete(key);
      return { status: 204 };
    }
    if (entry === undefined) return { status: 404, body: { errors: [] } };
    if (kind === "metadata" && method === "GET") return wrapped(metadataOf(entry));
    const versions = kind === "data" ? [entry.current] : Array.isArray(body["versions"]) ? body["versions"].map(Number) : [];
    if (versions.length === 0) return failure(400, "No version number provided");
    for (const number of versions) {
      const version = entry.versions.get(number);
      if (version === undefined || version.destroyed) continue;
      if (kind === "destroy") Object.assign(version, { destroyed: true, data: null });
      else version.deleted = kind === "undelete" ? 0 : this.#now();
    }
    return { status: 204 };
  }

  #read(entry: Entry | undefined, asked: number): Reply {
    const number = asked === 0 ? (entry?.current ?? 0) : asked;
    const version = entry?.versions.get(number);
    if (version === undefined) return { status: 404, body: { errors: [] } };
    const gone = version.destroyed || (version.deleted !== 0 && version.deleted <= this.#now());
    const data = {
      data: gone ? null : version.data,
      metadata: {
        version: number,
        created_time: iso(version.created),
        custom_metadata: null,
        deletion_time: iso(version.deleted),
        destroyed: version.destroyed,
      },
    };
    return { ...wrapped(data), status: gone ? 404 : 200 };
  }

  #write(key: string, body: Record<string, unknown>): Reply {
    const { data, options } = body;
    if (typeof data !== "object" || data === null) return failure(400, "no data provided");
    const known = this.#entries.get(key);
    const cas = typeof options === "object" && options !== null && "cas" in options ? options.cas : undefined;
    if (cas === undefined && known?.casRequired === true) return failure(400, "check-and-set parameter required for this call");
    if (cas !== undefined && cas !== (known?.current ?? 0)) return failure(400, "check-and-set parameter did not match the current version");
    const entry = this.#made(key);
    entry.current += 1;
    entry.versions.set(entry.current, { data: JSON.parse(JSON.stringify(data)), created: this.#now(), deleted: 0, destroyed: false });
    for (const number of entry.versions.keys()) if (number <= entry.current - (entry.maxVersions === 0 ? 10 : entry.maxVersions)) entry.versions.delete(number);
    return wrapped({ version: entry.current, created_time: iso(this.#now()), deletion_time: "", destroyed: false, custom_metadata: null });
  }

  #list(folder: string): Reply {
    const prefix = folder.endsWith("/") || folder.endsWith("|") ? folder : `${folder}/`;
    const names = [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length).replace(/\/.*$/, "/"));
    return names.length === 0 ? { status: 404, body: { errors: [] } } : wrapped({ keys: [...new Set(names)].sort() });
  }

  #made(key: string): Entry {
    const entry = this.#entries.get(key) ?? { current: 0, maxVersions: 0, casRequired: false, versions: new Map() };
    this.#entries.set(key, entry);
    return entry;
  }
}

function metadataOf({ current, maxVersions, casRequired, versions }: Entry): object {
  const shown = [...versions].map(([number, { created, deleted, destroyed }]) => [
    number,
    { created_time: iso(created), deletion_time: iso(deleted), destroyed },
  ]);
  return {
    current_version: current,
    oldest_version: 0,
    max_versions: maxVersions,
    cas_required: casRequired,
    custom_metadata: null,
    versions: Object.fromEntries(shown),
  };
}

function login({ token, ttl, renewable }: Pick<VaultToken, "token" | "ttl" | "renewable">): Reply {
  return { status: 200, body: { ...ENVELOPE, auth: { client_token: token, accessor: randomUUID(), policies: ["default"], lease_duration: ttl, renewable } } };
}

const ENVELOPE = { request_id: "0", lease_id: "", renewable: false, lease_duration: 0, data: null, wrap_info: null, warnings: null, auth: null };

function wrapped(data: object): Reply {
  return { status: 200, body: { ...ENVELOPE, data } };
}

function failure(status: number, ...errors: readonly string[]): Reply {
  return { status, body: { errors } };
}

function iso(time: number): string {
  return time === 0 ? "" : new Date(time).toISOString().replace("Z", "123456Z");
}

function textOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}
