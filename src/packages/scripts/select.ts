/** Packages by the words that a person writes: `esbuild`, `esbuild@0.25.2`. */
import { CofferdamError, nearestWord } from "../../foundation/index.ts";
import type { NpmLockfile } from "../../inventory/index.ts";
import { type ScriptSubject, subjectsOf, trustedName } from "./subject.ts";

/**
 * Every place of the named packages. A package goes by the name that its address vouches for, so that nothing is approved
 * under another's name. Throws NOT_FOUND for a word that fits none, INVALID_ARGUMENT for no words.
 */
export function selectPackages(lockfile: NpmLockfile | undefined, words: readonly string[]): ScriptSubject[] {
  if (words.length === 0) throw new CofferdamError("INVALID_ARGUMENT", "which package?", { hint: "cofferdam scripts list names them" });
  const subjects = lockfile === undefined ? [] : subjectsOf(lockfile);
  return words.flatMap((word) => {
    const at = word.indexOf("@", 1);
    const [name, version] = at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
    const named = subjects.filter((subject) => nameOf(subject) === name);
    const found = version === undefined ? named : named.filter((subject) => subject.version === version);
    if (found.length > 0) return found;
    const near = named.length > 0 ? undefined : nearestWord(name, new Set(subjects.map(nameOf)));
    const versions = [...new Set(named.map((subject) => subject.version))].join(", ");
    throw new CofferdamError("NOT_FOUND", `${word.slice(0, 120)} is not in the lockfile${near === undefined ? "" : ` (did you mean ${near}?)`}`, {
      hint: versions === "" ? "cofferdam scripts list" : `its versions there: ${versions}`,
    });
  });
}

function nameOf(subject: ScriptSubject): string {
  // Of own code, bundled packages and tarballs by path or URL nobody else says a name; they can be looked at by their own.
  const claimed = subject.origin !== "dependency" || subject.locked?.kind === "file" || subject.locked?.kind === "remote";
  return trustedName(subject) ?? (claimed ? subject.name : "");
}
