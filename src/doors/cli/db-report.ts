/** What became of each source, in words and figures. */
import { type CofferdamError, formatBytes } from "../../foundation/index.ts";
import type { Exposure } from "../../packages/index.ts";
import type { ImportReport, SourceFault, SourceStatus } from "../../vulnerability/index.ts";
import type { BundleReport, KevUpdateResult, OsvUpdateResult } from "../../vulnerability/sources/index.ts";
import { type Output, plain } from "./output.ts";
import { shellWord } from "./shell-word.ts";

export interface SourceOutcome {
  readonly name: string;
  /** `older`: only what was newer than what is held was taken. */
  readonly mode: "full" | "increment" | "unchanged" | "went-back" | "imported" | "older" | "failed";
  /** ISO 8601: what the source's own data says how fresh it is. */
  readonly freshAsOf?: string | undefined;
  readonly counts: Readonly<Record<string, number>>;
  /** Records that could not be read; the first hundred. */
  readonly faults: readonly SourceFault[];
  readonly error?: CofferdamError;
}

/** Faults shown of one source; `db status` names the others. */
const SHOWN_FAULTS = 5;
const SHOWN_STATUS = 20;
const SHOWN_EXPOSED = 20;

export function fromOsv({ source, mode, upTo, changes }: OsvUpdateResult): SourceOutcome {
  return { name: source, mode, freshAsOf: upTo, ...(changes === undefined ? NOTHING : split(changes)) };
}

export function fromKev({ mode, entries, released, unparsable, faults }: KevUpdateResult): SourceOutcome {
  return { name: "kev", mode, freshAsOf: released, counts: { ...(entries === undefined ? {} : { entries }), unparsable }, faults };
}

export function fromImport(name: string, report: ImportReport): SourceOutcome {
  return { name, mode: "imported", freshAsOf: report.freshAsOf, ...split(report) };
}

export function fromBundle({ sources, kev, manifest }: BundleReport): SourceOutcome[] {
  const outcomes: SourceOutcome[] = sources.map(({ name, older, report }) => ({ ...fromImport(name, report), ...(older ? { mode: "older" } : {}) }));
  if (kev === undefined) return outcomes;
  const released = manifest.kev?.released;
  return [...outcomes, { name: "kev", mode: kev.applied ? "full" : "went-back", freshAsOf: released, counts: { entries: kev.entries }, faults: [] }];
}

export function sayOutcomes(out: Output, outcomes: readonly SourceOutcome[]): void {
  for (const outcome of outcomes) {
    const { name, mode, error, faults, counts } = outcome;
    if (error !== undefined) {
      out.fault(`cofferdam: ${name}: ${error.message}${error.hint === undefined ? "" : `\n  ${error.hint}`}\n  ${error.code}`);
      continue;
    }
    const sentence = `cofferdam: ${name}: ${words(outcome)}`;
    if (mode === "went-back" || mode === "older") out.fault(sentence);
    else out.note(sentence);
    for (const { name: record, why } of faults.slice(0, SHOWN_FAULTS)) out.note(`unread   ${short(record)}: ${short(why)}`);
    const more = (counts["unparsable"] ?? 0) - Math.min(faults.length, SHOWN_FAULTS);
    if (more > 0) out.note(`         and ${more} more: cofferdam db status`);
  }
}

/** What was installed, and is known to be bad only now. */
export function exposedLines(exposed: readonly Exposure[]): string[] {
  return exposed
    .slice(0, SHOWN_EXPOSED)
    .flatMap(({ finding, reason, project, installedAt, installs, auditRange }) => {
      const subject = short(`${finding.package}@${finding.version}`);
      const records = auditRange === undefined ? "" : ` (records ${auditRange[0]}-${auditRange[1]})`;
      const times = installs === 1 ? "" : `, ${installs} times`;
      return [
        `exposed  ${subject}: ${short(reason)} (${finding.id})`,
        `         installed ${new Date(installedAt).toISOString().slice(0, 10)}${times} in ${plain(project)}${records}`,
        `         look: cofferdam where ${shellWord(subject)}`,
      ];
    })
    .concat(exposed.length > SHOWN_EXPOSED ? [`         and ${exposed.length - SHOWN_EXPOSED} more: cofferdam audit search --action PackageExposed`] : []);
}

export function statusLines(sources: readonly SourceStatus[], unread: ReadonlyMap<string, readonly SourceFault[]>, indexBytes: number): string {
  const width = Math.max(...sources.map(({ name }) => name.length));
  const lines = sources.flatMap(({ name, advisories, withdrawn, unparsable, freshAsOf }) => {
    const parts = [figure(advisories).padStart(9), `fresh as of ${minute(freshAsOf)}`];
    if (withdrawn > 0) parts.push(`${figure(withdrawn)} withdrawn`);
    if (unparsable > 0) parts.push(`${figure(unparsable)} not read, or in part`);
    const faults = (unread.get(name) ?? []).slice(0, SHOWN_STATUS).map((fault) => `  unread ${short(fault.name)}: ${short(fault.why)}`);
    if (unparsable > faults.length) faults.push(`  and ${figure(unparsable - faults.length)} more (--json)`);
    return [`${short(name).padEnd(width)}  ${parts.join("  ")}`, ...faults];
  });
  return `${[...lines, `index ${formatBytes(indexBytes)}`].join("\n")}\n`;
}

const NOTHING = { counts: {}, faults: [] } as const;

function split({ faults, freshAsOf: _, ...counts }: ImportReport): { counts: Record<string, number>; faults: readonly SourceFault[] } {
  return { counts, faults };
}

function words({ mode, counts, freshAsOf, name }: SourceOutcome): string {
  const when = freshAsOf === undefined ? "" : `, fresh as of ${minute(freshAsOf)}`;
  if (mode === "went-back") return "what was offered is older than what is held; nothing was taken";
  if (mode === "unchanged") return `nothing new${when}`;
  if (name === "kev") return `${figure(counts["entries"] ?? 0)} known to be exploited${when}`;
  const told = WORDS.filter(([key]) => (counts[key] ?? 0) > 0).map(([key, word]) => `${figure(counts[key] ?? 0)} ${word}`);
  const changes = told.length === 0 ? "nothing changed" : told.join(", ");
  return mode === "older" ? `older than what is held: only newer records were taken; ${changes}` : `${changes}${when}`;
}

const WORDS: readonly (readonly [count: string, word: string])[] = [
  ["added", "added"],
  ["changed", "changed"],
  ["removed", "removed"],
  ["older", "older than what is held"],
  ["duplicates", "twice"],
  ["unparsable", "not read, or in part"],
  ["behind", "listed but not there yet"],
];

function figure(value: number): string {
  return value.toLocaleString("en-US");
}

function minute(time: string | undefined): string {
  return time === undefined ? "an unknown time" : `${time.slice(0, 16).replace("T", " ")} UTC`;
}

/** Text of a record or a server as one bounded line. */
function short(text: string): string {
  return plain(text)
    .replaceAll(/[\n\t]/g, " ")
    .slice(0, 200);
}
