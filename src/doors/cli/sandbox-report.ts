/** What a jailed command was refused, in words, with what would allow it. Nothing to say is nothing said. */
import { type JailRequest, type JailResult, parseNetTarget, type Refusal } from "../../sandbox/index.ts";
import { shellWord } from "./shell-word.ts";

const SHOWN = 20;
const WHY: Readonly<Record<string, string>> = {
  "no-network": "it has no network",
  "not granted": "not among --net",
  "read-only": "read-only",
  denied: "not writable",
  hidden: "hidden",
  never: "never allowed in a jail",
};

/** @returns "" when there is nothing to say. */
export function sandboxReport(result: JailResult, request: Pick<JailRequest, "net">): string {
  const refused = result.refused.filter((one) => one.kind !== "limit");
  const lines = refused.slice(0, SHOWN).map(refusalLine);
  const more = refused.length - SHOWN;
  if (more > 0) lines.push(`         and ${more} more (--json lists them)`);
  for (const { what } of result.refused.filter((one) => one.kind === "limit")) lines.push(`limit    ${what} was reached`);
  for (const tree of result.outputs)
    for (const { path, why } of tree.refused.slice(0, SHOWN)) lines.push(`left out ${oneLine(`${tree.path}/${path}`)}: ${why}`);
  if (result.leftovers > 0) lines.push(`ended    ${result.leftovers} ${result.leftovers === 1 ? "process" : "processes"} that outlived the command`);
  const hints = allowances(result.refused, request);
  if (hints !== "") lines.push(`         allow: ${hints}`);
  if (lines.length > 0) for (const note of result.notes) lines.push(`note     ${note}`);
  return lines.join("\n");
}

export function refusalLine({ kind, what, why, by }: Refusal): string {
  const action = { read: "read ", write: "write ", network: "", call: "system call ", limit: "limit " }[kind];
  return `refused  ${action}${oneLine(what)}${by === undefined ? "" : ` (${oneLine(by)})`}: ${kind === "read" && why === "denied" ? "not readable" : (WHY[why] ?? why)}`;
}

/** A name of the command's choice in a report of ours: a line of its own would be read as one of ours. */
export function oneLine(text: string): string {
  return text.replaceAll("\n", "\\n");
}

/** The options that would have let it through; a name without a port is shown with the usual one. */
function allowances(refused: readonly Refusal[], { net }: Pick<JailRequest, "net">): string {
  const hosts = refused
    .filter((one) => one.kind === "network")
    .map((one) => (one.what.includes(":") ? one.what : `${one.what}:443`))
    .filter((one) => isTarget(one) && !net.includes(one));
  const files = refused.filter((one) => one.kind === "read" && one.why === "hidden" && !one.what.includes("\n")).map((one) => `--ro ${shellWord(one.what)}`);
  return [...new Set([...hosts.map((host) => `--net ${host}`), ...files])].slice(0, 6).join(" ");
}

function isTarget(text: string): boolean {
  try {
    parseNetTarget(text);
    return true;
  } catch {
    return false;
  }
}
