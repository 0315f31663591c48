/**
 * Names as they are compared: NFKC, lower case, NFKC once more (lower-casing can undo it). Letters of different scripts that
 * only look alike stay different: there is no table of confusables here.
 */

/** `owner/name`, as GitHub has them. */
export const REPOSITORY: RegExp = /^[A-Za-z0-9_.-]{1,100}\/[A-Za-z0-9_.-]{1,100}$/;
export const ORGANISATION: RegExp = /^[A-Za-z0-9_.-]{1,100}$/;

/** Control characters, and those that change the direction of text, would show another name than they are; so would half a surrogate pair. */
export function isPrintable(text: string): boolean {
  return !/[\p{C}\p{Zl}\p{Zp}]/u.test(text);
}

/** The form in which two spellings of one name are the same. */
export function foldName(name: string): string {
  return name.normalize("NFKC").toLowerCase().normalize("NFKC");
}

/** `acme` of `acme/web`. */
export function organisationOf(repository: string): string {
  return repository.slice(0, repository.indexOf("/"));
}
