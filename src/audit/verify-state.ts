/** Where a verification stopped, so that a later one can go on from there; plain JSON. */
import { z } from "zod";
import { CofferdamError, parseInput } from "../foundation/index.ts";
import type { KnownKey } from "./key-ring.ts";
import { formatVerifierKey, parseVerifierKey } from "./note.ts";

/** Everything up to `size` verified. Believed as it stands: keep it where nobody who could change the log can write. */
export interface VerifyState {
  readonly schema: "cofferdam/audit-verify-state/v1";
  readonly logId: string;
  readonly size: number;
  /** Chain hash of event `size`, hex. */
  readonly hash: string;
  /** Roots of the perfect subtrees, largest first, hex. */
  readonly subtrees: readonly string[];
  /** Keys that may sign checkpoints. */
  readonly keys: readonly { readonly key: string; readonly until: number }[];
  /** Texts that are gone, by the later event that must account for them. */
  readonly pruned: readonly { readonly seq: number; readonly first: number; readonly count: number; readonly digest: string }[];
}

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const schema: z.ZodType<VerifyState> = z.strictObject({
  schema: z.literal("cofferdam/audit-verify-state/v1"),
  logId: z.string().max(100),
  size: z.int().min(1),
  hash: hex,
  subtrees: z.array(hex).max(53),
  keys: z.array(z.strictObject({ key: z.string().max(1024), until: z.int().min(0) })).max(1000),
  pruned: z.array(z.strictObject({ seq: z.int().min(1), first: z.int().min(1), count: z.int().min(1), digest: hex })).max(10_000),
});

/** Throws INVALID_ARGUMENT for what is no state, or is of another log. */
export function parseState(value: unknown, logId: string): VerifyState {
  const state = parseInput(schema, value, "state of a verification");
  if (state.logId !== logId) throw new CofferdamError("INVALID_ARGUMENT", "the state is of a verification of another log");
  keysOf(state);
  return state;
}

export function keysOf({ keys }: VerifyState): KnownKey[] {
  return keys.map(({ key, until }) => ({ key: parseVerifierKey(key), until }));
}

export function keyTexts(keys: readonly KnownKey[]): VerifyState["keys"] {
  return keys.map(({ key, until }) => ({ key: formatVerifierKey(key), until }));
}
