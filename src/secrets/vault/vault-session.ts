/** The token that we ask with: had by logging in, renewed before it ends, had anew when it ended, given back when we are done. */
import { z } from "zod";
import { type Clock, CofferdamError } from "../../foundation/index.ts";
import { refusalOf } from "./vault-errors.ts";
import type { VaultAnswer, VaultHttp } from "./vault-http.ts";

/** Functions are asked at each login: what they read may change. */
export type VaultAuth =
  | { readonly method: "token"; readonly token: () => Promise<string> }
  /** @see auth/approle/login */
  | { readonly method: "approle"; readonly roleId: string; readonly secretId: () => Promise<string>; readonly mount?: string | undefined }
  /** @see auth/jwt/login; OIDC tokens of a platform are such. */
  | { readonly method: "jwt"; readonly role: string; readonly jwt: () => Promise<string>; readonly mount?: string | undefined };

interface Held {
  readonly token: string;
  /** By the monotonic clock, ms; undefined: it does not end. */
  readonly renewAt: number | undefined;
  readonly endsAt: number | undefined;
  readonly renewable: boolean;
}

const authSchema = z.object({ auth: z.object({ client_token: z.string().min(1), lease_duration: z.number().min(0), renewable: z.boolean() }) });
const lookupSchema = z.object({ data: z.object({ ttl: z.number().min(0), renewable: z.boolean() }) });
/** Longest timer that Node has, ms. */
const MAX_TIMER = 2 ** 31 - 1;

export class VaultSession {
  readonly #http: VaultHttp;
  readonly #auth: VaultAuth;
  readonly #clock: Clock;
  #held: Held | undefined;
  #getting: Promise<Held> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(http: VaultHttp, auth: VaultAuth, clock: Clock) {
    this.#http = http;
    this.#auth = auth;
    this.#clock = clock;
  }

  /** Throws UNAUTHENTICATED, and what an exchange throws. */
  async token(): Promise<string> {
    const now = this.#clock.monotonic();
    const held = this.#held;
    if (held !== undefined && (held.renewAt === undefined || now < held.renewAt)) return held.token;
    // All who come meanwhile wait for the same answer.
    this.#getting ??= this.#next(held, now).finally(() => {
      this.#getting = undefined;
    });
    return (await this.#getting).token;
  }

  /** Another token, when the one that was refused has ended and a login gives one; undefined: the refusal stands. */
  async another(refused: string): Promise<string | undefined> {
    if (this.#auth.method === "token") return undefined;
    // A login may be worth something: secret ids can be used a few times only.
    const answer = await this.#http.exchange({ method: "GET", path: "auth/token/lookup-self", token: refused });
    if (answer.status === 200) return undefined;
    if (this.#held?.token === refused) this.#held = undefined;
    const token = await this.token();
    return token === refused ? undefined : token;
  }

  /** A token that a login gave is given back, unless `keep`. */
  async close(keep: boolean): Promise<void> {
    clearTimeout(this.#timer);
    const held = this.#held;
    this.#held = undefined;
    if (keep || held === undefined || this.#auth.method === "token") return;
    // It ends by itself when the vault is not there.
    await this.#http.exchange({ method: "POST", path: "auth/token/revoke-self", token: held.token }).catch(() => undefined);
  }

  async #next(held: Held | undefined, now: number): Promise<Held> {
    const next = held === undefined || now >= (held.endsAt ?? now + 1) ? await this.#login() : await this.#renew(held);
    this.#held = next;
    clearTimeout(this.#timer);
    // One that nobody uses for a while has to be renewed all the same.
    if (next.renewAt !== undefined && next.renewable)
      this.#timer = setTimeout(() => void this.token().catch(() => undefined), Math.min(next.renewAt - now, MAX_TIMER)).unref();
    return next;
  }

  async #login(): Promise<Held> {
    const auth = this.#auth;
    switch (auth.method) {
      case "token": {
        const token = (await auth.token()).trim();
        const answer = await this.#http.exchange({ method: "GET", path: "auth/token/lookup-self", token });
        if (answer.status !== 200) throw notLoggedIn(answer);
        const { ttl, renewable } = valid(lookupSchema, answer).data;
        return this.#hold(token, ttl, renewable);
      }
      case "approle":
        return await this.#loginAt(auth.mount ?? "approle", { role_id: auth.roleId, secret_id: (await auth.secretId()).trim() });
      case "jwt":
        return await this.#loginAt(auth.mount ?? "jwt", { role: auth.role, jwt: (await auth.jwt()).trim() });
    }
  }

  async #loginAt(mount: string, body: object): Promise<Held> {
    const answer = await this.#http.exchange({ method: "POST", path: `auth/${mount}/login`, body });
    if (answer.status !== 200) throw notLoggedIn(answer);
    return this.#fromAuth(answer);
  }

  async #renew(held: Held): Promise<Held> {
    if (held.renewable) {
      const answer = await this.#http.exchange({ method: "POST", path: "auth/token/renew-self", token: held.token, body: {}, repeatable: true });
      if (answer.status === 200) return this.#fromAuth(answer);
    }
    // Its longest life is over, or it was revoked: what can log in does; a token of somebody else's is used to its end.
    return this.#auth.method === "token" ? { ...held, renewAt: held.endsAt, renewable: false } : await this.#login();
  }

  #fromAuth(answer: VaultAnswer): Held {
    const { client_token: token, lease_duration: ttl, renewable } = valid(authSchema, answer).auth;
    return this.#hold(token, ttl, renewable);
  }

  /** @param ttl seconds; 0: it does not end. */
  #hold(token: string, ttl: number, renewable: boolean): Held {
    const now = this.#clock.monotonic();
    return ttl === 0
      ? { token, renewAt: undefined, endsAt: undefined, renewable: false }
      : { token, renewAt: now + ttl * 667, endsAt: now + ttl * 1000, renewable };
  }
}

function notLoggedIn(answer: VaultAnswer): CofferdamError {
  const refusal = refusalOf(answer, "logging in");
  if (![400, 401, 403, 404].includes(answer.status)) return refusal;
  return new CofferdamError("UNAUTHENTICATED", refusal.message, {
    details: refusal.details,
    hint: "look at secrets.vault: auth, auth-mount, role, and the files",
  });
}

function valid<T>(schema: z.ZodType<T>, { body }: VaultAnswer): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new CofferdamError("UPSTREAM_UNAVAILABLE", "the vault's answer to a login is none");
}
