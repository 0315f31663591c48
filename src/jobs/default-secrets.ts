/**
 * The secrets of the state directory, for an orchestrator that is given none: opened when a job first asks for one, so that who uses
 * none gets neither a key nor a table.
 */
import { CofferdamError } from "../foundation/index.ts";
import { secretRulesOf } from "../policy/index.ts";
import { lastPosition, type RetrievedSecret, SecretManagementSystem, type SecretReader, type SecretRequester } from "../secrets/index.ts";
import type { OrchestratorParts, SecretParts } from "./orchestrator-options.ts";

type Places = Pick<OrchestratorParts, "stateDir" | "store" | "clock" | "audit" | "policy">;

export class DefaultSecrets implements SecretReader {
  readonly #places: Places;
  readonly #parts: SecretParts;
  #opened: SecretManagementSystem | undefined;

  constructor(places: Places, parts: SecretParts) {
    this.#places = places;
    this.#parts = parts;
  }

  /** Throws FAILED_PRECONDITION where the policy keeps secrets in a way that takes more than the state directory to open. */
  async retrieveSecret(secretId: string, requester: SecretRequester): Promise<RetrievedSecret> {
    this.#opened ??= this.#open();
    await this.#opened.initialize();
    return await this.#opened.retrieveSecret(secretId, requester);
  }

  async close(): Promise<void> {
    await this.#opened?.close();
  }

  #open(): SecretManagementSystem {
    const { policy, audit, stateDir, store, clock } = this.#places;
    const { "secrets.backend": backend, "secrets.key": key } = policy.values;
    if (backend !== "file" || key !== "file")
      throw new CofferdamError("FAILED_PRECONDITION", `the policy keeps secrets in backend ${backend}, their key by ${key}`, {
        hint: "new SecurityOrchestrator(engine, {secrets: ({jobs, injector}) => new SecretManagementSystem({...})})",
      });
    return new SecretManagementSystem({
      ...{ ...secretRulesOf(policy.values), ...this.#parts, stateDir, store, clock, audit },
      lastPosition: async () => await lastPosition(async (query) => (await audit.searchPage(query)).events),
    });
  }
}
