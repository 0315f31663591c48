/**
 * One measured step of bench/advisories.ts in a process of its own, so that nothing is warm and memory is its own:
 * `import DIR PATH`, `match DIR LOCKFILE`, `naive FOLDER LOCKFILE`. Prints one line of JSON.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [step, first = "", second = ""] = process.argv.slice(2);

interface Lock {
  readonly packages: Readonly<Record<string, { readonly name?: string; readonly version?: string }>>;
}

function subjects(path: string): { name: string; version: string }[] {
  const lock: Lock = JSON.parse(readFileSync(path, "utf8"));
  return Object.entries(lock.packages).flatMap(([place, { name, version }]) =>
    place === "" || version === undefined ? [] : [{ name: name ?? place.slice(place.lastIndexOf("node_modules/") + 13), version }],
  );
}

interface Osv {
  readonly affected: readonly {
    readonly package: { readonly name: string };
    readonly versions?: readonly string[];
    readonly ranges?: readonly { readonly events: readonly { readonly introduced?: string; readonly fixed?: string; readonly last_affected?: string }[] }[];
  }[];
}

const report: Record<string, number> = {};
if (step === "import") {
  const { AdvisoryDatabase } = await import("../dist/vulnerability/index.js");
  const { readRecords } = await import("../dist/vulnerability/sources/index.js");
  const started = performance.now();
  const database = new AdvisoryDatabase({ directory: first });
  const { signal } = new AbortController();
  const done = await database.importRecords(readRecords(second, { signal }), { source: "osv:npm", full: false });
  report["ms"] = performance.now() - started;
  report["records"] = done.added;
  report["indexBytes"] = (await database.open())?.size ?? 0;
  await database.close();
} else if (step === "match") {
  const wanted = subjects(second);
  const { AdvisoryDatabase, match } = await import("../dist/vulnerability/index.js");
  const started = performance.now();
  const database = new AdvisoryDatabase({ directory: first });
  const index = await database.open();
  if (index === undefined) throw new Error("no index");
  report["findings"] = match(index, wanted).findings.length;
  report["coldMs"] = performance.now() - started;
  const warm: number[] = [];
  for (let i = 0; i < 21; i++) {
    const again = performance.now();
    match(index, wanted);
    warm.push(performance.now() - again);
  }
  report["warmMs"] = warm.sort((a, b) => a - b)[10] ?? Number.NaN;
  await database.close();
} else {
  const wanted = subjects(second);
  const { default: satisfies } = await import("semver/functions/satisfies.js");
  const started = performance.now();
  const records = readdirSync(first).map((name): Osv => JSON.parse(readFileSync(join(first, name), "utf8")));
  const parsed = performance.now();
  const byName = new Map<string, Osv["affected"][number][]>();
  for (const { affected } of records) for (const one of affected) byName.set(one.package.name, [...(byName.get(one.package.name) ?? []), one]);
  let findings = 0;
  for (const { name, version } of wanted) {
    for (const { ranges = [], versions = [] } of byName.get(name) ?? []) {
      const range = ranges.map(({ events }) => events.map((event) => text(event)).join(" ")).join(" || ");
      if (versions.includes(version) || (range !== "" && satisfies(version, range, { loose: true, includePrerelease: true }))) findings++;
    }
  }
  report["naiveMs"] = performance.now() - started;
  report["loopMs"] = performance.now() - parsed;
  report["findings"] = findings;
}
process.stdout.write(`${JSON.stringify({ ...report, maxRss: process.resourceUsage().maxRSS * 1024 })}\n`);

function text({ introduced, fixed, last_affected: last }: { readonly introduced?: string; readonly fixed?: string; readonly last_affected?: string }): string {
  return introduced !== undefined ? `>=${introduced === "0" ? "0.0.0-0" : introduced}` : fixed !== undefined ? `<${fixed}` : `<=${last}`;
}
