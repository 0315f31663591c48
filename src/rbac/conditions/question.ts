/** What a check is about, after it was checked and folded: what conditions look at. */
import type { RepositoryFacts } from "../contract.ts";
import { foldName, organisationOf } from "../names.ts";

export interface Question {
  /** ms since the Unix epoch. */
  readonly now: number;
  readonly repository: string | undefined;
  readonly organisation: string | undefined;
  readonly environment: string | undefined;
  readonly ipAddress: string | undefined;
  /** Undefined: nobody said, who can be believed. */
  readonly mfa: boolean | undefined;
  readonly facts: RepositoryFacts;
}

/** What is known besides of what the caller says: from a verified session, from the resolver. */
export interface Established {
  readonly now: number;
  readonly mfa?: boolean | undefined;
  readonly facts?: RepositoryFacts | undefined;
}

const REPOSITORY = /^[A-Za-z0-9_.-]{1,100}\/[A-Za-z0-9_.-]{1,100}$/;
const ORGANISATION = /^[A-Za-z0-9_.-]{1,100}$/;
const NOTHING: RepositoryFacts = {};

/**
 * A caller's context as a question, or undefined for a malformed one. Written by hand: it is asked a million times a second,
 * and a schema costs more than the check.
 */
export function questionOf(context: object | undefined, known: Established): Question | undefined {
  let repository: string | undefined;
  let organisation: string | undefined;
  let environment: string | undefined;
  let ipAddress: string | undefined;
  let claimsOwner: boolean | undefined;
  let claimsMfa: boolean | undefined;
  let trusted = false;
  for (const [key, value] of Object.entries(context ?? {})) {
    if (value === undefined) continue;
    switch (key) {
      case "repository":
        if (typeof value !== "string" || !REPOSITORY.test(value)) return undefined;
        repository = value.toLowerCase();
        break;
      case "organisation":
        if (typeof value !== "string" || !ORGANISATION.test(value)) return undefined;
        organisation = value.toLowerCase();
        break;
      case "environment":
        if (typeof value !== "string" || value.length < 1 || value.length > 255 || /[\p{C}\p{Zl}\p{Zp}]/u.test(value)) return undefined;
        environment = foldName(value);
        break;
      case "ipAddress":
        if (typeof value !== "string" || value.length > 64) return undefined;
        ipAddress = value;
        break;
      case "isOwner":
        if (typeof value !== "boolean") return undefined;
        claimsOwner = value;
        break;
      case "mfa":
        if (typeof value !== "boolean") return undefined;
        claimsMfa = value;
        break;
      case "trustContext":
        if (typeof value !== "boolean") return undefined;
        trusted = value;
        break;
      case "userAgent":
      case "sessionId":
      case "limits":
        break;
      default:
        return undefined;
    }
  }
  if (repository !== undefined) {
    const owner = organisationOf(repository);
    if (organisation !== undefined && organisation !== owner) return undefined;
    organisation = owner;
  }
  return {
    now: known.now,
    repository,
    organisation,
    environment,
    ipAddress,
    mfa: known.mfa ?? (trusted ? claimsMfa : undefined),
    facts: trusted && claimsOwner !== undefined ? { ...known.facts, owned: claimsOwner } : (known.facts ?? NOTHING),
  };
}
