/** Package URLs of npm packages. Source: the purl specification (ECMA-427) and its npm type. */

/** `pkg:npm/%40scope/name@1.0.0`; without a version where there is none. */
export function npmPackageUrl(name: string, version: string | undefined): string {
  const path = name.split("/").map(encoded).join("/");
  return `pkg:npm/${path}${version === undefined ? "" : `@${encoded(version)}`}`;
}

/** All but letters, digits and `.-_~`; encodeURIComponent leaves five more, and throws on half a surrogate pair. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
