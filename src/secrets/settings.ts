/** Options of SecretManagementSystem: one strict schema, and what they come to. */
import { join } from "node:path";
import { z } from "zod";
import { type Clock, CofferdamError, isFunction, isObject, parseInput, stateDirectory, systemClock, type Trail } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import type { Authorizer, JobFacts, SecretBackend, SecretInjector, StorePosition } from "./contract.ts";
import type { KdfCost } from "./keys/passphrase.ts";
import type { RotationProvider } from "./rotation.ts";
import { durationLike, providerName } from "./said.ts";
import type { VaultOptions } from "./vault/vault-backend.ts";
import { vaultSchema } from "./vault/vault-settings.ts";

/** How the master key of backend `file` is kept. */
export interface EncryptionOptions {
  /** `file`: a private file, made on first use. `passphrase` and `command`: the same file, which is of no use without. Default `file`. */
  readonly key?: "file" | "passphrase" | "command" | undefined;
  /** Default: keys/secrets.key in the state directory. */
  readonly keyFile?: string | undefined;
  /** Asked when it is needed. */
  readonly passphrase?: (() => Promise<Uint8Array>) | undefined;
  /** Of argon2id for new passphrases: 64 MiB to 1 GiB (in KiB), 3 to 32 passes, 1 to 16 lanes. Default: the least. */
  readonly cost?: KdfCost | undefined;
  /** Program and arguments; `wrap` or `unwrap` is added (docs/secrets.md). */
  readonly command?: readonly string[] | undefined;
  /** Longest time of the command, ms. Default 30,000. */
  readonly commandTimeout?: number | undefined;
}

export interface RotationOptions {
  /** How long a superseded version stays good: ms, or a text such as `24h`. Default 24 h. */
  readonly grace?: number | string | undefined;
  /** Time between rotations of secrets that only say `autoRotate: true`. Default 90 d. */
  readonly every?: number | string | undefined;
  /** Between two looks for secrets whose time has come; 0: only {@link SecretManagementSystem.rotateDue}. Default 0. */
  readonly interval?: number | string | undefined;
  /** Longest time that a provider takes. Default 60 s. */
  readonly timeout?: number | string | undefined;
  /** What a job has read is due when the job's lease on it has ended. Default false. */
  readonly afterUse?: boolean | undefined;
  readonly providers?: Readonly<Record<string, RotationProvider>> | undefined;
}

/** Options of the seed first; the rest is ours. */
export interface SecretOptions {
  /** `memory`: gone with this process. `file`: sealed in the state directory. `vault`: in a vault. Or one of your own. Default `file`. */
  readonly backend?: "memory" | "file" | "vault" | SecretBackend | undefined;
  /** For backend `vault`. */
  readonly vault?: VaultOptions | undefined;
  readonly encryption?: EncryptionOptions | undefined;
  readonly rotation?: RotationOptions | undefined;
  /** Longest time that a job may keep what it was given. Default: no limit of our own. */
  readonly lease?: number | string | undefined;
  /** Reads of one secret by one job, all versions together. Default: no limit. */
  readonly readsPerJob?: number | undefined;
  /** Default: the one that the command line uses. */
  readonly stateDir?: string | undefined;
  /** Default: the database of the state directory. What is brought along stays open. */
  readonly store?: Store | undefined;
  /** Where everything goes on record. Without one nothing does: for tests, and for those who listen to the events. */
  readonly audit?: Trail | undefined;
  /** Who may do what. Default: whoever runs this process may do all. */
  readonly authorizer?: Authorizer | undefined;
  /** Which jobs there are. Without it no job gets anything. */
  readonly jobs?: JobFacts | undefined;
  readonly injector?: SecretInjector | undefined;
  /** The last position of the store that is on record: one that is behind it was put back. */
  readonly lastPosition?: (() => Promise<StorePosition | undefined>) | undefined;
  readonly clock?: Clock | undefined;
}

