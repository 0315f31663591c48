/**
 * What to do about a package: the smallest version that no known advisory affects, and the one command that gets it where
 * there is one. Names and versions come from files that an attacker may have written, and a person pastes what is printed
 * here into a shell: a command is given only for those that the strict grammars below admit.
 *
 * Decision: candidates are the versions that records name as fixed. Others may exist, but only a registry knows them. The
 * smallest clean one above the installed one is taken, which is in the installed major whenever one there is clean;
 * a pre-release only where no release is, unless a pre-release is installed.
 */
import compareBuild from "semver/functions/compare-build.js";
import gt from "semver/functions/gt.js";
import lt from "semver/functions/lt.js";
import parse from "semver/functions/parse.js";
import prerelease from "semver/functions/prerelease.js";
import satisfies from "semver/functions/satisfies.js";
import valid from "semver/functions/valid.js";
import validRange from "semver/ranges/valid.js";
import type { Finding } from "../../vulnerability/index.ts";
import type { Fix } from "./result.ts";

/** As npm reads versions and ranges: old packages have some that the strict grammar refuses. */
const LOOSE = { loose: true } as const;

/** Who depends on a package, and which versions it asks for. */
export interface Asking {
  /** `a@1.0.0`, or the project's or a workspace's name. */
  readonly by: string;
  /** Its place; empty for the project. */
  readonly path: string;
  /** As package.json has it: a range, a tag, an alias (`npm:b@^1.0.0`), an address. Undefined where that is not known. */
  readonly range: string | undefined;
  /** The project or a folder of it asks. */
  readonly direct: boolean;
}

export interface FixRequest {
  readonly name: string;
  /** The installed version. */
  readonly version: string;
  /** Every finding of this version. */
  readonly findings: readonly Pick<Finding, "malware" | "fixed">[];
  /** Whether any advisory of the package affects a version. */
  readonly isAffected: (version: string) => boolean;
  readonly dependents: readonly Asking[];
  /** Development only. */
  readonly dev: boolean;
  /** Other versions that are known to exist: what the base had. Where the installed one is malware, going back to one is a fix. */
  readonly known?: readonly string[] | undefined;
}

export function smallestFix(request: FixRequest): Fix {
  const version = smallestClean(request);
  if (version === undefined) return withoutVersion(request);
  const direct = request.dependents.filter((one) => one.direct);
  const barred = distinct(request.dependents.filter((one) => !admits(one.range, request.name, version)));
  if (direct.length > 0) return { version, ...directFix(request, version, direct, barred) };
  if (request.dependents.length === 0) return { version };
  if (barred.length > 0) return { version, note: `${asks(barred)}: ${wayOut(request, version, barred)}` };
  // The newest version that the ranges admit, which is the fixed one or a later one.
  return isName(request.name) ? { version, command: `npm update ${request.name} --package-lock-only` } : { version };
}

/** npm's names as it makes new ones, and with capitals as old ones have; none that a shell or npm would read as more than a name. */
export function isName(name: string): boolean {
  return name.length <= 214 && /^(?:@[A-Za-z0-9][A-Za-z0-9._~-]*\/)?[A-Za-z0-9_][A-Za-z0-9._~-]*$/.test(name);
}

function isVersion(version: string): boolean {
  return version.length <= 64 && /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(version) && valid(version) === version;
}

function isFolder(path: string): boolean {
  return path.length <= 200 && /^[A-Za-z0-9_@][A-Za-z0-9._@-]*(?:\/[A-Za-z0-9_@][A-Za-z0-9._@-]*)*$/.test(path);
}

function smallestClean(request: FixRequest): string | undefined {
  // What even npm does not read as a version cannot be compared.
  if (parse(request.version, LOOSE) === null) return undefined;
  const named = request.findings.flatMap((finding) => finding.fixed);
  const above = ordered(named).filter((version) => gt(version, request.version, LOOSE));
  const releases = prerelease(request.version, LOOSE) === null ? above.filter((version) => prerelease(version) === null) : [];
  const clean = [...releases, ...above].find((version) => !request.isAffected(version));
  if (clean !== undefined || !isMalware(request)) return clean;
  return ordered(request.known ?? []).findLast((version) => lt(version, request.version, LOOSE) && !request.isAffected(version));
}

/** Versions that npm would install, each once, ascending. */
function ordered(versions: readonly string[]): string[] {
  return [...new Set(versions)].filter((version) => valid(version) === version).sort(compareBuild);
}

function isMalware(request: FixRequest): boolean {
  return request.findings.some((finding) => finding.malware);
}

