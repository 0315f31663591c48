/**
 * npm's configuration as npm reads it: flags over environment over project, user, global and builtin .npmrc files. The
 * project's file is kept apart, because it is untrusted. Credentials stay inside {@link Secret}.
 */
import { dirname, join, resolve } from "node:path";
import { parse } from "ini";
import { CofferdamError, homeFolder, readBounded } from "../../foundation/index.ts";
import type { NpmClient } from "./locate.ts";

/** One setting of a file. Arrays (`ca[]`) are kept as such. */
export interface NpmrcEntry {
  readonly key: string;
  readonly value: string | readonly string[];
  /** 1-based; undefined when it cannot be told. */
  readonly line: number | undefined;
}

export interface NpmrcFile {
  readonly path: string;
  readonly entries: readonly NpmrcEntry[];
}

export interface NpmrcSources {
  readonly project: NpmrcFile | undefined;
  /** Trusted settings, the strongest first: flags, environment, user, global, builtin. */
  readonly trusted: readonly NpmrcFile[];
}

const MAX_BYTES: number = 256 * 1024;
const MAX_ENTRIES = 5000;

/**
 * Reads every file. Throws PAYLOAD_TOO_LARGE for one past 256 KiB, INVALID_ARGUMENT for one that is not a regular file.
 * @param flags settings that the user gave on the client's command line.
 */
export async function readNpmrc(
  project: string,
  client: NpmClient,
  env: Readonly<NodeJS.ProcessEnv>,
  flags: ReadonlyMap<string, string>,
): Promise<NpmrcSources> {
  const fromFlags = fileOf("command line", flags, env);
  const fromEnv = fileOf("environment", environmentSettings(env), env);
  const set = (key: string): string | undefined => first(fromFlags, key) ?? first(fromEnv, key);
  const home = homeFolder(env);
  const user = await read(resolve(set("userconfig") ?? join(home, ".npmrc")), env, true);
  const prefix = set("prefix") ?? (user === undefined ? undefined : first(user, "prefix")) ?? env["PREFIX"] ?? dirname(dirname(client.node));
  const global = await read(resolve(set("globalconfig") ?? join(prefix, "etc", "npmrc")), env, true);
  const builtin = await read(join(client.folder, "npmrc"), env, true);
  return {
    // A link could lead the reader to any file of the user; npm would follow it, we say so and stop.
    project: await read(join(project, ".npmrc"), env, false),
    trusted: [fromFlags, fromEnv, user, global, builtin].filter((file) => file !== undefined),
  };
}

/** The strongest value of a key among files, the strongest file first. */
export function lookUp(files: readonly NpmrcFile[], key: string): string | readonly string[] | undefined {
  for (const file of files) {
    const found = file.entries.findLast((entry) => entry.key === key);
    if (found !== undefined) return found.value;
  }
  return undefined;
}

function first(file: NpmrcFile, key: string): string | undefined {
  const value = lookUp([file], key);
  return typeof value === "string" && value !== "" ? value : undefined;
}

async function read(path: string, env: Readonly<NodeJS.ProcessEnv>, followLink: boolean): Promise<NpmrcFile | undefined> {
  const bytes = await readBounded(path, { maxBytes: MAX_BYTES, what: ".npmrc", followLink });
  if (bytes === undefined) return undefined;
  const text = bytes.toString("utf8");
  // Sections have no meaning to npm; ini makes objects of them, which are no settings.
  const settings = Object.entries(parse(text)).filter((pair): pair is [string, string | boolean | string[]] => isSetting(pair[1]));
  if (settings.length > MAX_ENTRIES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `${path} has more than ${MAX_ENTRIES} settings`);
  return {
    path,
    entries: settings.map(([key, value]) => ({
      key: expand(key, env).trim(),
      value: Array.isArray(value) ? value.map((item) => expand(String(item), env)) : expand(String(value), env),
      line: lineOf(text, key),
    })),
  };
}

function isSetting(value: unknown): value is string | boolean | string[] {
  return (
    typeof value === "string" ||
    typeof value === "boolean" ||
    (Array.isArray(value) && value.every((item) => typeof item === "string" || typeof item === "boolean"))
  );
}

function fileOf(path: string, settings: ReadonlyMap<string, string>, env: Readonly<NodeJS.ProcessEnv>): NpmrcFile {
  return { path, entries: [...settings].map(([key, value]) => ({ key, value: expand(value, env), line: undefined })) };
}

/** `npm_config_KEY` in any case; `_` inside means `-`, as npm reads it. Nerf-darted keys (`//host/:x`) keep theirs. */
function environmentSettings(env: Readonly<NodeJS.ProcessEnv>): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    const match = /^npm_config_([^_].*|__.*)$/i.exec(name);
    if (match?.[1] === undefined || value === undefined || value === "") continue;
    const key = match[1].startsWith("//") || match[1].startsWith("@") ? match[1] : match[1].replace(/(?!^)_/g, "-").toLowerCase();
    settings.set(key, value);
  }
  return settings;
}

/** `${NAME}`, `${NAME-default}` and `${NAME?}`; an unset plain one stays as it stands, as in npm. */
export function expand(text: string, env: Readonly<NodeJS.ProcessEnv>): string {
  return text.replace(/(?<!\\)(\\*)\$\{([^${}?-]+)(\?|-[^${}]*)?\}/g, (whole: string, escapes: string, name: string, fallback: string | undefined) => {
    const value = env[name] ?? (fallback === undefined ? undefined : fallback === "?" ? "" : fallback.slice(1));
    return value === undefined ? whole : `${escapes}${value}`;
  });
}

function lineOf(text: string, key: string): number | undefined {
  const at = text.split("\n").findIndex((line) => line.trimStart().startsWith(key));
  return at < 0 ? undefined : at + 1;
}
