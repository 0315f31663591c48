/** Whether a job is among those that a secret is for. */
import type { KnownJob, SecretAllowList } from "./contract.ts";

/** @returns why not, without telling what the list says; undefined when it may. */
export function whyNot({ repositories, environments, refs, jobs, imageDigests }: SecretAllowList, job: KnownJob): string | undefined {
  const { repository, environment, ref, job: name, imageDigest } = job;
  if (!isListed(repositories, repository.toLowerCase(), (pattern, text) => matches(pattern.toLowerCase(), text))) return `repository ${repository}`;
  if (!isListed(environments, environment?.toLowerCase(), (entry, text) => entry.toLowerCase() === text)) return `environment ${environment ?? "unknown"}`;
  if (!isListed(refs, ref, matches)) return `ref ${ref ?? "unknown"}`;
  if (!isListed(jobs, name, matches)) return `job name ${name ?? "unknown"}`;
  if (!isListed(imageDigests, imageDigest, (entry, text) => entry === text)) return `image ${imageDigest ?? "unknown"}`;
  return undefined;
}

/** An absent list restricts nothing; a list meets no unknown value. */
function isListed(list: readonly string[] | undefined, value: string | undefined, fits: (entry: string, value: string) => boolean): boolean {
  return list === undefined || (value !== undefined && list.some((entry) => fits(entry, value)));
}

/** `*` stands for any text without a slash. In time that does not grow with the number of stars. */
export function matches(pattern: string, text: string): boolean {
  const [wanted, parts] = [pattern.split("/"), text.split("/")];
  return wanted.length === parts.length && wanted.every((one, i) => matchesPart(one, parts[i] ?? ""));
}

function matchesPart(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return pattern === text;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  // What stands between two stars is taken where it comes first: later places leave less for the rest.
  let at = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}
