/** What stands before every operation: may they, and is it on record. A refusal is recorded as well, and never with a value. */
import type { EventEmitter } from "node:events";
import { CofferdamError, type JsonObject, type Trail, wrapError } from "../foundation/index.ts";
import type { Authorizer, SecretPermission } from "./contract.ts";
import { type SecretEvents, tell } from "./events.ts";
import type { SecretActor } from "./inputs.ts";

export interface GateParts {
  readonly authorizer: Authorizer | undefined;
  readonly audit: Trail | undefined;
  readonly events: EventEmitter<SecretEvents>;
}

/** What somebody is about to do, to what. */
export interface Intent {
  /** Name of the method. */
  readonly operation: string;
  readonly permission: SecretPermission;
  readonly actor: SecretActor;
  /** As it was given: it may be no id at all. */
  readonly secretId?: string | undefined;
  readonly jobId?: string | undefined;
}

/** A rule's name, for the record. */
const OWNER = "owner of this process";
const MAX_TEXT = 1000;

export class SecretGate {
  readonly #parts: GateParts;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Runs `work`; when it throws, that goes on record, and out as a CofferdamError. */
  async attempt<T>(intent: Intent, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const known = wrapError(error, "INTERNAL", "secrets");
      const { operation, actor, secretId, jobId } = intent;
      const details = {
        operation,
        code: known.code,
        reason: known.message.toWellFormed().slice(0, MAX_TEXT),
        ...(jobId !== undefined && { jobId: shown(jobId) }),
      };
      // A refusal stays one, whether or not it can be recorded.
      await this.record("SecretRefused", "failure", actor, secretId, details).catch(() => undefined);
      tell(this.#parts.events, "secretRefused", { secretId, userId: actor.userId, jobId, code: known.code });
      throw known;
    }
  }

  /** Throws PERMISSION_DENIED. @returns the rule that allowed it. */
  async authorize({ permission, actor, secretId }: Intent, repository?: string): Promise<string> {
    const { authorizer } = this.#parts;
    if (authorizer === undefined) return OWNER;
    const { userId, sessionId } = actor;
    const { allowed, rule } = await authorizer.authorize({ userId, permission, secretId, sessionId, repository });
    if (allowed) return rule;
    throw new CofferdamError("PERMISSION_DENIED", `${userId} may not do this: ${permission}${secretId === undefined ? "" : ` of ${secretId}`}`, {
      details: { permission, rule },
    });
  }

  /** Throws what the trail throws. */
  async record(action: string, result: "success" | "failure", actor: SecretActor, secretId: string | undefined, details: JsonObject): Promise<void> {
    const { userId, sessionId } = actor;
    await this.#parts.audit?.log({
      ...{ category: "secrets", action, result, resourceType: "secret", userId: shown(userId) },
      ...(sessionId !== undefined && { sessionId: shown(sessionId) }),
      ...(secretId !== undefined && secretId !== "" && { resourceId: shown(secretId) }),
      details,
    });
  }
}

/** What came from outside and was perhaps refused for it: short, and Unicode. */
function shown(text: string): string {
  return text.toWellFormed().slice(0, 255);
}
