/**
 * Whether a package's scripts run, by level (design: "lifecycle scripts"). Whatever runs, runs in the jail; this decides
 * which, why, with what besides its own folder, and what a person is asked.
 *
 * | | low | medium | high | paranoid |
 * |---|---|---|---|---|
 * | own code | jailed | jailed | jailed | skipped |
 * | denied in the client's file | skipped | skipped | skipped | skipped |
 * | approved there | jailed | jailed | skipped, review | skipped |
 * | approved with its hash | jailed | jailed | jailed | skipped |
 * | nobody decided | jailed | jailed; skipped, review where the client skips too | skipped, review | skipped |
 */
import { type Level, parseScriptKey, type ScriptGrant } from "../../policy/index.ts";
import type { Approvals } from "./approvals.ts";
import { labelOf, type ScriptSubject, trustedName } from "./subject.ts";

export interface ScriptRules {
  readonly level: Level;
  /** What the client's own file says. */
  readonly approvals: Approvals;
  /** True when the client itself skips what is not listed there (npm 12). */
  readonly clientSkipsUnlisted: boolean;
  /** `--ignore-scripts`, or that setting in the user's own configuration. */
  readonly ignoreScripts: boolean;
  /** `scripts.approved` and `scripts.grants` of the policy. */
  readonly approved: readonly string[];
  readonly grants: Readonly<Record<string, ScriptGrant>>;
}

/** What a person is asked about a package that was skipped; lines as the report prints them. */
export interface ScriptReview {
  readonly message: string;
  readonly read: string;
  /** Undefined where nothing can be approved. */
  readonly allow: string | undefined;
}

export type Basis = "own" | "approved" | "unlisted" | "denied" | "level" | "ignored";

export interface ScriptDecision {
  readonly subject: ScriptSubject;
  /** `name@version`. */
  readonly package: string;
  readonly run: "jailed" | "skipped";
  readonly basis: Basis;
  /** Why, as the end of a sentence. */
  readonly why: string;
  /** What it gets besides its own folder; empty when it is skipped. `key` is the entry of scripts.grants. */
  readonly grant: { readonly net: readonly string[]; readonly write: readonly string[]; readonly key: string | undefined };
  readonly review?: ScriptReview;
}

export function decide(rules: ScriptRules, subject: ScriptSubject): ScriptDecision {
  const { level, approvals } = rules;
  if (level === "paranoid") return skipped(subject, "level", "level paranoid runs no scripts");
  if (rules.ignoreScripts) return skipped(subject, "ignored", "ignore-scripts is set");
  if (subject.origin === "own") return jailed(rules, subject, "own", "your own code");
  const { verdict, by } = subject.locked === undefined ? { verdict: "unlisted", by: undefined } : approvals.verdict(subject.locked);
  const place = `${approvals.field} of ${approvals.source ?? "package.json"}`;
  if (verdict === "denied") return skipped(subject, "denied", `denied by ${by ?? ""} in ${place}`);
  if (isApproved(rules, subject)) return jailed(rules, subject, "approved", "approved with its hash in cofferdam.yaml");
  if (level === "high") {
    const why = verdict === "approved" ? `approved in ${place}, but level high asks for an approval with its hash` : "not approved with its hash";
    return skipped(subject, "level", why, review(subject, `install script, ${why}`, subject.integrity !== undefined));
  }
  if (verdict === "approved") return jailed(rules, subject, "approved", `approved by ${by ?? ""} in ${place}`);
  const unlisted = subject.origin === "bundled" ? "inside another package, where nothing can approve it" : `not in ${place}`;
  if (level === "medium" && rules.clientSkipsUnlisted)
    return skipped(subject, "unlisted", unlisted, review(subject, `install script, ${unlisted}`, subject.origin !== "bundled"));
  return jailed(rules, subject, "unlisted", unlisted);
}

/**
 * The grant that applies: of the keys that fit, the most exact alone, so that an entry for one version can also take away.
 * At level high a key must name the tarball that is there.
 */
export function grantFor(
  rules: Pick<ScriptRules, "level" | "grants">,
  subject: ScriptSubject,
): { readonly key: string; readonly grant: ScriptGrant } | undefined {
  const { version, path } = subject;
  // A repository chooses its packages' names: one of them must not come to a grant that was meant for a dependency.
  if (subject.origin === "own") {
    const key = path === "" ? "." : `./${path}`;
    const own = rules.level !== "high" && Object.hasOwn(rules.grants, key) ? rules.grants[key] : undefined;
    return own === undefined ? undefined : { key, grant: own };
  }
  const bound = approvalKey(subject);
  const name = rules.level === "high" ? undefined : trustedName(subject);
  const keys = [bound, name === undefined || version === undefined ? undefined : `${name}@${version}`, name].filter((key) => key !== undefined);
  for (const key of keys) {
    const grant = Object.hasOwn(rules.grants, key) ? rules.grants[key] : undefined;
    if (grant !== undefined) return { key, grant };
  }
  return undefined;
}

/** `name@version#sha512-...`, as in scripts.approved; undefined when there is no such hash to bind it to. */
export function approvalKey(subject: ScriptSubject): string | undefined {
  if (subject.origin !== "dependency") return undefined;
  const key = `${labelOf(subject)}#${subject.integrity ?? ""}`;
  return parseScriptKey(key)?.integrity === undefined ? undefined : key;
}

function isApproved(rules: ScriptRules, subject: ScriptSubject): boolean {
  const key = approvalKey(subject);
  return key !== undefined && rules.approved.includes(key);
}

function jailed(rules: ScriptRules, subject: ScriptSubject, basis: Basis, why: string): ScriptDecision {
  const found = grantFor(rules, subject);
  const grant = { net: found?.grant.net ?? [], write: found?.grant.write ?? [], key: found?.key };
  return { subject, package: labelOf(subject), run: "jailed", basis, why, grant };
}

function skipped(subject: ScriptSubject, basis: Basis, why: string, asked?: ScriptReview): ScriptDecision {
  const grant = { net: [], write: [], key: undefined };
  return { subject, package: labelOf(subject), run: "skipped", basis, why, grant, ...(asked === undefined ? {} : { review: asked }) };
}

function review(subject: ScriptSubject, message: string, approvable: boolean): ScriptReview {
  const label = labelOf(subject);
  return { message, read: `cofferdam scripts show ${label}`, allow: approvable ? `cofferdam scripts approve ${label}` : undefined };
}
