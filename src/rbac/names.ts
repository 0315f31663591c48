/**
 * Names as they are compared: NFKC, lower case, NFKC once more (lower-casing can undo it). Letters of different scripts that
 * only look alike stay different: there is no table of confusables here.
 */

/** The form in which two spellings of one name are the same. */
export function foldName(name: string): string {
  return name.normalize("NFKC").toLowerCase().normalize("NFKC");
}

/** `acme` of `acme/web`. */
export function organisationOf(repository: string): string {
  return repository.slice(0, repository.indexOf("/"));
}
