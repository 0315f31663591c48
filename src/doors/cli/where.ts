/** `cofferdam where PURL[@V]`: which installs had a package, and what it did there. */
import { CofferdamError, systemClock } from "../../foundation/index.ts";
import { type PackageName, parsePackage } from "../../inventory/index.ts";
import { type FoundInstall, InstallHistory, labelOf, type RememberedScript, type WherePage } from "../../packages/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { counted } from "./counted.ts";
import { plain } from "./output.ts";
import { withState } from "./session.ts";

/** Refusals and destinations of one script that are printed; `--json` has what is on record. */
const SHOWN = 6;

export const whereCommand: Command = {
  name: "where",
  summary: "Lists the guarded installs of this state directory that had a package, newest first; they are remembered for 400 days.",
  usage: "PURL[@V] [--limit N] [--after CURSOR]",
  examples: ["cofferdam where axios@1.14.1", "cofferdam where pkg:npm/%40scope/name@1.0.0 --json", "cofferdam where left-pad"],
  options: {
    limit: { type: "string", value: "N", describe: "installs of one page, 1 to 1000 (default 50)" },
    after: { type: "string", value: "CURSOR", describe: "the `next` of the page before" },
  },
  async run(context) {
    const { args, globals, out } = context;
    const [word, ...more] = args;
    if (word === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one package, please", { hint: "cofferdam where --help" });
    const wanted = parsePackage(word);
    const page = await find(context, wanted);
    if (globals.json) out.json(documentOf(wanted, page));
    else {
      for (const install of page.installs) out.data(plain(`${linesOf(install).join("\n")}\n`));
      out.note(`cofferdam: ${sentence(wanted, page)}`);
      if (page.next !== undefined) out.note(`more: --after ${page.next}`);
    }
    return 0;
  },
};

async function find(context: CommandContext, { name, alias, version }: PackageName): Promise<WherePage> {
  const { limit, after } = context.values;
  if (typeof limit === "string" && !/^\d{1,4}$/.test(limit)) throw new CofferdamError("INVALID_ARGUMENT", "--limit is a number, 1 to 1000");
  return await withState(context, async ({ store }) => {
    const history = new InstallHistory(store, systemClock);
    await history.initialize();
    return await history.where({
      names: alias === undefined ? [name] : [name, alias],
      version,
      ...(typeof limit === "string" ? { limit: Number(limit) } : {}),
      after: typeof after === "string" ? after : undefined,
    });
  });
}

function documentOf({ name, version }: PackageName, { installs, next }: WherePage): object {
  return {
    schema: "cofferdam/where/v1",
    package: name,
    version: version ?? null,
    installs: installs.map(({ runId, at, onDisk, code, auditRange, versions, scripts, policyDigest, ...install }) => ({
      run: runId,
      at: new Date(at).toISOString(),
      ...install,
      ...(code === undefined ? {} : { code }),
      policy: policyDigest,
      installed: onDisk,
      versions: versions.map((one) => ({ ...one, integrity: one.integrity ?? null })),
      scripts: scripts.map(({ exit, killedBy, ...script }) => ({ ...script, exit: exit ?? null, ...(killedBy === undefined ? {} : { killedBy }) })),
      auditRange: auditRange ?? null,
    })),
    ...(next === undefined ? {} : { next }),
  };
}

function sentence(wanted: PackageName, { installs, next }: WherePage): string {
  const label = labelOf(wanted);
  if (installs.length === 0) return `no recorded install had ${label}`;
  const projects = new Set(installs.map(({ project }) => project)).size;
  const not = installs.filter(({ onDisk }) => !onDisk).length;
  const stopped = not === 0 ? "" : `, ${not} of them stopped before it was installed`;
  return `${label}: ${next === undefined ? "" : "the last "}${counted(installs.length, "install")} in ${counted(projects, "project")}${stopped}`;
}

/** `2026-11-20T14:02Z  allowed  a@1.0.0 in /home/me/app: npm ci, records 41-47`, and a line for each thing of note below. */
function linesOf({ at, decision, versions, scripts, project, command, onDisk, code, auditRange }: FoundInstall): string[] {
  const labels = [...new Set(versions.map(({ name, version }) => labelOf({ name, version: version === "" ? undefined : version })))].join(", ");
  const [first, last] = auditRange ?? [];
  const record = first === undefined ? "not on record" : first === last ? `record ${first}` : `records ${first}-${last}`;
  const stopped = onDisk ? "" : `, not installed${code === undefined ? "" : ` (${code})`}`;
  return [
    `${new Date(at).toISOString().slice(0, 16)}Z  ${decision.padEnd(7)}  ${labels} in ${project}: ${command}${stopped}, ${record}`,
    ...(scripts.length === 0 && onDisk ? [line("no script of it ran")] : scripts.flatMap((script) => scriptLines(script, versions.length > 1))),
  ];
}

function scriptLines(script: RememberedScript, severalVersions: boolean): string[] {
  const { event, ran, why, refused, refusedCount, reached } = script;
  const name = severalVersions ? `${labelOf(script)} ${event}` : event;
  if (!ran) return [line(`${name} skipped: ${why}`)];
  return [
    line(`${name} ${ending(script)}${refusedCount === 0 ? ", nothing refused" : ""}${reached.length === 0 ? ", reached nothing" : ""}`),
    ...(refusedCount === 0 ? [] : [line(`  refused ${listed(refused, refusedCount)}`)]),
    ...(reached.length === 0 ? [] : [line(`  reached ${listed(reached, reached.length)}`)]),
  ];
}

function ending({ exit, killedBy }: RememberedScript): string {
  if (killedBy !== undefined) return `was stopped: its ${killedBy} limit`;
  return exit === undefined ? "was ended by a signal" : `exited ${exit}`;
}

function listed(texts: readonly string[], all: number): string {
  const shown = texts.slice(0, SHOWN).map((text) => text.replaceAll("\n", " "));
  return `${shown.join(", ")}${all > shown.length ? ` and ${all - shown.length} more` : ""}`;
}

function line(text: string): string {
  return `         ${text}`;
}
