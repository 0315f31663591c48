/**
 * Package URLs of npm packages (`pkg:npm/%40scope/name@1.0.0`), and the plain `name@version` that people type.
 * Source: the purl specification (ECMA-427), its npm type and its test vectors.
 *
 * Two things are as npm has them and not as the specification does: case stays as it is written, since `JSONStream` and
 * `jsonstream` are two packages (whoever compares should look for {@link PackageName.alias}, too); and the `@` of a scope may
 * stand unencoded, since nothing else can be meant.
 */
import { CofferdamError } from "../foundation/index.ts";

export interface PackageName {
  readonly name: string;
  /** What the specification makes of the name: lower case. Undefined where that is the same. */
  readonly alias: string | undefined;
  readonly version: string | undefined;
}

const MAX_LENGTH = 4096;
/** npm's rule for names, old ones included: what stands in a URL by itself. */
const PART = /^[A-Za-z0-9~!'()*-][A-Za-z0-9._~!'()*-]*$/;

/**
 * What names a package: a package URL when it begins with `pkg:`, else `name` or `name@version`. Throws INVALID_ARGUMENT with
 * what is wrong; for another type than npm, too.
 */
export function parsePackage(text: string): PackageName {
  if (/^pkg:/i.test(text)) return parsePackageUrl(text);
  const at = text.lastIndexOf("@");
  const [name, version] = at > 0 ? [text.slice(0, at), text.slice(at + 1)] : [text, undefined];
  if (name === "" || name === "@" || version === "" || text.length > MAX_LENGTH || /[\p{Cc}\s]/u.test(text))
    throw bad(text, "name@version, or pkg:npm/name@version");
  return { name, alias: undefined, version };
}

/** Qualifiers and subpath are checked and left aside: they say where a package is from, not which it is. */
export function parsePackageUrl(text: string): PackageName {
  if (text.length > MAX_LENGTH) throw bad(text, `longer than ${MAX_LENGTH} characters`);
  const [beforeHash] = splitRight(text, "#");
  const [beforeQuery, query] = splitRight(beforeHash, "?");
  if (query !== undefined) checkQualifiers(query, text);
  // The scheme may be followed by slashes that mean nothing.
  const rest = /^pkg:\/*(.*?)\/*$/i.exec(beforeQuery)?.[1];
  const slash = rest?.indexOf("/") ?? -1;
  if (rest === undefined || slash <= 0) throw bad(text, "no type and name: pkg:npm/name@version");
  const type = rest.slice(0, slash).toLowerCase();
  if (type !== "npm") throw bad(text, `only pkg:npm/ is known here, not ${JSON.stringify(type.slice(0, 40))}`);
  const path = rest.slice(slash + 1).replace(/^\/+/, "");
  // The last `@` begins the version, unless it is the one of the scope.
  const at = path.lastIndexOf("@");
  const hasVersion = at > 0 && !path.slice(at).includes("/");
  const version = hasVersion ? decoded(path.slice(at + 1), text) : undefined;
  const parts = (hasVersion ? path.slice(0, at) : path)
    .split("/")
    .filter((part) => part !== "")
    .map((part) => decoded(part, text));
  const name = nameOf(parts);
  if (name === undefined) throw bad(text, "not the name of an npm package");
  if (version !== undefined && (version === "" || /[\p{Cc}\s]/u.test(version))) throw bad(text, "not a version");
  const alias = name.toLowerCase();
  return { name, alias: alias === name ? undefined : alias, version };
}

function nameOf([first, second, ...more]: readonly string[]): string | undefined {
  if (first === undefined || more.length > 0) return undefined;
  if (second === undefined) return PART.test(first) ? first : undefined;
  return first.startsWith("@") && PART.test(first.slice(1)) && PART.test(second) ? `${first}/${second}` : undefined;
}

function checkQualifiers(query: string, text: string): void {
  const seen = new Set<string>();
  for (const pair of query.split("&")) {
    const [key = "", value] = splitLeft(pair, "=");
    const name = key.toLowerCase();
    if (value === undefined || !/^[a-z][a-z0-9._-]*$/.test(name)) throw bad(text, `not a qualifier: ${JSON.stringify(pair.slice(0, 60))}`);
    if (seen.has(name)) throw bad(text, `the qualifier ${name} stands there twice`);
    seen.add(name);
    decoded(value, text);
  }
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw bad(text, "its percent-encoding is broken");
  }
}

function splitRight(text: string, mark: string): [string, string | undefined] {
  const at = text.lastIndexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function splitLeft(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function bad(text: string, why: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `not a package: ${JSON.stringify(text.slice(0, 100))}: ${why}`);
}
