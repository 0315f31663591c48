/** Options of a vault, checked. */
import { z } from "zod";
import type { VaultOptions } from "./vault-backend.ts";
import type { VaultAuth } from "./vault-session.ts";

const ask = z.custom<() => Promise<string>>((value) => typeof value === "function", "a function that gives it");
const path = z.string().regex(/^[A-Za-z0-9_.-]{1,100}(?:\/[A-Za-z0-9_.-]{1,100})*$/, "a path is like team/secrets");
const name = z.string().min(1).max(200);

const authSchema: z.ZodType<VaultAuth> = z.discriminatedUnion("method", [
  z.strictObject({ method: z.literal("token"), token: ask }),
  z.strictObject({ method: z.literal("approle"), roleId: name, secretId: ask, mount: path.optional() }),
  z.strictObject({ method: z.literal("jwt"), role: name, jwt: ask, mount: path.optional() }),
]);

export const vaultSchema: z.ZodType<VaultOptions> = z.strictObject({
  address: z.string().min(1).max(2048),
  namespace: path.optional(),
  ca: z.string().max(1_000_000).optional(),
  timeout: z.int().min(100).max(300_000).optional(),
  auth: authSchema,
  mount: path.optional(),
  prefix: path.optional(),
});
