/**
 * Passwords: what one must be, and its argon2id hash (RFC 9106) in the PHC string form. Cost has a floor (64 MiB, 3 passes)
 * and a ceiling, because a stored string says how much memory its check takes. The user's id is part of what is hashed: a row
 * that is copied to another user opens nothing.
 */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { CofferdamError } from "../../foundation/index.ts";
import { foldName } from "../names.ts";

export interface PasswordCost {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

export const COST_FLOOR: PasswordCost = { memory: 64 * 1024, passes: 3, parallelism: 1 };
export const COST_CEILING: PasswordCost = { memory: 1024 * 1024, passes: 10, parallelism: 4 };

/** Characters at least, and bytes at most. */
const PASSWORD_LIMITS = { characters: 12, bytes: 1024 } as const;
/** Different characters at least. */
const VARIETY = 5;
/** Shorter names are in too many good passwords by chance. */
const NAME_IN_PASSWORD = 4;

const SALT_BYTES = 16;
const TAG_BYTES = 32;
/** Checks at once, of one process; each holds the memory of its cost. */
const AT_ONCE = 2;
/** Checks that wait; one more is refused. */
const MAX_WAITING = 32;

const PHC = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43})$/;

interface Stored {
  readonly cost: PasswordCost;
  readonly salt: Buffer;
  readonly tag: Buffer;
}

/**
 * Normalised as RFC 8265 has it (NFC). Throws INVALID_ARGUMENT for one that is too short, too long, of too few characters,
 * or made of the user's own names. There is no list of leaked passwords in the product.
 */
export function acceptPassword(text: string, names: readonly string[]): string {
  const password = text.normalize("NFC");
  const characters = [...password];
  const refuse = (why: string): CofferdamError => new CofferdamError("INVALID_ARGUMENT", `password: ${why}`);
  if (!text.isWellFormed() || /\p{Cc}/u.test(password)) throw refuse("control characters are not accepted");
  if (characters.length < PASSWORD_LIMITS.characters) throw refuse(`at least ${PASSWORD_LIMITS.characters} characters, please; several words make a good one`);
  if (Buffer.byteLength(password) > PASSWORD_LIMITS.bytes) throw refuse(`at most ${PASSWORD_LIMITS.bytes} bytes`);
  if (new Set(characters).size < VARIETY) throw refuse(`at least ${VARIETY} different characters, please`);
  const folded = foldName(password);
  if (names.some((name) => foldName(name).length >= NAME_IN_PASSWORD && folded.includes(foldName(name)))) throw refuse("it has the user's own name in it");
  return password;
}

/** Hashes and checks, a bounded number at once: logins cannot exhaust the memory. */
export class PasswordHasher {
  readonly #cost: PasswordCost;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param cost within floor and ceiling; what is stored with less is hashed anew at the next login. */
  constructor(cost: PasswordCost = COST_FLOOR) {
    if (!within(cost))
      throw new CofferdamError("INVALID_ARGUMENT", "the cost of password hashes is outside of its limits", { details: { COST_FLOOR, COST_CEILING } });
    this.#cost = cost;
  }

  /** Throws RESOURCE_EXHAUSTED when too many wait already. */
  async hash(userId: string, password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    return phcOf({ cost: this.#cost, salt, tag: await this.#derive(userId, password, salt, this.#cost) });
  }

  /**
   * Takes as long for nobody's password as for a wrong one. @param stored undefined for a user that is not there or has none.
   * Throws RESOURCE_EXHAUSTED when too many wait already, INTEGRITY_FAILURE for a stored text that is no hash of ours.
   */
  async verify(userId: string, password: string, stored: string | undefined): Promise<boolean> {
    const known = stored === undefined ? undefined : parse(stored);
    const { cost, salt, tag } = known ?? { cost: this.#cost, salt: randomBytes(SALT_BYTES), tag: randomBytes(TAG_BYTES) };
    const derived = await this.#derive(userId, password.normalize("NFC"), salt, cost);
    return timingSafeEqual(derived, tag) && known !== undefined;
  }

  /** True when a stored hash cost less than one made now would. */
  isOutdated(stored: string): boolean {
    const { cost } = parse(stored);
    return cost.memory < this.#cost.memory || cost.passes < this.#cost.passes || cost.parallelism < this.#cost.parallelism;
  }

  async #derive(userId: string, password: string, nonce: Buffer, { memory, passes, parallelism }: PasswordCost): Promise<Buffer> {
    if (Buffer.byteLength(password) > PASSWORD_LIMITS.bytes) throw new CofferdamError("INVALID_ARGUMENT", `password: at most ${PASSWORD_LIMITS.bytes} bytes`);
    await this.#turn();
    try {
      const associatedData = Buffer.from(`cofferdam password v1\0${userId}`);
      return await new Promise((resolve, reject) => {
        argon2("argon2id", { message: password, nonce, memory, passes, parallelism, tagLength: TAG_BYTES, associatedData }, (error, key) =>
          error === null ? resolve(key) : reject(error),
        );
      });
    } finally {
      const next = this.#waiting.shift();
      // The place passes on to who waited longest.
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < AT_ONCE) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) throw new CofferdamError("RESOURCE_EXHAUSTED", "too many logins at once; try again in a moment");
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

function within({ memory, passes, parallelism }: PasswordCost): boolean {
  const between = (value: number, low: number, high: number): boolean => Number.isInteger(value) && value >= low && value <= high;
  return (
    between(memory, COST_FLOOR.memory, COST_CEILING.memory) &&
    between(passes, COST_FLOOR.passes, COST_CEILING.passes) &&
    between(parallelism, COST_FLOOR.parallelism, COST_CEILING.parallelism)
  );
}

function phcOf({ cost, salt, tag }: Stored): string {
  const text = (bytes: Buffer): string => bytes.toString("base64").replaceAll("=", "");
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${text(salt)}$${text(tag)}`;
}

function parse(stored: string): Stored {
  const [, memory, passes, parallelism, salt, tag] = PHC.exec(stored) ?? [];
  const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  if (salt === undefined || tag === undefined || !within(cost)) throw new CofferdamError("INTEGRITY_FAILURE", "a stored password hash is none of ours");
  return { cost, salt: Buffer.from(salt, "base64"), tag: Buffer.from(tag, "base64") };
}
