/** The command line: finds the command, parses its options, runs it, and turns what it throws into words and an exit code. */
import { parseArgs } from "node:util";
import { CofferdamError, nearestWord, parseDuration, stateDirectory, wrapError } from "../../foundation/index.ts";
import { type Command, type CommandTree, GLOBAL_OPTIONS, type Globals, isTree, type OptionSpec, type OptionValue } from "./command.ts";
import { groupHelp, help, overview } from "./help.ts";
import { type Output, TerminalOutput } from "./output.ts";
import { COMMANDS } from "./table.ts";
import { version } from "./version.ts";

export interface Host {
  readonly argv: readonly string[];
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly cwd: string;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborted by the user. */
  readonly signal: AbortSignal;
}

/** Runs one command line. Never throws. @returns the exit code. */
export async function main(host: Host): Promise<number> {
  const early = new TerminalOutput(host, { quiet: false, color: wantsColor(host, undefined) });
  const json = jsonWanted(host.argv);
  try {
    return await dispatch(host, early);
  } catch (error) {
    return fail(wrapError(error, "INTERNAL", "unexpected"), early, json, host.env);
  }
}

async function dispatch(host: Host, out: Output): Promise<number> {
  const [word, ...rest] = host.argv;
  if (word === undefined || word === "--help" || word === "-h" || word === "help") {
    out.data(overview(COMMANDS));
    return word === undefined ? 2 : 0;
  }
  if (word === "--version" || word === "-V") {
    out.data(`${version()}\n`);
    return 0;
  }
  const entry = COMMANDS.find((command) => command.name === word);
  if (entry === undefined) throw unknown("command", word, COMMANDS, "cofferdam --help");
  return await descend(await entry.load(), rest, host, out);
}

async function descend(loaded: Command | CommandTree, words: readonly string[], host: Host, out: Output): Promise<number> {
  if (!isTree(loaded)) return await runCommand(loaded, words, host);
  const [word, ...rest] = words;
  if (word === undefined || word === "--help" || word === "-h") {
    out.data(groupHelp(loaded));
    return word === undefined ? 2 : 0;
  }
  const found = loaded.commands.find((one) => one.name === word);
  if (found === undefined) throw unknown(`${loaded.name} command`, word, loaded.commands, `cofferdam ${loaded.name} --help`);
  return await descend({ ...found, name: `${loaded.name} ${found.name}` }, rest, host, out);
}

async function runCommand(command: Command, words: readonly string[], host: Host): Promise<number> {
  const { values, args } = parse(command, words);
  const out = new TerminalOutput(host, { quiet: values["quiet"] === true, color: wantsColor(host, values["color"]) });
  if (values["help"] === true) {
    out.data(help(command));
    return 0;
  }
  const globals: Globals = {
    json: values["json"] === true,
    quiet: values["quiet"] === true,
    state: stateDirectory(text(values["state"]), host.env, host.cwd),
    config: text(values["config"]),
    level: text(values["level"]),
  };
  const timeout = text(values["timeout"]);
  const { signal, done } = withTimeout(host.signal, timeout === undefined ? undefined : parseDuration(timeout));
  try {
    return await command.run({ args, values, globals, out, env: host.env, cwd: host.cwd, signal });
  } finally {
    done();
  }
}

function parse(command: Command, words: readonly string[]): { values: Record<string, OptionValue>; args: readonly string[] } {
  const { own, foreign } = split(command, words);
  const specs: Record<string, OptionSpec> = { ...GLOBAL_OPTIONS, ...command.options };
  try {
    const options = Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [
        name,
        { type: spec.type, multiple: spec.multiple === true, ...(SHORT[name] === undefined ? {} : { short: SHORT[name] }) },
      ]),
    );
    const parsed = parseArgs({ args: own, options, allowPositionals: true, strict: true });
    const values = Object.fromEntries(Object.entries(parsed.values).map(([name, value]) => [name, Array.isArray(value) ? value.map(String) : value]));
    return { values, args: [...parsed.positionals, ...foreign] };
  } catch (error) {
    const named = error instanceof Error ? /'?-{1,2}([a-zA-Z0-9-]+)/.exec(error.message)?.[1] : undefined;
    const near = named === undefined || Object.hasOwn(specs, named) ? undefined : nearestWord(named, Object.keys(specs));
    const message = error instanceof Error ? (error.message.split(". ")[0] ?? "") : "bad options";
    throw new CofferdamError("INVALID_ARGUMENT", `${message}${near === undefined ? "" : ` (did you mean --${near}?)`}`, {
      hint: `cofferdam ${command.name} --help`,
    });
  }
}

const SHORT: Readonly<Record<string, string>> = { quiet: "q", help: "h" };

/** Our words, and those of another program. */
function split(command: Command, words: readonly string[]): { own: string[]; foreign: readonly string[] } {
  if (command.passthrough === "all") return words[0] === "--help" ? { own: ["--help"], foreign: [] } : { own: [], foreign: words };
  const dashes = words.indexOf("--");
  if (command.passthrough === undefined || dashes < 0) return { own: [...words], foreign: [] };
  return { own: words.slice(0, dashes), foreign: words.slice(dashes + 1) };
}

function withTimeout(signal: AbortSignal, ms: number | undefined): { signal: AbortSignal; done: () => void } {
  if (ms === undefined) return { signal, done: () => undefined };
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new CofferdamError("DEADLINE_EXCEEDED", `not done within ${ms} ms`)), ms);
  return { signal: AbortSignal.any([signal, controller.signal]), done: () => clearTimeout(timer) };
}

function fail(error: CofferdamError, out: Output, json: boolean, env: Readonly<NodeJS.ProcessEnv>): number {
  if (json) {
    out.json({
      schema: "cofferdam/error/v1",
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      details: error.details,
    });
  } else {
    out.fault(`cofferdam: ${error.message}${error.hint === undefined ? "" : `\n  ${error.hint}`}\n  ${error.code}`);
  }
  // A stack helps who works on Cofferdam itself; nobody else is shown one.
  if (env["COFFERDAM_DEBUG"] === "1") out.fault(error.stack ?? "");
  return error.exitCode;
}

function unknown(what: string, word: string, known: readonly { readonly name: string }[], hint: string): CofferdamError {
  const near = nearestWord(
    word,
    known.map((one) => one.name),
  );
  return new CofferdamError("INVALID_ARGUMENT", `no ${what} ${JSON.stringify(word.slice(0, 40))}${near === undefined ? "" : ` (did you mean ${near}?)`}`, {
    hint,
  });
}

function wantsColor(host: Host, option: unknown): boolean {
  if (option === "always") return true;
  if (option === "never" || (host.env["NO_COLOR"] ?? "") !== "") return false;
  return host.stderr.isTTY === true;
}

function jsonWanted(argv: readonly string[]): boolean {
  const dashes = argv.indexOf("--");
  return argv[0] !== "npm" && (dashes < 0 ? argv : argv.slice(0, dashes)).includes("--json");
}

function text(value: OptionValue): string | undefined {
  return typeof value === "string" ? value : undefined;
}
