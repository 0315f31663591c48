/**
 * Judges an install before anything is fetched: the lockfile, the project's .npmrc, and a few facts about the folder.
 * Pure: everything it needs is handed in, nothing is read or asked.
 */
import clean from "semver/functions/clean.js";
import type { BundledPackage } from "../../integrity/index.ts";
import { folderName, type LockedPackage, type NpmLockfile } from "../../inventory/index.ts";
import type { Level } from "../../policy/index.ts";
import type { NpmrcFile } from "../client/npmrc.ts";
import { ruleOf, whyRefused } from "../client/npmrc-keys.ts";
import { strongestDigest } from "../gate/digest.ts";
import type { Registries } from "../gate/registries.ts";
import type { InstallFinding } from "../install/result.ts";
import { type RuleId, verdictOf } from "./rules.ts";

export interface JudgeInput {
  readonly lockfile: NpmLockfile | undefined;
  readonly lockfileName: string;
  /** 1-based line of a place in the lockfile; asked only for findings. */
  readonly lineOf: (path: string) => number | undefined;
  readonly npmrc: NpmrcFile | undefined;
  readonly registries: Registries;
  /** Addresses (prefixes) that lockfiles and a project's .npmrc may use besides the client's registries. */
  readonly trusted: readonly string[];
  /** Hosts that npm itself reads as "whatever registry is configured": its own default registry. */
  readonly magicOrigin: string | undefined;
  readonly level: Level;
  /** True when an exception covers what (`RULE SUBJECT`). */
  readonly allows: (what: string) => boolean;
  readonly nodeModulesCommitted: boolean;
  /** Dependencies of package.json by name; undefined when the command is not bound to them (npm install NAME). */
  readonly declared: ReadonlyMap<string, string> | undefined;
  /** True when a link's target may be used: inside the project, or the repository it stands in. */
  readonly mayLink: (target: string) => boolean;
}

/** Findings, denials first. */
export function judge(input: JudgeInput): InstallFinding[] {
  const findings = new Findings(input);
  judgeNpmrc(input, findings);
  if (input.nodeModulesCommitted) {
    findings.add("committed-node-modules", "node_modules", "is part of the repository: its files would be taken for installed packages", {
      fix: "git rm -r --cached node_modules",
    });
  }
  if (input.lockfile === undefined) {
    findings.add("lockfile-missing", "package-lock.json", "is missing: versions are chosen now, by the registry", {
      fix: "npm install --package-lock-only, and commit it",
    });
  } else {
    judgeRoot(input, input.lockfile, findings);
    judgePackages(input, input.lockfile.packages, findings);
  }
  return findings.sorted();
}

export type BundleInput = Pick<JudgeInput, "lockfileName" | "lineOf" | "level" | "allows">;

/**
 * Compares what the lockfile says is bundled with what the verified tarballs carry: both ways, by place, name and version.
 * @param bundledBy packages inside the tarball of an entry; undefined when that tarball was not fetched (another platform).
 */
export function judgeBundles(
  input: BundleInput,
  packages: readonly LockedPackage[],
  bundledBy: (outer: LockedPackage) => readonly BundledPackage[] | undefined,
): InstallFinding[] {
  const findings = new Findings(input);
  const said = new Map(packages.filter((entry) => entry.kind === "bundled").map((entry) => [entry.path, entry]));
  const carriers = packages.filter((entry) => entry.kind === "registry" || entry.kind === "remote" || entry.kind === "file");
  const seen = new Set<string>();
  for (const outer of carriers) {
    const bundled = bundledBy(outer);
    const subject = `${outer.name}@${outer.version ?? "?"}`;
    if (bundled === undefined) {
      for (const path of said.keys()) if (path.startsWith(`${outer.path}/`)) seen.add(path);
      continue;
    }
    for (const one of bundled) {
      const path = `${outer.path}/${one.path}`;
      const entry = said.get(path);
      seen.add(path);
      const actual = `${one.name}@${one.version}`;
      if (entry === undefined) {
        // A package of its own at that place replaces what the tarball has there; the tree comparison holds it to its own hash.
        if (packages.some((other) => other.path === path)) continue;
        findings.add("bundled-mismatch", subject, `its tarball brings ${actual}, which the lockfile does not list`, { entry: outer });
      } else if (entry.version !== undefined && (entry.name !== one.name || entry.version !== one.version))
        findings.add("bundled-mismatch", subject, `its tarball brings ${actual} where the lockfile says ${entry.name}@${entry.version}`, { entry });
    }
  }
  for (const [path, entry] of said) {
    if (!seen.has(path) && !entry.optional)
      findings.add("bundled-mismatch", `${entry.name}@${entry.version ?? "?"}`, "is bundled, the lockfile says, but no verified tarball brings it", { entry });
  }
  return findings.sorted();
}

