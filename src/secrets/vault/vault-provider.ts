/** New values from a vault: what a secrets engine makes, or what somebody else keeps there. */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import type { RotationProvider } from "../rotation.ts";
import { VaultClient, type VaultConnection } from "./vault-client.ts";

const answerSchema = z.object({ data: z.record(z.string(), z.unknown()) });

/**
 * Reads `path` (below `/v1/`, like `aws/creds/deploy`) once a rotation, and takes one field of its data. Of a KV engine of
 * version 2 (`secret/data/x`) the field is looked for in the secret. The lease of what an engine made is the engine's: choose one
 * that is longer than the time between rotations and the grace, and a token that lives as long, for leases end with their token.
 */
export function vaultProvider(connection: VaultConnection, path: string, field: string): RotationProvider {
  return {
    async rotate() {
      const client = new VaultClient(connection);
      try {
        const answer = await client.ask({ method: "GET", path, repeatable: false }, `new value from ${path}`);
        const data = answerSchema.safeParse(answer.body).data?.data;
        const inner = z.object({ data: z.record(z.string(), z.unknown()), metadata: z.object({ version: z.int() }) }).safeParse(data).data?.data;
        const value = (inner ?? data)?.[field];
        if (typeof value === "string" && value !== "") return Buffer.from(value);
        throw new CofferdamError("UPSTREAM_UNAVAILABLE", `the vault's answer for ${path} has no text ${field}`);
      } finally {
        await client.close(true);
      }
    },
  };
}
