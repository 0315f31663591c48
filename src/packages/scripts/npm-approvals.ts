/**
 * npm's approvals: `allowScripts` of the root package.json, else the `allow-scripts` lists of .npmrc files. npm 12
 * skips what is not listed, npm 11 runs it with a warning, and older ones know nothing of the field.
 * Source: npm's lib/utils/resolve-allow-scripts.js (which file counts) and allow-scripts-writer.js (how it is edited).
 */
import { join } from "node:path";
import { z } from "zod";
import { CofferdamError, readBounded, replaceFile } from "../../foundation/index.ts";
import type { LockedPackage } from "../../inventory/index.ts";
import type { Approval, ApprovalChange, Approvals, ApprovalsFile } from "./approvals.ts";
import { setMember } from "./json-member.ts";
import { identityOf, keyMatches, keyNames, type NpmKey, parseNpmKey } from "./npm-key.ts";

const MAX_MANIFEST: number = 4 * 2 ** 20;
export const MAX_ENTRIES = 10_000;

interface Entry {
  readonly text: string;
  readonly key: NpmKey;
  /** npm counts true and false, and passes over any other value. */
  readonly value: unknown;
}

/** True for an npm that skips scripts that nobody approved; older ones run them. */
export function npmSkipsUnlisted(version: string): boolean {
  return Number(version.split(".")[0]) >= 12;
}

export class NpmApprovals implements ApprovalsFile {
  readonly #path: string;
  readonly #lists: readonly string[];

  /** @param root the folder of the root package.json. @param lists values of `allow-scripts` of the .npmrc file that counts. */
  constructor(root: string, lists: readonly string[] = []) {
    this.#path = join(root, "package.json");
    this.#lists = lists;
  }

