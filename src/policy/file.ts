/** Reads one cofferdam.yaml. What parses it is loaded when there is one: most commands run without a file. */
import { readBounded } from "../foundation/index.ts";
import type { PolicyFile } from "./schema.ts";

export interface LoadedFile {
  readonly path: string;
  readonly policy: PolicyFile;
  /** SHA-256 of the bytes, hex; what trust is keyed by. */
  readonly sha256: string;
  /** 1-based line of a dotted key (of an entry, where it is a map), or of its nearest parent. */
  lineOf(key: string, entry?: string): number | undefined;
}

/** Most bytes of a policy file. */
export const MAX_POLICY_BYTES: number = 256 * 1024;

/** Undefined when there is no such file. Throws INVALID_ARGUMENT with `file:line:column`, PAYLOAD_TOO_LARGE. */
export async function readPolicyFile(path: string): Promise<LoadedFile | undefined> {
  const bytes = await readBounded(path, { maxBytes: MAX_POLICY_BYTES, what: "policy file" });
  if (bytes === undefined) return undefined;
  const { parsePolicy, policyText } = await import("./parse.ts");
  return parsePolicy(policyText(bytes, path), path);
}
