/** Logging in: a password, and the second factor where the user has one. Answers the same, and as slowly, for nobody's name. */
import { z } from "zod";
import { CofferdamError, parseInput } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import type { Authentication, User } from "../contract.ts";
import { foldName } from "../names.ts";
import { addressBlock, type Client, clientSchema } from "./client.ts";
import { attempt, type IdentityParts } from "./parts.ts";
import { type Guess, tooManyGuesses } from "./throttle.ts";

export interface LoginInput {
  readonly username: string;
  readonly password: string;
  /** Of the authenticator app. */
  readonly code?: string | undefined;
  /** Instead of {@link code}: one of those that were given out for a lost phone. */
  readonly recoveryCode?: string | undefined;
}

const loginSchema: z.ZodType<LoginInput> = z.strictObject({
  username: z.string().min(1).max(512),
  password: z.string().max(4096),
  code: z.string().max(16).optional(),
  recoveryCode: z.string().max(64).optional(),
});

/** What the second factor came to. */
type FactorOutcome = { readonly mfa: boolean; readonly recoveryCodesLeft?: number } | "required" | "wrong";

export class LoginDesk {
  readonly #parts: () => IdentityParts;

  constructor(parts: () => IdentityParts) {
    this.#parts = parts;
  }

  /**
   * Throws UNAUTHENTICATED (`details.secondFactor: "required"` when the password was right and a code is missing), RATE_LIMITED
   * with `details.retryAfter` in ms, RESOURCE_EXHAUSTED when too many log in at once.
   */
  async login(input: LoginInput, from: Client = {}): Promise<Authentication> {
    const { username, password, code, recoveryCode } = parseInput(loginSchema, input, "login");
    const client = parseInput(clientSchema, from, "client of a login");
    const { users, throttle, proofs } = this.#parts();
    const user = await users.findUser(username);
    const guess: Guess = { name: foldName(username), userId: user?.id, address: addressBlock(client) };
    const passed = await this.#mayTry(guess, user, code, client);
    const wait = await throttle.count(guess, passed);
    if (wait > 0) throw await this.#throttled(wait, user, client);
    const stored = user === undefined || user.disabled || user.kind !== "person" ? undefined : await this.#storedHash(user.id);
    const right = await this.#isRight(guess, password, stored);
    if (!right || user === undefined || stored === undefined)
      throw await this.#refuse(user, client, this.#reasonOf(user, stored), "wrong user name or password");
    const outcome = passed ? { mfa: true } : await this.#secondFactor(user.id, code, recoveryCode);
    if (outcome === "wrong") throw await this.#refuse(user, client, "wrong second factor", "wrong code");
    if (outcome === "required")
      throw await this.#refuse(user, client, "second factor missing", "a code of the second factor is needed", { secondFactor: "required" });
    const passwordHash = await this.#succeed(user, password, stored, guess, client, outcome);
    return proofs.issue({ method: "password", userId: user.id, mfa: outcome.mfa, passwordHash });
  }

  /** Throws when the guess has to wait. @returns true when a right code of the second factor passed the wait. */
  async #mayTry(guess: Guess, user: User | undefined, code: string | undefined, client: Client): Promise<boolean> {
    const { throttle, factors, store, clock } = this.#parts();
    const wait = await throttle.wait(guess);
    if (wait === 0) return false;
    if (user === undefined || code === undefined || (await throttle.countFactor(user.id)) > 0) throw await this.#throttled(wait, user, client);
    if (await store.write((tx) => factors.useCode(tx, user.id, code, clock.now()))) return true;
    throw await this.#throttled(wait, user, client);
  }

  /** What could not be looked at, because too many log in at once, is no wrong guess: others could make the owner wait by it. */
  async #isRight(guess: Guess, password: string, stored: string | undefined): Promise<boolean> {
    const { hasher, throttle } = this.#parts();
    try {
      return await hasher.verify(guess.userId ?? "", password, stored);
    } catch (error) {
      if (error instanceof CofferdamError && error.code === "RESOURCE_EXHAUSTED") await throttle.takeBack(guess);
      throw error;
    }
  }

  async #storedHash(userId: string): Promise<string | undefined> {
    const row = await this.#parts().store.read((tx) => tx.get("SELECT hash FROM identity_passwords WHERE user_id = ?", [userId]));
    return typeof row?.["hash"] === "string" ? row["hash"] : undefined;
  }

  async #secondFactor(userId: string, code: string | undefined, recoveryCode: string | undefined): Promise<FactorOutcome> {
    const { factors, store, clock } = this.#parts();
    if (!(await factors.isEnrolled(userId))) return { mfa: false };
    if (code !== undefined) return (await store.write((tx) => factors.useCode(tx, userId, code, clock.now()))) ? { mfa: true } : "wrong";
    if (recoveryCode === undefined) return "required";
    const left = await store.write((tx) => factors.useRecoveryCode(tx, userId, recoveryCode));
    return left === undefined ? "wrong" : { mfa: true, recoveryCodesLeft: left };
  }

  /** @returns the hash that is stored from now on. */
  async #succeed(user: User, password: string, stored: string, guess: Guess, client: Client, outcome: Exclude<FactorOutcome, string>): Promise<string> {
    const { book, hasher, throttle } = this.#parts();
    const better = hasher.isOutdated(stored) ? await hasher.hash(user.id, password.normalize("NFC")) : undefined;
    const { recoveryCodesLeft } = outcome;
    await book.make(async (tx) => {
      await throttle.succeeded(tx, guess);
      if (better !== undefined) await replaceHash(tx, user.id, stored, better);
      const details = {
        method: "password",
        mfa: outcome.mfa,
        ...(recoveryCodesLeft === undefined ? {} : { recoveryCodesLeft }),
        ...(better === undefined ? {} : { rehashed: true }),
      };
      return { result: undefined, events: [{ ...attempt("login", user.id, client, details), result: "success" }] };
    });
    return better ?? stored;
  }

  #reasonOf(user: User | undefined, stored: string | undefined): string {
    if (user === undefined) return "unknown user";
    if (user.disabled) return "disabled user";
    return stored === undefined ? "user without a password" : "wrong password";
  }

  async #throttled(wait: number, user: User | undefined, client: Client): Promise<CofferdamError> {
    await this.#parts().trail.denied(attempt("login", user?.id, client, { reason: "throttled" }));
    return tooManyGuesses(wait);
  }

  async #refuse(
    user: User | undefined,
    client: Client,
    reason: string,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
  ): Promise<CofferdamError> {
    await this.#parts().trail.denied(attempt("login", user?.id, client, { reason }));
    return new CofferdamError("UNAUTHENTICATED", message, { details });
  }
}

/** Unless the password was changed meanwhile. */
async function replaceHash(tx: Transaction, userId: string, before: string, after: string): Promise<void> {
  await tx.run("UPDATE identity_passwords SET hash = ? WHERE user_id = ? AND hash = ?", [after, userId, before]);
}
