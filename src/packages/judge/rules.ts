/** What each level makes of each kind of finding. One table, so that a level is read and not guessed. */
import type { Level } from "../../policy/index.ts";
import type { InstallFinding } from "../install/result.ts";

/** Rule ids, as they appear in reports, JSON and `policy allow`. */
export type RuleId =
  | "foreign-host"
  | "http-resolved"
  | "missing-hash"
  | "weak-hash"
  | "git-dependency"
  | "url-dependency"
  | "file-outside"
  | "npmrc-key"
  | "npmrc-registry"
  | "committed-node-modules"
  | "lockfile-missing"
  | "lockfile-mismatch"
  | "conflicting-hash"
  | "shadowed-name"
  | "bundled-mismatch";

type Verdict = InstallFinding["decision"];

const TABLE: Readonly<Record<RuleId, readonly [low: Verdict, medium: Verdict, high: Verdict, paranoid: Verdict]>> = {
  "foreign-host": ["warn", "deny", "deny", "deny"],
  "http-resolved": ["warn", "deny", "deny", "deny"],
  "missing-hash": ["warn", "deny", "deny", "deny"],
  "weak-hash": ["warn", "deny", "deny", "deny"],
  // The gate does not fetch git; inside the box npm could not either. Denied before it fails in an odd way.
  "git-dependency": ["deny", "deny", "deny", "deny"],
  "url-dependency": ["warn", "deny", "deny", "deny"],
  "file-outside": ["deny", "deny", "deny", "deny"],
  "npmrc-key": ["warn", "deny", "deny", "deny"],
  "npmrc-registry": ["deny", "deny", "deny", "deny"],
  "committed-node-modules": ["warn", "deny", "deny", "deny"],
  // `npm ci` cannot run without one; `npm install` makes one, from versions that nobody reviewed.
  "lockfile-missing": ["warn", "warn", "deny", "deny"],
  "lockfile-mismatch": ["deny", "deny", "deny", "deny"],
  "conflicting-hash": ["deny", "deny", "deny", "deny"],
  "shadowed-name": ["warn", "deny", "deny", "deny"],
  // What the lockfile says of a bundled package is what was reviewed and scanned; what the tarball holds is what is installed.
  "bundled-mismatch": ["warn", "deny", "deny", "deny"],
};

const COLUMN: Readonly<Record<Level, 0 | 1 | 2 | 3>> = { low: 0, medium: 1, high: 2, paranoid: 3 };

export function verdictOf(rule: RuleId, level: Level): Verdict {
  return TABLE[rule][COLUMN[level]];
}

/** Every rule id; for documentation and for checking what `policy allow` is given. */
export const RULE_IDS: readonly RuleId[] = Object.freeze(Object.keys(TABLE).filter((id): id is RuleId => id in TABLE));
