/**
 * Getting in when nobody can: the first administrator, by a one-time set-up token, and an account that is locked out. Both start
 * with the owner of the state directory, who could change the database anyway; here it is on record.
 */
import { z } from "zod";
import { CofferdamError, parseInput } from "../../foundation/index.ts";
import type { Actor, User } from "../contract.ts";
import { foldName } from "../names.ts";
import { type UserInput, userInputSchema } from "../schemas.ts";
import { storePassword } from "./account-desk.ts";
import { type Client, clientSchema } from "./client.ts";
import { activeUser, attempt, changed, type IdentityParts, requireLocalOwner } from "./parts.ts";
import { acceptPassword } from "./password.ts";
import { hashSecret, newSecret } from "./secret-text.ts";

/** How long a set-up token is good, ms. */
const SETUP_LIFE = 3_600_000;

export interface SetupToken {
  /** Shown once. */
  readonly token: string;
  readonly expiresAt: string;
}

const passwordText = z.string().max(4096);

export class RecoveryDesk {
  readonly #parts: () => IdentityParts;

  constructor(parts: () => IdentityParts) {
    this.#parts = parts;
  }

  /** A token that makes one administrator, within an hour; it takes the place of an earlier one. Throws FAILED_PRECONDITION when there is an administrator. */
  async createSetupToken(actor: Actor): Promise<SetupToken> {
    requireLocalOwner(actor, "a set-up token");
    const { users, book, clock } = this.#parts();
    if (await users.hasAdministrator())
      throw new CofferdamError("FAILED_PRECONDITION", "there is an administrator already", { hint: "locked out? cofferdam rbac recover USER" });
    const { text, hash } = newSecret("setup");
    const expiresAt = clock.now() + SETUP_LIFE;
    return await book.make(async (tx) => {
      await tx.run("DELETE FROM identity_setup");
      await tx.run("INSERT INTO identity_setup (hash, name, expires_at) VALUES (?, NULL, ?)", [hash, expiresAt]);
      const end = new Date(expiresAt).toISOString();
      return { result: { token: text, expiresAt: end }, events: [changed("setup_token_created", actor, undefined, { expiresAt: end })] };
    });
  }

  /**
   * Makes the first administrator. The token belongs to the first name that is given with it, and ends with success: after a
   * crash in between, the same call goes on. Throws UNAUTHENTICATED for a token that is none, used or too old, INVALID_ARGUMENT.
   */
  async setUp(token: string, user: UserInput, password: string, from: Client = {}): Promise<User> {
    const { users, hasher, book, trail } = this.#parts();
    const client = parseInput(clientSchema, from, "client of a set-up");
    const parsed = parseInput(userInputSchema, user, "user");
    const accepted = acceptPassword(parseInput(passwordText, password, "password"), namesOf(parsed));
    const hash = hashSecret("setup", token);
    if (hash === undefined || !(await this.#claim(hash, foldName(parsed.username)))) {
      await trail.denied(attempt("set_up", undefined, client, { reason: hash === undefined ? "malformed" : "unknown, used or too old" }));
      throw new CofferdamError("UNAUTHENTICATED", "the set-up token is none, was used or is too old", { hint: "a new one: cofferdam rbac setup --token" });
    }
    const actor: Actor = { kind: "embedding", vouchedBy: "set-up token" };
    const made = await users.makeAdministrator(parsed, actor);
    const stored = await hasher.hash(made.id, accepted);
    await book.make(async (tx) => {
      const events = await storePassword(this.#parts(), tx, made.id, stored, actor);
      await tx.run("DELETE FROM identity_setup");
      return { result: undefined, events: [changed("set_up", actor, made.id), ...events] };
    });
    return made;
  }

  /**
   * Lets somebody in again who is locked out: a new password, no second factor, no waits, and no open sessions.
   * Throws PERMISSION_DENIED for all but the owner of the state directory, NOT_FOUND, INVALID_ARGUMENT.
   */
  async recover(username: string, password: string, actor: Actor): Promise<User> {
    requireLocalOwner(actor, "to recover an account");
    const { users, hasher, book, throttle, factors } = this.#parts();
    const found = await users.findUser(username);
    const user = await activeUser(users, found?.id ?? username);
    if (user.kind !== "person") throw new CofferdamError("FAILED_PRECONDITION", `${user.username} is a program: give it a new token`);
    const hash = await hasher.hash(user.id, acceptPassword(parseInput(passwordText, password, "password"), namesOf(user)));
    return await book.make(async (tx) => {
      const events = await storePassword(this.#parts(), tx, user.id, hash, actor);
      const secondFactorRemoved = await factors.remove(tx, user.id);
      await throttle.forget(tx, foldName(user.username), user.id);
      return { result: user, events: [changed("account_recovered", actor, user.id, { secondFactorRemoved }), ...events] };
    });
  }

  /**
   * Takes the wall clock for right again after it was ahead by mistake. Every session, set-up token and used job token was judged
   * by the wrong time: sessions and set-up tokens end. Throws PERMISSION_DENIED for all but the owner of the state directory.
   * @returns how many sessions ended.
   */
  async resetClock(actor: Actor): Promise<number> {
    requireLocalOwner(actor, "to reset the clock");
    const { book, clock } = this.#parts();
    return await book.make(async (tx) => {
      const behind = clock.behind();
      const { changes } = await tx.run("DELETE FROM identity_sessions");
      await tx.run("DELETE FROM identity_setup");
      await tx.run("DELETE FROM identity_guesses");
      await clock.reset(tx);
      return { result: changes, events: [changed("clock_reset", actor, undefined, { behind, sessionsEnded: changes })] };
    });
  }

  async #claim(hash: string, name: string): Promise<boolean> {
    const { store, clock } = this.#parts();
    return await store.write(async (tx) => {
      const { changes } = await tx.run("UPDATE identity_setup SET name = ? WHERE hash = ? AND (name IS NULL OR name = ?) AND expires_at > ?", [
        name,
        hash,
        name,
        clock.now(),
      ]);
      return changes === 1;
    });
  }
}

function namesOf({ username, name }: Pick<UserInput, "username" | "name">): string[] {
  return name === undefined ? [username] : [username, name];
}
