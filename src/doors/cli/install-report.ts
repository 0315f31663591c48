/** The guarded install in words (design: one line when all is well; what happened, why, how to fix, how to allow). */
import { formatBytes, formatDuration } from "../../foundation/index.ts";
import { failedScript, type InstallFinding, type InstallResult, type Verdict } from "../../packages/index.ts";
import { KEV_SOURCE } from "../../vulnerability/index.ts";
import { scriptLines, speaks } from "./script-lines.ts";
import { shellWord } from "./shell-word.ts";

/** Findings of one kind shown in full; the rest are counted, `--json` has them all. */
const SHOWN = 20;

export function installReport(result: InstallResult): string {
  const lines = result.decision === "allowed" ? allowed(result) : refused(result);
  return `${lines.join("\n")}\n`;
}

/** `cofferdam: level medium, cofferdam.yaml` - what the run is judged by, said before anything happens. */
export function header(result: Pick<InstallResult, "level" | "mode" | "policySources">): string {
  const sources = result.policySources.length === 0 ? "no policy file" : result.policySources.join(", ");
  return `cofferdam: level ${result.level}${result.mode === "observe" ? " (observe only: nothing is refused)" : ""}, ${sources}`;
}

function allowed(result: InstallResult): string[] {
  const guard = formatDuration(result.times.totalMs - result.times.clientMs - result.times.scriptsMs);
  const notes = [...findingLines(result), ...repairLines(result), ...treeNotes(result)];
  const ran = result.scripts.filter(({ run }) => run !== undefined).length;
  if (notes.length === 0 && ran === result.scripts.length && !result.scripts.some(speaks)) {
    const scripts = ran === 0 ? "" : ` ${ran} ${ran === 1 ? "script" : "scripts"} jailed,`;
    return [`cofferdam: ${counted(result.packages)} checked,${scripts} nothing refused (${guard})`, ...advisoryLines(result), ...notChecked(result)];
  }
  return [
    `${result.command}: ${counted(result.tree?.packages ?? result.packages)} in ${formatDuration(result.times.totalMs)} (${guard} of it checking)`,
    ...block([...notes, ...scriptLines(result)]),
    ...evidence(result),
    ...advisoryLines(result),
    ...notChecked(result),
    "not covered: what packages do when your code loads them (cofferdam sandbox run -- npm test)",
    closing(result, `${result.tree?.packages ?? result.packages} installed`),
  ];
}

function refused(result: InstallResult): string[] {
  const before = result.client === undefined;
  const stopped = result.stoppedBy;
  const name = result.manager;
  const head =
    failedScript(result) !== undefined && stopped?.code !== "INTEGRITY_FAILURE"
      ? `${result.command}: installed and verified, but a script failed`
      : stopped === undefined
        ? `${result.command} failed${result.client?.signal === undefined ? ` with exit ${result.client?.exit ?? "unknown"}` : ` by ${result.client.signal}`}`
        : before
          ? `STOPPED before ${name} started: ${result.fetched.asked === 0 ? "nothing downloaded" : `${result.fetched.asked} ${result.fetched.asked === 1 ? "tarball" : "tarballs"} fetched, none unpacked`}, node_modules untouched`
          : `STOPPED: ${stopped.message}`;
  return [
    head,
    ...block([...findingLines(result), ...scriptLines(result), ...stopLines(result, before), ...treeLines(result), ...repairLines(result)]),
    ...clientLines(result),
    ...notChecked(result),
    closing(result, summary(result)),
  ];
}

function stopLines(result: InstallResult, before: boolean): string[] {
  const stopped = result.stoppedBy;
  if (stopped === undefined) return [];
  // When a finding already says it, the error would only repeat it.
  const said = result.findings.some((finding) => finding.decision === "deny");
  return [...(before && !said ? [`stopped  ${stopped.message}`] : []), ...(stopped.hint === undefined || said ? [] : [`         fix: ${stopped.hint}`])];
}

function findingLines(result: InstallResult): string[] {
  const lines: string[] = [];
  for (const decision of ["deny", "review", "warn"] as const) {
    const findings = result.findings.filter((finding) => finding.decision === decision);
    for (const finding of findings.slice(0, SHOWN)) lines.push(...findingLine(finding));
    if (findings.length > SHOWN) lines.push(`         and ${findings.length - SHOWN} more (--json lists them)`);
  }
  return lines;
}

const WORDS = { deny: "denied", review: "review", warn: "warned" } as const;

function findingLine(finding: InstallFinding): string[] {
  return [
    `${WORDS[finding.decision].padEnd(8)} ${finding.subject}: ${finding.message}${finding.where === undefined ? "" : `, ${finding.where}`}`,
    ...(finding.fix === undefined ? [] : [`         fix: ${finding.fix}`]),
    ...(finding.allow === undefined || finding.decision === "warn" ? [] : [`         allow: cofferdam policy allow ${shellWord(finding.allow)} --reason TEXT`]),
  ];
}

