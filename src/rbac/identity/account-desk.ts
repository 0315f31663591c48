/** What lets a user in, set, changed and taken away: passwords and second factors. Each change is on record; no secret is. */
import { CofferdamError, type TrailEvent } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import type { Actor, User } from "../contract.ts";
import type { Client } from "./client.ts";
import type { LoginDesk, LoginInput } from "./login-desk.ts";
import { activeUser, attempt, changed, type IdentityParts, isSelf, requireSelfOr } from "./parts.ts";
import { acceptPassword } from "./password.ts";
import type { Enrolment } from "./second-factors.ts";
import { endOf } from "./session-desk.ts";
import { tooManyGuesses } from "./throttle.ts";

/** The right to set what lets others in; whoever uses it needs every right of that user, too. */
const RIGHT = "credentials:set";

export class AccountDesk {
  readonly #parts: () => IdentityParts;
  readonly #logins: LoginDesk;

  constructor(parts: () => IdentityParts, logins: LoginDesk) {
    this.#parts = parts;
    this.#logins = logins;
  }

  /**
   * Sets the password of a person, and ends the sessions of that person; tokens stay. One's own is changed with
   * {@link changePassword}. Throws INVALID_ARGUMENT for a bad password, FAILED_PRECONDITION, NOT_FOUND, PERMISSION_DENIED.
   */
  async setPassword(userId: string, password: string, actor: Actor): Promise<void> {
    const { users } = this.#parts();
    const user = await this.#person(userId);
    if (isSelf(actor, user.id))
      throw new CofferdamError("PERMISSION_DENIED", "one's own password is changed by showing the old one", { hint: "cofferdam rbac user password" });
    await users.requireAuthority(actor, RIGHT, user.id);
    await this.#store(user, password, actor);
  }

  /** Changes one's own password, after a login with the old one; every session ends. Throws like a login. */
  async changePassword(login: LoginInput, password: string, from: Client = {}): Promise<void> {
    const { userId } = await this.#logins.login(login, from);
    const user = await this.#person(userId);
    if (login.password.normalize("NFC") === password.normalize("NFC")) throw new CofferdamError("INVALID_ARGUMENT", "password: it is the old one");
    await this.#store(user, password, { kind: "user", userId });
  }

  /** Whether the user has a password, and a second factor in use. */
  async credentialsOf(userId: string): Promise<{ readonly password: boolean; readonly secondFactor: boolean }> {
    const { store, factors } = this.#parts();
    const row = await store.read((tx) => tx.get("SELECT 1 AS one FROM identity_passwords WHERE user_id = ?", [userId]));
    return { password: row !== undefined, secondFactor: await factors.isEnrolled(userId) };
  }

  /** The secret for an authenticator app. It counts from {@link confirmSecondFactor} on. Throws CONFLICT when there is one in use. */
  async enrolSecondFactor(userId: string, actor: Actor): Promise<Enrolment> {
    const { users, factors, book, clock } = this.#parts();
    const user = await this.#person(userId);
    await requireSelfOr(users, actor, RIGHT, user.id);
    const { sealed, ...enrolment } = await factors.newSecret(user);
    return await book.make(async (tx) => {
      await factors.enrol(tx, user.id, sealed, clock.now());
      return { result: enrolment, events: [changed("second_factor_enrolled", actor, user.id)] };
    });
  }

  /** @returns recovery codes, shown once, each good once. Throws UNAUTHENTICATED for a wrong code, RATE_LIMITED. */
  async confirmSecondFactor(userId: string, code: string, actor: Actor): Promise<readonly string[]> {
    const { users, factors, book, clock } = this.#parts();
    const user = await this.#person(userId);
    await requireSelfOr(users, actor, RIGHT, user.id);
    await this.#guess(user);
    const codes = await book.make(async (tx) => {
      const made = await factors.confirm(tx, user.id, code, clock.now());
      return { result: made, events: made === undefined ? [] : [changed("second_factor_confirmed", actor, user.id, { recoveryCodes: made.length })] };
    });
    if (codes === undefined) throw await this.#wrongCode(user, "second_factor_confirmed");
    return codes;
  }

  /**
   * Takes the second factor away. One's own takes a code of it besides: who found an open session has none.
   * @returns whether there was one. Throws UNAUTHENTICATED for a wrong code, RATE_LIMITED, PERMISSION_DENIED.
   */
  async removeSecondFactor(userId: string, actor: Actor, code?: string): Promise<boolean> {
    const { users, factors, book, clock } = this.#parts();
    const user = await this.#person(userId);
    await requireSelfOr(users, actor, RIGHT, user.id);
    const own = isSelf(actor, user.id);
    if (own) await this.#guess(user);
    const removed = await book.make<boolean | "wrong">(async (tx) => {
      if (own && !(await factors.useCode(tx, user.id, code ?? "", clock.now())) && (await factors.useRecoveryCode(tx, user.id, code ?? "")) === undefined)
        return { result: "wrong", events: [] };
      const was = await factors.remove(tx, user.id);
      return { result: was, events: was ? [changed("second_factor_removed", actor, user.id)] : [] };
    });
    if (removed === "wrong") throw await this.#wrongCode(user, "second_factor_removed");
    return removed;
  }

  async #person(userId: string): Promise<User> {
    const user = await activeUser(this.#parts().users, userId);
    if (user.kind !== "person")
      throw new CofferdamError("FAILED_PRECONDITION", `${user.username} is a program: it has neither password nor second factor`, {
        hint: `cofferdam rbac token create ${user.username}`,
      });
    return user;
  }

  async #store(user: User, text: string, actor: Actor): Promise<void> {
    const { hasher, book } = this.#parts();
    const password = acceptPassword(text, [user.username, ...(user.name === undefined ? [] : [user.name])]);
    const hash = await hasher.hash(user.id, password);
    await book.make(async (tx) => ({ result: undefined, events: await storePassword(this.#parts(), tx, user.id, hash, actor) }));
  }

  async #guess(user: User): Promise<void> {
    const { throttle, trail } = this.#parts();
    const wait = await throttle.countFactor(user.id);
    if (wait === 0) return;
    await trail.denied(attempt("second_factor_checked", user.id, {}, { reason: "throttled" }));
    throw tooManyGuesses(wait);
  }

  async #wrongCode(user: User, action: string): Promise<CofferdamError> {
    await this.#parts().trail.denied(attempt(action, user.id, {}, { reason: "wrong second factor" }));
    return new CofferdamError("UNAUTHENTICATED", "wrong code");
  }
}

/** Puts a password in place, and ends the sessions of its user. @returns the events of it. */
export async function storePassword({ clock, sessions }: IdentityParts, tx: Transaction, userId: string, hash: string, actor: Actor): Promise<TrailEvent[]> {
  await tx.run(
    "INSERT INTO identity_passwords (user_id, hash, changed_at) VALUES (?, ?, ?) ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
    [userId, hash, clock.now()],
  );
  const ended = await sessions.endAllOf(tx, userId);
  return [changed("password_set", actor, userId, { sessionsEnded: ended.length }), ...ended.map((one) => endOf(one, actor, "password changed"))];
}