export interface EncryptionSettings extends EncryptionOptions {
  readonly key: "file" | "passphrase" | "command";
  readonly keyFile: string;
}

export interface SecretSettings {
  readonly backend: "memory" | "file" | "vault" | SecretBackend;
  readonly vault: VaultOptions | undefined;
  readonly encryption: EncryptionSettings;
  readonly rotation: {
    readonly grace: number;
    readonly every: number;
    readonly interval: number;
    readonly timeout: number;
    readonly afterUse: boolean;
    readonly providers: ReadonlyMap<string, RotationProvider>;
  };
  readonly lease: number | undefined;
  readonly readsPerJob: number | undefined;
  readonly stateDir: string;
  readonly clock: Clock;
}

const HOUR = 3_600_000;
const DAY: number = 24 * HOUR;
const MAX_TIME: number = 10 * 366 * DAY;

const time = (min: number): z.ZodType<number, number | string> => z.union([z.number(), durationLike("24h")]).pipe(z.int().min(min).max(MAX_TIME));
const path = z.string().min(1).max(1000);

const schema = z.strictObject({
  backend: z.union([z.enum(["memory", "file", "vault"]), z.custom<SecretBackend>(isObject, "memory, file, vault, or a backend of your own")]).optional(),
  vault: vaultSchema.optional(),
  encryption: z
    .strictObject({
      key: z.enum(["file", "passphrase", "command"]).optional(),
      keyFile: path.optional(),
      passphrase: z.custom<() => Promise<Uint8Array>>(isFunction, "a function that gives the passphrase").optional(),
      cost: z.strictObject({ memory: z.int(), passes: z.int(), lanes: z.int() }).optional(),
      command: z.array(z.string().min(1).max(4096)).min(1).max(64).optional(),
      commandTimeout: z.int().min(100).max(HOUR).optional(),
    })
    .optional(),
  rotation: z
    .strictObject({
      grace: time(0).optional(),
      every: time(60_000).optional(),
      interval: time(0).optional(),
      timeout: time(100).optional(),
      afterUse: z.boolean().optional(),
      providers: z.record(providerName, z.custom<RotationProvider>(isObject)).optional(),
    })
    .optional(),
  lease: time(1000).optional(),
  readsPerJob: z.int().min(1).max(1_000_000).optional(),
  stateDir: path.optional(),
  store: z.custom<Store>(isObject).optional(),
  audit: z.custom<Trail>(isObject).optional(),
  authorizer: z.custom<Authorizer>(isObject).optional(),
  jobs: z.custom<JobFacts>(isObject).optional(),
  injector: z.custom<SecretInjector>(isObject).optional(),
  lastPosition: z.custom<() => Promise<StorePosition | undefined>>(isFunction).optional(),
  clock: z.custom<Clock>(isObject).optional(),
});

/** Throws INVALID_ARGUMENT, with what was probably meant. */
export function settingsOf(input: unknown): SecretSettings {
  const { backend = "file", encryption = {}, rotation = {}, ...rest } = parseInput(schema, input, "options of SecretManagementSystem");
  if (backend === "vault" && rest.vault === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", "options of SecretManagementSystem: backend vault needs vault: {address, auth}");
  const stateDir = rest.stateDir ?? stateDirectory(undefined, process.env, process.cwd());
  const { grace = DAY, every = 90 * DAY, interval = 0, timeout = 60_000, afterUse = false, providers = {} } = rotation;
  return {
    backend,
    vault: rest.vault,
    encryption: { ...encryption, key: encryption.key ?? "file", keyFile: encryption.keyFile ?? join(stateDir, "keys", "secrets.key") },
    rotation: { grace, every, interval, timeout, afterUse, providers: new Map(Object.entries(providers)) },
    lease: rest.lease,
    readsPerJob: rest.readsPerJob,
    stateDir,
    clock: rest.clock ?? systemClock,
  };
}
