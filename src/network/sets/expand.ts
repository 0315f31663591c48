/** A policy's list with the names of sets in it, as rules. */
import { CofferdamError, nearestWord } from "../../foundation/index.ts";
import { aptSet } from "./apt.ts";
import { cargoSet } from "./cargo.ts";
import type { ConfiguredSet } from "./configured-set.ts";
import { goSet } from "./go.ts";
import type { SetHost } from "./host.ts";
import { npmSet } from "./npm.ts";
import { pipSet } from "./pip.ts";
import { PUBLISHED_SETS, type PublishedSet } from "./published.ts";

export const CONFIGURED_SETS: readonly ConfiguredSet[] = [npmSet, pipSet, cargoSet, goSet, aptSet];

export interface ExpandedRules {
  /** Entries that are no set stand as they were. */
  readonly rules: readonly string[];
  /** By rule: the set that it is from. */
  readonly from: ReadonlyMap<string, string>;
  /** What is to be known of a set: its caution, and what of a configuration opens nothing. */
  readonly notes: readonly string[];
}

/** Names of all sets, for help and completion. */
export function setNames(): readonly string[] {
  return [...PUBLISHED_SETS, ...CONFIGURED_SETS].map(({ name }) => name);
}

/**
 * Replaces names of sets by what they stand for now. A set that comes to nothing is FAILED_PRECONDITION: a job that lacks what
 * its policy lists would fail later, and say less.
 * @param host see {@link setHost}. A name that a job's own service has is a set all the same.
 */
export async function expandSets(entries: readonly string[], host: SetHost): Promise<ExpandedRules> {
  const rules = new Set<string>();
  const from = new Map<string, string>();
  const notes: string[] = [];
  for (const entry of new Set(entries)) {
    const found = await rulesOfSet(entry, host);
    if (found === undefined) {
      rules.add(entry);
      notes.push(...typoIn(entry));
      continue;
    }
    if (found.rules.length === 0)
      throw new CofferdamError("FAILED_PRECONDITION", `the set ${entry} is empty here: ${found.notes.join("; ")}`, {
        hint: `name its hosts instead, like "packages.example:443"`,
      });
    notes.push(...found.notes.map((note) => `${entry}: ${note}`));
    for (const rule of found.rules) {
      rules.add(rule);
      if (!from.has(rule)) from.set(rule, entry);
    }
  }
  return { rules: [...rules], from, notes };
}

async function rulesOfSet(name: string, host: SetHost): Promise<{ readonly rules: readonly string[]; readonly notes: readonly string[] } | undefined> {
  const published: PublishedSet | undefined = PUBLISHED_SETS.find((set) => set.name === name);
  if (published !== undefined) return { rules: published.rules, notes: published.caution === undefined ? [] : [published.caution] };
  return await CONFIGURED_SETS.find((set) => set.name === name)?.resolve(host);
}

/** A word alone may be a host of the house; or a set that was misspelt. */
function typoIn(entry: string): readonly string[] {
  const near = /^[a-z-]+$/.test(entry) ? nearestWord(entry, setNames()) : undefined;
  return near === undefined ? [] : [`${entry} is taken for a host's name; the set is called ${near}`];
}
