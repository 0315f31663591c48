/** Edits of a policy file that the user asks for: their own act keeps the trust that was there. */
import { isoTime, systemClock } from "../../foundation/index.ts";
import { type EditResult, TrustStore } from "../../policy/index.ts";

/**
 * @param userFolder the user's configuration folder, where trust is recorded.
 * @returns whether the file counts in full: a stranger's file does not become trusted by an edit.
 */
export async function keepingTrust(userFolder: string, path: string, edit: EditResult): Promise<boolean> {
  const trusted = new TrustStore(userFolder);
  const keeps = edit.sha256Before === undefined || (await trusted.isTrusted(path, edit.sha256Before));
  if (keeps) await trusted.trust(path, edit.sha256After, isoTime(systemClock));
  return keeps;
}
