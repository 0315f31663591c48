/** `eval "$(cofferdam shell-init)"`: from then on plain npm runs its scripts by cofferdam-script-shell, in the jail. */

import { accessSync, constants, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { CofferdamError, messageOf, packageFolder } from "../../foundation/index.ts";
import { jailTools } from "../../packages/index.ts";
import type { Command, CommandContext } from "./command.ts";

const SHELLS = ["bash", "zsh", "fish", "sh"] as const;
type Shell = (typeof SHELLS)[number];

/** npm reads the name in any case; of two spellings the later one in the environment counts. */
const NAME = "npm_config_script_shell";
const OTHER_NAME = "NPM_CONFIG_SCRIPT_SHELL";

export const shellInitCommand: Command = {
  name: "shell-init",
  summary: "Prints lines for your shell's start-up file: plain npm ci, npm run and npx then run their scripts in the jail.",
  usage: "[bash|zsh|fish|sh] [--off]",
  examples: [
    'eval "$(cofferdam shell-init)"',
    "cofferdam shell-init fish | source",
    'eval "$(cofferdam shell-init --off)"',
    "npm run deploy --script-shell=/bin/sh",
  ],
  options: { off: { type: "boolean", describe: "print the lines that end it" } },
  async run(context) {
    const shell = shellOf(context);
    if (context.values["off"] === true) {
      context.out.data(lines(shell, {}));
      return 0;
    }
    context.out.data(lines(shell, { [NAME]: ourShell(), COFFERDAM_NODE: process.execPath }));
    warn(context);
    return 0;
  },
};

/** What `doctor` says. */
export function scriptShellState(env: Readonly<NodeJS.ProcessEnv>): { status: "ok" | "warn"; detail: string; costs?: string; fix?: string } {
  const set = Object.entries(env).filter((pair): pair is [string, string] => /^npm_config_script[_-]shell$/i.test(pair[0]) && (pair[1] ?? "") !== "");
  const fix = 'eval "$(cofferdam shell-init)"';
  const costs = "plain npm runs scripts without a jail; cofferdam install does not depend on it";
  if (set.length === 0) return { status: "ok", detail: `off: ${NAME} is not set (${fix} turns it on)` };
  const foreign = set.find(([, path]) => !isOurs(path));
  if (foreign !== undefined) return { status: "warn", detail: `${foreign[0]} is ${foreign[1]}, which is not ours`, costs, fix };
  const node = env["COFFERDAM_NODE"] ?? "";
  if (node !== "" && !isProgram(node))
    return { status: "warn", detail: `COFFERDAM_NODE is ${node}, which does not start`, costs: "every script of npm is refused", fix };
  return { status: "ok", detail: `${NAME} is ours: scripts of plain npm run in the jail` };
}

function shellOf({ args, env }: CommandContext): Shell {
  const word = args[0] ?? basename(env["SHELL"] ?? "");
  const shell = SHELLS.find((name) => name === word) ?? (args[0] === undefined ? "sh" : undefined);
  if (shell === undefined || args.length > 1)
    throw new CofferdamError("INVALID_ARGUMENT", `which shell? ${SHELLS.join(", ")}`, { hint: "cofferdam shell-init bash" });
  return shell;
}

/** Throws ENVIRONMENT_UNFIT when it cannot be started: npm would fail at every script. */
function ourShell(): string {
  const path = join(packageFolder(), "bin", "cofferdam-script-shell");
  if (!isProgram(path)) throw new CofferdamError("ENVIRONMENT_UNFIT", `${path} is not executable`, { hint: "install cofferdam again, or chmod +x it" });
  return realpathSync(path);
}

function isOurs(path: string): boolean {
  try {
    return realpathSync(path) === ourShell();
  } catch {
    return false;
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return path.startsWith("/");
  } catch {
    return false;
  }
}

/** @param set variables to export; those of ours that are not named are unset. */
function lines(shell: Shell, set: Readonly<Record<string, string>>): string {
  const names = [NAME, "COFFERDAM_NODE"].filter((name) => !Object.hasOwn(set, name));
  const gone = [...names, OTHER_NAME];
  const all = [
    ...gone.map((name) => (shell === "fish" ? `set -e ${name};` : `unset ${name};`)),
    ...Object.entries(set).map(([name, value]) => (shell === "fish" ? `set -gx ${name} ${fishQuoted(value)};` : `export ${name}=${quoted(value)};`)),
  ];
  return `${all.join("\n")}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** Said at once and not at the first script. */
function warn({ env, out }: CommandContext): void {
  try {
    jailTools(env["PATH"] ?? "");
  } catch (error) {
    const hint = error instanceof CofferdamError && error.hint !== undefined ? `; ${error.hint}` : "";
    out.note(`cofferdam: every script of npm will be refused here, because ${messageOf(error)}${hint}`);
  }
}
