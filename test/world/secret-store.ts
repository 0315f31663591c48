/** A file backend in a folder of its own, with a clock that tests set. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../src/foundation/index.ts";
import { fileBackend, type SealedBackend } from "../../src/secrets/backends/sealed-backend.ts";
import type { NewVersion, SecretPolicy } from "../../src/secrets/contract.ts";
import { KeyFile } from "../../src/secrets/keys/key-file.ts";
import { KeyProtection } from "../../src/secrets/keys/protection.ts";
import { SqliteStore } from "../../src/store/index.ts";

/** Wall time is what the test says; the rest is the system's. */
export class SetClock implements Clock {
  time: number;

  constructor(time: number = Date.UTC(2026, 0, 1)) {
    this.time = time;
  }

  now(): number {
    return this.time;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }
}

export interface SecretFolder extends Disposable {
  readonly path: string;
  readonly database: string;
  readonly head: string;
  readonly keyFile: string;
  readonly clock: SetClock;
  /** Another process as far as the files can tell. The caller disposes of it. */
  open(): Promise<OpenedSecrets>;
}

export interface OpenedSecrets extends AsyncDisposable {
  readonly backend: SealedBackend;
  readonly store: SqliteStore;
}

export function secretFolder(): SecretFolder {
  const path = mkdtempSync(join(tmpdir(), "cofferdam-secrets-"));
  const [database, head, keyFile, clock] = [join(path, "cofferdam.db"), join(path, "heads", "secrets"), join(path, "keys", "secrets.key"), new SetClock()];
  return {
    ...{ path, database, head, keyFile, clock },
    async open() {
      const opened = openSecrets(path, clock);
      try {
        await opened.backend.initialize();
      } catch (error) {
        await opened[Symbol.asyncDispose]();
        throw error;
      }
      return opened;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Not initialised. */
export function openSecrets(path: string, clock: Clock): OpenedSecrets {
  const store = new SqliteStore({ path: join(path, "cofferdam.db"), clock });
  const keys = new KeyFile(join(path, "keys", "secrets.key"), new KeyProtection({ kind: "file" }));
  const backend = fileBackend({ store, keys, head: join(path, "heads", "secrets"), clock });
  return { backend, store, [Symbol.asyncDispose]: async () => await store.close() };
}

export const PLAIN: SecretPolicy = { owner: "alice", allow: {}, canary: false };

/** A first version, unless told otherwise. */
export function versionOf(value: string, { after = 0, grace = 0, ...policy }: Partial<SecretPolicy & Pick<NewVersion, "after" | "grace">> = {}): NewVersion {
  return { value: Buffer.from(value), policy: { ...PLAIN, ...policy }, after, grace };
}
