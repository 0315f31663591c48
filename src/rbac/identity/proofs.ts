/** Proofs that somebody was authenticated a moment ago: given out after a check, good for one use, and not to be made elsewhere. */
import type { Clock } from "../../foundation/index.ts";
import type { AccessLimits, Authentication } from "../contract.ts";

/** How long a proof is good, ms. */
const LIFETIME = 60_000;

export interface ProvenFacts {
  readonly method: Authentication["method"];
  readonly userId: string;
  readonly mfa: boolean;
  /** What a token was limited to: its sessions are, too. */
  readonly limits?: AccessLimits;
  /** The stored hash of the password that was right: a session begins while it is still that one. */
  readonly passwordHash?: string;
  /** The token that was shown: its sessions end with it. */
  readonly tokenId?: string;
  /** When what was shown ends, ms since 1970. */
  readonly notAfter?: number;
}

export class Proofs {
  readonly #clock: Clock;
  readonly #issued = new WeakMap<object, { readonly facts: ProvenFacts; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue(facts: ProvenFacts): Authentication {
    const { method, userId, mfa } = facts;
    const authentication = Object.freeze({ method, userId, mfa, proof: Symbol("proof") });
    this.#issued.set(authentication, { facts, until: this.#clock.monotonic() + LIFETIME });
    return authentication;
  }

  /** Undefined for one that is not ours, of another user, too old or used. */
  take(authentication: Authentication, userId: string): ProvenFacts | undefined {
    const issued = this.#issued.get(authentication);
    this.#issued.delete(authentication);
    return issued !== undefined && issued.facts.userId === userId && this.#clock.monotonic() <= issued.until ? issued.facts : undefined;
  }
}