function judgePackages(input: JudgeInput, packages: readonly LockedPackage[], findings: Findings): void {
  const hashes = new Map<string, { integrity: string; path: string }>();
  for (const entry of packages) {
    const subject = `${entry.name}@${entry.version ?? "?"}`;
    switch (entry.kind) {
      case "folder":
      case "bundled":
        break;
      case "link":
        if (!input.mayLink(entry.target ?? ""))
          findings.add("file-outside", `file:${entry.target ?? ""}`, "is outside of the project and its repository: the box does not show it", { entry });
        break;
      case "git":
        findings.add("git-dependency", subject, "comes from a git repository; the gate does not fetch those", {
          entry,
          final: true,
          fix: "depend on a published version",
        });
        break;
      case "file":
        judgeHash(entry, subject, findings);
        break;
      case "remote":
        findings.add("url-dependency", subject, `comes from ${hostOf(entry.resolved)} and not from a registry`, { entry });
        judgeHash(entry, subject, findings);
        break;
      default:
        judgeAddress(input, entry, subject, findings);
        judgeHash(entry, subject, findings);
        judgeName(entry, subject, findings);
    }
    if (entry.kind === "registry" && entry.integrity !== undefined) {
      const before = hashes.get(subject);
      if (before === undefined) hashes.set(subject, { integrity: entry.integrity, path: entry.path });
      else if (contradicts(before.integrity, entry.integrity))
        findings.add("conflicting-hash", subject, `has another hash here than at ${before.path}`, { entry, final: true });
    }
  }
}

function judgeAddress(input: JudgeInput, entry: LockedPackage, subject: string, findings: Findings): void {
  if (entry.resolved === undefined) return;
  const url = URL.parse(entry.resolved);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    findings.add("foreign-host", subject, `has an address that is not http(s): ${entry.resolved.slice(0, 120)}`, { entry, final: true });
    return;
  }
  if (url.origin === input.magicOrigin) return;
  const known =
    input.registries.all.some((registry) => registry.base.origin === url.origin) || input.trusted.some((prefix) => entry.resolved?.startsWith(prefix) === true);
  if (!known) {
    findings.add("foreign-host", subject, `its address is on ${url.host}, which is not one of your registries`, {
      entry,
      fix: `npm install ${subject} --package-lock-only, or add ${url.origin}/ to packages.registries`,
    });
  } else if (url.protocol === "http:" && !input.registries.all.some((registry) => registry.base.origin === url.origin)) {
    findings.add("http-resolved", subject, `its address is plain http on ${url.host}`, { entry });
  }
}

function judgeHash(entry: LockedPackage, subject: string, findings: Findings): void {
  const digest = entry.integrity === undefined ? undefined : strongestDigest(entry.integrity);
  const fix = "npm install --package-lock-only writes the registry's hash into the lockfile";
  if (digest === undefined)
    findings.add("missing-hash", subject, entry.integrity === undefined ? "has no hash in the lockfile" : "has a hash that cannot be checked", { entry, fix });
  else if (digest.algorithm === "sha1") findings.add("weak-hash", subject, "has only a sha1 hash, which can be forged", { entry, fix });
}

