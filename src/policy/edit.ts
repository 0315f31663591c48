/** Edits cofferdam.yaml as a person would: comments and layout stay. */
import type { Document } from "yaml";
import { readBounded, replaceFile } from "../foundation/index.ts";
import { MAX_POLICY_BYTES, readPolicyFile } from "./file.ts";
import type { Allowance, PolicyFile } from "./schema.ts";

export interface EditResult {
  readonly sha256Before: string | undefined;
  readonly sha256After: string;
}

/** Adds an exception; makes the file when there is none. Throws INVALID_ARGUMENT when the result is not a valid policy. */
export async function addAllowance(path: string, allowance: Allowance): Promise<EditResult> {
  return await edit(path, (document) => {
    const one = Object.fromEntries(Object.entries(allowance).filter(([, value]) => value !== undefined));
    addTo(document, ["packages", "allow"], [one]);
  });
}

/**
 * Adds keys (`name@version#sha512-...`) to `scripts.approved` that are not there yet; makes the file when there is none.
 * Throws INVALID_ARGUMENT when the result is not a valid policy.
 */
export async function addApprovedScripts(path: string, keys: readonly string[]): Promise<EditResult> {
  return await edit(path, (document, before) => {
    const known = new Set(before?.scripts?.approved ?? []);
    addTo(
      document,
      ["scripts", "approved"],
      keys.filter((key) => !known.has(key)),
    );
  });
}

/** Takes every key of `scripts.approved` out that `matches`. @returns undefined when there is none, and nothing was written. */
export async function removeApprovedScripts(path: string, matches: (key: string) => boolean): Promise<EditResult | undefined> {
  const file = await readPolicyFile(path);
  if (file?.policy.scripts?.approved?.some(matches) !== true) return undefined;
  return await edit(path, (document, before) => {
    const keys = before?.scripts?.approved ?? [];
    // From the end, so that what is left keeps its place.
    for (let i = keys.length - 1; i >= 0; i--) if (matches(keys[i] ?? "")) document.deleteIn(["scripts", "approved", i]);
  });
}

function addTo(document: Document, place: readonly string[], items: readonly unknown[]): void {
  if (items.length === 0) return;
  if (!document.hasIn(place)) document.setIn(place, document.createNode([]));
  for (const item of items) document.addIn(place, document.createNode(item));
}

async function edit(path: string, change: (document: Document, before: PolicyFile | undefined) => void): Promise<EditResult> {
  const [{ parseDocument }, { parsePolicy, policyText }] = await Promise.all([import("yaml"), import("./parse.ts")]);
  const bytes = await readBounded(path, { maxBytes: MAX_POLICY_BYTES, what: "policy file" });
  const written = bytes === undefined ? undefined : policyText(bytes, path);
  const before = written === undefined ? undefined : parsePolicy(written, path);
  const document = parseDocument(written ?? "version: 1\n");
  change(document, before?.policy);
  const text = document.toString({ lineWidth: 0 });
  const after = parsePolicy(text, path);
  await replaceFile(path, text);
  return { sha256Before: before?.sha256, sha256After: after.sha256 };
}