  async read(): Promise<Approvals> {
    const own = entriesOf(allowScriptsOf(await this.#text()));
    const listed = entriesOf(
      Object.fromEntries(this.#lists.flatMap((list) => list.split(",")).flatMap((one) => (one.trim() === "" ? [] : [[one.trim(), true]]))),
    );
    // As in npm: the first place with an entry that counts is the only one.
    const counts = [own, listed].find((entries) => entries.some((entry) => entry.key.type !== "ignored")) ?? [];
    const source = counts.length === 0 ? undefined : counts === own ? "package.json" : ".npmrc";
    return {
      source,
      field: source === ".npmrc" ? "allow-scripts" : "allowScripts",
      ignored: [...own, ...listed].flatMap(({ text, key }) => ("why" in key ? [{ entry: text, why: key.why }] : [])),
      verdict: (locked) => verdictOf(counts, locked),
    };
  }

  async approve(packages: readonly LockedPackage[]): Promise<readonly ApprovalChange[]> {
    return await this.#edit((entries) => {
      let next = entries;
      for (const group of grouped(packages)) next = approved(next, group);
      return next;
    });
  }

  async deny(packages: readonly LockedPackage[]): Promise<readonly ApprovalChange[]> {
    return await this.#edit((entries) => {
      let next = entries;
      for (const group of grouped(packages)) next = denied(next, group);
      return next;
    });
  }

  async #edit(change: (entries: readonly Entry[]) => readonly Entry[]): Promise<readonly ApprovalChange[]> {
    const before = await this.#text();
    const entries = entriesOf(allowScriptsOf(before));
    const next = change(entries);
    const changes = [
      ...entries.filter((one) => !next.some((other) => same(one, other))).map((one): ApprovalChange => ({ entry: shown(one), change: "removed" })),
      ...next.filter((one) => !entries.some((other) => same(one, other))).map((one): ApprovalChange => ({ entry: shown(one), change: "added" })),
    ];
    if (changes.length === 0) return [];
    const text = setMember(before, "allowScripts", Object.fromEntries(next.map(({ text, value }) => [text, value])), "package.json");
    // What comes out is read again before anybody relies on it.
    if (allowScriptsOf(text) === undefined) throw new CofferdamError("INTERNAL", "package.json could not be edited");
    if ((await this.#text()) !== before) throw new CofferdamError("CONFLICT", "package.json changed meanwhile", { hint: "run it again" });
    await replaceFile(this.#path, text);
    return changes;
  }

  async #text(): Promise<string> {
    const bytes = await readBounded(this.#path, { maxBytes: MAX_MANIFEST, what: "package.json" });
    if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no package.json: ${this.#path}`);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      throw new CofferdamError("INVALID_ARGUMENT", "package.json is not UTF-8", { cause: error });
    }
  }
}

function verdictOf(entries: readonly Entry[], locked: LockedPackage): Approval {
  const matching = entries.filter(({ key, value }) => keyMatches(key, locked, value === false));
  // A denial wins over any approval.
  const no = matching.find((entry) => entry.value === false);
  if (no !== undefined) return { verdict: "denied", by: no.text };
  const yes = matching.find((entry) => entry.value === true);
  return yes === undefined ? { verdict: "unlisted", by: undefined } : { verdict: "approved", by: yes.text };
}

/** Pins every version of a group; pins of other versions and an approval of the bare name give way to them. */
function approved(entries: readonly Entry[], group: readonly LockedPackage[]): readonly Entry[] {
  const denial = entries.find(({ key, value }) => value === false && group.some((locked) => keyNames(key, locked)));
  if (denial !== undefined) {
    throw new CofferdamError("FAILED_PRECONDITION", `${denial.text} is denied in allowScripts of package.json`, {
      hint: `remove "${denial.text}": false there first; a denial is not taken back in passing`,
    });
  }
  const pins = group.map(pinOf);
  const name = nameOf(group);
  // npm cannot pin what has no address in the lockfile: such a package is approved by name, in every version.
  const wanted = pins.includes(undefined) ? [name] : pins;
  const kept = entries.filter(({ text, key, value }) => {
    if (wanted.includes(text)) return value === true;
    const gives = value === true && (key.type === "version" || text === name) && group.some((locked) => keyNames(key, locked));
    return !gives;
  });
  return [...kept, ...missing(kept, wanted, true)];
}

/** One denial for every version; other entries of the package go, since it would overrule them anyway. */
function denied(entries: readonly Entry[], group: readonly LockedPackage[]): readonly Entry[] {
  const name = nameOf(group);
  const kept = entries.filter(({ text, key, value }) => (text === name ? value === false : !group.some((locked) => keyNames(key, locked))));
  return [...kept, ...missing(kept, [name], false)];
}

function missing(kept: readonly Entry[], wanted: readonly (string | undefined)[], value: boolean): Entry[] {
  const known = new Set(kept.map((entry) => entry.text));
  return [...new Set(wanted)].flatMap((text) => (text === undefined || known.has(text) ? [] : [{ text, key: parseNpmKey(text), value }]));
}

/** Packages by what npm calls them. Throws FAILED_PRECONDITION for those that npm has no name for. */
function grouped(packages: readonly LockedPackage[]): readonly (readonly LockedPackage[])[] {
  const groups = new Map<string, LockedPackage[]>();
  for (const locked of packages) {
    const name = nameOf([locked]);
    groups.set(name, [...(groups.get(name) ?? []), locked]);
  }
  return [...groups.values()];
}

function nameOf(group: readonly LockedPackage[]): string {
  const [locked] = group;
  const name =
    locked === undefined ? undefined : (identityOf(locked)?.name ?? (locked.kind === "file" || locked.kind === "remote" ? locked.resolved : undefined));
  if (name !== undefined) return name;
  throw new CofferdamError("FAILED_PRECONDITION", `${locked?.name ?? "a package"}: npm keeps no approvals for ${locked?.kind ?? "such"} packages`, {
    hint: locked?.kind === "bundled" ? "the package that brings it must run the script as one of its own" : "it is code of your own repository",
  });
}

function pinOf(locked: LockedPackage): string | undefined {
  const identity = identityOf(locked);
  if (identity === undefined) return locked.resolved;
  return identity.version === undefined ? undefined : `${identity.name}@${identity.version}`;
}

const manifestSchema = z.looseObject({ allowScripts: z.unknown().optional() });

/** The field's entries; undefined when it is absent or no object. Throws INVALID_ARGUMENT, PAYLOAD_TOO_LARGE. */
function allowScriptsOf(text: string): object | undefined {
  let parsed: z.infer<typeof manifestSchema>;
  try {
    parsed = manifestSchema.parse(JSON.parse(text.replace(/^\ufeff/, "")));
  } catch (error) {
    throw new CofferdamError("INVALID_ARGUMENT", "package.json cannot be read", { cause: error });
  }
  return typeof parsed.allowScripts === "object" && parsed.allowScripts !== null && !Array.isArray(parsed.allowScripts) ? parsed.allowScripts : undefined;
}

function entriesOf(allowScripts: object | undefined): readonly Entry[] {
  const pairs = Object.entries(allowScripts ?? {});
  if (pairs.length > MAX_ENTRIES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `allowScripts has more than ${MAX_ENTRIES} entries`);
  return pairs.map(([text, value]) => ({ text, key: parseNpmKey(text), value }));
}

function same(a: Entry, b: Entry): boolean {
  return a.text === b.text && a.value === b.value;
}

function shown({ text, value }: Entry): string {
  return `${JSON.stringify(text)}: ${JSON.stringify(value)}`;
}
