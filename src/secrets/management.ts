/**
 * SecretManagementSystem: values are kept sealed, given to a running job that may have them, and on record before they are
 * given. Nothing here prints, logs or returns a value except to the one who asked for it.
 */
import { EventEmitter } from "node:events";
import { join } from "node:path";
import { CofferdamError, type JsonObject, parseInput } from "../foundation/index.ts";
import { SqliteStore, type Store } from "../store/index.ts";
import type { RewrapReport } from "./backends/rewrap.ts";
import type { RetrievedSecret, SecretBackend, SecretBinding, SecretInfo, SecretReader, SecretRequester } from "./contract.ts";
import { type SecretEvents, tell } from "./events.ts";
import { type Intent, SecretGate } from "./gate.ts";
import { parseActor, parseBindings, parsePage, parseReason, parseRequester, parseSecretId, parseValue, type SecretActor, type SecretPage } from "./inputs.ts";
import { KeyDesk } from "./key-desk.ts";
import { assertOnRecord, backendOf, sealed } from "./open-backend.ts";
import { activeJob, existing, goodVersion, openFor } from "./retrieval.ts";
import { rotate } from "./rotation.ts";
import { type DueReport, rotateAllDue } from "./rotation-due.ts";
import { metadataSchema, type SecretMetadata } from "./said.ts";
import { type SecretOptions, type SecretSettings, settingsOf } from "./settings.ts";

interface Opened {
  readonly backend: SecretBackend;
  readonly timer: NodeJS.Timeout | undefined;
}

const PAGE = 500;
const SYSTEM: SecretActor = { userId: "cofferdam" };

/**
 * @example
 * ```ts
 * await using secrets = new SecretManagementSystem({ backend: "memory", jobs: { find: async (jobId) => ({ jobId, active: true, repository: "acme/web" }) } });
 * await secrets.initialize();
 * await secrets.storeSecret("npm/publish", "npm_example", { owner: "alice", allow: { repositories: ["acme/*"] } });
 * const secret = await secrets.retrieveSecret("npm/publish", { userId: "alice", jobId: "job123" });
 * await secrets.rotateSecret("npm/publish", "npm_another");
 * ```
 */
export class SecretManagementSystem implements SecretReader {
  readonly events: EventEmitter<SecretEvents> = new EventEmitter();
  /** The key file of backend `file`; no initialize() is needed. */
  readonly keys: KeyDesk;
  readonly #options: SecretOptions;
  readonly #settings: SecretSettings;
  readonly #gate: SecretGate;
  readonly #store: Store;
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;

