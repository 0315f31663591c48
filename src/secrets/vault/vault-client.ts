/** Asks a vault with our token, and again with another one when it has ended. */
import { type Clock, systemClock } from "../../foundation/index.ts";
import { refusalOf } from "./vault-errors.ts";
import { type VaultAnswer, type VaultCall, VaultHttp, type VaultPlace } from "./vault-http.ts";
import { type VaultAuth, VaultSession } from "./vault-session.ts";

export interface VaultConnection extends VaultPlace {
  readonly auth: VaultAuth;
}

/** Statuses of sys/health under which requests are served. */
const SERVING: ReadonlySet<number> = new Set([200, 429, 473]);

export class VaultClient {
  readonly #http: VaultHttp;
  readonly #session: VaultSession;
  readonly #clock: Clock;
  #time = 0;

  /** Throws INVALID_ARGUMENT for an address that cannot be used. */
  constructor({ auth, ...place }: VaultConnection, clock: Clock = systemClock) {
    this.#http = new VaultHttp(place);
    this.#clock = clock;
    this.#session = new VaultSession(this.#http, auth, clock);
  }

  /** The latest of our time, the vault's, and what this said before, ms since the epoch. */
  now(): number {
    this.#time = Math.max(this.#time, this.#clock.now(), this.#http.latestDate);
    return this.#time;
  }

  /** Throws UPSTREAM_UNAVAILABLE (not there, sealed, secondary), FAILED_PRECONDITION (not initialised), UNAUTHENTICATED. */
  async connect(): Promise<void> {
    const health = await this.#http.exchange({ method: "GET", path: "sys/health", repeatable: false });
    if (!SERVING.has(health.status)) throw refusalOf(health, "starting");
    await this.#session.token();
  }

  /** Any answer but a refusal: its status is below 300, or among `also`. Throws as {@link refusalOf} says, and what an exchange throws. */
  async ask(call: Omit<VaultCall, "token">, what: string, also: readonly number[] = []): Promise<VaultAnswer> {
    const token = await this.#session.token();
    let answer = await this.#http.exchange({ ...call, token });
    if (answer.status === 403) {
      const another = await this.#session.another(token);
      if (another !== undefined) answer = await this.#http.exchange({ ...call, token: another });
    }
    if (answer.status < 300 || also.includes(answer.status)) return answer;
    throw refusalOf(answer, what);
  }

  /** @param keepToken what an engine made for our token ends with it: then the token is not given back. */
  async close(keepToken = false): Promise<void> {
    await this.#session.close(keepToken);
    await this.#http.close();
  }
}
