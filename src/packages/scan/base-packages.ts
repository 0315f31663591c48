/** The packages that the merge base had, and the texts of the advisories that a report shows. */
import type { EffectivePolicy } from "../../policy/index.ts";
import { type AdvisoryDatabase, detailsKey } from "../../vulnerability/index.ts";
import { readBase } from "./base.ts";
import type { ScannedPackage } from "./judge.ts";
import type { ScannedFinding, ScanResult } from "./result.ts";
import { packagesOf } from "./target.ts";

export interface Base {
  readonly said: ScanResult["base"];
  readonly packages: { readonly ref: string; readonly packages: readonly ScannedPackage[] } | undefined;
}

export interface BaseRequest {
  readonly root: string;
  /** Name of the lockfile in it. */
  readonly file: string;
  /** What the user asked for; else the policy's. */
  readonly ref: string | undefined;
  readonly policy: EffectivePolicy;
  readonly signal: AbortSignal;
}

export async function readBasePackages({ root, file, ref, policy, signal }: BaseRequest): Promise<Base> {
  const wanted = ref ?? (policy.values["advisories.base"] === "auto" ? undefined : policy.values["advisories.base"]);
  const base = await readBase({ root, file, ref: wanted, signal });
  if (!("text" in base)) return { said: base, packages: undefined };
  try {
    return { said: { ref: base.ref, note: base.note }, packages: { ref: base.ref, packages: packagesOf(base.text, file) } };
  } catch {
    // A base that cannot be read had nothing: everything counts as new.
    return { said: { note: `${base.note}: its lockfile cannot be read` }, packages: undefined };
  }
}

export async function withTitles(findings: readonly ScannedFinding[], advisories: AdvisoryDatabase): Promise<ScannedFinding[]> {
  if (findings.length === 0) return [];
  const titles = await advisories.titles(findings.flatMap(({ id, aliases }) => [id, ...aliases]));
  return findings.map((finding) => ({ ...finding, title: [finding.id, ...finding.aliases].map((id) => titles.get(id)).find((title) => title !== undefined) }));
}

export async function withDetails(findings: readonly ScannedFinding[], advisories: AdvisoryDatabase): Promise<ScannedFinding[]> {
  if (findings.length === 0) return [];
  const details = await advisories.details(findings.flatMap((finding) => [finding.id, ...finding.aliases].map((id) => ({ id, name: finding.package }))));
  return findings.map((finding) => {
    const own = [finding.id, ...finding.aliases].map((id) => details.get(detailsKey(id, finding.package))).find((one) => one !== undefined);
    return own === undefined ? finding : { ...finding, details: own };
  });
}