/** What is known of the packages and was not denied: counted here, told by `cofferdam scan`. */
function advisoryLines({ advisories, level }: InstallResult): string[] {
  if (advisories === undefined) return [];
  const { findings, warnings, sources, base } = advisories;
  const packages = (verdict: Verdict): number => new Set(findings.filter((one) => one.verdict === verdict).map((one) => `${one.package}@${one.version}`)).size;
  const [had, warned, accepted] = [packages("had"), packages("warn"), packages("accepted")];
  const until = findings.flatMap(({ hadUntil }) => hadUntil ?? []).sort()[0];
  const parts = [
    ...(had === 0 ? [] : [`${had} that ${base.ref ?? "the base"} had already, only reported until ${until}`]),
    ...(warned === 0 ? [] : [`${warned} that level ${level} does not deny`]),
    ...(accepted === 0 ? [] : [`${accepted} accepted by exceptions`]),
  ];
  const dates = sources.flatMap(({ freshAsOf, name }) => (freshAsOf === undefined || name === KEV_SOURCE ? [] : freshAsOf.slice(0, 16)));
  const fresh = dates.length === 0 ? "" : `, as of ${dates.sort().at(-1)?.replace("T", " ")}`;
  return [
    ...(parts.length === 0 ? [] : [`known    packages with advisories: ${parts.join("; ")} (cofferdam scan)${fresh}`]),
    ...warnings.map((warning) => `data     ${warning} (cofferdam db update)`),
  ];
}

function treeLines(result: InstallResult): string[] {
  const tree = result.tree;
  if (tree === undefined || tree.differenceCount === 0) return [];
  const lines = tree.differences.slice(0, SHOWN).map((difference) => `${difference.kind.padEnd(8)} ${difference.path}`);
  if (tree.differenceCount > lines.length) lines.push(`         and ${tree.differenceCount - lines.length} more`);
  if (result.movedTo !== undefined) lines.push(`moved    the tree to ${result.movedTo}: look at it, then delete it`);
  return lines;
}

function treeNotes(result: InstallResult): string[] {
  const left = result.tree?.leftAlone ?? [];
  return left.length === 0 ? [] : [`left     ${left.join(", ")}: made by a tool, not part of any package`];
}

function repairLines(result: InstallResult): string[] {
  return result.repaired === undefined ? [] : [`repaired ${result.repaired}`];
}

function clientLines(result: InstallResult): string[] {
  const client = result.client;
  if (client === undefined || (client.exit === 0 && client.signal === undefined)) return [];
  const text = client.output.trim();
  return text === ""
    ? []
    : [
        `${result.manager} said:`,
        ...text
          .split("\n")
          .slice(-SHOWN)
          .map((line) => `  ${line}`),
        "",
      ];
}

function evidence(result: InstallResult): string[] {
  const tree = result.tree === undefined ? "" : `; ${result.tree.files} files on disk equal the verified tarballs`;
  const left = result.packages > result.verified ? `; ${result.packages - result.verified} for other platforms or left out` : "";
  const fetched = result.fetched.count === 0 ? "none downloaded" : `${result.fetched.count} downloaded, ${formatBytes(result.fetched.bytes)}`;
  return [`integrity ${result.verified} verified (${fetched})${left}${tree}`, `boxed    ${boxed(result)}`];
}

function boxed(result: InstallResult): string {
  const layers = result.layers;
  if (layers === undefined || !layers.net) return `${result.manager} ran WITHOUT a box: bubblewrap is not available here`;
  const names = [layers.userns ? "user" : undefined, layers.mount ? "mount" : undefined, layers.pid ? "pid" : undefined, "network"].filter(
    (name) => name !== undefined,
  );
  return `${result.manager} in namespaces of its own (${names.join(", ")}), no network but the gate, no home`;
}

function notChecked(result: InstallResult): string[] {
  return [`not checked: ${result.notChecked.map((one) => one.check).join(", ")}`];
}

function summary(result: InstallResult): string {
  if (failedScript(result) !== undefined) return `${counted(result.tree?.packages ?? result.packages)} installed, a script failed`;
  const denied = result.findings.filter((finding) => finding.decision === "deny").length;
  const review = result.findings.filter((finding) => finding.decision === "review").length;
  return `${result.packages} packages: ${denied} denied${review === 0 ? "" : `, ${review} to review`}`;
}

function closing(result: InstallResult, text: string): string {
  const [first, last] = result.auditRange ?? [undefined, undefined];
  const record = first === undefined ? "not on record" : first === last ? `record ${first}` : `records ${first}-${last}`;
  return `${text}.  ${record}`;
}

function block(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", ...lines, ""];
}

function counted(packages: number): string {
  return `${packages} ${packages === 1 ? "package" : "packages"}`;
}
