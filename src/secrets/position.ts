/** Where a store was, as a record of a change says it. */
import { z } from "zod";
import type { JsonObject } from "../foundation/index.ts";
import type { StorePosition } from "./contract.ts";

const schema: z.ZodType<StorePosition> = z.strictObject({ storeId: z.string(), change: z.int().min(0) });

/** Actions whose events have a position in their details. */
export const POSITION_ACTIONS: readonly string[] = ["SecretStored", "SecretRotated", "SecretDeleted", "SecretKeyChanged", "SecretStoreRecovered"];

/** @param details of an event of one of {@link POSITION_ACTIONS}. */
export function positionIn(details: JsonObject | undefined): StorePosition | undefined {
  return schema.safeParse(details?.["position"]).data;
}
