/**
 * Ownership as GitHub has it: an owner is an administrator of the repository, assigned is who may write to it. People are known
 * by GitHub's number, since logins can be given up and taken over by others.
 */
import { z } from "zod";
import { type Clock, parseInput, systemClock } from "../../foundation/index.ts";
import type { RepositoryFacts, RepositoryResolver, User } from "../contract.ts";
import { GitHubApi, type GitHubCredentials, read } from "./github-api.ts";

export interface GitHubResolverOptions {
  readonly credentials: GitHubCredentials;
  /** https, or http on this machine. Default https://api.github.com. */
  readonly api?: string | undefined;
  /** How long an answer is believed, ms; somebody who was taken out at GitHub is in here for so long. Default 30,000, at most ten minutes. */
  readonly maxAge?: number | undefined;
  /** For one request, ms. Default 4000. */
  readonly timeout?: number | undefined;
  readonly clock?: Clock | undefined;
}

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);
const optionsSchema: z.ZodType<GitHubResolverOptions> = z.strictObject({
  credentials: z.union([
    z.strictObject({ token: z.string().regex(/^[\x21-\x7e]{1,1024}$/, "not a token") }),
    z.strictObject({ clientId: z.string().regex(/^[A-Za-z0-9.]{1,64}$/, "not a client id"), privateKey: z.string().min(1).max(16_384) }),
  ]),
  api: z
    .url()
    .max(1024)
    .refine((text) => isSafe(new URL(text)), "https, or http on this machine")
    .optional(),
  maxAge: z.int().min(0).max(600_000).optional(),
  timeout: z.int().min(1).max(60_000).optional(),
  clock: z.custom<Clock>((value) => typeof value === "object" && value !== null && "now" in value).optional(),
});

const repositorySchema = z.object({ full_name: z.string(), visibility: z.string().optional(), private: z.boolean() });
const permissionSchema = z.object({ permission: z.enum(["admin", "write", "read", "none"]), user: z.object({ id: z.int() }).nullable() });

/** Answers that are kept. */
const MAX_KEPT = 10_000;

interface Kept {
  readonly facts: Promise<RepositoryFacts>;
  readonly until: number;
}

/**
 * @example
 * ```ts
 * const github = new GitHubResolver({ credentials: { clientId: "Iv23abcdef", privateKey } });
 * const rbac = new RBACSystem(auditLogger, { store, resolvers: [github] });
 * ```
 */
export class GitHubResolver implements RepositoryResolver {
  readonly #api: GitHubApi;
  readonly #maxAge: number;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();

  /** Asks nothing yet. Throws INVALID_ARGUMENT. */
  constructor(options: GitHubResolverOptions) {
    const {
      credentials,
      api = "https://api.github.com",
      maxAge = 30_000,
      timeout = 4000,
      clock = systemClock,
    } = parseInput(optionsSchema, options, "options of GitHubResolver");
    this.#api = new GitHubApi({ api: new URL(api), credentials, timeout, clock });
    this.#maxAge = maxAge;
    this.#clock = clock;
  }

  /** Throws UPSTREAM_UNAVAILABLE; then nothing is known. */
  async factsOf(user: User, repository: string): Promise<RepositoryFacts> {
    const key = `${user.github?.id ?? ""} ${user.github?.login ?? ""} ${repository}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > this.#clock.monotonic()) return await kept.facts;
    const facts = this.#ask(user, repository);
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(key, { facts, until: this.#clock.monotonic() + this.#maxAge });
    // A failure is not kept: the next question asks again.
    facts.catch(() => this.#kept.delete(key));
    return await facts;
  }

  async #ask({ github }: User, repository: string): Promise<RepositoryFacts> {
    const path = `/repos/${repository.split("/").map(encodeURIComponent).join("/")}`;
    const found = await this.#api.get(repository, path);
    if (found === undefined) return {};
    const { full_name: name, visibility, private: isPrivate } = read(repositorySchema, found);
    if (name.toLowerCase() !== repository) return {};
    // `internal` is seen by a whole enterprise: not private, and not public either.
    const facts: RepositoryFacts = { public: !isPrivate && (visibility ?? "public") === "public" };
    if (github === undefined) return facts;
    const answer = await this.#api.get(repository, `${path}/collaborators/${encodeURIComponent(github.login)}/permission`);
    if (answer === undefined) return facts;
    const { permission, user } = read(permissionSchema, answer);
    if (user?.id !== github.id) return facts;
    return { ...facts, owned: permission === "admin", assigned: permission === "admin" || permission === "write" };
  }
}

function isSafe(url: URL): boolean {
  return (url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname))) && url.username === "" && url.search === "";
}
