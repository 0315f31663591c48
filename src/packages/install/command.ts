/**
 * The client's command line: which command it is, which settings in it are ours to use (registries, proxies), what is
 * handed on, and what would lead the client out of the guard.
 */
import { CofferdamError, nearestWord } from "../../foundation/index.ts";

export interface ClientCommand {
  readonly manager: "npm";
  /** `ci` installs exactly the lockfile; everything else may choose new versions. */
  readonly verb: "ci" | "install" | "update" | "uninstall" | "dedupe" | "prune";
  /** Arguments for the boxed client after the verb. */
  readonly args: readonly string[];
  /** Settings taken from the command line: `registry`, `@scope:registry`, proxies, certificates. */
  readonly settings: ReadonlyMap<string, string>;
  /** Dependency types that are left out: dev, optional, peer. */
  readonly omit: ReadonlySet<string>;
  /** `--ignore-scripts`: no script runs. */
  readonly ignoreScripts: boolean;
  /** True when the command is for some workspaces only: the others' packages may be absent. */
  readonly partial: boolean;
}

const VERBS: Readonly<Record<string, ClientCommand["verb"]>> = {
  ci: "ci",
  "clean-install": "ci",
  ic: "ci",
  "install-clean": "ci",
  isntall: "install",
  install: "install",
  i: "install",
  in: "install",
  ins: "install",
  add: "install",
  update: "update",
  up: "update",
  upgrade: "update",
  uninstall: "uninstall",
  un: "uninstall",
  remove: "uninstall",
  rm: "uninstall",
  r: "uninstall",
  dedupe: "dedupe",
  ddp: "dedupe",
  prune: "prune",
};

/** Settings that the gate uses instead of the client. */
const OURS: ReadonlySet<string> = new Set(["registry", "proxy", "https-proxy", "noproxy", "cafile", "ca", "strict-ssl"]);
/** Settings that have no meaning in a guarded run; dropped with their value. */
const DROPPED: ReadonlySet<string> = new Set([
  "audit",
  "fund",
  "progress",
  "loglevel",
  "color",
  "update-notifier",
  "prefer-offline",
  "prefer-online",
  "offline",
]);
/** Of those, the ones that take a value as a word of its own. */
const DROPPED_WITH_VALUE: ReadonlySet<string> = new Set(["loglevel"]);
/** What would lead out of the guard, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  global: "global installs are not guarded",
  location: "global installs are not guarded",
  prefix: "run it in the project's folder instead",
  cache: "the client gets a cache of its own for every run",
  userconfig: "the gate reads your configuration; the client gets one of its own",
  globalconfig: "the gate reads your configuration; the client gets one of its own",
  "script-shell": "scripts run in the jail, by /bin/sh",
  "foreground-scripts": "scripts run in the jail, one by one",
  "node-options": "it would change the guarded client itself",
  git: "git dependencies are not fetched",
  "replace-registry-host": "all addresses lead to the gate",
  "dry-run": "nothing would be installed that could be compared",
  "package-lock": "without a lockfile the installed tree cannot be compared",
  "package-lock-only": "it installs nothing; run npm itself",
};

/** @param argv words after `--`: `npm ci --omit=dev`. Throws INVALID_ARGUMENT with what to write instead. */
export function parseClientCommand(argv: readonly string[], env: Readonly<NodeJS.ProcessEnv>): ClientCommand {
  const [manager, ...words] = argv;
  if (manager === undefined) throw new CofferdamError("INVALID_ARGUMENT", "which command?", { hint: "cofferdam install -- npm ci" });
  if (manager !== "npm") {
    throw new CofferdamError("INVALID_ARGUMENT", `${manager.slice(0, 40)} is not guarded by this version, only npm is`, {
      hint: "cofferdam install -- npm ci",
    });
  }
  const at = words.findIndex((word) => !word.startsWith("-"));
  const verb = at < 0 ? undefined : VERBS[words[at] ?? ""];
  if (verb === undefined) {
    const word = words[at] ?? "";
    const near = nearestWord(word, Object.keys(VERBS));
    throw new CofferdamError("INVALID_ARGUMENT", `npm ${word.slice(0, 40)} is not an install${near === undefined ? "" : ` (did you mean ${near}?)`}`, {
      hint: "guarded are ci, install, update, uninstall, dedupe and prune; run others with npm itself",
    });
  }
  const parts = split(words.filter((_, i) => i !== at));
  const omit = new Set(parts.omit);
  // The box has no environment of the caller, so what NODE_ENV means to npm is said with a flag.
  const production = env["NODE_ENV"] === "production" && !parts.args.some((arg) => /^--(?:include|omit|production|only)\b/.test(arg));
  if (production) omit.add("dev");
  return {
    manager: "npm",
    verb,
    args: production ? ["--omit=dev", ...parts.args] : parts.args,
    settings: parts.settings,
    omit,
    ignoreScripts: parts.ignoreScripts,
    partial: parts.args.some((arg) => /^(?:-w|--workspaces?(?:=|$)|--include-workspace-root)/.test(arg)),
  };
}

function split(words: readonly string[]): { args: string[]; settings: Map<string, string>; omit: string[]; ignoreScripts: boolean } {
  const args: string[] = [];
  const settings = new Map<string, string>();
  const omit: string[] = [];
  let ignoreScripts = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (word === "--") {
      args.push(...words.slice(i));
      break;
    }
    if (/^-[a-zA-Z]*[gC]/.test(word) && !word.startsWith("--"))
      throw refuse(word, word.includes("g") ? "global installs are not guarded" : "run it in the project's folder instead");
    const match = /^--(no-)?([^=]+)(?:=(.*))?$/s.exec(word);
    if (match?.[2] === undefined) {
      args.push(word);
      continue;
    }
    const key = match[2];
    const value = (): string => match[3] ?? words[++i] ?? "";
    const why = Object.hasOwn(REFUSED, key) ? REFUSED[key] : undefined;
    if (why !== undefined) throw refuse(word, why);
    if (key === "ignore-scripts") ignoreScripts = match[1] === undefined && match[3] !== "false";
    else if (OURS.has(key) || /^@[^:]+:registry$/.test(key) || key.startsWith("//")) settings.set(key, match[1] === undefined ? value() : "false");
    else if (DROPPED.has(key)) {
      if (DROPPED_WITH_VALUE.has(key) && match[3] === undefined) i += 1;
    } else {
      args.push(word);
      if (key === "omit") omit.push(match[3] ?? words[i + 1] ?? "");
      if (key === "production" && match[1] === undefined) omit.push("dev");
    }
  }
  return { args, settings, omit, ignoreScripts };
}

function refuse(word: string, why: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `${word.split("=")[0]?.slice(0, 60) ?? ""} cannot be used in a guarded install: ${why}`);
}
