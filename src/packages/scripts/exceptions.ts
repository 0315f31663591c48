/**
 * What install scripts of well-known packages do that the jail would refuse, and what may be let through for it. Every
 * exception is one row, is printed by `cofferdam scripts list`, and is switched off by its name in `scripts.exceptions`.
 * Source of each row: the package itself, in the version that is named there.
 */
import { posix } from "node:path";
import type { LockedPackage } from "../../inventory/index.ts";
import type { PolicyValues, ScriptException } from "../../policy/index.ts";
import { type ScriptSubject, subjectOf, trustedName } from "./subject.ts";

/** What an exception lets through for one script. */
export interface Extras {
  /** Paths from the project's root that it may write. */
  readonly write: readonly string[];
  /** The one setting of the repository's .git/config that may be different afterwards. */
  readonly gitConfig?: { readonly key: string; readonly value: string };
  /**
   * All that may lie under {@link write} afterwards, because git would run it, outside of any jail. Each may be absent.
   * Absent itself: anything may.
   */
  readonly onlyFiles?: readonly GeneratedFile[];
  /** Places of packages that are shown in one mount with the script's own, because a hard link does not cross mounts. */
  readonly stagedWith?: readonly string[];
}

/** A file that is one of these texts, or a copy of one of these files of the project. */
export interface GeneratedFile {
  readonly path: string;
  readonly texts: readonly string[];
  readonly copiesOf: readonly string[];
}

export interface ShippedException {
  readonly name: ScriptException;
  /** For people: what it lets through. */
  readonly summary: string;
  /** Undefined when the script is not the one that the exception is for. @param arch as in process.arch. */
  extras(script: ScriptInQuestion, arch: string): Extras | undefined;
}

export interface ScriptInQuestion {
  readonly subject: ScriptSubject;
  readonly event: string;
  readonly body: string;
  /** The package that a name means from the script's folder. */
  readonly resolve: (name: string) => LockedPackage | undefined;
}

export const EXCEPTIONS: readonly ShippedException[] = [
  {
    // esbuild 0.28.2, install.js: replaces its launcher by a hard link to the platform package's program; without, it is slower.
    name: "esbuild",
    summary: "esbuild's postinstall links to the program of @esbuild/<platform>",
    extras: ({ subject, event, resolve }, arch) => {
      const platform = `@esbuild/linux-${arch}`;
      const from = trustedName(subject) === "esbuild" && event === "postinstall" ? resolve(platform) : undefined;
      return from === undefined || nameOf(from) !== platform ? undefined : { write: [], stagedWith: [from.path] };
    },
  },
  {
    // husky 9.0.1 to 9.1.7, index.js: `git config core.hooksPath .husky/_`, and the files there.
    name: "husky",
    summary: "husky in your own prepare script sets git's core.hooksPath to .husky/_, and writes its own files there",
    extras: ({ subject, event, body, resolve }) => {
      const called = subject.origin === "own" && subject.path === "" && event === "prepare" && /(?:^|[\s;&|/])husky(?:$|[\s;&|])/.test(body);
      const husky = called ? resolve("husky") : undefined;
      if (husky === undefined || nameOf(husky) !== "husky") return undefined;
      return { write: [".husky/_"], gitConfig: { key: "core.hooksPath", value: ".husky/_" }, onlyFiles: huskyFiles(husky.path) };
    },
  },
  {
    // @prisma/client 6.19.3, scripts/postinstall.js: `../../../.prisma/client` from its own folder scripts/.
    name: "prisma",
    summary: "@prisma/client's postinstall writes .prisma beside @prisma",
    extras: ({ subject, event }) =>
      trustedName(subject) === "@prisma/client" && event === "postinstall" && subject.path.endsWith("/@prisma/client")
        ? { write: [posix.join(subject.path, "../../.prisma")] }
        : undefined,
  },
];

/** What the exceptions that are on let through for a script. */
export function extrasFor(
  script: ScriptInQuestion,
  switches: PolicyValues["scripts.exceptions"],
  arch: string,
): readonly (Extras & { readonly exception: ScriptException })[] {
  return EXCEPTIONS.flatMap(({ name, extras }) => {
    const found = switches[name] === "on" ? extras(script, arch) : undefined;
    return found === undefined ? [] : [{ exception: name, ...found }];
  });
}

