/** A job's network in words: what was blocked and how to allow it, what was reached, what was dropped. */
import { formatBytes } from "../../foundation/index.ts";
import type { JobReport } from "../../jobs/index.ts";
import { reasonText, ruleFor } from "../../network/index.ts";
import { counted } from "./counted.ts";
import { line } from "./line.ts";
import { shellWord } from "./shell-word.ts";

type Connection = NonNullable<JobReport["network"]["connections"]>[number];

/** Destinations that are shown; `--json` has those that the report keeps. */
const SHOWN = 10;

/** One place that the job wanted, however it asked. */
export interface Destination {
  /** As a rule would name it: `telemetry.example.com:443`, `203.0.113.9:53/udp`. */
  readonly name: string;
  readonly rule: string;
  readonly tries: number;
  readonly received: number;
  readonly by?: Connection["by"];
}

/** What was refused, in the order of the report; names that were only asked for have no port. */
export function refusedDestinations({ network }: Pick<JobReport, "network">): readonly Destination[] {
  const connections = together((network.connections ?? []).filter(({ verdict }) => verdict === "refused"));
  const tried = new Set((network.connections ?? []).map(({ domain, dst }) => domain ?? dst));
  const asked = (network.dns ?? []).filter(({ verdict, name }) => verdict === "refused" && !tried.has(name));
  const names = [...new Set(asked.map(({ name }) => name))];
  return [...connections, ...names.map((name) => ({ name, rule: "not-allowed", tries: sum(asked.filter((one) => one.name === name)), received: 0 }))];
}

export function blockedLines(report: JobReport): string[] {
  const blocked = refusedDestinations(report);
  const observed = together((report.network.connections ?? []).filter(({ verdict }) => verdict === "observed"));
  return [
    ...blocked
      .slice(0, SHOWN)
      .flatMap(({ name, rule, tries, by }) => [
        `blocked  ${line(name)}${byText(by)}${tries > 1 ? `, ${tries} tries` : ""}`,
        `         ${whyLine(rule)}; nothing was sent there`,
        ...(isOpenable(rule) ? [`         allow: cofferdam policy allow ${shellWord(line(name))} --reason TEXT`] : []),
      ]),
    ...(blocked.length > SHOWN ? [`         and ${blocked.length - SHOWN} more (--json lists them)`] : []),
    ...observed.slice(0, SHOWN).map(({ name, rule }) => `observed ${line(name)}: would be blocked, ${whyLine(rule)}`),
    ...(report.network.notes ?? []).slice(0, SHOWN).map((note) => `note     network: ${line(note, 300)}`),
    ...(report.network.dropped ?? []).map(({ packets, means }) => `dropped  ${counted(packets, "packet")}: ${line(means)}`),
  ];
}

export function reachedLines({ connections = [] }: JobReport["network"]): string[] {
  const reached = together(connections.filter(({ verdict }) => verdict === "allowed"));
  return [
    ...reached.slice(0, SHOWN).map(({ name, received }) => `reached  ${line(name)}, ${formatBytes(received)}`),
    ...(reached.length > SHOWN ? [`         and ${reached.length - SHOWN} more (--json lists them)`] : []),
  ];
}

/** Of `job why-blocked`: what is on record of a host, whatever its port. */
export function destinationsOf(
  report: JobReport,
  host: string,
): readonly (Connection | { readonly asked: string; readonly verdict: string; readonly tries: number })[] {
  const wanted = host
    .replace(/:\d+(\/udp)?$/, "")
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
  const connections = (report.network.connections ?? []).filter(({ domain, dst }) => domain === wanted || dst === wanted);
  const lookups = (report.network.dns ?? []).filter(({ name }) => name.replace(/\.$/, "") === wanted);
  return [...connections, ...lookups.map(({ name, type, verdict, tries }) => ({ asked: `${name} ${type}`, verdict, tries }))];
}

export function whyLine(rule: string): string {
  return (Object.hasOwn(WHY, rule) ? WHY[rule] : reasonText(rule)) ?? `by ${line(rule)}`;
}

/** Whether a line in jobs.egress would change it. */
export function isOpenable(rule: string): boolean {
  return ["not-allowed", "port-not-allowed", "private-address", "address-literal"].includes(rule);
}

export function nameOf(connection: Connection): string {
  const { proto, domain, dst } = connection;
  return ruleFor(connection) ?? `${domain ?? dst}${proto === "udp" ? "/udp" : ""}`;
}

/** Who tried first, where the monitor saw it. */
export function byText(by: Connection["by"]): string {
  return by === undefined ? "" : `, by ${by.program === undefined ? "process" : line(by.program, 80)} (pid ${by.pid})`;
}

function together(connections: readonly Connection[]): readonly Destination[] {
  const all = new Map<string, Destination>();
  for (const one of connections) {
    const name = nameOf(one);
    const known = all.get(name);
    const by = known?.by ?? one.by;
    const sums = { tries: one.tries + (known?.tries ?? 0), received: one.received + (known?.received ?? 0) };
    all.set(name, { name, rule: one.rule, ...sums, ...(by === undefined ? {} : { by }) });
  }
  return [...all.values()];
}

function sum(entries: readonly { readonly tries: number }[]): number {
  return entries.reduce((all, { tries }) => all + tries, 0);
}

/** What a reader of cofferdam.yaml calls it. */
const WHY: Readonly<Record<string, string>> = {
  "not-allowed": "not in jobs.egress",
  "port-not-allowed": "jobs.egress has it, on another port",
};
