/** The texts of --help. */
import { type Command, type CommandTree, GLOBAL_OPTIONS, type OptionSpec } from "./command.ts";

export function overview(commands: readonly { readonly name: string; readonly summary: string }[]): string {
  return `cofferdam - a dry place to build: what a build installs is verified, boxed and written down

usage: cofferdam COMMAND [OPTIONS]

${columns(commands.map(({ name, summary }) => [name, summary]))}
cofferdam COMMAND --help shows options and examples.
first steps:
  cofferdam doctor
  cofferdam install -- npm ci
`;
}

export function groupHelp(group: CommandTree): string {
  return `usage: cofferdam ${group.name} COMMAND [OPTIONS]

${group.summary}

${columns(group.commands.map(({ name, summary }) => [name, summary]))}`;
}

export function help(command: Command): string {
  const own = options(command.options);
  return `usage: cofferdam ${command.name} ${command.usage}

${command.summary}

examples:
${command.examples.map((example) => `  ${example}`).join("\n")}
${own === "" ? "" : `\noptions:\n${own}`}
${command.passthrough === "all" ? "Options belong to the other program; for ours use `cofferdam install [OPTIONS] -- ...`." : `everywhere:\n${options(GLOBAL_OPTIONS)}`}`;
}

function options(specs: Readonly<Record<string, OptionSpec>>): string {
  return columns(Object.entries(specs).map(([name, spec]) => [`--${name}${spec.value === undefined ? "" : ` ${spec.value}`}`, spec.describe]));
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length), 0) + 2;
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}\n`).join("");
}