/** A folder `react` whose entry says it is another package looks like react to whoever imports it. */
function judgeName(entry: LockedPackage, subject: string, findings: Findings): void {
  if (entry.version !== undefined && clean(entry.version, { loose: true }) === null) {
    findings.add("shadowed-name", subject, `has a version that is not one: ${entry.version.slice(0, 80)}`, { entry });
  }
  if (folderName(entry.path) !== entry.name && !/^(?:@[^/]+\/)?[^/]+$/.test(entry.name))
    findings.add("shadowed-name", subject, "has a name that is not one", { entry });
}

function judgeRoot(input: JudgeInput, lockfile: NpmLockfile, findings: Findings): void {
  if (input.declared === undefined || lockfile.version === 1) return;
  for (const [name, spec] of input.declared) {
    const locked = lockfile.rootDependencies.get(name);
    if (locked !== spec) {
      findings.add(
        "lockfile-mismatch",
        name,
        `package.json asks for ${spec.slice(0, 80)}, the lockfile was made for ${locked?.slice(0, 80) ?? "nothing of that name"}`,
        {
          fix: "npm install --package-lock-only",
          final: true,
        },
      );
    }
  }
}

function judgeNpmrc(input: JudgeInput, findings: Findings): void {
  for (const { key, value, line } of input.npmrc?.entries ?? []) {
    const where = `.npmrc${line === undefined ? "" : `:${line}`}`;
    const isRegistry = key === "registry" || /^@[^:]+:registry$/.test(key);
    if (isRegistry && typeof value === "string") {
      if (!isTrusted(input, value)) {
        findings.add("npmrc-registry", key, `the project chooses the registry ${hostOf(value)}, which your own configuration does not name`, {
          where,
          fix: "set it in your own ~/.npmrc, or add its address to packages.registries of a trusted cofferdam.yaml",
          final: true,
        });
      }
    } else if (key.startsWith("//") && isTrusted(input, `https:${key.slice(0, key.lastIndexOf(":"))}`)) {
      // A credential for one of the user's own registries (`//host/:_authToken=${NPM_TOKEN}`): it goes nowhere else.
    } else if (ruleOf(key) === "refuse") {
      findings.add("npmrc-key", key, `${whyRefused(key)}`, { where, fix: `remove it from .npmrc` });
    }
  }
}

function isTrusted(input: JudgeInput, address: string): boolean {
  const url = URL.parse(address);
  if (url === null) return false;
  const hosts = [...input.registries.all.map((registry) => registry.base.href), ...input.trusted];
  return hosts.some((known) => URL.parse(known)?.host === url.host);
}

function contradicts(a: string, b: string): boolean {
  const [one, two] = [strongestDigest(a), strongestDigest(b)];
  return one !== undefined && two !== undefined && one.algorithm === two.algorithm && one.hex !== two.hex;
}

function hostOf(address: string | undefined): string {
  return URL.parse(address ?? "")?.host ?? "an address that is not a URL";
}

interface Facts {
  readonly entry?: LockedPackage;
  readonly where?: string;
  readonly fix?: string;
  /** No exception can accept it. */
  readonly final?: boolean;
}

class Findings {
  readonly #input: BundleInput;
  readonly #list: InstallFinding[] = [];

  constructor(input: BundleInput) {
    this.#input = input;
  }

  add(code: RuleId, subject: string, message: string, { entry, where, fix, final }: Facts = {}): void {
    const allow = `${code} ${subject}`;
    if (final !== true && this.#input.allows(allow)) return;
    const line = entry === undefined ? undefined : this.#input.lineOf(entry.path);
    const place = where ?? (entry === undefined ? undefined : `${this.#input.lockfileName}${line === undefined ? "" : `:${line}`}`);
    this.#list.push({
      code,
      decision: verdictOf(code, this.#input.level),
      subject,
      message,
      ...(place === undefined ? {} : { where: place }),
      ...(fix === undefined ? {} : { fix }),
      ...(final === true ? {} : { allow }),
    });
  }

  sorted(): InstallFinding[] {
    const order = { deny: 0, review: 1, warn: 2 } as const;
    return this.#list.sort((a, b) => order[a.decision] - order[b.decision]);
  }
}
