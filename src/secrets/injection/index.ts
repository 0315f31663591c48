/** Injection: secrets as files in memory that one container sees, for as long as its job lasts. */
export { type MemoryMounts, MOST_SECRETS, type Owner, SecretFolder, secretFileName, wipeFolder } from "./secret-folder.ts";
