/** What a command is: a name, its words for --help and completion, its options, and a function that returns an exit code. */
import type { Output } from "./output.ts";

export interface OptionSpec {
  readonly type: "string" | "boolean";
  /** May be given more than once; the value is then a list. */
  readonly multiple?: boolean;
  /** A placeholder for --help: `FILE`. Only for strings. */
  readonly value?: string;
  readonly describe: string;
}

export type OptionValue = string | boolean | readonly string[] | undefined;

export interface Globals {
  readonly json: boolean;
  readonly quiet: boolean;
  /** State directory; see foundation/state-directory.ts for the default. */
  readonly state: string;
  readonly config: string | undefined;
  readonly level: string | undefined;
}

export interface CommandContext {
  /** Words that are not options. */
  readonly args: readonly string[];
  readonly values: Readonly<Record<string, OptionValue>>;
  readonly globals: Globals;
  readonly out: Output;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly cwd: string;
  /** Aborted by Ctrl-C, SIGTERM or --timeout; its reason is a CofferdamError. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** What follows the name: `FILE --integrity SRI|HEX`. */
  readonly usage: string;
  readonly examples: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Words after `--` (or, with `all`, every word) belong to another program and are not parsed. */
  readonly passthrough?: "after-dashes" | "all";
  run(context: CommandContext): Promise<number>;
}

/** Commands with subcommands: `audit search`. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly Command[];
}

/** Groups among commands: `rbac user create`. */
export interface CommandTree {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly (Command | CommandGroup)[];
}

export function isTree(loaded: Command | CommandTree): loaded is CommandTree {
  return "commands" in loaded;
}

/** A row of the command table; the command itself is loaded when it is used. */
export interface TableEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command | CommandTree>;
}

export const GLOBAL_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  json: { type: "boolean", describe: "one JSON document on stdout" },
  quiet: { type: "boolean", describe: "errors only" },
  state: { type: "string", value: "DIR", describe: "state directory (default: $COFFERDAM_STATE, else ~/.local/state/cofferdam)" },
  config: { type: "string", value: "FILE", describe: "policy file above the repository's own" },
  level: { type: "string", value: "LEVEL", describe: "low, medium, high or paranoid" },
  timeout: { type: "string", value: "TIME", describe: "give up after this long, e.g. 10m" },
  color: { type: "string", value: "WHEN", describe: "auto, always or never (also NO_COLOR)" },
  "no-input": { type: "boolean", describe: "never ask: passwords and codes come from standard input" },
  help: { type: "boolean", describe: "this text" },
};
