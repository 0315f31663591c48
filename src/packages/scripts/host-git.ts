/** What an exception may leave where the host's git will read it: exactly what it says, byte for byte. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StagedFile, WritableTree } from "../../sandbox/index.ts";
import type { GeneratedFile } from "./exceptions.ts";

type Check = NonNullable<WritableTree["accept"]>;

/** @param folder of the tree, from the root. @param allowed all files that may be there, from the root. */
export function generatedFileCheck(root: string, folder: string, allowed: readonly GeneratedFile[]): Check {
  return (output) => {
    const rule = allowed.find((one) => one.path === `${folder}/${output.path}`);
    if (rule === undefined) return "not one of the files of this exception";
    const bytes = output.read();
    const known = [...rule.texts.map((text) => Buffer.from(text)), ...rule.copiesOf.flatMap((path) => fileAt(join(root, path)))];
    return known.some((one) => one.equals(bytes)) ? undefined : "not what this exception writes there";
  };
}

/** @param path of the host's .git/config. */
export function gitConfigCheck(path: string, { key, value }: { readonly key: string; readonly value: string }): Check {
  return (output: StagedFile) => {
    if (output.path !== "config") return "only git's config may be changed";
    const before = fileAt(path)[0]?.toString("utf8") ?? "";
    return sameButFor(before, output.read().toString("utf8"), key, value) ? undefined : `more than ${key} = ${value} was changed`;
  };
}

/**
 * True when `after` is `before` with this one setting made. As text, line by line: what git's own `git config` does, and
 * nothing that would need an opinion about git's quoting.
 */
export function sameButFor(before: string, after: string, key: string, value: string): boolean {
  const [section = "", name = ""] = key.split(".");
  const old = linesOf(before);
  const ours = (line: Line): boolean => line.section === section && line.text.toLowerCase().startsWith(`${name.toLowerCase()} =`);
  const kept = old.filter((line) => !ours(line));
  const now = linesOf(after).filter((line) => !(line.section === section && line.text === `${name} = ${value}`));
  // A header is added when the section was not there.
  const header = (line: Line): boolean => line.text === `[${section}]`;
  const rest = kept.some(header) ? now : now.filter((line) => !header(line));
  return (
    now.length < linesOf(after).length &&
    kept.length === rest.length &&
    kept.every((line, i) => line.text === rest[i]?.text && line.section === rest[i].section)
  );
}

interface Line {
  readonly text: string;
  /** Name of the section that it stands in, as written; undefined for one with a subsection. */
  readonly section: string | undefined;
}

function linesOf(text: string): Line[] {
  let section: string | undefined;
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      if (line.startsWith("[")) section = /^\[\s*([A-Za-z0-9.-]+)\s*\]$/.exec(line)?.[1];
      return { text: line, section };
    });
}

function fileAt(path: string): Buffer[] {
  try {
    return [readFileSync(path)];
  } catch {
    return [];
  }
}
