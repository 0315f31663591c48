/** Which version of the API is spoken: the lower of what we know and what the engine knows. */
import { CofferdamError } from "../foundation/index.ts";

/** Docker 20.10 and Podman 4. */
export const OLDEST = "1.41";
/** The newest that our calls were run with (Docker 26); Docker 29 speaks 1.44 to 1.52. */
export const NEWEST = "1.45";

/** Throws UPSTREAM_UNAVAILABLE for an engine that names no version, FAILED_PRECONDITION for one that is too old. */
export function negotiate(theirs: string | undefined, where: string): string {
  const known = theirs === undefined ? undefined : parts(theirs);
  if (theirs === undefined || known === undefined)
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `what answers at ${where} names no version of the engine API`, {
      hint: "is this the address of a container engine?",
    });
  if (compare(known, parts(OLDEST)) < 0)
    throw new CofferdamError("FAILED_PRECONDITION", `the engine at ${where} speaks API ${theirs}; ${OLDEST} is needed`, {
      hint: "Docker 20.10, Podman 4.0 or newer",
    });
  return compare(known, parts(NEWEST)) < 0 ? theirs : NEWEST;
}

type Parts = readonly [major: number, minor: number];

function parts(version: string): Parts | undefined {
  const match = /^(\d{1,4})\.(\d{1,4})$/.exec(version);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

function compare(one: Parts, other: Parts | undefined): number {
  return other === undefined ? 0 : one[0] - other[0] || one[1] - other[1];
}
