/** Secrets: kept sealed, given to the job that may have them, masked wherever something is shown. */
export { type FileBackendParts, fileBackend, memoryBackend, SealedBackend } from "./backends/sealed-backend.ts";
export type * from "./contract.ts";
export { KeyFile, type KeyFileState } from "./keys/key-file.ts";
export type { KdfCost } from "./keys/passphrase.ts";
export { KeyProtection, type ProtectionOptions } from "./keys/protection.ts";
export { MASK, MaskList, MOST_MASKED, SHORTEST_MASKED, StreamMasker } from "./masking/index.ts";
