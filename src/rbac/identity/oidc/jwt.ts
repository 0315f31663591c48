/**
 * The outside of a token (RFC 7515, RFC 7519): three parts of base64url, a header of which only what is known is accepted. A
 * header that names a key itself, or where to get one (jwk, jku, x5u, x5c), is refused before anything of it is believed.
 */
import { z } from "zod";
import { CofferdamError, parseInput } from "../../../foundation/index.ts";
import { parseStrictJson } from "./strict-json.ts";

/** Characters of a whole token; GitHub's have about 2,000. */
const MAX_TOKEN = 16_384;

const ALGORITHMS = ["RS256", "ES256"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export interface TokenHeader {
  readonly alg: Algorithm;
  readonly kid: string;
  readonly typ?: string | undefined;
  /** GitHub writes a thumbprint; nothing is done with it. */
  readonly x5t?: string | undefined;
}

export interface ReadToken {
  readonly header: TokenHeader;
  /** Not believed yet: nobody looked at the signature. */
  readonly claims: unknown;
}

const headerSchema: z.ZodType<TokenHeader> = z.strictObject({
  alg: z.enum(ALGORITHMS, "the algorithm is none that is accepted"),
  kid: z.string().min(1).max(256),
  typ: z.string().regex(/^jwt$/i).optional(),
  x5t: z.string().max(256).optional(),
});

/** Throws UNAUTHENTICATED. */
export function readToken(token: string): ReadToken {
  if (typeof token !== "string" || token.length > MAX_TOKEN) throw new CofferdamError("UNAUTHENTICATED", `job token: more than ${MAX_TOKEN} characters`);
  const [, header, claims] = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/.exec(token) ?? [];
  if (header === undefined || claims === undefined) throw new CofferdamError("UNAUTHENTICATED", "job token: not three parts of base64url");
  return {
    header: parseInput(headerSchema, parseStrictJson(textOf(header), "header of a job token"), "header of a job token", "UNAUTHENTICATED"),
    claims: parseStrictJson(textOf(claims), "claims of a job token"),
  };
}

function textOf(part: string): string {
  const bytes = Buffer.from(part, "base64url");
  const text = bytes.toString("utf8");
  // One spelling of each: leftover bits and broken UTF-8 could be read in two ways.
  if (bytes.toString("base64url") !== part || !Buffer.from(text, "utf8").equals(bytes))
    throw new CofferdamError("UNAUTHENTICATED", "job token: not base64url of UTF-8");
  return text;
}
