/** What a vault's status means to us. */
import { z } from "zod";
import { CofferdamError, type ErrorCode } from "../../foundation/index.ts";
import type { VaultAnswer } from "./vault-http.ts";

const errorsSchema = z.object({ errors: z.array(z.string()) });

const KNOWN: Readonly<Record<number, { readonly code: ErrorCode; readonly says: string; readonly hint?: string }>> = {
  400: { code: "INVALID_ARGUMENT", says: "does not understand us" },
  403: { code: "PERMISSION_DENIED", says: "does not allow it", hint: "the policy of this token lacks the path, or the token has ended" },
  404: { code: "NOT_FOUND", says: "has nothing there", hint: "is the mount a KV engine of version 2, and the namespace right?" },
  405: { code: "FAILED_PRECONDITION", says: "does not do that there", hint: "is the mount a KV engine of version 2?" },
  412: { code: "UPSTREAM_UNAVAILABLE", says: "is behind what it said before (412)" },
  413: { code: "PAYLOAD_TOO_LARGE", says: "takes nothing that large" },
  429: { code: "RATE_LIMITED", says: "is asked too often" },
  472: { code: "UPSTREAM_UNAVAILABLE", says: "is a disaster recovery secondary (472)", hint: "use the address of the primary" },
  473: { code: "UPSTREAM_UNAVAILABLE", says: "is a performance standby that does not serve this (473)" },
  501: { code: "FAILED_PRECONDITION", says: "is not initialised (501)", hint: "vault operator init" },
  503: { code: "UPSTREAM_UNAVAILABLE", says: "is sealed or in maintenance (503)", hint: "vault operator unseal" },
};

/** @param what what was asked for, without any value. */
export function refusalOf({ status, body }: VaultAnswer, what: string): CofferdamError {
  const { code, says, hint } = KNOWN[status] ?? { code: "UPSTREAM_UNAVAILABLE", says: `answered with ${status}` };
  const words = wordsOf(body)[0];
  return new CofferdamError(code, `${what}: the vault ${says}${words === undefined ? "" : `: ${words}`}`, {
    details: { status },
    ...(hint !== undefined && { hint }),
  });
}

/** The vault's own words, short and in one line. */
export function wordsOf(body: unknown): readonly string[] {
  const found = errorsSchema.safeParse(body).data?.errors ?? [];
  return found
    .map((text) =>
      text
        .replaceAll(/[\p{Cc}\s]+/gu, " ")
        .trim()
        .slice(0, 200),
    )
    .filter((text) => text !== "");
}
