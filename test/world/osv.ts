/** Advisory records for tests, and a matcher as naive as can be: node-semver over every range of every record. */
import { satisfies } from "semver";
import type { RawRecord } from "../../src/vulnerability/index.ts";

export interface TestEvent {
  readonly introduced?: string;
  readonly fixed?: string;
  readonly last_affected?: string;
}

export interface TestAffected {
  readonly package?: { readonly ecosystem: string; readonly name: string };
  readonly ranges?: readonly { readonly type: string; readonly events?: readonly TestEvent[] }[] | null;
  readonly versions?: readonly string[] | null;
  readonly database_specific?: { readonly last_known_affected_version_range?: string };
}

export interface TestRecord {
  readonly id: string;
  readonly modified: string;
  readonly withdrawn?: string;
  readonly aliases?: readonly string[];
  readonly summary?: string;
  readonly details?: string;
  readonly affected?: readonly TestAffected[];
  readonly severity?: readonly { readonly type: string; readonly score: string }[];
  readonly database_specific?: { readonly severity?: string; readonly cwe_ids?: readonly string[] };
}

/** A record about one npm package: `range("0", "1.2.3")` and the like. */
export function record(id: string, name: string, events: readonly TestEvent[], more: Partial<TestRecord> = {}): TestRecord {
  return {
    id,
    modified: new Date().toISOString(),
    summary: `what ${id} is about`,
    affected: [{ package: { ecosystem: "npm", name }, ranges: [{ type: "SEMVER", events }] }],
    ...more,
  };
}

export async function* raw(records: readonly TestRecord[]): AsyncGenerator<RawRecord> {
  for (const one of records) yield { name: `${one.id}.json`, bytes: Buffer.from(JSON.stringify(one)) };
}

/** As npm's own audit reads a range (node-semver, loose, pre-releases included), pair by pair. */
export function naiveAffects(one: TestRecord, name: string, version: string): boolean {
  if (one.withdrawn !== undefined) return false;
  return (one.affected ?? []).some((affected) => {
    if (affected.package?.ecosystem !== "npm" || affected.package.name !== name) return false;
    if (affected.versions?.includes(version) === true) return true;
    const ranges = (affected.ranges ?? []).filter(({ type }) => type === "SEMVER" || type === "ECOSYSTEM");
    return ranges.some(({ events }) => rangesOf(events ?? [], affected).some((range) => satisfies(version, range, { loose: true, includePrerelease: true })));
  });
}

function rangesOf(events: readonly TestEvent[], { database_specific: said }: TestAffected): string[] {
  const ranges: string[] = [];
  let from: string | undefined;
  for (const { introduced, fixed, last_affected: last } of events) {
    if (introduced !== undefined) from ??= introduced === "0" ? ">=0.0.0-0" : `>=${introduced}`;
    else if (from !== undefined) {
      ranges.push(fixed !== undefined ? `${from} <${fixed}` : `${from} <=${last}`);
      from = undefined;
    }
  }
  if (from !== undefined) ranges.push(`${from} ${said?.last_known_affected_version_range ?? ""}`);
  return ranges;
}
