/** Files with many secrets: dotenv and JSON. Read strictly: what two readers could take differently is refused. */
import { CofferdamError } from "../foundation/index.ts";
import { secretIdSchema } from "./secret-id.ts";

export interface ImportedSecret {
  readonly secretId: string;
  /** As it is named in the file. */
  readonly name: string;
  readonly value: string;
}

/** Secrets of one file. */
const MAX_ENTRIES = 1000;

/**
 * `NAME=value` a line: blank lines and lines that begin with `#` are left out, `export ` before a name too. A value in single
 * quotes is taken as it is; in double quotes `\n \r \t \" \\ \$` are read; either may go over several lines. Without quotes a
 * value ends with its line or before ` #`, and may have neither quotes nor `$` nor a backslash, which readers of such files
 * disagree about. Throws INVALID_ARGUMENT with the line's number. @param prefix of the ids: `NPM_TOKEN` becomes `prefix/npm_token`.
 */
export function parseDotenv(text: string, prefix: string | undefined): readonly ImportedSecret[] {
  const found: [string, string][] = [];
  let rest = text.startsWith("\ufeff") ? text.slice(1) : text;
  for (let line = 1; rest !== ""; ) {
    const match = BLANK.exec(rest) ?? ENTRY.exec(rest);
    if (match === null) throw refused(line);
    const [whole, name, single, double, bare] = match;
    if (name !== undefined) found.push([name, single ?? (double === undefined ? bareValue(bare ?? "", line) : unescaped(double, line))]);
    line += whole.split("\n").length - 1;
    rest = rest.slice(whole.length);
  }
  return idsOf(found, prefix);
}

const BLANK = /^[ \t]*(?:#[^\n]*)?(?:\n|\r\n|$)/;
const ENTRY = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([^\n\r]*))[ \t]*(?:#[^\n]*)?\r?(?:\n|$)/s;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\", $: "$" };

function bareValue(text: string, line: number): string {
  const value = text.replace(/(?:^|[ \t])#.*$/, "").trim();
  if (/['"\\$`]/.test(value)) throw refused(line, "put the value in single quotes");
  return value;
}

function unescaped(text: string, line: number): string {
  if (/(?:^|[^\\])(?:\\\\)*\$/.test(text)) throw refused(line, "a $ in double quotes is a variable to some: put the value in single quotes, or write \\$");
  return text.replace(/\\(.)/gs, (_, letter: string) => {
    const character = ESCAPES[letter];
    if (character === undefined) throw refused(line, `\\${letter} means nothing here`);
    return character;
  });
}

/** One object of texts: `{"NPM_TOKEN": "..."}`. Throws INVALID_ARGUMENT; nothing of the file is in the message. */
export function parseJsonSecrets(text: string, prefix: string | undefined): readonly ImportedSecret[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new CofferdamError("INVALID_ARGUMENT", "the file is no JSON");
  }
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new CofferdamError("INVALID_ARGUMENT", 'the file is no object of texts: {"NAME": "value"}');
  const found = Object.entries(document).map(([name, value]): [string, string] => {
    if (typeof value !== "string") throw new CofferdamError("INVALID_ARGUMENT", `the value of ${JSON.stringify(name.slice(0, 100))} is no text`);
    return [name, value];
  });
  // Of a name that is there twice, JSON.parse keeps one in silence; but every text of the file is a name or a value.
  if ([...text.matchAll(/"(?:[^"\\]|\\.)*"/g)].length !== 2 * found.length) throw new CofferdamError("INVALID_ARGUMENT", "a name is there twice");
  return idsOf(found, prefix);
}

function idsOf(found: readonly (readonly [string, string])[], prefix: string | undefined): readonly ImportedSecret[] {
  if (found.length > MAX_ENTRIES) throw new CofferdamError("INVALID_ARGUMENT", `more than ${MAX_ENTRIES} secrets in one file`);
  const names = new Map<string, string>();
  return found.map(([name, value]) => {
    const secretId = `${prefix === undefined ? "" : `${prefix}/`}${name.toLowerCase()}`;
    const shown = JSON.stringify(name.slice(0, 100));
    if (!secretIdSchema.safeParse(secretId).success) throw new CofferdamError("INVALID_ARGUMENT", `${shown} makes no id of a secret`);
    const other = names.get(secretId);
    if (other !== undefined)
      throw new CofferdamError("INVALID_ARGUMENT", `${shown} is there twice${other === name ? "" : `: as ${JSON.stringify(other.slice(0, 100))}`}`);
    if (value === "") throw new CofferdamError("INVALID_ARGUMENT", `${shown} has no value`);
    names.set(secretId, name);
    return { secretId, name, value };
  });
}

function refused(line: number, hint = "NAME='value'"): CofferdamError {
  // The line itself is not shown: it may be a secret.
  return new CofferdamError("INVALID_ARGUMENT", `line ${line} of the file cannot be read`, { hint, details: { line } });
}
