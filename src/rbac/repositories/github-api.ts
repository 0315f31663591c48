/**
 * The few requests of GitHub's REST API that ownership takes (https://docs.github.com/rest, version 2022-11-28), as the
 * installation of a GitHub App or with a token. Answers are bounded in size and time, redirects are not followed: a repository
 * that was renamed is not the one that was asked about.
 */
import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import { z } from "zod";
import { type Clock, CofferdamError, messageOf } from "../../foundation/index.ts";
import { organisationOf } from "../names.ts";

export type GitHubCredentials =
  /** A fine-grained token with `Metadata: read`, or one of an installation. */
  | { readonly token: string }
  /** The App's client id and its private key, PEM. Its permission is `Metadata: read`. */
  | { readonly clientId: string; readonly privateKey: string };

export interface GitHubApiParts {
  readonly api: URL;
  readonly credentials: GitHubCredentials;
  /** For one request, ms. */
  readonly timeout: number;
  readonly clock: Clock;
}

const MAX_ANSWER = 256 * 1024;
/** Installations whose tokens are kept. */
const MAX_INSTALLATIONS = 100;
/** A token is not used in its last minutes. */
const MARGIN = 300_000;
const installationSchema = z.object({ id: z.int().min(1) });
const tokenSchema = z.object({ token: z.string().min(1).max(1024), expires_at: z.iso.datetime({ offset: true }) });

interface InstallationToken {
  readonly token: string;
  readonly until: number;
}

export class GitHubApi {
  readonly #parts: GitHubApiParts;
  readonly #key: KeyObject | undefined;
  /** By installation. */
  readonly #tokens = new Map<number, InstallationToken>();
  /** By owner. */
  readonly #installations = new Map<string, number>();

  /** Throws INVALID_ARGUMENT for a key that is none. */
  constructor(parts: GitHubApiParts) {
    this.#parts = parts;
    const { credentials } = parts;
    if ("token" in credentials) return;
    try {
      this.#key = createPrivateKey(credentials.privateKey);
    } catch (error) {
      throw new CofferdamError("INVALID_ARGUMENT", "the private key of the GitHub App is no PEM key", { cause: error });
    }
    if (this.#key.asymmetricKeyType !== "rsa") throw new CofferdamError("INVALID_ARGUMENT", "the private key of a GitHub App is RSA");
  }

  /** The body of an answer with status 200, or undefined for 404 and redirects. Throws UPSTREAM_UNAVAILABLE for all others. */
  async get(repository: string, path: string): Promise<unknown> {
    return await this.#request("GET", path, await this.#tokenFor(repository));
  }

  async #tokenFor(repository: string): Promise<string | undefined> {
    const { credentials, clock } = this.#parts;
    if ("token" in credentials) return credentials.token;
    const owner = organisationOf(repository);
    let installation = this.#installations.get(owner);
    if (installation === undefined) {
      const found = await this.#request("GET", `/repos/${repository}/installation`, this.#ownToken(credentials.clientId));
      if (found === undefined) throw unavailable(`the App is not installed for ${repository}`);
      installation = read(installationSchema, found).id;
      keep(this.#installations, owner, installation);
    }
    const known = this.#tokens.get(installation);
    if (known !== undefined && known.until > clock.now()) return known.token;
    this.#tokens.delete(installation);
    // Should the App have been installed anew meanwhile, the next question finds the new one.
    this.#installations.delete(owner);
    const made = await this.#request("POST", `/app/installations/${installation}/access_tokens`, this.#ownToken(credentials.clientId));
    const { token, expires_at: expires } = read(tokenSchema, made);
    keep(this.#installations, owner, installation);
    keep(this.#tokens, installation, { token, until: Date.parse(expires) - MARGIN });
    return token;
  }

  /** RS256, from a minute ago (clocks differ) to nine minutes from now; ten are the most. */
  #ownToken(clientId: string): string | undefined {
    if (this.#key === undefined) return undefined;
    const now = Math.floor(this.#parts.clock.now() / 1000);
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const content = `${part({ alg: "RS256", typ: "JWT" })}.${part({ iat: now - 60, exp: now + 540, iss: clientId })}`;
    return `${content}.${sign("sha256", Buffer.from(content), this.#key).toString("base64url")}`;
  }

  async #request(method: "GET" | "POST", path: string, token: string | undefined): Promise<unknown> {
    const { api, timeout } = this.#parts;
    const url = new URL(`${api.pathname.replace(/\/$/, "")}${path}`, api);
    try {
      const response = await fetch(url, {
        method,
        headers: {
          accept: "application/vnd.github+json",
          "x-github-api-version": "2022-11-28",
          "user-agent": "cofferdam",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        redirect: "manual",
        signal: AbortSignal.timeout(timeout),
      });
      if (response.status === 200 || response.status === 201) return JSON.parse(await textOf(response));
      await response.body?.cancel();
      if (response.status === 404 || (response.status >= 300 && response.status < 400)) return undefined;
      throw unavailable(`${url.pathname}: status ${response.status}`);
    } catch (error) {
      throw error instanceof CofferdamError ? error : unavailable(`${url.pathname}: ${messageOf(error)}`);
    }
  }
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER) throw unavailable(`an answer of more than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Throws UPSTREAM_UNAVAILABLE for an answer that is not as documented. */
export function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw unavailable("an answer that is not as GitHub documents it");
  return parsed.data;
}

function keep<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (map.size >= MAX_INSTALLATIONS) map.clear();
  map.set(key, value);
}

function unavailable(reason: string): CofferdamError {
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `GitHub did not say who owns it: ${reason}`);
}