function nameOf(locked: LockedPackage): string | undefined {
  const subject = subjectOf(locked);
  return subject?.origin === "dependency" ? trustedName(subject) : undefined;
}

const HUSKY_HOOKS = [
  "pre-commit",
  "pre-merge-commit",
  "prepare-commit-msg",
  "commit-msg",
  "post-commit",
  "applypatch-msg",
  "pre-applypatch",
  "post-applypatch",
  "pre-rebase",
  "post-rewrite",
  "post-checkout",
  "post-merge",
  "pre-push",
  "pre-auto-gc",
] as const;

/** 9.1.4 and later; before that it is empty, or not there. */
const HUSKY_SH = `echo "husky - DEPRECATED

Please remove the following two lines from $0:

#!/usr/bin/env sh
. \\"\\$(dirname -- \\"\\$0\\")/_/husky.sh\\"

They WILL FAIL in v10.0.0
"`;
const HUSKY_HOOK = ['#!/usr/bin/env sh\n. "$(dirname "$0")/h"', '#!/usr/bin/env sh\n. "$' + '{0%/*}/h"'] as const;

function huskyFiles(from: string): readonly GeneratedFile[] {
  return [
    { path: ".husky/_/.gitignore", texts: ["*"], copiesOf: [] },
    { path: ".husky/_/h", texts: [], copiesOf: [`${from}/husky`, `${from}/husky.sh`] },
    { path: ".husky/_/husky.sh", texts: ["", HUSKY_SH], copiesOf: [] },
    ...HUSKY_HOOKS.map((hook) => ({ path: `.husky/_/${hook}`, texts: HUSKY_HOOK, copiesOf: [] })),
  ];
}

/** A package whose script fetches more from elsewhere: what it asks for, and what makes it do without. Grants nothing. */
export interface DownloadHint {
  /** Environment that skips the download, `NAME=VALUE`; undefined when there is none. */
  readonly skip: string | undefined;
  readonly hosts: readonly string[];
}

/** GitHub answers a release's address with a redirect. */
const GITHUB_RELEASES = ["github.com:443", "release-assets.githubusercontent.com:443"] as const;

const HINTS: Readonly<Record<string, DownloadHint>> = {
  // @prisma/engines 7.10.1
  "@prisma/engines": { skip: undefined, hosts: ["binaries.prisma.sh:443"] },
  // @prisma/client 6.19.3: generating downloads the engines.
  "@prisma/client": { skip: "PRISMA_SKIP_POSTINSTALL_GENERATE=1", hosts: ["binaries.prisma.sh:443"] },
  // cypress 15.3.0
  cypress: { skip: "CYPRESS_INSTALL_BINARY=0", hosts: ["download.cypress.io:443", "cdn.cypress.io:443"] },
  // electron 38.8.6 with @electron/get 3.1.0; electron 45 has no install script any more.
  electron: { skip: "ELECTRON_SKIP_BINARY_DOWNLOAD=1", hosts: GITHUB_RELEASES },
  // puppeteer 25.16.0 with @puppeteer/browsers 3.2.6
  puppeteer: { skip: "PUPPETEER_SKIP_DOWNLOAD=1", hosts: ["storage.googleapis.com:443"] },
  // sharp 0.32.6; from 0.33 its native part comes as packages of the registry.
  sharp: { skip: undefined, hosts: GITHUB_RELEASES },
};
/** @playwright/browser-chromium 1.64.1 with playwright-core 1.65.1; `playwright` itself has no install script. */
const PLAYWRIGHT: DownloadHint = {
  skip: "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1",
  hosts: ["cdn.playwright.dev:443", "playwright.download.prss.microsoft.com:443"],
};

export function downloadHint(name: string): DownloadHint | undefined {
  if (name.startsWith("@playwright/browser-")) return PLAYWRIGHT;
  return Object.hasOwn(HINTS, name) ? HINTS[name] : undefined;
}
