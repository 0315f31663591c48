/**
 * Names that become part of a path. Each has its grammar, so that no name can lead to another call (`../containers/x/kill`)
 * or reach the engine as something else than it was.
 */
import { CofferdamError } from "../foundation/index.ts";

const OBJECT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/;
/** host:port/path/name:tag@digest, or an id; the parts of the distribution grammar without its lengths. */
const REFERENCE =
  /^(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+:[a-f0-9]{32,128})?$/;
const MAX_REFERENCE = 512;

/** A container, network, volume or exec by name or id. Throws INVALID_ARGUMENT. */
export function objectPath(kind: string, name: string): string {
  if (typeof name !== "string" || !OBJECT.test(name)) throw invalid(`not a name or id of a ${kind}`, name);
  return encodeURIComponent(name);
}

/** An image by reference or id. Throws INVALID_ARGUMENT. */
export function imagePath(reference: string): string {
  assertReference(reference);
  // The engine routes by the whole rest of the path, slashes included.
  return reference.split("/").map(encodeURIComponent).join("/");
}

export function assertReference(reference: string): void {
  if (typeof reference !== "string" || reference.length > MAX_REFERENCE || !REFERENCE.test(reference)) throw invalid("not an image reference or id", reference);
}

/** Repository and tag of a reference that has no digest; the tag is `latest` when there is none. */
export function repositoryAndTag(reference: string): { readonly repo: string; readonly tag: string } {
  assertReference(reference);
  if (reference.includes("@")) throw invalid("a digest cannot be given to an image", reference);
  const colon = reference.lastIndexOf(":");
  if (colon <= reference.lastIndexOf("/")) return { repo: reference, tag: "latest" };
  return { repo: reference.slice(0, colon), tag: reference.slice(colon + 1) };
}

function invalid(why: string, name: unknown): CofferdamError {
  const shown = JSON.stringify(typeof name === "string" ? name.slice(0, 100) : typeof name);
  return new CofferdamError("INVALID_ARGUMENT", `${why}: ${shown}`);
}
