/** What a check is about, after it was checked and folded: what conditions look at. */
import type { AccessContext, RepositoryFacts } from "../contract.ts";
import { foldName, isPrintable, ORGANISATION, organisationOf, REPOSITORY } from "../names.ts";

export interface Question {
  /** ms since the Unix epoch. */
  readonly now: number;
  /** The greatest time that was seen: an assignment that has ended does not begin again when the clock is set back. */
  readonly latest: number;
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
  /** Default: now. */
  readonly latest?: number | undefined;
  readonly mfa?: boolean | undefined;
  readonly facts?: RepositoryFacts | undefined;
}

const NOTHING: RepositoryFacts = {};
const NO_CONTEXT: Partial<AccessContext> = {};

/**
 * A caller's context as a question, or undefined for a malformed one. Written by hand: it is asked a million times a second,
 * and a schema costs more than the check.
 */
export function questionOf(context: Partial<AccessContext> | undefined, known: Established): Question | undefined {
  let { repository, organisation, environment } = context ?? NO_CONTEXT;
  const { ipAddress, isOwner, mfa, trustContext } = context ?? NO_CONTEXT;
  for (const key in context) if (!isKnown(key)) return undefined;
  // Types are the compiler's word; a program in JavaScript may say anything.
  if (repository !== undefined) {
    if (typeof repository !== "string" || !REPOSITORY.test(repository)) return undefined;
    repository = repository.toLowerCase();
  }
  if (organisation !== undefined) {
    if (typeof organisation !== "string" || !ORGANISATION.test(organisation)) return undefined;
    organisation = organisation.toLowerCase();
  }
  if (environment !== undefined) {
    if (typeof environment !== "string" || !isEnvironment(environment)) return undefined;
    environment = foldName(environment);
  }
  if (ipAddress !== undefined && (typeof ipAddress !== "string" || ipAddress.length > 64)) return undefined;
  if (!isFlag(isOwner) || !isFlag(mfa) || !isFlag(trustContext)) return undefined;
  if (repository !== undefined) {
    const owner = organisationOf(repository);
    if (organisation !== undefined && organisation !== owner) return undefined;
    organisation = owner;
  }
  return {
    now: known.now,
    latest: known.latest ?? known.now,
    repository,
    organisation,
    environment,
    ipAddress,
    mfa: known.mfa ?? (trustContext === true ? mfa : undefined),
    facts: trustContext === true && isOwner !== undefined ? { ...known.facts, owned: isOwner } : (known.facts ?? NOTHING),
  };
}

function isKnown(key: string): boolean {
  switch (key) {
    case "repository":
    case "organisation":
    case "environment":
    case "ipAddress":
    case "isOwner":
    case "mfa":
    case "trustContext":
    case "userAgent":
    case "sessionId":
    case "limits":
      return true;
    default:
      return false;
  }
}

function isFlag(value: unknown): boolean {
  return value === undefined || typeof value === "boolean";
}

function isEnvironment(name: string): boolean {
  return name.length > 0 && name.length <= 255 && isPrintable(name);
}
