/** A server that answers like GitHub's REST API for one App: installations, their tokens, repositories, permissions. */
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface FakeRepository {
  readonly visibility: "public" | "private" | "internal";
  /** By login. */
  readonly people: Readonly<Record<string, { readonly id: number; readonly permission: "admin" | "write" | "read" | "none" }>>;
}

const UNAUTHORIZED = [401, { message: "Bad credentials" }] as const;
const NOT_FOUND = [404, { message: "Not Found" }] as const;

export class GitHubServer implements AsyncDisposable {
  static readonly clientId: string = "Iv23liTEST";
  readonly repositories: Map<string, FakeRepository> = new Map();
  readonly privateKey: string;
  readonly requests: string[] = [];
  /** Instead of an answer. */
  broken: ((response: ServerResponse) => void) | undefined;
  readonly #publicKey: string;
  readonly #server: Server;
  #tokens = 0;

  private constructor() {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.privateKey = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
    this.#publicKey = publicKey.export({ type: "spki", format: "pem" }).toString();
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<GitHubServer> {
    const server = new GitHubServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get url(): string {
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(`${request.method} ${request.url}`);
    if (this.broken !== undefined) {
      this.broken(response);
      return;
    }
    const [status, body] = this.#reply(request);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }

  #reply({ method = "", url = "", headers }: IncomingMessage): readonly [status: number, body: object] {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
    const [, owner = "", name = "", rest = ""] = /^\/repos\/([^/]+)\/([^/]+)(?:\/(.*))?$/.exec(url) ?? [];
    const repository = this.repositories.get(`${owner}/${name}`.toLowerCase());
    if (rest === "installation" || url.startsWith("/app/")) {
      if (!this.#isApp(token)) return UNAUTHORIZED;
      if (method === "GET") return repository === undefined ? NOT_FOUND : [200, { id: 77 }];
      this.#tokens += 1;
      return [201, { token: `ghs_${this.#tokens}`, expires_at: new Date(Date.now() + 3_600_000).toISOString() }];
    }
    if (!token.startsWith("ghs_")) return UNAUTHORIZED;
    if (repository === undefined) return NOT_FOUND;
    const { visibility, people } = repository;
    if (rest === "") return [200, { id: 1, full_name: `${owner}/${name}`, private: visibility !== "public", visibility }];
    const person = people[/^collaborators\/([^/]+)\/permission$/.exec(rest)?.[1] ?? ""];
    return person === undefined ? NOT_FOUND : [200, { permission: person.permission, role_name: person.permission, user: { id: person.id } }];
  }

  #isApp(token: string): boolean {
    const [head = "", body = "", signature = ""] = token.split(".");
    const parse = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, "base64url").toString() || "{}");
    const { iss, iat, exp } = parse(body);
    const now = Date.now() / 1000;
    return (
      parse(head)["alg"] === "RS256" &&
      iss === GitHubServer.clientId &&
      Number(iat) <= now &&
      Number(exp) > now &&
      Number(exp) <= now + 600 &&
      verify("sha256", Buffer.from(`${head}.${body}`), createPublicKey(this.#publicKey), Buffer.from(signature, "base64url"))
    );
  }
}
