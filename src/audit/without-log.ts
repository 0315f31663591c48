/** What somebody checks who was handed something and has no log. Loaded when it is asked for: most commands never are. */
import type { BundleReport, BundleTrust } from "./bundle-check.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { EvidenceCheck } from "./evidence/check.ts";
import type { VerifierKey } from "./note.ts";

/** @param lines of the bundle, without their ends; see bounded-lines.ts. Throws INVALID_ARGUMENT for what is no bundle. */
export async function verifyBundle(lines: AsyncIterable<string>, trust: BundleTrust): Promise<BundleReport> {
  return await (await import("./bundle-check.ts")).verifyBundle(lines, trust);
}

/**
 * @param folder of evidence. @param keys of the log, of witnesses, or both. @param outside checkpoints from elsewhere, their signatures verified.
 * Throws INVALID_ARGUMENT and PAYLOAD_TOO_LARGE for what is no folder of evidence; what does not hold is in the result.
 */
export async function checkEvidence(folder: string, keys: readonly VerifierKey[], outside: readonly Checkpoint[] = []): Promise<EvidenceCheck> {
  return await (await import("./evidence/check.ts")).checkEvidence(folder, keys, outside);
}