  /** Opens nothing yet. Throws INVALID_ARGUMENT, with what was probably meant. */
  constructor(options: SecretOptions = {}) {
    this.#settings = settingsOf(options);
    this.#options = options;
    this.#gate = new SecretGate({ authorizer: options.authorizer, audit: options.audit, events: this.events });
    const { stateDir, clock, encryption } = this.#settings;
    // Makes no file before it is used, which only one of the backends does.
    this.#store = options.store ?? new SqliteStore({ path: join(stateDir, "cofferdam.db"), clock });
    this.keys = new KeyDesk(this.#gate, encryption, this.#store);
  }

  /**
   * Opens the store, and makes it and its key on first use; proves every record. Idempotent. Throws INTEGRITY_FAILURE (changed,
   * put back, another key), FAILED_PRECONDITION (the key is missing, or others may read it), UPSTREAM_UNAVAILABLE.
   */
  async initialize(): Promise<void> {
    this.#opening ??= this.#open();
    try {
      this.#opened = await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  /**
   * Stores a value: a new secret or, unless `replace` is false, in place of what there was, whose values are destroyed.
   * @param by here and below: who does it; default: this program. Throws INVALID_ARGUMENT, PAYLOAD_TOO_LARGE (over 64 KiB), PERMISSION_DENIED, CONFLICT when somebody
   * else did at the same time, or when there is one that may not be replaced.
   */
  async storeSecret(
    secretId: string,
    secretValue: string | Uint8Array,
    metadata: SecretMetadata = {},
    by: SecretActor = SYSTEM,
    { replace = true }: { readonly replace?: boolean } = {},
  ): Promise<SecretInfo> {
    const policy = parseInput(metadataSchema({ owner: by.userId, every: this.#settings.rotation.every }), metadata, "metadata of a secret");
    const actor = parseActor(by);
    const intent: Intent = { operation: "storeSecret", permission: "secrets:write", actor, secretId };
    return await this.#gate.attempt(intent, async () => {
      const { backend } = this.#parts();
      const id = parseSecretId(secretId);
      const value = parseValue(secretValue);
      const rule = await this.#gate.authorize(intent);
      const before = replace ? (await backend.find(id))?.info : undefined;
      const after = before === undefined || before.deleted ? 0 : before.currentVersion;
      const version = await backend.add(id, { value, policy, after, grace: 0 });
      value.fill(0);
      await this.#changed(backend, "SecretStored", actor, id, { version, replaced: after, owner: policy.owner, canary: policy.canary, rule });
      tell(this.events, "secretStored", { secretId: id, version, userId: actor.userId });
      return (await existing(backend, id)).info;
    });
  }

  /**
   * A value for a running job. Its allow-list, expiry and reads are looked at, and the read is on record before this resolves.
   * Throws NOT_FOUND, PERMISSION_DENIED (who, which job), SECRET_EXPIRED (expired, superseded, reads used up),
   * INTEGRITY_FAILURE, INVALID_ARGUMENT, AUDIT_UNAVAILABLE when the read cannot be put on record.
   */
  async retrieveSecret(secretId: string, requester: SecretRequester): Promise<RetrievedSecret> {
    const { version: asked, jobId, ...actor } = parseRequester(requester);
    const intent: Intent = { operation: "retrieveSecret", permission: "secrets:read", actor, secretId, jobId };
    return await this.#gate.attempt(intent, async () => {
      const { backend } = this.#parts();
      const id = parseSecretId(secretId);
      const job = await activeJob(this.#options.jobs, jobId);
      const rule = await this.#gate.authorize(intent, job.repository);
      const secret = await openFor(backend, id, job, asked, this.#settings);
      const { version, canary } = secret;
      try {
        const details = { version, jobId, repository: job.repository, rule, ...(canary && { canary }) };
        await this.#gate.record(canary ? "SecretCanaryRead" : "SecretRetrieved", "success", actor, id, details);
      } catch (error) {
        secret.value.fill(0);
        throw error;
      }
      const told = { secretId: id, version, userId: actor.userId, jobId };
      tell(this.events, "secretRetrieved", told);
      if (canary) tell(this.events, "canaryRead", told);
      return secret;
    });
  }

  /** A value for a person, outside of any job: on record as such. Throws as {@link retrieveSecret}. */
  async revealSecret(secretId: string, by: SecretActor, version?: number): Promise<Uint8Array> {
    const actor = parseActor(by);
    const intent: Intent = { operation: "revealSecret", permission: "secrets:reveal", actor, secretId };
    return await this.#gate.attempt(intent, async () => {
      const { backend } = this.#parts();
      const id = parseSecretId(secretId);
      const rule = await this.#gate.authorize(intent);
      const found = await existing(backend, id);
      const good = goodVersion(found.info, version, await backend.latestTime());
      const value = await found.value(good.version);
      try {
        await this.#gate.record("SecretRevealed", "success", actor, id, { version: good.version, rule });
        return value;
      } catch (error) {
        value.fill(0);
        throw error;
      }
    });
  }

  /**
   * Gives a secret its next value: the one that is given, or one of its provider. The one before stays good for the grace.
   * Throws CONFLICT for all but one of those who try at once, FAILED_PRECONDITION without a value and a provider, NOT_FOUND,
   * UPSTREAM_UNAVAILABLE or DEADLINE_EXCEEDED (provider), INVALID_ARGUMENT, PAYLOAD_TOO_LARGE, PERMISSION_DENIED.
   * @returns the number of the new version.
   */
  async rotateSecret(secretId: string, newValue?: string | Uint8Array, by: SecretActor = SYSTEM): Promise<number> {
    return await this.#rotate(secretId, newValue, parseActor(by), async (intent) => await this.#gate.authorize(intent));
  }

  /**
   * Rotates what is due and has a provider, tells (`rotationDue`) what is due and has none, and destroys values whose grace
   * has ended. What others are rotating meanwhile is theirs.
   */
  async rotateDue(by: SecretActor = SYSTEM): Promise<DueReport> {
    const actor = parseActor(by);
    const intent: Intent = { operation: "rotateDue", permission: "secrets:rotate", actor };
    return await this.#gate.attempt(intent, async () => {
      await this.#gate.authorize(intent);
      return await this.#rotateDue(async (secretId) => await this.rotateSecret(secretId, undefined, actor));
    });
  }