/**
 * Whether npm would take this version for what a dependent asks for. Loose and without includePrerelease, as npm itself
 * compares: with it, an update would be promised to a pre-release that npm then does not install.
 */
function admits(range: string | undefined, name: string, version: string): boolean {
  if (range === undefined) return false;
  const plain = range.startsWith(`npm:${name}@`) ? range.slice(`npm:${name}@`.length) : range;
  return validRange(plain, LOOSE) !== null && satisfies(version, plain, LOOSE);
}

function directFix(request: FixRequest, version: string, direct: readonly Asking[], barred: readonly Asking[]): Pick<Fix, "command" | "note"> {
  // An alias has another name in package.json, and an address is not answered by a registry's version.
  const special = direct.filter((one) => /[:/]/.test(one.range ?? ""));
  if (special.length > 0) return { note: `${asks(special)}: change it in package.json to one that gives ${version}` };
  const flags = placeFlags(direct);
  if (!isName(request.name) || !isVersion(version) || flags === undefined) return {};
  // Exactly, after malware: the range that npm would save admits the bad version again.
  const exact = lt(version, request.version, LOOSE) ? " --save-exact" : "";
  const command = `npm install${request.dev ? " -D" : ""} ${request.name}@${version}${exact}${flags} --package-lock-only`;
  const nested = barred.filter((one) => !one.direct);
  if (nested.length === 0) return { command };
  return { command, note: `${asks(nested)} and keeps its own copy: ${wayOut(request, version, nested)}` };
}

/** Which package.json a command is about; undefined where a folder's name cannot be given to a shell. */
function placeFlags(direct: readonly Asking[]): string | undefined {
  const folders = [...new Set(direct.map((one) => one.path).filter((path) => path !== ""))].sort();
  if (folders.length === 0) return "";
  if (folders.length > 8 || !folders.every(isFolder)) return undefined;
  const root = direct.some((one) => one.path === "") ? " --include-workspace-root" : "";
  return folders.map((folder) => ` -w ${folder}`).join("") + root;
}

function withoutVersion(request: FixRequest): Fix {
  const why = isMalware(request)
    ? "malware, and no clean version is on record"
    : parse(request.version, LOOSE) === null
      ? "its version cannot be compared with others"
      : "no fixed version is on record";
  const direct = request.dependents.filter((one) => one.direct);
  const flags = placeFlags(direct);
  if (direct.length === 0) return { note: request.dependents.length === 0 ? why : `${why}; ${whoBrings(distinct(request.dependents))}` };
  const aliased = direct.some((one) => one.range?.startsWith("npm:"));
  if (aliased || !isName(request.name) || flags === undefined) return { note: `${why}: remove it from package.json` };
  return { command: `npm uninstall ${request.name}${flags} --package-lock-only`, note: why };
}

/** Named, bounded: there may be thousands. */
const NAMED = 3;

/** A dependent that stands in several places asks for the same in each. */
function distinct(dependents: readonly Asking[]): Asking[] {
  return [...new Map(dependents.map((one) => [JSON.stringify([one.by, one.range, one.direct]), one])).values()];
}

function asks(barred: readonly Asking[]): string {
  const named = barred
    .slice(0, NAMED)
    .map((one) => `${short(one.by)} asks for ${short(one.range === undefined ? "it, in a range that is not known" : one.range === "" ? "*" : one.range)}`);
  return `${named.join(", ")}${others(barred.length)}`;
}

function whoBrings(dependents: readonly Asking[]): string {
  const named = dependents.slice(0, NAMED).map((one) => short(one.by));
  return `${named.join(", ")}${others(dependents.length)} ${dependents.length === 1 ? "brings" : "bring"} it`;
}

function others(count: number): string {
  return count > NAMED ? ` and ${count - NAMED} more` : "";
}

function wayOut(request: FixRequest, version: string, barred: readonly Asking[]): string {
  const upgrade = barred.length === 1 ? `upgrade ${short(nameOf(barred[0]?.by ?? ""))}` : "upgrade those";
  if (!isName(request.name) || !isVersion(version) || !isVersion(request.version)) return upgrade;
  // Bound to the installed version, so that copies of other majors stay what they are.
  const key = `${request.name}@${request.version}`;
  return `${upgrade}, or in package.json: "overrides": ${JSON.stringify({ [key]: version })}`;
}

function nameOf(label: string): string {
  const at = label.indexOf("@", 1);
  return at < 0 ? label : label.slice(0, at);
}

function short(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
