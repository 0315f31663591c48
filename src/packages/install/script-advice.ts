/** What a person can do about a script that was refused something. */
import { downloadHint, type ScriptOutcome, suggestedGrant, trustedName } from "../scripts/index.ts";
import type { InstallResult } from "./result.ts";

export interface ScriptAdvice {
  /** The grant, as it would stand in cofferdam.yaml. */
  readonly yaml: string | undefined;
  /** Environment that makes a known package do without its download. */
  readonly skip: string | undefined;
}

export function scriptAdvice(outcome: ScriptOutcome, { root, level }: Pick<InstallResult, "root" | "level">): ScriptAdvice {
  const name = trustedName(outcome.decision.subject);
  const asked = outcome.run?.refused.some(({ kind }) => kind === "network") === true;
  return {
    yaml: suggestedGrant(outcome, root, level === "high")?.yaml,
    skip: asked && name !== undefined ? downloadHint(name)?.skip : undefined,
  };
}
