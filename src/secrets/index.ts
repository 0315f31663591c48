/** Secrets: kept sealed, given to the job that may have them, masked wherever something is shown. */
export { type FileBackendParts, fileBackend, memoryBackend, SealedBackend } from "./backends/sealed-backend.ts";
export type * from "./contract.ts";
export type { SecretChange, SecretEvents } from "./events.ts";
export { type MemoryMounts, MOST_SECRETS, type Owner, SecretFolder, secretFileName, wipeFolder } from "./injection/index.ts";
export { type ImportedSecret, parseDotenv, parseJsonSecrets } from "./import.ts";
export type { SecretActor, SecretPage } from "./inputs.ts";
export { KeyDesk } from "./key-desk.ts";
export { KeyFile, type KeyFileState } from "./keys/key-file.ts";
export type { KdfCost } from "./keys/passphrase.ts";
export { createPrivate, readPrivate } from "./keys/private-file.ts";
export { KeyProtection, type ProtectionOptions } from "./keys/protection.ts";
export { SECRET_PERMISSIONS, SecretManagementSystem } from "./management.ts";
export { MASK, MaskList, MOST_MASKED, SHORTEST_MASKED, StreamMasker } from "./masking/index.ts";
export { commandProvider, type RotationProvider, type RotationRequest } from "./rotation.ts";
export type { DueReport } from "./rotation-due.ts";
export type { SecretMetadata } from "./said.ts";
export { secretIdSchema } from "./secret-id.ts";
export type { EncryptionOptions, RotationOptions, SecretOptions } from "./settings.ts";
