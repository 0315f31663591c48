/** What an address of the configuration is, and what it is called; known before anything is loaded that speaks to it. */
import { CofferdamError } from "../../foundation/index.ts";
import { SIGNATURE_TYPES, type VerifierKey } from "../note.ts";

export type PlaceKind = "folder" | "git" | "https";

/** An absolute folder, an address that takes PUT, or a git repository (ends in .git, or `user@host:path`). Throws INVALID_ARGUMENT. */
export function placeKind(address: string): PlaceKind {
  if (isGitAddress(address)) return "git";
  if (/^https?:\/\//.test(address) && URL.canParse(address)) return "https";
  if (address.startsWith("/")) return "folder";
  throw new CofferdamError("INVALID_ARGUMENT", `not a place for copies of checkpoints: ${address.slice(0, 200)}`, {
    hint: "an absolute folder, an https:// address, or a git repository (ends in .git)",
  });
}

/** An address without credentials, for messages. */
export function withoutCredentials(address: string): string {
  return address.replace(/^([a-z+]+:\/\/)[^/@]*@/, "$1");
}

/** What a witness is called in messages. Throws INVALID_ARGUMENT for a key that is none of a witness. */
export function witnessName({ name, type }: VerifierKey): string {
  if (type !== SIGNATURE_TYPES.cosignature) throw new CofferdamError("INVALID_ARGUMENT", `the key of witness ${name} is not one for cosignatures`);
  return `witness ${name}`;
}

function isGitAddress(address: string): boolean {
  return /^(?:ssh:\/\/|git\+ssh:\/\/|[\w.-]+@[\w.-]+:)/.test(address) || (/^(?:https?:\/\/|\/)/.test(address) && address.endsWith(".git"));
}
