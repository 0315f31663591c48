/** index.html of a folder of evidence: one file, no script, nothing loaded, made to be printed. */
import type { EventBody } from "../body.ts";
import { factsOf } from "../facts.ts";
import { escapeHtml, type Html, tableHtml } from "./html.ts";
import type { EvidenceManifest } from "./manifest.ts";

const STYLE = `body{font:14px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{border:1px solid #bbb;padding:.25rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:#eee}code,pre{font-size:.9em;overflow-wrap:anywhere;white-space:pre-wrap}.bad{border-left:.4rem solid #b00;padding-left:.6rem}
@media print{body{margin:0;max-width:none;font-size:10pt}tr{break-inside:avoid}thead{display:table-header-group}a{color:inherit;text-decoration:none}}`;

const MAX_CELL = 300;

export interface SampleRow {
  readonly seq: number;
  readonly cells: readonly string[];
}

/** @param sampled the events of the samples, in order. @param note the signed checkpoint. */
export function evidencePage(manifest: EvidenceManifest, sampled: readonly SampleRow[], note: string): string {
  const { log, period, population, verification, checkpoint, exported, samples } = manifest;
  const user = exported.uid === undefined ? exported.user : `${exported.user} (uid ${exported.uid})`;
  const title = `Audit evidence, ${period.from ?? "from the beginning"} to ${period.to ?? "the end"}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<p>Log <code>${escapeHtml(log)}</code>; ${population.events} events${population.events === 0 ? "" : `, ${population.first} to ${population.last}`}. Exported by <bdi>${escapeHtml(user)}</bdi> at ${escapeHtml(exported.at)}.</p>
<p>${escapeHtml(manifest.notice)}</p>
<h2>The trail</h2>
${trail(manifest)}
<pre>${escapeHtml(note.trimEnd()).replaceAll("\\u000a", "\n")}</pre>
<h2>What there is</h2>
${tableHtml(
  ["category", "action", "events", "failures", "first", "last"],
  manifest.kinds.map(({ category, action, count, failure, first, last }) => [
    category,
    action,
    count,
    failure,
    `${first.seq}, ${first.timestamp}`,
    `${last.seq}, ${last.timestamp}`,
  ]),
)}
<p>Every event is a row of <a href="population.csv">population.csv</a>; their exact texts with proofs are in <code>events.bundle</code>.</p>
<h2>Gaps</h2>
${gaps(manifest)}
<h2>Samples</h2>
<p>Drawn at random, at most ${samples.perKind} of each kind, and the same for whoever draws again: ${escapeHtml(samples.method)}. Seed <code>${escapeHtml(samples.seed)}</code>.</p>
${tableHtml(
  ["kind", "drawn", "of"],
  samples.kinds.map(({ kind, seqs, of }) => [kind, seqs.length, of]),
)}
${tableHtml(["event", "time", "kind", "what", "project", "outcome", "who", "files"], sampled.map(rowHtml))}
<h2>How to check this</h2>
<p><a href="VERIFY.md">VERIFY.md</a> has the commands. They need the log's key from somewhere else; <code>log.key</code> is what this host says it is. Checkpoint of ${checkpoint.size} events, ${verification.verified} verified when this was made.</p>
</body>
</html>
`;
}

function trail({ verification, anchoring, checkpoint, newer, holds }: EvidenceManifest): string {
  const faults = verification.errors.slice(0, 20).map(({ seq, kind, detail }) => `${kind}, event ${seq}: ${detail}`);
  const lines = [
    `${verification.verified} events of the whole trail verified, ${verification.failed} faults.`,
    anchoring,
    `Checkpoint of ${checkpoint.size} events, root ${checkpoint.root}, made ${checkpoint.madeAt} by the clock of its host.`,
    ...(newer === 0 ? [] : [`${newer} events of the period are newer than the checkpoint and not in this folder.`]),
    ...(verification.keyReplaced ? ["The log's key was lost and replaced: only the log itself vouches for the new one."] : []),
    ...(holds.problem === null ? holds.active.map(({ id, reason }) => `Legal hold ${id}: ${reason}`) : [`Legal holds cannot be read: ${holds.problem}`]),
  ];
  const bad = faults.length === 0 ? "" : `<ul class="bad">${faults.map((fault) => `<li><bdi>${escapeHtml(fault)}</bdi></li>`).join("")}</ul>`;
  return `<ul>${lines.map((line) => `<li><bdi>${escapeHtml(line)}</bdi></li>`).join("\n")}</ul>${bad}`;
}

function gaps({ gaps: { daysWithoutEvents, weaknesses }, population, verification }: EvidenceManifest): string {
  const days = daysWithoutEvents.runs.map(({ from, to }) => (from === to ? from : `${from} to ${to}`)).join(", ");
  const lines = [
    ...(daysWithoutEvents.count === 0 ? [] : [`${daysWithoutEvents.count} days without an event: ${days}`]),
    ...weaknesses.map(({ meaning, count, first, last }) => `${count} events, ${first.seq} to ${last.seq}: ${meaning}`),
    ...(population.absent === 0
      ? []
      : [`${population.absent} numbers between the first and the last event are not here: retention, or a time outside of the period`]),
    ...(verification.pruned === 0 ? [] : [`${verification.pruned} events of the whole trail have lost their text to retention`]),
  ];
  return lines.length === 0 ? "<p>None found.</p>" : `<ul>${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join("\n")}</ul>`;
}

/** An event of a sample as a row; short, whatever the event holds. */
export function sampleRow(event: EventBody): SampleRow {
  const { kind, what, project, decision } = factsOf(event);
  const short = (text: string | undefined): string => (text === undefined || text.length <= MAX_CELL ? (text ?? "") : `${text.slice(0, MAX_CELL)}...`);
  return { seq: event.seq, cells: [event.timestamp, kind, short(what), short(project), short(decision ?? event.result), short(event.userId)] };
}

function rowHtml({ seq, cells }: SampleRow): (string | number | Html)[] {
  return [seq, ...cells, { html: `<a href="samples/${seq}.json">event</a> <a href="proofs/${seq}.tlog-proof">proof</a>` }];
}
