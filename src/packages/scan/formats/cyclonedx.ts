/**
 * A scan as a CycloneDX 1.6 bill of materials in JSON: what is installed, who asks for it, and what is known to be wrong with
 * it. The same scan at the same time gives the same bytes. Source: ECMA-424, and its JSON schema of version 1.6.
 */
import { hash } from "node:crypto";
import type { JudgedSource, ScanResult } from "../result.ts";
import { byCode } from "../urgency.ts";
import { bounded } from "./advisory-text.ts";
import { bomVulnerabilities } from "./cyclonedx-vulnerabilities.ts";
import { npmPackageUrl } from "./package-url.ts";

/** A package as it stands in the tree; a LockedPackage with who asks for it. */
export interface BomPackage {
  readonly name: string;
  /** Undefined where the lockfile does not say it. */
  readonly version: string | undefined;
  /** Its place: `node_modules/a/node_modules/b`. */
  readonly path: string;
  /** Development only. */
  readonly dev?: boolean | undefined;
  /** Places of those who ask for it, empty for the project. Left out of every package: no graph is written. */
  readonly askedBy?: readonly string[] | undefined;
}

export interface BomOptions {
  readonly packages: readonly BomPackage[];
  /** Of Cofferdam. */
  readonly version: string;
  /** The project's name and version, where it has them. */
  readonly project?: { readonly name: string; readonly version?: string | undefined } | undefined;
  /** When the scan was made, milliseconds since the Unix epoch. */
  readonly at: number;
}

/** bom-ref of the project; packages have their package URL. */
const PROJECT = "project";

export function cycloneDxText(result: ScanResult, options: BomOptions): string {
  const components = componentsOf(result, options.packages);
  const body = {
    components: [...components.values()].map(({ document }) => document),
    ...dependencies(components, options.packages),
    vulnerabilities: bomVulnerabilities(result.findings),
  };
  const metadata = {
    timestamp: new Date(options.at).toISOString(),
    tools: { components: [{ type: "application", name: "cofferdam", version: options.version }] },
    component: { type: "application", "bom-ref": PROJECT, ...projectOf(result, options) },
    properties: properties(result),
  };
  const head = { $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", bomFormat: "CycloneDX", specVersion: "1.6" };
  return `${JSON.stringify({ ...head, serialNumber: serialNumber({ body, component: metadata.component, properties: metadata.properties }), version: 1, metadata, ...body })}\n`;
}

/** Of the content: another scan with the same outcome is the same bill. A UUID of version 8, which is whatever its maker says. */
function serialNumber(content: object): string {
  const hex = hash("sha256", JSON.stringify(content), "hex");
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

interface Component {
  /** Where it stands; a package version may stand in many places. */
  readonly paths: readonly string[];
  readonly document: object;
}

/** By bom-ref, in its order. What was found is among them even where the list of packages lacks it. */
function componentsOf(result: ScanResult, packages: readonly BomPackage[]): Map<string, Component> {
  const found = result.findings.map(({ package: name, version, dev }) => ({ name, version, path: undefined, dev }));
  const grouped = new Map<string, { readonly name: string; readonly version: string | undefined; readonly paths: Set<string>; dev: boolean }>();
  for (const { name, version, path, dev } of [...packages, ...found]) {
    const ref = npmPackageUrl(name, version);
    const known = grouped.get(ref) ?? { name, version, paths: new Set<string>(), dev: true };
    if (path !== undefined) known.paths.add(path);
    known.dev &&= dev === true;
    grouped.set(ref, known);
  }
  const sorted = [...grouped].sort(([a], [b]) => byCode(a, b));
  return new Map(sorted.map(([ref, one]) => [ref, { paths: [...one.paths].sort(byCode), document: component(ref, one) }]));
}

function component(
  ref: string,
  { name, version, paths, dev }: { readonly name: string; readonly version: string | undefined; readonly paths: ReadonlySet<string>; readonly dev: boolean },
): object {
  const slash = name.startsWith("@") ? name.indexOf("/") : -1;
  return {
    type: "library",
    "bom-ref": ref,
    ...(slash < 0 ? {} : { group: name.slice(0, slash).toWellFormed() }),
    name: name.slice(slash + 1).toWellFormed(),
    ...(version === undefined ? {} : { version: bounded(version, 1024) }),
    purl: ref,
    ...(paths.size === 0 ? {} : { evidence: { occurrences: [...paths].sort(byCode).map((location) => ({ location: location.toWellFormed() })) } }),
    ...(dev ? { properties: [{ name: "cdx:npm:package:development", value: "true" }] } : {}),
  };
}

/** Who depends on what, the project included; nothing where nobody told. */
function dependencies(components: ReadonlyMap<string, Component>, packages: readonly BomPackage[]): { readonly dependencies?: object[] } {
  if (packages.every((one) => one.askedBy === undefined)) return {};
  const refs = new Map<string, string>([["", PROJECT]]);
  for (const [ref, { paths }] of components) for (const path of paths) refs.set(path, ref);
  const dependsOn = new Map<string, Set<string>>([PROJECT, ...components.keys()].map((ref) => [ref, new Set()]));
  for (const { path, askedBy = [] } of packages) {
    const to = refs.get(path);
    for (const asker of askedBy) {
      const from = refs.get(asker);
      if (from !== undefined && to !== undefined && from !== to) dependsOn.get(from)?.add(to);
    }
  }
  return { dependencies: [...dependsOn].map(([ref, targets]) => ({ ref, dependsOn: [...targets].sort(byCode) })) };
}

function projectOf(result: ScanResult, { project }: BomOptions): object {
  const name = bounded(project?.name ?? "", 214) || "project";
  return {
    name,
    ...(project?.version === undefined ? {} : { version: bounded(project.version, 1024) }),
    description: bounded(`scanned: ${result.target}`, 500),
  };
}

/** What a reader must know to tell "nothing found" from "not looked". */
function properties(result: ScanResult): object[] {
  const of = (name: string, value: string): object => ({ name: `cofferdam:${name}`, value: bounded(value, 1000) });
  return [
    of("decision", result.decision),
    of("level", result.level),
    of("mode", result.mode),
    of("policy", result.policyDigest),
    of("base", result.base.note),
    ...result.reasons.map((reason) => of("reason", reason)),
    ...result.sources.map((source) => of("source", sourceText(source))),
    ...result.unjudged.map((one) => of("unjudged", `${one.package}@${one.version}${one.id === undefined ? "" : ` ${one.id}`}: ${one.why}`)),
  ];
}

function sourceText({ name, status, freshAsOf, advisories, unparsable }: JudgedSource): string {
  return `${name}: ${status}, as of ${freshAsOf ?? "unknown"}, ${advisories} advisories, ${unparsable} records not read`;
}