  /** Names only, in byte order. @param page `limit` 1 to 10,000, default 500. Throws PERMISSION_DENIED, INVALID_ARGUMENT. */
  async listSecrets(page: SecretPage = {}, by: SecretActor = SYSTEM): Promise<readonly string[]> {
    const actor = parseActor(by);
    const intent: Intent = { operation: "listSecrets", permission: "secrets:list", actor };
    return await this.#gate.attempt(intent, async () => {
      const { after, limit = PAGE } = parsePage(page);
      await this.#gate.authorize(intent);
      return await this.#parts().backend.list(after, limit);
    });
  }

  /** Everything that is known of a secret but its value. Throws NOT_FOUND, PERMISSION_DENIED. */
  async describeSecret(secretId: string, by: SecretActor = SYSTEM): Promise<SecretInfo> {
    const intent: Intent = { operation: "describeSecret", permission: "secrets:list", actor: parseActor(by), secretId };
    return await this.#gate.attempt(intent, async () => {
      await this.#gate.authorize(intent);
      return (await existing(this.#parts().backend, parseSecretId(secretId))).info;
    });
  }

  /** Destroys all values; the name and its numbers stay known. @returns false when there was no such secret. Throws PERMISSION_DENIED. */
  async deleteSecret(secretId: string, by: SecretActor = SYSTEM): Promise<boolean> {
    const actor = parseActor(by);
    const intent: Intent = { operation: "deleteSecret", permission: "secrets:delete", actor, secretId };
    return await this.#gate.attempt(intent, async () => {
      const { backend } = this.#parts();
      const id = parseSecretId(secretId);
      const rule = await this.#gate.authorize(intent);
      if ((await backend.find(id)) === undefined || !(await backend.remove(id))) return false;
      await this.#changed(backend, "SecretDeleted", actor, id, { rule });
      tell(this.events, "secretDeleted", { secretId: id, userId: actor.userId });
      return true;
    });
  }

  /**
   * Carries secrets into a container that was created and not started. All or none: each is asked for as by
   * {@link retrieveSecret}. Throws FAILED_PRECONDITION for a container that has no place for them, or without an injector.
   */
  async injectSecrets(containerId: string, jobId: string, secrets: readonly SecretBinding[], by: SecretActor = SYSTEM): Promise<void> {
    const actor = parseActor(by);
    await this.#gate.attempt({ operation: "injectSecrets", permission: "secrets:read", actor, jobId }, async () => {
      const { injector } = this.#options;
      if (injector === undefined)
        throw new CofferdamError("FAILED_PRECONDITION", "nothing here carries secrets into containers", { hint: "new SecretManagementSystem({injector})" });
      const wanted = parseBindings(secrets);
      const opened: (SecretBinding & { readonly secret: RetrievedSecret })[] = [];
      try {
        for (const binding of wanted) opened.push({ ...binding, secret: await this.retrieveSecret(binding.secretId, { ...actor, jobId }) });
        await injector.inject(containerId, jobId, opened);
      } finally {
        for (const { secret } of opened) secret.value.fill(0);
      }
    });
  }

  /**
   * A new master key: keys of values are sealed with it one after another while everybody goes on, then the old one goes. What
   * was interrupted goes on from there. Throws FAILED_PRECONDITION for a backend that has no master key of ours.
   */
  async rewrap(by: SecretActor = SYSTEM): Promise<RewrapReport> {
    const actor = parseActor(by);
    const intent: Intent = { operation: "rewrap", permission: "secrets:admin", actor };
    return await this.#gate.attempt(intent, async () => {
      const rule = await this.#gate.authorize(intent);
      const { backend } = this.#parts();
      const report = await sealed(backend).rewrap();
      await this.#changed(backend, "SecretKeyChanged", actor, undefined, { keyId: report.keyId, values: report.values, rule });
      return report;
    });
  }

  /**
   * Accepts a store that was put back on purpose; instead of {@link initialize}, which refuses it. On record with its reason.
   * @returns how many changes are lost, as far as that is known.
   */
  async recover(reason: string, by: SecretActor): Promise<number> {
    const actor = parseActor(by);
    const intent: Intent = { operation: "recover", permission: "secrets:admin", actor };
    return await this.#gate.attempt(intent, async () => {
      const why = parseReason(reason);
      const rule = await this.#gate.authorize(intent);
      const backend = sealed(backendOf(this.#settings, this.#store));
      const lost = await backend.recover();
      await this.#changed(backend, "SecretStoreRecovered", actor, undefined, { reason: why, lost, rule });
      return lost;
    });
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    [this.#opened, this.#opening] = [undefined, undefined];
    clearInterval(opened?.timer);
    await opened?.backend.close();
    if (this.#options.store === undefined) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #open(): Promise<Opened> {
    const backend = backendOf(this.#settings, this.#store);
    // Before the store: what others change and record in between is no rollback.
    const recorded = await this.#options.lastPosition?.();
    await backend.initialize();
    assertOnRecord(recorded, backend.position());
    const { interval } = this.#settings.rotation;
    // One that fails is made up for by the next, and each secret that failed was told.
    const onTime = async (): Promise<unknown> => await this.#rotateDue(async (id) => await this.#rotate(id, undefined, SYSTEM, async () => "on time"));
    const timer = interval === 0 ? undefined : setInterval(() => void onTime().catch(() => undefined), interval).unref();
    return { backend, timer };
  }

  async #rotate(secretId: string, newValue: string | Uint8Array | undefined, actor: SecretActor, ruleOf: (intent: Intent) => Promise<string>): Promise<number> {
    const intent: Intent = { operation: "rotateSecret", permission: "secrets:rotate", actor, secretId };
    return await this.#gate.attempt(intent, async () => {
      const { backend } = this.#parts();
      const id = parseSecretId(secretId);
      const value = newValue === undefined ? undefined : parseValue(newValue);
      const rule = await ruleOf(intent);
      const found = await existing(backend, id);
      const provider = value === undefined ? found.info.autoRotate?.provider : undefined;
      const version = await rotate({ backend, settings: this.#settings }, found, value);
      value?.fill(0);
      await this.#changed(backend, "SecretRotated", actor, id, { version, rule, ...(provider !== undefined && { provider }) });
      tell(this.events, "secretRotated", { secretId: id, version, userId: actor.userId });
      return version;
    });
  }

  async #rotateDue(rotateOne: (secretId: string) => Promise<number>): Promise<DueReport> {
    const { backend } = this.#parts();
    await backend.sweep();
    return await rotateAllDue({ backend, settings: this.#settings, events: this.events }, rotateOne);
  }

  /** What was done, with the position that binds the trail to the store. */
  async #changed(backend: SecretBackend, action: string, actor: SecretActor, secretId: string | undefined, details: JsonObject): Promise<void> {
    const position = backend.position();
    await this.#gate.record(action, "success", actor, secretId, { ...details, ...(position !== undefined && { position: { ...position } }) });
  }

  #parts(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "SecretManagementSystem: call initialize() first");
    return this.#opened;
  }
}
