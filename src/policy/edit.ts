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

/** One more destination of jobs, and why. */
export interface EgressAddition {
  /** As it stands in `jobs.egress`. */
  readonly rule: string;
  /** Stands behind it as a comment. */
  readonly why?: string | undefined;
}

/** Adds to `jobs.egress` what is not there yet; makes the file when there is none. Throws INVALID_ARGUMENT when the result is not a valid policy. */
export async function addEgress(path: string, additions: readonly EgressAddition[]): Promise<EditResult> {
  return await edit(path, (document, before) => egressInto(document, before, additions));
}

/** The file's text as it is, and as {@link addEgress} would leave it. Nothing is written. */
export async function previewEgress(path: string, additions: readonly EgressAddition[]): Promise<{ readonly before: string; readonly after: string }> {
  const { written, text } = await changed(path, (document, before) => egressInto(document, before, additions));
  return { before: written ?? "", after: text };
}

function egressInto(document: Document, before: PolicyFile | undefined, additions: readonly EgressAddition[]): void {
  const known = new Set(before?.jobs?.egress ?? []);
  const items = additions
    .filter(({ rule }) => !known.has(rule))
    .map(({ rule, why }) => {
      const node = document.createNode(rule);
      if (why !== undefined) node.comment = ` ${why.replaceAll(/\s+/g, " ").trim()}`;
      return node;
    });
  addTo(document, ["jobs", "egress"], items);
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

type Change = (document: Document, before: PolicyFile | undefined) => void;

async function edit(path: string, change: Change): Promise<EditResult> {
  const { text, sha256Before, sha256After } = await changed(path, change);
  await replaceFile(path, text);
  return { sha256Before, sha256After };
}

async function changed(path: string, change: Change): Promise<EditResult & { readonly written: string | undefined; readonly text: string }> {
  const [{ parseDocument }, { parsePolicy, policyText }] = await Promise.all([import("yaml"), import("./parse.ts")]);
  const bytes = await readBounded(path, { maxBytes: MAX_POLICY_BYTES, what: "policy file" });
  const written = bytes === undefined ? undefined : policyText(bytes, path);
  const before = written === undefined ? undefined : parsePolicy(written, path);
  const document = parseDocument(written ?? "version: 1\n");
  change(document, before?.policy);
  const text = document.toString({ lineWidth: 0 });
  const after = parsePolicy(text, path);
  return { written, text, sha256Before: before?.sha256, sha256After: after.sha256 };
}
