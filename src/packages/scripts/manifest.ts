/** A package.json as running its scripts needs it. It is a package's own word: bounded, and nothing in it is believed. */
import { lstatSync } from "node:fs";
import { join, posix } from "node:path";
import { z } from "zod";
import { CofferdamError, readBounded } from "../../foundation/index.ts";

export interface ScriptManifest {
  readonly name: string;
  readonly version: string;
  /** Script by event; only texts. */
  readonly scripts: ReadonlyMap<string, string>;
  /** False: npm's implicit node-gyp build is not wanted. */
  readonly gypfile: boolean;
  readonly config: unknown;
  readonly engines: unknown;
  /** Command to file, without a leading `./` and never out of the package. */
  readonly bin: ReadonlyMap<string, string>;
}

export interface Script {
  readonly event: string;
  /** As the shell gets it. */
  readonly body: string;
}

export const MAX_MANIFEST: number = 4 * 2 ** 20;
/** Longest script: one argument of a program is 128 KiB at most on Linux. */
export const MAX_SCRIPT: number = 128 * 1024 - 1;

const schema = z.looseObject({
  name: z.unknown().optional(),
  version: z.unknown().optional(),
  scripts: z.unknown().optional(),
  gypfile: z.unknown().optional(),
  config: z.unknown().optional(),
  engines: z.unknown().optional(),
  bin: z.unknown().optional(),
});

/** Undefined when there is no package.json. Throws INVALID_ARGUMENT for one that is not a JSON object, PAYLOAD_TOO_LARGE. */
export async function readScriptManifest(folder: string): Promise<ScriptManifest | undefined> {
  const bytes = await readBounded(join(folder, "package.json"), { maxBytes: MAX_MANIFEST, what: "package.json" });
  return bytes === undefined ? undefined : parseScriptManifest(bytes.toString("utf8"));
}

/** Throws INVALID_ARGUMENT for what is not a JSON object, PAYLOAD_TOO_LARGE for a script longer than a shell can be given. */
export function parseScriptManifest(text: string): ScriptManifest {
  let raw: z.infer<typeof schema>;
  try {
    raw = schema.parse(JSON.parse(text.replace(/^\ufeff/, "")));
  } catch (error) {
    throw new CofferdamError("INVALID_ARGUMENT", "a package.json that is not a JSON object", { cause: error });
  }
  const name = typeof raw.name === "string" ? raw.name.slice(0, 214) : "";
  const scripts = new Map([...entriesOf(raw.scripts)].filter((pair): pair is [string, string] => typeof pair[1] === "string" && pair[1] !== ""));
  for (const [event, body] of scripts) {
    if (Buffer.byteLength(body) > MAX_SCRIPT || body.includes("\0"))
      throw new CofferdamError("PAYLOAD_TOO_LARGE", `the ${event.slice(0, 40)} script of ${name} is longer than ${MAX_SCRIPT} bytes, or has a NUL in it`);
  }
  const bins = typeof raw.bin === "string" ? [[name.slice(name.indexOf("/") + 1), raw.bin] as const] : [...entriesOf(raw.bin)];
  const bin = new Map(bins.flatMap(([command, file]) => (typeof file === "string" ? [[command, posix.join("/", file).slice(1)]] : [])));
  const version = typeof raw.version === "string" ? raw.version.slice(0, 256) : "";
  return { name, version, scripts, gypfile: raw.gypfile !== false, config: raw.config, engines: raw.engines, bin };
}

/**
 * The scripts of a package that these events would run, in their order, with npm's implicit `node-gyp rebuild`: for a
 * package with a binding.gyp that has neither an install nor a preinstall script and does not decline it.
 */
export function scriptsFor(manifest: ScriptManifest, events: readonly string[], bindingGyp: boolean): Script[] {
  const implicit = bindingGyp && manifest.gypfile && !manifest.scripts.has("install") && !manifest.scripts.has("preinstall");
  return events.flatMap((event) => {
    const body = manifest.scripts.get(event) ?? (implicit && event === "install" ? "node-gyp rebuild" : undefined);
    return body === undefined ? [] : [{ event, body }];
  });
}

export function hasBindingGyp(folder: string): boolean {
  return lstatSync(join(folder, "binding.gyp"), { throwIfNoEntry: false })?.isFile() === true;
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : new Map();
}
