/** The backend that the options name, and whether the trail agrees with it. */
import { join } from "node:path";
import { CofferdamError } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { fileBackend, memoryBackend, SealedBackend } from "./backends/sealed-backend.ts";
import type { SecretBackend, StorePosition } from "./contract.ts";
import { KeyFile } from "./keys/key-file.ts";
import { KeyProtection } from "./keys/protection.ts";
import type { EncryptionSettings, SecretSettings } from "./settings.ts";
import { VaultBackend } from "./vault/vault-backend.ts";

/** Opens nothing yet. @param store where backend `file` keeps its rows. */
export function backendOf({ backend, vault, clock, stateDir, encryption }: SecretSettings, store: Store): SecretBackend {
  if (backend === "memory") return memoryBackend(clock);
  if (backend === "vault" && vault !== undefined) return new VaultBackend(vault, clock);
  if (typeof backend === "object") return backend;
  return fileBackend({ store, keys: keyFileOf(encryption), head: join(stateDir, "heads", "secrets"), clock });
}

/** The file of the master keys, opened with what the options say. */
export function keyFileOf(encryption: EncryptionSettings): KeyFile {
  return new KeyFile(encryption.keyFile, protectionOf(encryption));
}

export function protectionOf({ key: kind, passphrase, cost, command, commandTimeout: timeout }: EncryptionSettings): KeyProtection {
  return new KeyProtection({ kind, passphrase, cost, command, timeout });
}

/** Throws FAILED_PRECONDITION for a backend whose keys are somebody else's. */
export function sealed(backend: SecretBackend): SealedBackend {
  if (backend instanceof SealedBackend) return backend;
  throw new CofferdamError("FAILED_PRECONDITION", `backend ${backend.kind} has no master key of ours`);
}

/** Throws INTEGRITY_FAILURE when the trail knows of changes that the store does not have. */
export function assertOnRecord(recorded: StorePosition | undefined, found: StorePosition | undefined): void {
  if (recorded === undefined || found === undefined) return;
  if (recorded.storeId === found.storeId && recorded.change <= found.change) return;
  throw new CofferdamError("INTEGRITY_FAILURE", "the store of the secrets was put back or replaced: the audit trail knows of changes that it does not have", {
    details: { recorded: { ...recorded }, found: { ...found } },
    hint: "restore the latest; if this one is meant: cofferdam secret recover --reason TEXT",
  });
}
